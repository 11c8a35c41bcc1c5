"""A gateway that stops tells each client when to come back and where it stands: whoever hands that back misses
nothing and gets nothing twice, without having kept a place of its own."""
import asyncio
import json
import os
import re
import socket
import threading
import urllib.parse
import urllib.request

import pytest
import websockets

from platform_under_test import Gateway, eventually, running, within
from test_sse import Feed, Writer

NAMES = ["log:a", "log:b", "mem:a"]
CONFIGURATION = """{ channels: [{ match: "log:*", history: { durable: true } },
  { match: "slow:*", history: { durable: true }, priority: "state" }, { match: "mem:*", history: { size: 10000, ttl: "10m" } }, { match: "*" }],
  limits: { clientQueueBytes: "1MiB" } }"""


@pytest.fixture(scope="module")
def platform():
    with running(CONFIGURATION) as platform:
        yield platform


@pytest.fixture
def leaving(platform):
    """A gateway that is about to stop, beside the one that stays, while somebody publishes."""
    with Gateway(platform, configuration=os.path.join(platform.folder, "sapphire.json5")) as gateway:
        writer = Writer(platform, NAMES)
        try:
            yield gateway
        finally:
            writer.stopped.set()
            writer.join()


def address(server, path):
    return server.url.replace("http", "ws", 1) + path


def query(since=None):
    return urllib.parse.urlencode([("channel", name) for name in NAMES] + ([("since", since)] if since else []))


def numbers(messages):
    """What was published, channel by channel, in the order in which it came."""
    found = {}
    for message in messages:
        found.setdefault(message["channel"], []).append(message["data"])
    return found


def unbroken(values):
    assert values == list(range(values[0], values[0] + len(values))), values


async def until(socket, done, into):
    """Reads JSON until `done` says so of a message with a type; publications go to `into`."""
    while True:
        message = json.loads(await asyncio.wait_for(socket.recv(), 10))
        if "type" not in message:
            into.append(message)
        if done(message):
            return message


def enough(into, count=30):
    return lambda _: len(into) >= count and all(len(values) > 3 for values in numbers(into).values())


async def last_word(socket, into):
    """The `reconnect` that comes last, before the close with 1012."""
    told = []
    try:
        while True:
            await until(socket, lambda message: message.get("type") == "reconnect" and not told.append(message), into)
    except websockets.ConnectionClosed as end:
        assert end.code == 1012, end
    assert told and 100 <= told[-1]["after_ms"] <= 5000, told
    return told


def drain(gateway):
    assert gateway.drain()[0] == 0


def test_a_socket_of_one_channel_is_told_the_place_that_it_could_not_know(platform, leaving):
    """Raw payloads have no positions."""
    async def follow():
        got = []
        async with websockets.connect(address(leaving, "/ws/log:a")) as socket:
            while len(got) < 20:
                got.append(json.loads(await socket.recv()))
            stopping = asyncio.get_running_loop().run_in_executor(None, drain, leaving)
            last = None
            try:
                async for text in socket:
                    last = json.loads(text)
                    if isinstance(last, int):
                        got.append(last)
            except websockets.ConnectionClosed:
                pass
            await stopping
            assert socket.close_code == 1012 and last["type"] == "reconnect", last
        count = len(got)
        async with websockets.connect(address(platform, "/ws/log:a?" + urllib.parse.urlencode({"since": last["since"]}))) as socket:
            while len(got) < count + 30:
                got.append(json.loads(await socket.recv()))
        unbroken(got)
    within(30, follow())


@pytest.mark.parametrize("way", ["address", "messages"])
def test_a_socket_of_many_channels_hands_its_place_back_as_it_is(platform, leaving, way):
    async def follow():
        got = []

        async def open_at(server, since):
            if way == "address":
                return await websockets.connect(address(server, "/ws?channel=eph:x&" + query(since)))
            socket = await websockets.connect(address(server, "/ws"))
            for name in NAMES:
                await socket.send(json.dumps({"type": "subscribe", "id": name, "channel": name, **({"since": since} if since else {})}))
            return socket
        socket = await open_at(leaving, None)
        await until(socket, enough(got), got)
        stopping = asyncio.get_running_loop().run_in_executor(None, drain, leaving)
        told = await last_word(socket, got)
        await stopping
        assert len(told) == 1, told
        count = len(got)
        socket = await open_at(platform, told[0]["since"])
        await until(socket, enough(got, count + 60), got)
        await socket.close()
        for name in NAMES:
            unbroken(numbers(got)[name])
    within(30, follow())


@pytest.mark.parametrize("count", [20, 150], ids=["waiting", "parked"])
def test_a_slow_client_is_told_at_once_and_again_behind_what_waited_for_it(platform, count):
    """What waits in lanes comes before the place that is behind it; what is left to the history comes after."""
    path = os.path.join(platform.folder, "sapphire.json5")
    channel = f"slow:{count}"

    def publish(first, last):
        for number in range(first, last):
            platform.publish(channel, {"n": number, "text": "x" * 20_000})

    with Gateway(platform, configuration=path) as leaving:
        async def follow():
            got, loop = [], asyncio.get_running_loop()
            plain = socket.socket()
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
            plain.connect(("127.0.0.1", leaving.port))
            client = await websockets.connect(address(leaving, f"/ws?channel={channel}"), sock=plain, compression=None)
            await until(client, lambda message: message.get("type") == "connection", got)
            client.transport.pause_reading()
            await loop.run_in_executor(None, publish, 0, count)
            await loop.run_in_executor(None, eventually, 10, "something waits", lambda: waits(platform, leaving))
            stopping = loop.run_in_executor(None, drain, leaving)
            await loop.run_in_executor(None, eventually, 10, "it takes nobody in", lambda: is_deaf(leaving))
            client.transport.resume_reading()
            told = await last_word(client, got)
            await stopping
            assert "since" not in told[0] and "since" in told[-1] and len(told) == 2, told
            assert told[0]["after_ms"] == told[1]["after_ms"]
            assert (len(got) == count) == (count == 20), len(got)
            await loop.run_in_executor(None, publish, count, count + 3)
            client = await websockets.connect(
                address(platform, f"/ws?channel={channel}&" + urllib.parse.urlencode({"since": told[-1]["since"]})))
            await until(client, lambda message: message.get("data", {}).get("n") == count + 2, got)
            await client.close()
            unbroken([message["data"]["n"] for message in got])
        within(40, follow())


def waits(platform, gateway):
    request = urllib.request.Request(gateway.url + "/metrics", headers={"X-API-Key": platform.key})
    with urllib.request.urlopen(request, timeout=5) as answer:
        found = re.search(r'slow_publications_total\{[^}]*step="buffer"[^}]*\} (\d+)', answer.read().decode())
    return found and int(found[1]) > 5


def is_deaf(gateway):
    try:
        socket.create_connection(("127.0.0.1", gateway.port), 1).close()
    except ConnectionError:
        return True
    return False


@pytest.mark.parametrize("door", ["/sse", "/stream"])
def test_a_stream_is_told_the_place_that_its_last_id_says(platform, leaving, door):
    got = []
    # What is published here waits for a disk that others write to.
    with Feed(leaving, f"{door}?{query()}", seconds=30) as feed:
        def next_value():
            if door == "/stream":
                return feed.line()
            event = feed.event()
            return event.json if event else None
        value = None
        while not enough(got)(value):
            value = next_value()
            if "type" not in value:
                got.append(value)
        stopping = threading.Thread(target=drain, args=(leaving,))
        stopping.start()
        while value.get("type") != "reconnect":
            value = next_value()
            if "type" not in value:
                got.append(value)
        assert not feed.answer.readline(), "something behind the last word"
        stopping.join()
        if door == "/sse":
            assert value["since"] == feed.id and feed.retry == value["after_ms"]
    count = len(got)
    with Feed(platform, f"{door}?{query(value['since'])}") as feed:
        while len(got) < count + 60:
            value = feed.line() if door == "/stream" else feed.event().json
            assert value.get("type") in (None, "connection"), value
            if "type" not in value:
                got.append(value)
    for name in NAMES:
        unbroken(numbers(got)[name])


def test_clients_are_spread_over_the_time_that_they_are_given(platform):
    """A gateway's clients don't come back in one moment: neither after its drain nor after a break."""
    path = os.path.join(platform.folder, "sapphire.json5")
    with Gateway(platform, configuration=path) as leaving:
        feeds = [Feed(leaving, "/sse?channel=log:jitter") for _ in range(40)]
        retries, told = [], []
        for feed in feeds:
            feed.next("connection")
            retries.append(feed.retry)
        drain(leaving)
        for feed in feeds:
            told.append(feed.next("reconnect").json["after_ms"])
            assert feed.retry == told[-1]
            feed.__exit__()
    # By chance the forty would lie closer than this once in 10^8 runs.
    assert all(1000 <= retry <= 3000 for retry in retries) and max(retries) - min(retries) > 1000, sorted(retries)
    assert len(set(retries)) > 20 and len(set(told)) > 20
    assert all(100 <= after <= 5000 for after in told) and max(told) - min(told) > 2500, sorted(told)
