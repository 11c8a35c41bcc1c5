"""Every limit of the configuration, overrun over real sockets (D19).

The table in docs/CONFIGURATION.md is made from the code. Each of its rows has a case below: the row is set small
on a running platform, the case goes beyond it and checks what the table says happens, and the gateway must have
counted it where the row says so. A row without a case fails.
"""
import asyncio
import base64
import concurrent.futures
import contextlib
import hashlib
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import threading
import time
from urllib.parse import urlsplit

import pytest

from platform_under_test import ROOT, Sapphire, eventually, executables, freeze, next_json, next_of, within
from raw_http import Wire
from signing import bearer, key_file, token

# What binds clients by their sizes and counts, and what services keep.
SIZES = """{ channels: [{ match: "log:*", history: { durable: true } }, { match: "*", history: { size: 100, ttl: "5m" } }],
  limits: { httpHeadBytes: 2048, httpFieldBytes: 1024, httpFields: 20, httpURLBytes: 512, httpBodyBytes: 65536,
  batchCommands: 3, historyPage: 4, wsMessageBytes: 8192, wsFragments: 10, echoMessageBytes: 4096,
  channelsPerConnection: 3, clientQueueBytes: 8192, recoveryHeldBytes: 8192, publicationBytes: 4096,
  idempotencyKeyBytes: 32, idempotencyKeys: 2, hubChannels: 16, hubHistoryBytes: 65536, presenceMembers: 2,
  presencePage: 1, vaultFileBytes: 8192, requestsPerConnection: 40 } }"""
# What takes time: each case waits, so all of them wait together.
TIMES = """{ limits: { httpHeadTimeout: "400ms", httpBodyTimeout: "1s", httpIdleTimeout: "1s", transferRate: 10000,
  wsHandshakeTimeout: "700ms", pollTimeout: "1s", wsFrameTimeout: "1s", pingInterval: "1s", pongTimeout: "500ms",
  idempotencyWindow: "1s", commitEvents: 1, commitBytes: 65536, appendQueueBytes: "1MiB",
  publicationBytes: 65536, wsInflateRatio: 10, compressionContextBytes: "16KiB" },
  compression: { contextTakeover: true } }"""
# What loopback peers are free of, unless they are bound as here; each case comes from an address of its own.
RATES = """{ limits: { loopbackExempt: false, connections: 12, connectionsPerAddress: 6, requestsPerSecond: 5,
  framesPerSecond: 20, publicationsPerSecond: 5, subscriptionsPerSecond: 5, burstWindow: "2s", requestTimeout: "1s" } }"""
# Rates by class of message: so many a minute for one connection, half again as many for a user, twice as many for an
# address. Users sign in.
CLASSES = """{ gateway: { anonymous: "on", loops: 2 }, identity: { keyFiles: "KEYS" },
  channels: [{ match: "kept", history: { size: 10 } }, { match: "*" }],
  limits: { loopbackExempt: false, connectionsPerUser: 2, bulkBytes: 2048, %s } }""" % ", ".join(
    f'{name}Rate{scope}: "{count}/m"' for name in ("control", "state", "ephemeral", "bulk")
    for scope, count in (("", 4), ("PerUser", 6), ("PerAddress", 8)))
# What would bind the other cases too.
# Nothing is kept, so that slow clients are not left to a history before they hold too much together.
MEMORY = """{ gateway: { loops: 2 }, channels: [{ match: "*" }], limits: { clientMemoryBytes: "4MiB", httpBodyBytes: "2MiB", wsMessageBytes: "2MiB" } }"""
LINKS = """{ limits: { linkChannels: 16 } }"""
# Names that strangers bring into being.
NAMES = """{ gateway: { loops: 1 }, limits: { loopbackExempt: false, linkChannels: 32, channelsPerAddress: 12,
  publicationsPerSecond: 1000000, subscriptionsPerSecond: 1000000, framesPerSecond: 1000000, controlRate: "none" } }"""

CASES = {}
ALONE = set()


def case(limit, on, alone=False):
    """Registers a function as the overrun of one row on the platform configured by `on`. Those of TIMES run side by
    side from the beginning, but for one that has to be *alone*."""
    def register(function):
        assert limit not in CASES, limit
        CASES[limit] = (on, function)
        if alone:
            ALONE.add(limit)
        return function
    return register


def unit(limit, path, name):
    """The overrun of a row that no client can reach in a test's time, or here, is the test of that name."""
    CASES[limit] = (None, (path, name))


def rows():
    with open(os.path.join(ROOT, "docs", "CONFIGURATION.md")) as file:
        text = file.read()
    table = text[text.index("<!-- limits:begin -->"):text.index("<!-- limits:end -->")]
    found = re.findall(r"^\| `(\w+)` \|(.*)\|$", table, re.MULTILINE)
    return {name: cells.split("|")[3].strip() == "yes" for name, cells in found}


ROWS = rows()


def counted(platform, limit):
    status, _, body = platform.get("/metrics", **{"X-API-Key": platform.key})
    assert status == 200, status
    found = re.search(r'^sapphire_limit_reached_total\{[^}]*limit="%s"\} (\d+)$' % limit, body.decode(), re.MULTILINE)
    return int(found.group(1)) if found else None


@pytest.fixture(scope="module")
def platforms():
    """The platforms, started together; the cases that take time are under way from the beginning."""
    running = {text: Sapphire() for text in (SIZES, TIMES, RATES, CLASSES, MEMORY, LINKS, NAMES)}
    pool = concurrent.futures.ThreadPoolExecutor(24)
    try:
        for started in [pool.submit(platform.start, text.replace("KEYS", key_file(platform.folder)))
                        for text, platform in running.items()]:
            started.result()
        waiting = {limit: pool.submit(function, running[TIMES])
                   for limit, (on, function) in CASES.items() if on is TIMES and limit not in ALONE}
        yield running, waiting
    finally:
        pool.shutdown(wait=True)
        for stopped in [threading.Thread(target=platform.stop) for platform in running.values()]:
            stopped.start()
        for platform in running.values():
            eventually(30, "the platform stopped", lambda: platform.process is None or platform.process.poll() is not None)
            platform.remove()


def test_every_limit_has_a_case():
    assert len(ROWS) > 40
    assert sorted(ROWS) == sorted(CASES)


@pytest.mark.parametrize("limit", sorted(ROWS))
def test_overrun(platforms, limit):
    running, waiting = platforms
    on, function = CASES[limit]
    if on is None:
        path, name = function
        with open(os.path.join(ROOT, path)) as file:
            text = file.read()
            assert f"func {name}(" in text or f"def {name}(" in text, f"{path} has no {name}"
        return
    platform = running[on]
    if limit in waiting:
        waiting[limit].result(60)
    else:
        if limit in ALONE:
            concurrent.futures.wait(waiting.values(), 60)
        function(platform)
    count = counted(platform, limit)
    if ROWS[limit]:
        assert count, f"{limit} was overrun and not counted"
    else:
        assert count is None, f"{limit} has a counter that nothing counts"


# Helpers.

def key(platform):
    return f"X-API-Key: {platform.key}"


def refused(answer, status, **fields):
    assert answer.status == status, answer
    for name, value in fields.items():
        assert answer.fields.get(name.replace("_", "-")) == value, answer


def api(platform, method, body):
    status, _, answer = platform.post(f"/api/{method}", body, platform.key)
    return status, answer


class Bound(Wire):
    """A connection from an address of its own on loopback."""
    def __init__(self, platform, source, **options):
        self.source = source
        place = urlsplit(platform.url)
        self.host = place.netloc
        self.socket = socket.create_connection((place.hostname, place.port), 10, (source, 0))
        self.waiting = b""


def upgraded(platform, path, wire=None):
    """A raw socket behind its handshake, for frames that no library sends."""
    wire = wire or Wire(platform)
    wire.send(wire.head(f"GET {path}", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                        "Sec-WebSocket-Key: " + base64.b64encode(b"0123456789abcdef").decode()))
    head = wire._until(b"\r\n\r\n")
    assert b" 101 " in head, head
    return wire


def frame(first, payload=b"", claimed=None):
    size = len(payload) if claimed is None else claimed
    if size < 126:
        head = bytes([first, 0x80 | size])
    elif size < 65536:
        head = bytes([first, 0x80 | 126]) + struct.pack(">H", size)
    else:
        head = bytes([first, 0x80 | 127]) + struct.pack(">Q", size)
    return head + bytes(4) + payload


def next_frame(wire):
    first, second = wire.take(2)
    size = second & 127
    if size == 126:
        size = struct.unpack(">H", wire.take(2))[0]
    elif size == 127:
        size = struct.unpack(">Q", wire.take(8))[0]
    return first, wire.take(size)


def close_code(wire):
    """The code of the close frame that ends a raw socket; what comes before it is passed over."""
    while True:
        first, payload = next_frame(wire)
        if first == 0x88:
            return struct.unpack(">H", payload[:2])[0]


def connected(platform, path, source=None, user=None):
    return platform.socket(path, **({"local_addr": (source, 0)} if source else {}),
                           **({"extra_headers": bearer(token(user))} if user else {}))


# HTTP.

@case("httpHeadBytes", SIZES)
def _(sapphire):
    with Wire(sapphire) as wire:
        refused(wire.ask("GET /live", *[f"X-{n}: {'x' * 300}" for n in range(7)]), 431, connection="close")
        assert wire.closes()


@case("httpFieldBytes", SIZES)
def _(sapphire):
    with Wire(sapphire) as wire:
        refused(wire.ask("GET /live", "X-A: " + "x" * 1024), 431, connection="close")
        assert wire.closes()


@case("httpFields", SIZES)
def _(sapphire):
    with Wire(sapphire) as wire:
        refused(wire.ask("GET /live", *[f"X-{n}: x" for n in range(20)]), 431, connection="close")
        assert wire.closes()


@case("httpURLBytes", SIZES)
def _(sapphire):
    with Wire(sapphire) as wire:
        refused(wire.ask("GET /live?x=" + "x" * 512), 414, connection="close")
        assert wire.closes()


@case("httpBodyBytes", SIZES)
def _(sapphire):
    with Wire(sapphire) as wire:
        refused(wire.ask("POST /api/info", key(sapphire), "Content-Length: 65537"), 413, connection="close")
        assert wire.closes()


@case("httpHeadTimeout", TIMES)
def _(sapphire):
    with Wire(sapphire) as wire:
        # The first head of a connection has a deadline of its own.
        assert wire.ask("GET /live").status == 200
        wire.send(b"GET /live HTTP/1.1\r\n")
        refused(wire.answer(), 408, connection="close")
        assert wire.closes()


@case("httpBodyTimeout", TIMES)
def _(sapphire):
    with Wire(sapphire) as wire:
        wire.send(wire.head("POST /api/info", key(sapphire), "Content-Length: 100") + b"{")
        refused(wire.answer(), 408, connection="close")
        assert wire.closes()


@case("httpIdleTimeout", TIMES)
def _(sapphire):
    with Wire(sapphire) as wire:
        assert wire.ask("GET /live").status == 200
        assert wire.closes()


@case("requestsPerConnection", SIZES)
def _(sapphire):
    with Wire(sapphire) as wire:
        # Those behind the last one are not carried out.
        wire.send(wire.head("GET /live") * 45)
        assert ["close" in wire.answer().fields.get("connection", "") for _ in range(40)] == [False] * 39 + [True]
        assert wire.closes()


@case("pollTimeout", TIMES)
def _(sapphire):
    begun = time.monotonic()
    status, _, body = sapphire.get("/poll?channel=a&since=now&timeout=30")
    assert status == 200 and json.loads(body)["publications"] == [] and time.monotonic() - begun < 10


@case("transferRate", TIMES)
def _(sapphire):
    with Wire(sapphire) as wire:
        wire.send(wire.head("POST /api/info", key(sapphire), "Content-Length: 100000"))
        stop = threading.Event()

        def trickle():
            with contextlib.suppress(OSError):
                while not stop.wait(0.2):
                    wire.send(b" " * 50)
        sender = threading.Thread(target=trickle, daemon=True)
        sender.start()
        try:
            refused(wire.answer(), 408, connection="close")
        finally:
            stop.set()
            sender.join(5)


@case("batchCommands", SIZES)
def _(sapphire):
    assert api(sapphire, "batch", {"commands": [{"info": {}}] * 3})[1]["replies"]
    assert api(sapphire, "batch", {"commands": [{"info": {}}] * 4})[1]["error"]["code"] == 107
    assert api(sapphire, "broadcast", {"channels": ["a"] * 4, "data": 1})[1]["error"]["code"] == 107


@case("historyPage", SIZES)
def _(sapphire):
    for number in range(9):
        sapphire.publish("log:paged", number)
    page = api(sapphire, "history", {"channel": "log:paged", "limit": -1})[1]["result"]
    assert [event["data"] for event in page["publications"]] == [0, 1, 2, 3] and page["offset"] == 9

    async def replay():
        async with sapphire.socket("/ws/log:paged?since=start") as socket:
            return [await next_json(socket) for _ in range(9)]
    assert within(10, replay()) == list(range(9)), "recovery asks for page after page"


# WebSocket.

@case("wsMessageBytes", SIZES)
def _(sapphire):
    with upgraded(sapphire, "/ws/a") as wire:
        wire.send(frame(0x81, claimed=8193))
        assert close_code(wire) == 1009


@case("wsFragments", SIZES)
def _(sapphire):
    with upgraded(sapphire, "/ws/a") as wire:
        wire.send(frame(0x01) + frame(0x00) * 10)
        assert close_code(wire) == 1009


@case("wsInflateRatio", TIMES)
def _(sapphire):
    async def send():
        async with sapphire.socket("/ws/echo") as socket:
            assert socket.extensions, "no compression"
            text = "".join(f"{number:04}" for number in range(30000))
            await socket.send(text)
            assert await socket.recv() == text
            await socket.send("0" * 120000)
            await socket.wait_closed()
            return socket.close_code
    assert within(10, send()) == 1009


@case("echoMessageBytes", SIZES)
def _(sapphire):
    with upgraded(sapphire, "/ws/echo") as wire:
        wire.send(frame(0x81, b"x" * 4096))
        assert next_frame(wire) == (0x81, b"x" * 4096)
        wire.send(frame(0x81, claimed=4097))
        assert close_code(wire) == 1009


unit("tlsHandshakeTimeout", "Tests/Clients/test_tls.py", "test_a_slow_handshake_is_given_up_and_counted")


@case("wsHandshakeTimeout", TIMES)
def _(sapphire):
    with Wire(sapphire) as wire:
        assert wire.closes()


@case("wsFrameTimeout", TIMES)
def _(sapphire):
    with upgraded(sapphire, "/ws/a") as wire:
        wire.send(frame(0x81, b"xy", claimed=100))
        assert close_code(wire) == 1008


@case("pingInterval", TIMES)
def _(sapphire):
    with upgraded(sapphire, "/ws/a") as wire:
        assert next_frame(wire)[0] == 0x89


@case("pongTimeout", TIMES)
def _(sapphire):
    with upgraded(sapphire, "/ws/a") as wire:
        assert next_frame(wire)[0] == 0x89
        assert wire.closes()


# Clients.

@case("connections", RATES)
def _(sapphire):
    with contextlib.ExitStack() as open_ones:
        for number in range(12):
            wire = open_ones.enter_context(Bound(sapphire, f"127.0.1.{number // 6 + 1}"))
            assert wire.ask("GET /live", key(sapphire)).status == 200, number
        late = open_ones.enter_context(Bound(sapphire, "127.0.1.9"))
        refused(late.answer(), 503, connection="close", retry_after="1")
        assert late.closes()
    eventually(5, "room again", lambda: sapphire.get("/live", **{"X-API-Key": sapphire.key})[0] == 200)


@case("connectionsPerAddress", RATES)
def _(sapphire):
    with contextlib.ExitStack() as open_ones:
        for number in range(6):
            wire = open_ones.enter_context(Bound(sapphire, "127.0.2.1"))
            assert wire.ask("GET /live", key(sapphire)).status == 200, number
        late = open_ones.enter_context(Bound(sapphire, "127.0.2.1"))
        refused(late.answer(), 429, connection="close", retry_after="1")
        assert late.closes()
        other = open_ones.enter_context(Bound(sapphire, "127.0.2.2"))
        assert other.ask("GET /live", key(sapphire)).status == 200
        wire.socket.close()
        def let_in():
            with Bound(sapphire, "127.0.2.1") as again:
                again.send(again.head("GET /live", key(sapphire)))
                return again.answer().status == 200
        eventually(5, "room for one more", let_in)


@case("channelsPerConnection", SIZES)
def _(sapphire):
    async def subscribe():
        async with sapphire.socket("/ws?channel=a&channel=b&channel=c") as socket:
            await socket.send('{"type":"subscribe","id":1,"channel":"d"}')
            return await next_of(socket, "error")
    answer = within(10, subscribe())
    assert answer["code"] == 106 and answer["id"] == 1 and "may have 3 channels" in answer["message"]
    with Wire(sapphire) as wire:
        refusal = json.loads(wire.ask("GET /poll?channel=a&channel=b&channel=c&channel=d").body)["error"]
        assert refusal["code"] == 106 and "may have 3 channels" in refusal["message"]
    with Wire(sapphire) as wire:
        wire.send(wire.head("GET /ws?channel=a&channel=b&channel=c&channel=d", "Connection: Upgrade",
                            "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                            "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=="))
        assert json.loads(wire.answer().body)["error"]["code"] == 106


@case("channelsPerAddress", NAMES)
def _(sapphire):
    async def subscribe(socket, name, what="subscribe"):
        await socket.send(json.dumps({"type": what, "id": name, "channel": name}))
        return (await answer_with_id(socket))["type"]

    async def run():
        async with connected(sapphire, "/ws", "127.0.6.1") as one, connected(sapphire, "/ws", "127.0.6.1") as two:
            assert [await subscribe(one, f"a{n}") for n in range(6)] == ["ack"] * 6
            assert [await subscribe(two, f"a{n}") for n in range(3, 12)] == ["ack"] * 9
            assert await subscribe(two, "a12") == "error", "the address has its 12"
            assert await subscribe(two, "a0") == "ack", "those that are there are open to it"
            async with connected(sapphire, "/ws", "127.0.6.2") as other:
                assert await subscribe(other, "b") == "ack", "another address has room"
            assert await subscribe(two, "a11", "unsubscribe") == "ack"
            assert await subscribe(two, "a13") == "ack", "its own idle one makes room"
    within(20, run())


@case("requestsPerSecond", RATES)
def _(sapphire):
    with Bound(sapphire, "127.0.3.1") as wire:
        answers = [wire.ask("GET /live") for _ in range(12)]
        statuses = [answer.status for answer in answers]
        assert statuses[:10] == [200] * 10 and statuses[-1] == 429, statuses
        late = answers[-1]
        assert 1 <= int(late.fields["retry-after"]) <= 2
        error = json.loads(late.body)["error"]
        assert error["code"] == 111 and error["name"] == "rate_limited" and 0 < error["retry_after_ms"] <= 1000, error
        assert wire.ask("GET /live", key(sapphire)).status == 200, "whoever has the key is not counted"
    with Bound(sapphire, "127.0.3.1") as wire:
        # Another connection of the address does not begin anew.
        assert 429 in [wire.ask("GET /live").status for _ in range(6)]
    with Bound(sapphire, "127.0.3.2") as wire:
        assert wire.ask("GET /live").status == 200


@case("framesPerSecond", RATES)
def _(sapphire):
    with upgraded(sapphire, "/ws", Bound(sapphire, "127.0.4.1")) as wire:
        wire.send(frame(0x89) * 60)
        assert close_code(wire) == 1008
    with upgraded(sapphire, "/ws", Bound(sapphire, "127.0.4.2")) as wire:
        # Fragments are frames too.
        wire.send(frame(0x01) + frame(0x00) * 60)
        assert close_code(wire) == 1008


def burst(sapphire, source, message, count):
    async def send():
        async with connected(sapphire, "/ws", source) as socket:
            await next_of(socket, "connection")
            for number in range(count):
                await socket.send(json.dumps({"id": number, **message(number)}))
            return [await next_json(socket) for _ in range(count)]
    answers = sorted(within(10, send()), key=lambda answer: answer["id"])
    for answer in answers:
        if answer["type"] == "error":
            assert answer["code"] == 111 and answer["name"] == "rate_limited" and answer["retry_after_ms"] > 0, answer
    return [answer["type"] for answer in answers]


@case("publicationsPerSecond", RATES)
def _(sapphire):
    assert "error" in burst(sapphire, "127.0.5.1", lambda n: {"channel": "p", "data": n}, 15)


@case("burstWindow", RATES)
def _(sapphire):
    kinds = burst(sapphire, "127.0.5.2", lambda n: {"channel": "p", "data": n}, 11)
    assert kinds[:10] == ["ack"] * 10, "5 a second over 2 s are 10 at once"


@case("subscriptionsPerSecond", RATES)
def _(sapphire):
    kinds = burst(sapphire, "127.0.5.3", lambda n: {"type": "subscribe", "channel": f"s{n % 3}"}, 15)
    assert kinds[:10] == ["ack"] * 10 and "error" in kinds, kinds


MESSAGES = {
    "control": {"type": "ping"},
    "state": {"channel": "kept", "data": 1},
    "ephemeral": {"channel": "not-kept", "data": 1},
    "bulk": {"channel": "not-kept", "data": "x" * 3000},
}


def class_case(name, number, scope, allowed, clients):
    limit = f"{name}Rate" + {"connection": "", "user": "PerUser", "address": "PerAddress"}[scope]

    @case(limit, CLASSES)
    def _(sapphire):
        async def send():
            refused = []
            async with contextlib.AsyncExitStack() as stack:
                taken = 0
                for source, user in clients(number):
                    socket = await stack.enter_async_context(connected(sapphire, "/ws", source, user))
                    await next_of(socket, "connection")
                    for _ in range(5):
                        await socket.send(json.dumps({"id": "m", **MESSAGES[name]}))
                        while True:
                            answer = await next_json(socket)
                            if answer.get("id") == "m":
                                break
                        if answer["type"] == "error":
                            refused.append(answer)
                            break
                        taken += 1
                return taken, refused
        taken, refused = within(20, send())
        assert taken == allowed, (taken, refused)
        mine = [answer for answer in refused if f"{name} messages of this {scope}" in answer["message"]]
        assert mine, refused
        for answer in refused:
            assert answer["code"] == 111 and answer["name"] == "rate_limited", answer
            assert 0 < answer["retry_after_ms"] <= 15_001, answer


# One connection's 4; one user's 6 from two addresses; one address' 8 from three users.
for number, name in enumerate(MESSAGES):
    class_case(name, number, "connection", 4, lambda n: [(f"127.1.{n}.1", f"alone-{n}")])
    class_case(name, number, "user", 6, lambda n: [(f"127.1.{n}.2", f"same-{n}"), (f"127.1.{n}.3", f"same-{n}")])
    class_case(name, number, "address", 8, lambda n: [(f"127.1.{n}.4", f"one-of-{n}-{i}") for i in range(3)])


@case("bulkBytes", CLASSES)
def _(sapphire):
    # Below it and at it the payload counts for different rates, each of 4.
    async def both():
        async with connected(sapphire, "/ws", "127.1.9.1") as socket:
            await next_of(socket, "connection")
            answers = []
            for size in [2047, 2048] * 4:
                await socket.send(json.dumps({"id": size, "channel": "edge", "data": "x" * size}))
                answers.append((await answer_with_id(socket))["type"])
            return answers
    assert within(10, both()) == ["ack"] * 8


async def answer_with_id(socket):
    while True:
        answer = await next_json(socket)
        if "id" in answer:
            return answer


@case("connectionsPerUser", CLASSES)
def _(sapphire):
    async def connect():
        async with connected(sapphire, "/ws", "127.1.8.1", "many"), connected(sapphire, "/ws", "127.1.8.2", "many"):
            async with connected(sapphire, "/ws", "127.1.8.3", "many") as late:
                error = await next_of(late, "error")
                await late.wait_closed()
                assert late.close_code == 4429 and error["code"] == 106 and error["retry_after_ms"], error
            with Wire(sapphire) as wire:
                refused(wire.ask("GET /stream?channel=a", f"Authorization: Bearer {token('many')}"), 429, retry_after="1")
    within(10, connect())


def flood(sapphire, channel, count, size=4000):
    async def send():
        async with sapphire.socket("/ws") as socket:
            await next_of(socket, "connection")
            for number in range(count):
                await socket.send(json.dumps({"channel": channel, "data": f"{number:06}" + "x" * (size - 6)}))
            await socket.send(json.dumps({"id": "last", "channel": channel, "data": "last"}))
            while (await next_json(socket, 30)).get("id") != "last":
                pass
    within(60, send())


def hears(sapphire, wire, channel):
    """Waits until a raw socket is given what is published: it counts as a subscriber a little sooner."""
    def heard():
        sapphire.publish(channel, "anybody?")
        return select.select([wire.socket], [], [], 0.1)[0]
    eventually(10, "what is published comes", heard)
    sapphire.publish(channel, "now")
    while next_frame(wire)[1] != b"now":
        pass


@case("clientQueueBytes", SIZES)
def _(sapphire):
    with upgraded(sapphire, "/ws/slow", Wire(sapphire, 30, receive_buffer=4096)) as slow:
        hears(sapphire, slow, "slow")
        flood(sapphire, "slow", 2500)
        seen = dropped = 0
        while (payload := next_frame(slow)[1]) != b"last":
            if payload.startswith(b'{"type":"gap"'):
                dropped += json.loads(payload)["dropped"]
            else:
                assert int(payload[:6]) == seen + dropped, "a gap stands where they are missing"
                seen += 1
        assert dropped > 0 and dropped + seen == 2500, (dropped, seen)
    with upgraded(sapphire, "/ws/log:slow", Wire(sapphire, 30, receive_buffer=4096)) as slow:
        hears(sapphire, slow, "log:slow")
        flood(sapphire, "log:slow", 2500)
        for number in range(2500):
            first, payload = next_frame(slow)
            assert first == 0x81, f"{number} came, then its end: {payload[:100]}"
            assert int(payload[:6]) == number, "read on from the history"
        assert next_frame(slow)[1] == b"last"


def held(sapphire):
    body = sapphire.get("/metrics", **{"X-API-Key": sapphire.key})[2].decode()
    return int(re.search(r"^sapphire_gateway_client_memory_bytes\S* (\d+)$", body, re.MULTILINE).group(1))


@case("clientMemoryBytes", MEMORY)
def _(sapphire):
    """Who holds most goes, whatever it holds and on whatever loop; the others go on."""
    mib = 1 << 20

    def settled(wires, size):
        """Who of those that have sent so much, and wait, was let go, once all of it has come in."""
        before = counted(sapphire, "clientMemoryBytes")

        def ended():
            gone = select.select([wire.socket for wire in wires], [], [], 0)[0]
            stay = len(wires) - len(gone)
            if gone and stay * size <= held(sapphire) <= 4 * mib:
                return [wire for wire in wires if wire.socket in gone]
        gone = eventually(10, "enough of them were let go", ended)
        assert 1 <= len(gone) < len(wires) and counted(sapphire, "clientMemoryBytes") >= before
        return gone
    with contextlib.ExitStack() as stack:
        small = [stack.enter_context(upgraded(sapphire, "/ws/echo")) for _ in range(8)]
        for wire in small:
            wire.send(frame(0x82, claimed=4000) + bytes(1000))
        # Unfinished messages.
        large = [stack.enter_context(upgraded(sapphire, "/ws/echo")) for _ in range(5)]
        for wire in large:
            with contextlib.suppress(OSError):
                wire.send(frame(0x82, claimed=mib + 1000) + bytes(mib))
        gone = settled(large, mib)
        for wire in large:
            if wire in gone:
                assert close_code(wire) == 1009
            else:
                wire.send(bytes(1000))
                assert next_frame(wire) == (0x82, bytes(mib + 1000)), "who stays goes on"
        # Unfinished bodies.
        bodies = [stack.enter_context(Wire(sapphire)) for _ in range(4)]
        for wire in bodies:
            with contextlib.suppress(OSError):
                wire.send(wire.head("POST /api/publish", key(sapphire), f"Content-Length: {2 * mib}") + bytes(3 * mib // 2))
        for wire in settled(bodies, 3 * mib // 2):
            refused(wire.answer(), 503, retry_after="1", connection="close")
        for wire in bodies:
            wire.socket.close()
        # Queues of clients that do not read.
        slow = [stack.enter_context(upgraded(sapphire, "/ws/mem", Wire(sapphire, 20, receive_buffer=4096))) for _ in range(6)]
        eventually(5, "subscribed", lambda: json.loads(sapphire.get("/channels")[2])["channels"].get("mem") == 6)
        count = counted(sapphire, "clientMemoryBytes")

        def cut_off():
            return int(re.search(r"^sapphire_gateway_cut_off_total\S* (\d+)$", sapphire.get("/metrics")[2].decode(), re.M)[1])
        before = cut_off()

        async def fill():
            async with sapphire.socket("/ws") as socket:
                for number in range(400):
                    # One by one, so that no link drops what its receiver is to hold.
                    await socket.send(json.dumps({"id": number, "channel": "mem", "data": "x" * 60_000}))
                    while (await next_json(socket)).get("id") != number:
                        pass
                    # What is let go first may be what nobody waits for.
                    if number % 10 == 9 and cut_off() > before:
                        return
        within(30, fill())
        assert counted(sapphire, "clientMemoryBytes") > count
        codes = []

        def read(wire):
            # Who reads too late finds the connection closed.
            try:
                codes.append(close_code(wire))
            except (OSError, AssertionError):
                codes.append(4008)
        readers = [threading.Thread(target=read, args=(wire,), daemon=True) for wire in slow]
        for reader in readers:
            reader.start()
        eventually(10, "a close of a slow consumer", lambda: codes)
        assert set(codes) == {4008}, codes
        for wire in small:
            wire.send(bytes(3000))
            assert next_frame(wire) == (0x82, bytes(4000)), "whoever holds little is let alone"


@case("compressionContextBytes", TIMES)
def _(sapphire):
    async def connect():
        async with sapphire.socket("/ws/contexts") as socket:
            assert "server_no_context_takeover" in socket.response_headers["Sec-WebSocket-Extensions"]
            await socket.send("x" * 5000)
            assert await socket.recv() == "x" * 5000
    within(10, connect())


@case("recoveryHeldBytes", SIZES)
def _(sapphire):
    flood(sapphire, "log:held", 2500)
    with upgraded(sapphire, "/ws/log:held?since=start", Wire(sapphire, 30, receive_buffer=4096)) as slow:
        eventually(5, "subscribed", lambda: "log:held" in json.loads(sapphire.get("/channels")[2])["channels"])
        # Its past is being read, since it takes nothing: what is published meanwhile is held, and more than fits.
        flood(sapphire, "log:held", 20)
        seen = [next_frame(slow)[1] for _ in range(2501 + 21)]
        numbers = [int(payload[:6]) for payload in seen if payload != b"last"]
        assert numbers == list(range(2500)) + list(range(20)), "each once, in order"


# Publications.

@case("publicationBytes", SIZES)
def _(sapphire):
    status, answer = api(sapphire, "publish", {"channel": "big", "data": "x" * 4097})
    assert status == 413 and answer["error"]["code"] == 155
    assert "result" in api(sapphire, "publish", {"channel": "big", "data": "x" * 4096})[1]

    async def send():
        async with sapphire.socket("/ws/big?ack=1") as socket:
            await socket.send("x" * 4097)
            return await next_of(socket, "error")
    assert within(10, send())["code"] == 155


@case("idempotencyKeyBytes", SIZES)
def _(sapphire):
    def publish(size):
        return api(sapphire, "publish", {"channel": "keyed", "data": 1, "idempotency_key": "k" * size})[1]
    assert publish(33)["error"]["code"] == 107 and "result" in publish(32)


@case("idempotencyKeys", SIZES)
def _(sapphire):
    def publish(name):
        return api(sapphire, "publish", {"channel": "keys", "data": 1, "idempotency_key": name})[1]["result"]
    for name in ("a", "b", "c"):
        assert "duplicate" not in publish(name)
    assert publish("c")["duplicate"] and "duplicate" not in publish("a"), "the oldest was forgotten"


@case("idempotencyWindow", TIMES)
def _(sapphire):
    def publish():
        return api(sapphire, "publish", {"channel": "window", "data": 1, "idempotency_key": "k"})[1]["result"]
    assert "duplicate" not in publish() and publish()["duplicate"]
    eventually(10, "the key forgotten", lambda: "duplicate" not in publish())


unit("durableIdempotencyWindow", "Tests/EventStoreTests/AppendTests.swift", "keyIsForgottenAfterItsTimeAndItsRowSwept")


@case("commitEvents", TIMES)
def _(sapphire):
    commands = [{"publish": {"channel": "log:commit", "data": number}} for number in range(50)]
    replies = api(sapphire, "batch", {"commands": commands, "parallel": True})[1]["replies"]
    assert [reply["publish"]["offset"] for reply in replies] == list(range(1, 51))


@case("commitBytes", TIMES)
def _(sapphire):
    commands = [{"publish": {"channel": "log:bytes", "data": "x" * 60000}} for _ in range(12)]
    replies = api(sapphire, "batch", {"commands": commands, "parallel": True})[1]["replies"]
    assert [reply["publish"]["offset"] for reply in replies] == list(range(1, 13))


@case("appendQueueBytes", TIMES, alone=True)
def _(sapphire):
    async def send():
        # Publishes only: a subscriber of so much would be cut off as a slow one.
        async with sapphire.socket("/ws") as socket:
            async def reader():
                kinds = []
                while len(kinds) < 400:
                    answer = json.loads(await socket.recv())
                    if answer.get("type") in ("ack", "error"):
                        kinds.append(answer)
                return kinds
            reading = asyncio.ensure_future(reader())
            for number in range(400):
                await socket.send(json.dumps({"id": number, "channel": "log:queue", "data": "x" * 60000}))
            return await asyncio.wait_for(reading, 30)
    answers = within(40, send())
    errors = [answer for answer in answers if answer["type"] == "error"]
    assert errors and all(error["code"] == 153 and error["retry_after_ms"] for error in errors), errors[:3]


# Services.

@case("linkChannels", LINKS)
def _(sapphire):
    async def subscribe():
        names = "&".join(f"channel=link{number}" for number in range(17))
        async with sapphire.socket(f"/ws?{names}") as socket:
            error = await next_of(socket, "error")
            welcome = await next_of(socket, "connection")
            return error, welcome
    error, welcome = within(10, subscribe())
    assert error["code"] == 106 and len(welcome["channels"]) == 16


@case("requestTimeout", RATES)
def _(sapphire):
    store = sapphire.pid("eventstore")
    freeze(store)
    try:
        status, answer = api(sapphire, "publish", {"channel": "universal-frequency", "data": 1})
    finally:
        os.kill(store, signal.SIGCONT)
    assert status == 504 and answer["error"]["code"] == 159, (status, answer)


@case("hubChannels", SIZES)
def _(sapphire):
    first = sapphire.publish("quiet", 1)
    for number in range(20):
        sapphire.publish(f"busy{number}", 1)
    again = sapphire.publish("quiet", 1)
    assert again["epoch"] != first["epoch"] and again["offset"] == 1


@case("hubHistoryBytes", SIZES)
def _(sapphire):
    for number in range(40):
        sapphire.publish("heavy", f"{number:02}" + "x" * 4000)
    page = api(sapphire, "history", {"channel": "heavy", "limit": 1, "reverse": True})[1]["result"]
    assert page["publications"][0]["data"].startswith("39")
    epoch = page["epoch"]
    lost = api(sapphire, "history", {"channel": "heavy", "since": {"epoch": epoch, "offset": 1}, "limit": 1})[1]
    assert lost["error"]["code"] == 112, "the oldest are gone, and whoever asks is told"


unit("relayedRequests", "Tests/Clients/test_two_gateways.py", "test_a_flood_is_bounded_and_counted")
unit("presenceInfoBytes", "Tests/PresenceTests/WatchingTests.swift", "infoHasABound")


def present(sapphire, channel, count, check):
    async def join():
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(count):
                await stack.enter_async_context(sapphire.socket(f"/ws/{channel}"))
            return await asyncio.get_running_loop().run_in_executor(None, check)
    return within(20, join())


@case("presenceMembers", SIZES)
def _(sapphire):
    def check():
        eventually(10, "all three counted", lambda: json.loads(sapphire.get("/channels")[2])["channels"].get("full") == 3)
        eventually(10, "two members", lambda: len(members()) == 2)
        eventually(10, "the refusal counted", lambda: counted(sapphire, "presenceMembers"))
        return members()

    def members():
        return api(sapphire, "presence", {"channel": "full"})[1]["result"]["presence"]
    assert len(present(sapphire, "full", 3, check)) == 2


@case("presencePage", SIZES)
def _(sapphire):
    def check():
        return eventually(10, "both members, a page for each", lambda: len(
            api(sapphire, "presence", {"channel": "pages"})[1]["result"]["presence"]) == 2)
    assert present(sapphire, "pages", 2, check)


@case("vaultFileBytes", SIZES)
def _(sapphire):
    content = b"x" * 8193
    with Wire(sapphire) as wire:
        refused(wire.ask(f"PUT /vault/{hashlib.sha256(content).hexdigest()}", key(sapphire),
                         f"Content-Length: {len(content)}"), 413, connection="close")
        assert wire.closes()


@case("drainTimeout", SIZES)
def _(sapphire):
    """A gateway of its own: `up` would start it again. A client that does not close its side holds the drain."""
    gateway = subprocess.Popen(
        [os.path.join(executables(), "sapphire-gateway"), "--listen", "127.0.0.1:0", "--run",
         os.path.join(sapphire.data, "run")],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=dict(os.environ, SAPPHIRE_LIMITS_DRAIN_TIMEOUT="200ms"))
    try:
        url = next(line.split()[1] for line in gateway.stdout if line.startswith("ready http://"))
        place = type("Place", (), {"url": url})
        with upgraded(place, "/ws/a"):
            began = time.monotonic()
            gateway.send_signal(signal.SIGTERM)
            assert gateway.wait(10) == 1
            assert time.monotonic() - began < 3
    finally:
        gateway.kill()
        gateway.wait(5)


@pytest.mark.configuration("{ gateway: { loops: 2 }, channels: [{ match: 'few', maxSubscribers: 5 }] }")
def test_as_many_subscribe_as_may_however_many_come_at_once(sapphire):
    """S003-25, on all loops together; who leaves makes room."""
    async def run():
        async def come():
            socket = await sapphire.socket("/ws?channel=few")
            while True:
                message = await next_json(socket)
                if message["type"] in ("connection", "error"):
                    return socket, message
        for round in range(3):
            came = await asyncio.gather(*(come() for _ in range(40)))
            # Every loop hears of its own accord that those of the round before have left.
            while round and sum(message["type"] == "connection" for _, message in came) < 5:
                came.append(await come())
            refused = [message for _, message in came if message["type"] == "error"]
            assert len(came) - len(refused) == 5, (len(came), len(refused))
            assert {message["name"] for message in refused} == {"limit_exceeded"}

            def are(count):
                body = sapphire.post("/api/presence_stats", {"channel": "few"}, sapphire.key)[2]
                return body["result"]["num_clients"] == count
            # Who has not been heard of yet has not left either.
            await asyncio.to_thread(eventually, 20, "all who came in", lambda: are(5))
            await asyncio.gather(*(socket.close() for socket, _ in came))
            # Presence keeps the lost a while; those who say goodbye leave at once.
            await asyncio.to_thread(eventually, 20, "everybody left", lambda: are(0))
    within(60, run())


@pytest.mark.configuration(NAMES)
def test_names_that_come_and_go_keep_nobody_from_a_channel(sapphire):
    """Row 74: a client goes through fresh names, published to or subscribed and left; the loop and the hub have room
    for 32. Another client's fresh channels open all the same, each at once."""
    async def run():
        async with connected(sapphire, "/ws", "127.0.6.5") as hostile, connected(sapphire, "/ws", "127.0.6.6") as other:
            answers = {"ack": 0, "error": 0}

            async def drain():
                while True:
                    kind = (await next_json(hostile)).get("type")
                    answers[kind] = answers.get(kind, 0) + 1
            draining = asyncio.ensure_future(drain())
            for turn in range(60):
                for number in range(20):
                    name = f"{'n' * 200}{turn}-{number}"
                    await hostile.send(json.dumps({"id": 1, "channel": "p" + name, "data": 1}))
                    await hostile.send(json.dumps({"type": "subscribe", "id": 2, "channel": "s" + name}))
                    await hostile.send(json.dumps({"type": "unsubscribe", "id": 3, "channel": "s" + name}))
                name = f"mine-{turn}"
                await other.send(json.dumps({"type": "subscribe", "id": "mine", "channel": name}))
                answer = await answer_with_id(other)
                assert answer["type"] == "ack", (turn, answer)
                await other.send(json.dumps({"channel": name, "data": turn}))
                while (message := await next_json(other)).get("channel") != name or "data" not in message:
                    pass
                await other.send(json.dumps({"type": "unsubscribe", "id": "left", "channel": name}))
                await answer_with_id(other)
            body = sapphire.get("/metrics", **{"X-API-Key": sapphire.key})[2].decode()
            channels = re.search(r"^sapphire_gateway_channels\S* (\d+)$", body, re.MULTILINE)
            assert int(channels.group(1)) <= 32, channels.group(0)
            draining.cancel()
            return answers
    answers = within(30, run())
    assert answers["ack"] > 1000, answers
