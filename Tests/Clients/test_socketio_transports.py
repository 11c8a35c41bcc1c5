"""How Socket.IO travels: compression of both transports, and where it is."""
import asyncio
import gzip
import json
import os
import re
import zlib

import pytest
import socketio
import websockets
from websockets.exceptions import InvalidStatusCode
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from platform_under_test import eventually, running, within
from test_socketio import Client

ELSEWHERE = """{ socketio: { path: "/live/rt/", perMessageDeflate: true, httpCompression: { threshold: 200, level: 9 } },
  routes: [ { path: "/live/{channel}/ws" } ] }"""


@pytest.fixture(scope="module")
def usual():
    with running("{ channels: [ { match: 'secret', compress: false }, { match: '*', history: { size: 100 } } ] }") as platform:
        yield platform


@pytest.fixture(scope="module")
def elsewhere():
    with running(ELSEWHERE) as platform:
        yield platform


class Polling:
    """A session of long polling, spoken by hand, in the main namespace."""

    def __init__(self, platform, path="/socket.io/"):
        self.platform = platform
        text = platform.get(path + "?EIO=4&transport=polling")[2]
        self.address = f"{path}?EIO=4&transport=polling&sid=" + json.loads(text[1:])["sid"]
        self.say(b"40")
        assert self.poll()[2].startswith(b"40{")

    def say(self, packet):
        import urllib.request
        request = urllib.request.Request(self.platform.url + self.address, packet, {"Content-Type": "text/plain;charset=UTF-8"})
        assert self.platform._request(request)[0] == 200

    def poll(self, **headers):
        return self.platform.get(self.address, **headers)

    def publishes(self, text, **headers):
        """What the poll is answered that brings what was published, with its head."""
        self.platform.publish("room", text)
        status, head, body = self.poll(**headers)
        assert status == 200 and head["Cache-Control"] == "no-store"
        return head, body


def delivered(platform):
    metrics = platform.get("/metrics", **{"X-API-Key": platform.key})[2].decode()
    return float(re.search(r"^sapphire_gateway_deliveries_total\S* (\S+)$", metrics, re.M).group(1))


def accepting(coding):
    return {"Accept-Encoding": coding}


def unfolded(head, body):
    coding = head["Content-Encoding"]
    return {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}[coding](body).decode()


def test_long_polls_are_compressed_as_the_client_likes(usual):
    session = Polling(usual)
    session.say(b"420[\"subscribe\",{\"channel\":\"room\"}]")
    assert session.poll()[2].startswith(b"430[")
    long, short = "na " * 5_000, "na " * 100
    for likes, coding in (("gzip, deflate, br", "gzip"), ("deflate", "deflate"), ("gzip;q=0.1, deflate;q=0.2", "deflate"),
                          ("br", None), ("gzip;q=0", None)):
        head, body = session.publishes(long, **accepting(likes))
        assert head["Content-Encoding"] == coding, likes
        assert long in unfolded(head, body) and (len(body) < 1_000) == (coding is not None)
        assert int(head["Content-Length"]) == len(body)
        assert ("Accept-Encoding" in head.get_all("Vary")) == (coding is not None)
    head, body = session.publishes(long)
    assert head["Content-Encoding"] is None and long.encode() in body, "who says nothing gets it as it is"
    # The reference's threshold; and what would not get shorter goes as it is.
    head, body = session.publishes(short, **accepting("gzip"))
    assert head["Content-Encoding"] is None and short.encode() in body
    head, body = session.publishes(os.urandom(3_000).hex(), **accepting("gzip"))
    assert head["Content-Encoding"] == "gzip" and len(body) > 3_000


def test_what_has_a_secret_is_not_compressed(usual):
    text = usual.get("/socket.io/?EIO=4&transport=polling")[2]
    session = Polling.__new__(Polling)
    session.platform = usual
    session.address = "/socket.io/?EIO=4&transport=polling&sid=" + json.loads(text[1:])["sid"]
    before = delivered(usual)
    session.say(b"40\x1e420[\"subscribe\",{\"channel\":\"room\"}]")
    eventually(10, "something waits beside the answer to the CONNECT", lambda: usual.publish("room", "na " * 5_000) and
               delivered(usual) > before)
    status, head, body = session.poll(**accepting("gzip"))
    assert (status, head["Content-Encoding"]) == (200, None) and body.startswith(b"40{") and b"na na" in body
    # What is behind it may be.
    assert session.publishes("na " * 5_000, **accepting("gzip"))[0]["Content-Encoding"] == "gzip"


def test_a_client_in_a_channel_that_is_not_compressed_polls_plain(usual):
    session = Polling(usual)
    for channel in ("room", "secret"):
        session.say(b"420[\"subscribe\",{\"channel\":\"%s\"}]" % channel.encode())
        assert session.poll()[2].startswith(b"430[")
    assert session.publishes("na " * 5_000, **accepting("gzip"))[0]["Content-Encoding"] is None
    # What was published there may wait still.
    session.say(b"421[\"unsubscribe\",{\"channel\":\"secret\"}]")
    assert b"431[" in session.poll()[2]
    assert session.publishes("na " * 5_000, **accepting("gzip"))[0]["Content-Encoding"] is None


def test_compression_of_long_polls_is_a_setting(elsewhere):
    session = Polling(elsewhere, "/live/rt/")
    session.say(b"420[\"subscribe\",{\"channel\":\"room\"}]")
    assert session.poll()[2].startswith(b"430[")
    head, body = session.publishes("na " * 100, **accepting("gzip"))
    assert head["Content-Encoding"] == "gzip" and "na na" in unfolded(head, body)
    with running("{ socketio: { httpCompression: false } }") as platform:
        session = Polling(platform)
        session.say(b"420[\"subscribe\",{\"channel\":\"room\"}]")
        session.poll()
        assert session.publishes("na " * 5_000, **accepting("gzip"))[0]["Content-Encoding"] is None


@pytest.mark.parametrize("door", ["usual", "elsewhere"])
def test_websockets_are_compressed_only_where_that_is_set(request, door):
    """perMessageDeflate is off, as at the reference server."""
    platform = request.getfixturevalue(door)
    path = "/socket.io/" if door == "usual" else "/live/rt/"
    text = "na " * 5_000

    async def scenario():
        async with platform.socket(path + "?EIO=4&transport=websocket",
                                   extensions=[ClientPerMessageDeflateFactory()]) as socket:
            assert ("permessage-deflate" in socket.response_headers.get("Sec-WebSocket-Extensions", "")) == (door != "usual")
            await socket.recv()
            await socket.send("40")
            await socket.recv()
            await socket.send("420[\"subscribe\",{\"channel\":\"room\"}]")
            assert (await socket.recv()).startswith("430[")
            await asyncio.to_thread(platform.publish, "room", text)
            assert text in await socket.recv()
    within(20, scenario())


def test_it_is_where_the_configuration_says(elsewhere):
    for path in ("/socket.io/", "/live/rt/more", "/live"):
        assert elsewhere.get(path + "?EIO=4&transport=polling")[0] in (404, 200 if path == "/live" else 404), path
    assert elsewhere.get("/live/rt?EIO=4&transport=polling")[0] == 200

    async def scenario():
        with pytest.raises(InvalidStatusCode):
            await websockets.connect(elsewhere.url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket")
        for transports in (["polling"], ["websocket"], ["polling", "websocket"]):
            async with Client(elsewhere.url, transports, socketio_path="live/rt") as client:
                await client.ask("subscribe", {"channel": "there"})
                await client.ask("publish", {"channel": "there", "data": "na " * 500})
                assert (await client.next("publication"))["data"] == "na " * 500
        with pytest.raises(socketio.exceptions.ConnectionError):
            async with Client(elsewhere.url, ["polling"]):
                pass
    within(30, scenario())
