"""A client that stops reading for a while: it loses nothing that is kept, and is told what was lost (S004-17)."""
import asyncio
import json
import random
import socket
import urllib.parse

import pytest
import websockets
from websockets.asyncio.client import connect

from people import Reader
from platform_under_test import running
from test_raw import Talker

RULES = """{ limits: { clientQueueBytes: "256KiB", publicationBytes: "128KiB" }, channels: [
  { match: "kept:*", history: { durable: true } }, { match: "short:*", history: { size: 3 } }, { match: "*" } ] }"""


@pytest.fixture(scope="module")
def platform():
    with running(RULES) as sapphire:
        yield sapphire


def narrow(platform):
    """A socket that takes little ahead, so that little has to be published until something waits at the server."""
    address = urllib.parse.urlsplit(platform.url)
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
    made.connect((address.hostname, address.port))
    made.setblocking(False)
    return made


def talk(platform, body, **options):
    async def bounded():
        address = platform.url.replace("http", "ws", 1) + "/connection/websocket"
        # One frame is read ahead: what the client does not take waits at the server.
        async with connect(address, proxy=None, compression=None, max_queue=1, max_size=None, **options) as socket:
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


@pytest.mark.parametrize("kind, tf", [("kept", {"key": "kind", "cmp": "neq", "val": "1"}), ("plain", None)],
                         ids=["kept-filtered", "plain"])
def test_a_slow_client_gets_no_delta_of_something_that_it_does_not_have(platform, kind, tf):
    channel = f"{kind}:deltas-{bool(tf)}"

    def data(number):
        """A delta is long and worth while, and with another base than the one before it gives something else."""
        return {"n": number, "fill": "".join(random.Random(n).randbytes(4_000).hex() for n in range(number, number + 3))}

    def command(number):
        return {"publish": {"channel": channel, "data": data(number), "tags": {"kind": str(number % 3)}}}

    async def body(socket):
        platform.post("/api/publish", command(0)["publish"], platform.key)
        client = Talker(socket)
        client.ids = 1
        ask = {"channel": channel, "delta": "fossil", **({"tf": tf} if tf else {})}
        reader = Reader((await client.ask(subscribe=ask))["subscribe"])
        for start in range(1, 601, 50):
            commands = [command(number) for number in range(start, start + 50)]
            assert (await asyncio.to_thread(platform.post, "/api/batch", {"commands": commands}, platform.key))[0] == 200
        wanted = [number for number in range(1, 601) if not tf or number % 3 != 1]
        numbers = []
        while not numbers or numbers[-1] != 600:
            await reader.reads(client, len(numbers) + 1)
            numbers.append(reader.read[-1][1]["n"])
            assert reader.read[-1][1] == data(numbers[-1])
        if kind == "kept":
            assert numbers == wanted, "all that is kept, in order"
        else:
            assert len(numbers) < len(wanted) and [number for number in wanted if number in set(numbers)] == numbers
        # Once the server knows that it has read all, deltas come again.
        seen = reader.deltas
        for number in (number for number in range(602, 642) if number % 3 != 1):
            await asyncio.to_thread(platform.post, "/api/publish", command(number)["publish"], platform.key)
            await reader.reads(client, len(reader.read) + 1)
            assert reader.read[-1][1] == data(number)
            if reader.deltas > seen:
                break
        assert reader.deltas > seen
    talk(platform, body, sock=narrow(platform))
