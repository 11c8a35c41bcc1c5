"""Socket.IO's own Python client, over long polling and WebSockets."""
import asyncio
import contextlib
import json
import os
import signal
import ssl

import pytest
import socketio

from platform_under_test import eventually, running, within

CONFIGURATION = """{ gateway: { loops: 4 },
  socketio: { events: ["map:cursor", "sim:*"], namespaces: { "/plugin": "conformance" } },
  channels: [ { match: "map:cursor" }, { match: "sim:*" }, { match: "log:*", history: { durable: true } },
              { match: "closed:*", subscribe: "user:*" }, { match: "*", history: { size: 100 } } ] }"""

TRANSPORTS = [["polling"], ["websocket"], ["polling", "websocket"]]


@pytest.fixture(scope="module")
def gateway():
    with running(CONFIGURATION) as platform:
        yield platform


class Client:
    """A client that keeps what it is told, by the names of events."""

    def __init__(self, url, transports=("websocket",), namespaces=("/",), **connecting):
        self.io = socketio.AsyncClient(reconnection=False, ssl_verify=False)
        self.seen = {}
        self.url, self.transports, self.namespaces = url, list(transports), list(namespaces)
        self.connecting = connecting
        for namespace in self.namespaces:
            self.io.on("*", self._keep, namespace=namespace)

    async def _keep(self, event, *arguments):
        # What this library does not know: behind what is recoverable stands the client's position.
        if arguments and isinstance(arguments[-1], str) and arguments[-1].startswith(("1;", "1!")):
            arguments = arguments[:-1]
        self.inbox(event).put_nowait(arguments)

    def inbox(self, event):
        return self.seen.setdefault(event, asyncio.Queue())

    async def next(self, event, seconds=10):
        arguments = await asyncio.wait_for(self.inbox(event).get(), seconds)
        return arguments[0] if len(arguments) == 1 else arguments

    async def ask(self, event, *data, **options):
        return await self.io.call(event, data if len(data) != 1 else data[0], timeout=10, **options)

    async def __aenter__(self):
        try:
            await self.io.connect(self.url, transports=self.transports, namespaces=self.namespaces, **self.connecting)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_):
        with contextlib.suppress(Exception):
            await self.io.disconnect()


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
def test_publishes_and_receives(gateway, transports):
    """S001-01: text, JSON and bytes arrive as what they were, over every transport."""
    channel = "log:" + "-".join(transports)

    async def scenario():
        async with Client(gateway.url, transports) as reader, Client(gateway.url, transports) as writer:
            confirmed = await reader.ask("subscribe", {"channel": channel})
            assert confirmed["type"] == "ack"
            sent = ["text", {"a": [1, 2.5, None]}, b"\x00\xff\x80", "žluťoučký 🎉", [True], "x" * 70_000]
            positions = [await writer.ask("publish", {"channel": channel, "data": data}) for data in sent]
            got = [await reader.next("publication") for _ in sent]
            assert [g["data"] for g in got] == sent
            assert [g["offset"] for g in got] == [p["offset"] for p in positions] == [1, 2, 3, 4, 5, 6]
            assert {g["channel"] for g in got} == {channel}
            if len(transports) == 2:
                assert reader.io.eio.current_transport == "websocket"
    within(30, scenario())


def test_speaks_channels_as_events(gateway):
    """S001-03, S001-04: a front end that knows events only needs no change."""
    async def scenario():
        async with Client(gateway.url) as one, Client(gateway.url, ["polling"]) as two:
            move = {"userId": "u", "x": 1, "y": 2, "z": 3}
            # Both are subscribed from the beginning: a name without a star needs no word. What is said
            # meanwhile waits for that.
            await one.ask("ping")
            assert (await two.ask("map:cursor", move))["type"] == "ack"
            assert await one.next("map:cursor") == move and await two.next("map:cursor") == move
            await one.ask("subscribe", {"channel": "sim:tick"})
            await two.ask("sim:tick", b"\x01\x02")
            assert await one.next("sim:tick") == b"\x01\x02"
            assert one.inbox("publication").empty()
    within(30, scenario())


def test_says_why_not(gateway):
    async def scenario():
        async with Client(gateway.url) as client:
            refused = await client.ask("subscribe", {"channel": "closed:room"})
            assert (refused["type"], refused["code"], refused["name"]) == ("error", 103, "permission_denied")
            assert (await client.ask("subscribe", {"channel": "no channel"}))["code"] == 102
            assert (await client.ask("subscribe", "words"))["code"] == 107
            assert (await client.ask("whatever", {}))["code"] == 104
            assert (await client.ask("publish", {"channel": "log:x", "data": {"inside": b"\x01"}}))["code"] == 107
            await client.io.emit("whatever", {})
            assert (await client.next("error"))["code"] == 104
        with pytest.raises(socketio.exceptions.ConnectionError):
            async with Client(gateway.url, namespaces=["/nowhere"]):
                pass
    within(30, scenario())


def test_looks_at_histories_and_members(gateway):
    async def scenario():
        async with Client(gateway.url) as client, Client(gateway.url, ["polling"]) as other:
            for number in range(5):
                await client.ask("publish", {"channel": "log:looks", "data": {"n": number}})
            page = await other.ask("history", {"channel": "log:looks", "limit": 2})
            assert [p["data"]["n"] for p in page["publications"]] == [0, 1] and page["offset"] == 5
            since = f"{page['epoch']}:2"
            page = await other.ask("history", {"channel": "log:looks", "since": since})
            assert [p["offset"] for p in page["publications"]] == [3, 4, 5]
            gone = await other.ask("history", {"channel": "log:looks", "since": "elsewhere:2"})
            assert gone["code"] == 112
            assert (await other.ask("history", {"channel": "map:cursor"}))["code"] == 108
            for each in (client, other):
                await each.ask("subscribe", {"channel": "room"})
            while True:
                present = await client.ask("presence", {"channel": "room"})
                if present["total"] == 2:
                    break
            assert len(present["members"]) == 2
    within(30, scenario())


def test_answers_events_by_a_plugin(gateway):
    async def scenario():
        async with Client(gateway.url, namespaces=["/plugin"], auth={"key": 1}) as client:
            assert await client.next("auth") == {"key": 1}
            await client.io.emit("message", ("a", b"\x01"), namespace="/plugin")
            assert await client.next("message-back") == ("a", b"\x01")
            assert await client.ask("message-with-ack", 1, namespace="/plugin") == 1
    within(30, scenario())


@pytest.mark.parametrize("transports", TRANSPORTS[:2], ids="+".join)
def test_is_asked_by_a_plugin(gateway, transports):
    """The server's own question: answered, answered in several values and bytes, late, and by nobody any more."""
    async def scenario():
        async with Client(gateway.url, transports, namespaces=["/plugin"]) as client:
            answers = iter([1, ("two", b"\x02"), None])
            client.io.on("question", lambda *asked: next(answers), namespace="/plugin")
            await client.io.emit("ask-me", ("a", b"\x01"), namespace="/plugin")
            assert await client.next("asked-and") == ("answered", 1)
            await client.io.emit("ask-me", namespace="/plugin")
            assert await client.next("asked-and") == ("answered", "two", b"\x02")
            await client.io.emit("ask-me", namespace="/plugin")
            assert await client.next("asked-and") == "answered"

            async def slowly(*asked):
                await late.wait()
            late = asyncio.Event()
            client.io.on("question", slowly, namespace="/plugin")
            await client.io.emit("ask-me", namespace="/plugin")
            assert await client.next("asked-and") == "late"
            late.set()
            await client.io.emit("message", 1, namespace="/plugin")
            assert await client.next("message-back") == 1
            assert client.inbox("asked-and").empty()
    within(30, scenario())


def test_a_client_that_does_not_answer_is_asked_so_much_and_no_more(gateway):
    """The questions open to one client are bounded; those that are late make room."""
    async def scenario():
        async with Client(gateway.url, namespaces=["/plugin"]) as client:
            asked, never = [], asyncio.Event()

            async def question(number):
                asked.append(number)
                if number < 1000:
                    await never.wait()
            client.io.on("question", question, namespace="/plugin")
            for number in range(200):
                await client.io.emit("ask-me", number, namespace="/plugin")
            assert [await client.next("asked-and") for _ in range(128)] == ["late"] * 128
            assert asked == list(range(128)) and client.inbox("asked-and").empty()
            await client.io.emit("ask-me", 1000, namespace="/plugin")
            assert await client.next("asked-and") == "answered"
    within(30, scenario())


def test_finds_sessions_of_other_loops(gateway):
    """Every request of long polling may come to another loop than the one that holds the session."""
    async def scenario():
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(Client(gateway.url, transports))
                       for transports in TRANSPORTS * 6]
            await asyncio.gather(*(c.ask("subscribe", {"channel": "crowd"}) for c in clients))
            await asyncio.gather(*(c.ask("publish", {"channel": "crowd", "data": n}) for n, c in enumerate(clients)))
            for client in clients:
                got = [(await client.next("publication"))["data"] for _ in clients]
                assert sorted(got) == list(range(len(clients)))
    within(60, scenario())
    metrics = gateway.get("/metrics")[2].decode()
    moved = next(line for line in metrics.splitlines() if line.startswith("sapphire_gateway_engineio_moved_total"))
    assert float(moved.split()[1]) > 0


def test_finds_sessions_of_other_loops_with_tls():
    """A TLS connection stays on its loop; what it carries goes on from there."""
    async def scenario(url):
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(Client(url, transports)) for transports in TRANSPORTS * 4]
            await asyncio.gather(*(c.ask("subscribe", {"channel": "crowd"}) for c in clients))
            large = "x" * 500_000
            for client in clients:
                await client.ask("publish", {"channel": "crowd", "data": large})
            for client in clients:
                assert [(await client.next("publication"))["data"] for _ in clients] == [large] * len(clients)
    with running(CONFIGURATION, options=["--tls"]) as platform:
        platform.context = ssl._create_unverified_context()
        # Each on a connection of its own, whose handshake may not be all out when the request comes.
        session = _opened(platform)
        for _ in range(40):
            assert platform._request(_post(platform, session, b"3"))[0] == 200
        within(60, scenario(platform.url))


@pytest.mark.parametrize("transports", TRANSPORTS[:2], ids="+".join)
def test_resumes_behind_a_killed_gateway(sapphire, transports):
    async def scenario():
        async with Client(sapphire.url, transports) as reader:
            await reader.ask("subscribe", {"channel": "kept"})
            first = sapphire.publish("kept", "before")
            assert (await reader.next("publication"))["data"] == "before"
            await asyncio.to_thread(sapphire.kill, "gateway")
        await asyncio.to_thread(eventually, 10, "an answer", lambda: _answers(sapphire))
        for number in range(3):
            await asyncio.to_thread(sapphire.publish, "kept", f"missed {number}")
        async with Client(sapphire.url, transports) as reader:
            await reader.ask("subscribe", {"channel": "kept", "since": f"{first['epoch']}:{first['offset']}"})
            got = [(await reader.next("publication"))["data"] for _ in range(3)]
            assert got == [f"missed {number}" for number in range(3)]
    within(60, scenario())


def _answers(platform):
    try:
        return platform.get("/ready")[0] == 200
    except OSError:
        return False


@pytest.mark.parametrize("guarded", [True], indirect=True)
def test_signs_in_by_the_connect(guarded):
    token = guarded.token("ada")

    async def scenario():
        with pytest.raises(socketio.exceptions.ConnectionError):
            async with Client(guarded.url):
                pass
        with pytest.raises(socketio.exceptions.ConnectionError):
            async with Client(guarded.url, auth={"token": token + "x"}):
                pass
        for connecting in ({"auth": {"token": token}}, {"headers": {"Authorization": f"Bearer {token}"}}):
            for transports in TRANSPORTS:
                async with Client(guarded.url, transports, **connecting) as client:
                    assert (await client.ask("subscribe", {"channel": "members:x"}))["type"] == "ack"
                    await client.ask("publish", {"channel": "members:x", "data": 1})
                    assert (await client.next("publication"))["user"] == "ada"
    within(60, scenario())


def test_bounds_what_a_client_may_send(gateway):
    """Rows 80 to 82: requests that no client of ours makes."""
    def status(query, body=None, path="/socket.io/"):
        return (gateway.get(path + query) if body is None else gateway._request(_post(gateway, path + query, body)))[0]

    def opened():
        text = gateway.get("/socket.io/?EIO=4&transport=polling")[2]
        return "?EIO=4&transport=polling&sid=" + json.loads(text[1:])["sid"]
    assert status("?EIO=3&transport=polling") == 400
    assert status("?EIO=4&transport=polling&sid=guessed") == 400
    assert status("?EIO=4&transport=websocket") == 400
    assert status("?EIO=4&transport=polling", path="/engine.io/") == 404
    session = opened()
    assert status(session, b"40") == 200
    # Too large a body ends the connection, not the session; a payload that is none ends both.
    assert status(session, b"4" + b"x" * 1_000_001) == 413
    assert status(session, b"42[\"ping\"]") == 200
    assert status(session, b"\x1e".join([b"4"] * 5000)) == 400
    assert status(session, b"40") == 400
    session = opened()
    assert status(session, b"40\x1e451000000000-[\"x\"]") in (200, 400)
    assert gateway.get("/socket.io/" + session)[0] in (200, 400)
    assert gateway.get("/ready")[0] == 200


def _post(platform, path, body):
    import urllib.request
    return urllib.request.Request(platform.url + path, body, {"Content-Type": "text/plain;charset=UTF-8"})


def _opened(platform, **headers):
    text = platform.get("/socket.io/?EIO=4&transport=polling", **headers)[2]
    return "/socket.io/?EIO=4&transport=polling&sid=" + json.loads(text[1:])["sid"]


def test_ends_what_breaks_the_rules(gateway):
    """Row 80: only the connection that does it."""
    shapes = ["9", "47", "42[\"connect\"]", "42[{\"toString\":1}]", "42", "2", "40" + "[" * 10_000,
              "451-[\"x\"]", "40{}x", "4" + "a" * 10]

    async def scenario():
        async with gateway.socket("/socket.io/?EIO=4&transport=websocket") as witness:
            await witness.recv()
            await witness.send("40")
            assert (await witness.recv()).startswith("40{")
            for shape in shapes:
                async with gateway.socket("/socket.io/?EIO=4&transport=websocket") as socket:
                    await socket.recv()
                    await socket.send("40")
                    await socket.recv()
                    await socket.send(shape)
                    await socket.send("42[\"y\"]" if shape.startswith("451") else "3")
                    with pytest.raises(Exception) as ended:
                        while True:
                            await asyncio.wait_for(socket.recv(), 10)
                    assert type(ended.value).__name__.startswith("Connection"), shape
            await witness.send("421[\"ping\"]")
            assert (await witness.recv()).startswith("431[{")
    within(60, scenario())


def test_keeps_a_session_with_its_user(guarded):
    """Row 82: a session's id with another user's token opens nothing."""
    ada, bob = (f"Bearer {guarded.token(user)}" for user in ("ada", "bob"))
    session = _opened(guarded, Authorization=ada)
    assert guarded._request(_post(guarded, session, b"40"))[0] == 200
    assert guarded.get(session, Authorization=bob)[0] == 400
    assert guarded.get(session, Authorization=ada + "x")[0] == 401
    assert b"40{" in guarded.get(session, Authorization=ada)[2]
    assert guarded._request(_post(guarded, session, b"42[\"ping\"]"))[0] == 200
    assert b"\"pong\"" in guarded.get(session)[2]


def test_lets_pages_of_other_origins_in_by_the_rule(gateway):
    status, head, _ = gateway.get("/socket.io/?EIO=4&transport=polling", Origin="http://localhost:5173")
    assert status == 200 and head["Access-Control-Allow-Origin"] == "http://localhost:5173"
    assert gateway.get("/socket.io/?EIO=4&transport=polling", Origin="https://elsewhere.example")[0] == 403


def test_a_client_that_does_not_poll_misses_nothing(gateway):
    """What waits for it is bounded; the rest comes from the history once it polls again."""
    session = _opened(gateway)
    for packet in (b"40", b"420[\"subscribe\",{\"channel\":\"log:slow\"}]"):
        assert gateway._request(_post(gateway, session, packet))[0] == 200
    while b"430[" not in gateway.get(session)[2]:
        pass
    count, text = 60, "x" * 50_000
    for number in range(count):
        gateway.publish("log:slow", {"n": number, "text": text})
    seen = []
    while len(seen) < count:
        status, _, payload = gateway.get(session)
        assert status == 200
        for packet in payload.decode().split("\x1e"):
            assert not packet.startswith(("42[\"gap\"", "42[\"unrecoverable\"")), packet[:200]
            if packet.startswith("42[\"publication\""):
                seen.append(json.loads(packet[2:])[1]["data"]["n"])
            elif packet == "2":
                gateway._request(_post(gateway, session, b"3"))
    assert seen == list(range(count))


def test_overlapping_polls_end_the_session(gateway):
    async def scenario():
        session = _opened(gateway)
        first = asyncio.create_task(asyncio.to_thread(gateway.get, session))
        second = await asyncio.to_thread(gateway.get, session)
        first = await first
        assert sorted([first[0], second[0]]) == [200, 400] and b"1" in (first[2], second[2])
        assert gateway.get(session)[0] == 400
    within(20, scenario())


def test_says_when_to_come_back_before_the_gateway_stops(sapphire):
    """A rolling restart: the client's own reconnection brings it back, and what it was told to its place."""
    async def scenario():
        io = socketio.AsyncClient(reconnection_delay=0.1, reconnection_delay_max=0.2)
        told, back, got = asyncio.Queue(), asyncio.Queue(), asyncio.Queue()
        io.on("reconnect", told.put_nowait)
        io.on("connect", lambda: back.put_nowait(True))
        io.on("publication", lambda publication, *_: got.put_nowait((publication["channel"], publication["data"])))
        await io.connect(sapphire.url, transports=["websocket"])
        await asyncio.wait_for(back.get(), 10)
        for channel in ("log:a", "log:b"):
            await io.call("subscribe", {"channel": channel})
        sapphire.publish("log:a", 1)
        assert await asyncio.wait_for(got.get(), 10) == ("log:a", 1)
        os.kill(sapphire.pid("gateway"), signal.SIGTERM)
        since = (await asyncio.wait_for(told.get(), 10))["since"]
        await asyncio.wait_for(back.get(), 20)
        await asyncio.to_thread(sapphire.publish, "log:a", 2)
        for channel in ("log:a", "log:b"):
            await io.call("subscribe", {"channel": channel, "since": since})
        assert await asyncio.wait_for(got.get(), 10) == ("log:a", 2)
        await io.disconnect()
    within(60, scenario())


def test_moves_from_polling_to_a_websocket(gateway):
    """A poll that waits is let go, what was sent meanwhile follows, and polling is over."""
    async def scenario():
        session = _opened(gateway)
        assert gateway._request(_post(gateway, session, b"40"))[0] == 200
        assert gateway.get(session)[2].startswith(b"40{")
        waiting = asyncio.create_task(asyncio.to_thread(gateway.get, session))
        address = session.replace("polling", "websocket")
        async with gateway.socket(address) as other:
            # One that says something else is closed, and disturbs nothing.
            await other.send("4early")
            await other.wait_closed()
        async with gateway.socket(address) as socket:
            await socket.send("2probe")
            assert await socket.recv() == "3probe"
            assert (await waiting)[2] == b"6"
            post = _post(gateway, session, b"421[\"ping\"]")
            assert (await asyncio.to_thread(gateway._request, post))[0] == 200
            await socket.send("5")
            assert (await socket.recv()).startswith("431[{\"type\":\"pong\"")
            assert (await asyncio.to_thread(gateway.get, session))[0] == 400
            async with gateway.socket(address) as second:
                await second.wait_closed()
            await socket.send("422[\"ping\"]")
            assert (await socket.recv()).startswith("432[")
    within(30, scenario())


@pytest.mark.parametrize("upgraded", [False, True], ids=["websocket", "upgraded"])
def test_a_websocket_that_is_not_read_is_told_what_it_missed(gateway, upgraded):
    async def scenario():
        channel = "sim:slow" if upgraded else "sim:slower"
        address = "/socket.io/?EIO=4&transport=websocket"
        if upgraded:
            address = _opened(gateway).replace("polling", "websocket")
        async with gateway.socket(address, max_queue=1, read_limit=1 << 16, compression=None) as socket:
            if upgraded:
                await socket.send("2probe")
                assert await socket.recv() == "3probe"
                await socket.send("5")
            else:
                await socket.recv()
            await socket.send("40")
            await socket.recv()
            await socket.send(f"420[\"subscribe\",{{\"channel\":\"{channel}\"}}]")
            while not (await socket.recv()).startswith("430"):
                pass
            for number in range(60):
                await asyncio.to_thread(gateway.publish, channel, {"n": number, "text": "x" * 500_000})
            await asyncio.to_thread(gateway.publish, channel, {"n": "last"})
            seen, missed = [], 0
            while not seen or seen[-1] != "last":
                event, data = json.loads((await asyncio.wait_for(socket.recv(), 10))[2:])
                if event == "gap":
                    missed += data["dropped"]
                elif event == channel:
                    seen.append(data["n"])
            numbers = seen[:-1]
            assert numbers == sorted(numbers)
            assert missed > 0 and len(numbers) + missed == 60, (missed, numbers)
    within(60, scenario())


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
def test_a_back_end_puts_clients_out(guarded, transports):
    async def scenario():
        async with Client(guarded.url, transports, auth={"token": guarded.token("eve")}) as client:
            gone = asyncio.Event()
            client.io.on("disconnect", lambda: gone.set())
            await client.ask("subscribe", {"channel": "members:x"})
            status, _, answer = await asyncio.to_thread(
                guarded.post, "/api/disconnect", {"user": "eve"}, guarded.key)
            assert (status, answer) == (200, {"result": {}})
            assert (await client.next("error"))["name"] == "disconnected"
            await asyncio.wait_for(gone.wait(), 10)
    within(30, scenario())


def test_sessions_that_hold_too_much_are_let_go():
    """Sessions of long polling hold no connection, and count all the same."""
    with running("{ gateway: { loops: 2 }, limits: { clientMemoryBytes: '4MiB' } }") as platform:
        sessions = [_opened(platform) for _ in range(12)]
        half = b"\x1e".join([b"40", b"452-[\"x\",{\"_placeholder\":true,\"num\":0}]", b"b" + b"AAAA" * 200_000])
        for session in sessions:
            platform._request(_post(platform, session, half))

        def gone():
            text = platform.get("/metrics")[2].decode()
            return "sapphire_gateway_engineio_closed_total{reason=\"queue_overflow\"} 0" not in text
        eventually(10, "sessions that are let go", gone)
        answers = [platform._request(_post(platform, session, b"3"))[0] for session in sessions]
        assert 400 in answers and 200 in answers
