"""A client that stops reading for a while: it loses nothing that is kept, and is told what was lost (S004-17)."""
import asyncio
import json

import pytest
import websockets
from websockets.asyncio.client import connect

from platform_under_test import running

RULES = """{ limits: { clientQueueBytes: "256KiB", publicationBytes: "128KiB" }, channels: [
  { match: "kept:*", history: { durable: true } }, { match: "short:*", history: { size: 3 } }, { match: "*" } ] }"""


@pytest.fixture(scope="module")
def platform():
    with running(RULES) as sapphire:
        yield sapphire


def talk(platform, body):
    async def bounded():
        address = platform.url.replace("http", "ws", 1) + "/connection/websocket"
        # One frame is read ahead: what the client does not take waits at the server.
        async with connect(address, proxy=None, compression=None, max_queue=1, max_size=None) as socket:
            await socket.send('{"id":1,"connect":{}}')
            await socket.recv()
            return await body(socket)
    return asyncio.run(asyncio.wait_for(bounded(), 60))


async def flood(platform, channel, count):
    """Far more than kernels and the client's queue hold."""
    commands = [{"publish": {"channel": channel, "data": {"n": number, "fill": "x" * 60_000}}} for number in range(count)]
    for start in range(0, count, 50):
        status = (await asyncio.to_thread(platform.post, "/api/batch", {"commands": commands[start:start + 50]}, platform.key))[0]
        assert status == 200


async def replies(socket):
    """What comes, until the end; the last is the close."""
    try:
        while True:
            for line in (await socket.recv()).split("\n"):
                reply = json.loads(line)
                if reply:
                    yield reply
                else:
                    await socket.send("{}")
    except websockets.ConnectionClosed:
        yield {"closed": socket.close_code}


def test_what_is_kept_comes_whole_however_late_it_is_read(platform):
    async def body(socket):
        await flood(platform, "kept:slow", 1)
        await socket.send('{"id":2,"subscribe":{"channel":"kept:slow"}}')
        await socket.recv()
        await flood(platform, "kept:slow", 250)
        offsets = []
        async for reply in replies(socket):
            offsets.append(reply["push"]["pub"]["offset"])
            if offsets[-1] == 251:
                break
        assert offsets == list(range(2, 252))
    talk(platform, body)


def test_what_a_short_history_has_lost_for_it_sends_it_back(platform):
    async def body(socket):
        await flood(platform, "short:slow", 1)
        await socket.send('{"id":2,"subscribe":{"channel":"short:slow"}}')
        first = json.loads(await socket.recv())["subscribe"]
        await flood(platform, "short:slow", 400)
        last, code = first["offset"], None
        async for reply in replies(socket):
            if "closed" in reply:
                code = reply["closed"]
                break
            offset = reply["push"]["pub"]["offset"]
            assert offset == last + 1, "nothing is left out without a word"
            last = offset
        assert code == 3010 and last < 401
        return last, first["epoch"]
    last, epoch = talk(platform, body)

    async def again(socket):
        await socket.send(json.dumps({"id": 2, "subscribe": {
            "channel": "short:slow", "recover": True, "offset": last, "epoch": epoch}}))
        told = json.loads(await socket.recv())["subscribe"]
        assert told["was_recovering"] is True and "recovered" not in told
    talk(platform, again)


def test_a_slow_client_of_a_channel_without_history_goes_on(platform):
    async def body(socket):
        await socket.send('{"id":2,"subscribe":{"channel":"plain:slow"}}')
        await socket.recv()
        await flood(platform, "plain:slow", 400)
        seen = []
        await asyncio.to_thread(platform.publish, "plain:slow", {"n": "last"})
        async for reply in replies(socket):
            seen.append(reply["push"]["pub"]["data"]["n"])
            if len(seen) > 3 and seen[-1] == "last":
                break
            assert len(seen) < 401
        assert seen[0] == 0 and len(seen) < 401, "the newest are there, some between were left out"
    talk(platform, body)
