"""Routes of the configuration: other addresses for channels (S003-11)."""
import json
import os
import signal

import pytest

from platform_under_test import eventually, next_json, next_message, within
from raw_http import Wire

ROUTES = """{ routes: [
  { path: '/ws/custom/{channel}' },
  { path: '/rooms/{channel}/live', channel: 'room:{channel}', door: 'events' },
  { path: '/feeds/scores', channel: 'scores', door: 'sse' },
  { path: '/feeds/scores/lines', channel: 'scores', door: 'stream' },
  { path: '/feeds/scores/next', channel: 'scores', door: 'poll' },
], channels: [ { match: '*', history: { size: 100 } } ] }"""


@pytest.mark.configuration(ROUTES)
def test_a_route_is_another_address_of_a_socket(sapphire):
    async def scenario():
        async with sapphire.socket("/ws/events/route") as plain, sapphire.socket("/ws/custom/route") as custom:
            assert (await next_json(plain))["type"] == "connection"
            await custom.send("through another door")
            for socket in (plain, custom):
                assert await next_message(socket) == "through another door"
        # A name that the built-in address can't have is a channel here.
        async with sapphire.socket("/ws/custom/echo?envelope=1") as socket:
            assert (await next_json(socket))["channel"] == "echo"
        async with sapphire.socket("/rooms/7/live") as room:
            assert (await next_json(room))["channel"] == "room:7"
            sapphire.publish("room:7", "hello")
            assert await next_message(room) == "hello"
    within(30, scenario())
    with Wire(sapphire) as wire:
        answer = wire.ask("GET /ws/custom/no%20channel", "Upgrade: websocket", "Connection: Upgrade",
                          "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
        assert answer.status == 404 and b"no channel" in answer.body
    for nothing in ("/ws/custom/", "/ws/custom/a/b", "/rooms/7"):
        assert sapphire.get(nothing)[0] == 404, nothing
    assert sapphire.get("/ws/custom/a")[0] == 426 == sapphire.get("/ws/a")[0]


@pytest.mark.configuration(ROUTES)
def test_streams_and_polls_have_routes_too(sapphire):
    first = sapphire.publish("scores", {"n": 1})
    sapphire.publish("other", "beside it")
    status, _, body = sapphire.get("/feeds/scores/next?since=start")
    assert status == 200 and [p["data"] for p in json.loads(body)["publications"]] == [{"n": 1}], body
    with Wire(sapphire) as wire:
        wire.send(wire.head("GET /feeds/scores?since=start"))
        wire._until(b'data: {"channel":"scores"')
    with Wire(sapphire) as wire:
        wire.send(wire.head(f"GET /feeds/scores/lines?channel=other&since=scores={first['epoch']}:0"))
        wire._until(b'{"channel":"scores"')


@pytest.mark.configuration(ROUTES)
def test_routes_change_on_a_signal(sapphire):
    path = os.path.join(sapphire.folder, "sapphire.json5")
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text.replace("/ws/custom/", "/ws/other/"))
    sapphire.process.send_signal(signal.SIGHUP)
    eventually(10, "the new route", lambda: sapphire.get("/ws/other/a")[0] == 426)
    assert sapphire.get("/ws/custom/a")[0] == 404
    # A file that takes a built-in address changes nothing, and is told with its line.
    with open(path, "w") as file:
        file.write("\n" + text.replace("/ws/custom/{channel}", "/ws/{channel}"))
    sapphire.process.send_signal(signal.SIGHUP)
    eventually(10, "the reason", lambda: ":3: routes[0].path: /ws/{channel} is built in" in sapphire.log_tail())
    assert sapphire.get("/ws/other/a")[0] == 426
