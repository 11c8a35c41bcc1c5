"""Connection state recovery of Socket.IO: clients that come back to where they were, by what they bring alone."""
import asyncio
import json
import os
import random
import signal
import subprocess
import threading
import time
import urllib.request

import pytest
import socketio
import websockets

import signing
from platform_under_test import Gateway, eventually, freeze, running
from sio_raw import Recoverer, within

CONFIGURATION = """{ gateway: { loops: 2 },
  socketio: { events: ["news", "map:cursor", "talk"], namespaces: { "/plugin": "conformance" } },
  channels: [ { match: "map:cursor", history: "none" }, { match: "talk", history: "none" },
              { match: "short:*", history: { size: 2 } }, { match: "loose:*", history: "none" },
              { match: "log:*", history: { durable: true } }, { match: "*", history: { size: 100 } } ] }"""


@pytest.fixture(scope="module")
def platform():
    with running(CONFIGURATION) as platform:
        yield platform


def is_ready(platform):
    try:
        return platform.get("/ready")[0] == 200
    except OSError:
        return False


async def kill(platform):
    await asyncio.to_thread(platform.kill, "gateway")
    await asyncio.to_thread(eventually, 20, "an answer", lambda: is_ready(platform))


def data(events):
    return [event[1]["data"] for event in events]


def test_comes_back_behind_a_killed_gateway(sapphire):
    """Text, JSON, bytes and what was acknowledged; twice in a row; on the wire as the reference server has it."""
    async def scenario():
        reader, writer = Recoverer(), Recoverer()
        await reader.connect(sapphire.url)
        pid, sid = reader.pid, reader.sid
        assert (await reader.ask("subscribe", {"channel": "log:a"}))["type"] == "ack"
        await asyncio.to_thread(sapphire.publish, "log:a", "first")
        assert data(await reader.until(1)) == ["first"]
        for round in range(2):
            await kill(sapphire)
            await writer.connect(sapphire.url)
            assert (await writer.ask("publish", {"channel": "log:a", "data": {"round": round}}))["type"] == "ack"
            await writer.socket.send('451-["publish",{"channel":"log:a","data":{"_placeholder":true,"num":0}}]')
            await writer.socket.send(b"\x00\xff")
            assert (await writer.ask("publish", {"channel": "log:a", "data": "text"}))["type"] == "ack"
            assert await reader.connect(sapphire.url) is True
            assert (reader.pid, reader.sid) == (pid, sid)
            assert reader.wire == ["publication"] * 3 + ["connected"]
            assert data(await reader.until(3)) == [{"round": round}, b"\x00\xff", "text"]
            await asyncio.to_thread(sapphire.publish, "log:a", "live")
            assert data(await reader.until(1)) == ["live"]
        # And where nothing was missed.
        assert await reader.connect(sapphire.url) is True and reader.wire == ["connected"]
    within(60, scenario())


def test_comes_back_to_all_its_channels(platform):
    """What differs between clients of several channels is their string, which says where they are in each."""
    async def scenario():
        one, two = Recoverer(), Recoverer()
        for client, channels in ((one, ["log:b", "log:c", "memory"]), (two, ["log:b"])):
            await client.connect(platform.url)
            for channel in channels:
                await client.ask("subscribe", {"channel": channel})
        for channel, value in (("log:b", 1), ("log:c", 2), ("memory", 3), ("log:c", 4)):
            await asyncio.to_thread(platform.publish, channel, value)
        # Between channels there is no order: a durable one is announced once it is on disk.
        seen = data(await one.until(4))
        assert sorted(seen) == [1, 2, 3, 4] and seen.index(2) < seen.index(4)
        assert data(await two.until(1)) == [1]
        assert all(name in one.offset for name in ("log:b=", "log:c=", "memory=", "news=")) and "log:c" not in two.offset
        for _ in range(2):
            await one.leave()
            await two.leave()
            for channel, value in (("log:b", 5), ("log:c", 6), ("memory", 7), ("news", "extra")):
                await asyncio.to_thread(platform.publish, channel, value)
            assert await one.connect(platform.url) is True and await two.connect(platform.url) is True
            got = await one.until(4)
            assert sorted(e[1]["data"] for e in got if e[0] == "publication") == [5, 6, 7]
            assert [e[1] for e in got if e[0] == "news"] == ["extra"]
            assert sorted(str(e[0]) for e in await two.until(2)) == ["news", "publication"]
        # Left is left: nobody is brought back to it.
        await one.ask("unsubscribe", {"channel": "log:c"})
        await one.leave()
        await asyncio.to_thread(platform.publish, "log:c", "unheard")
        await asyncio.to_thread(platform.publish, "log:b", "heard")
        assert await one.connect(platform.url) is True
        assert data(await one.until(1)) == ["heard"]
        await asyncio.to_thread(platform.publish, "log:b", "last")
        assert data(await one.until(1)) == ["last"]
    within(40, scenario())


def test_comes_back_on_another_gateway_and_ends_the_old_connection(platform):
    async def scenario(other):
        client = Recoverer()
        await client.connect(platform.url)
        await client.ask("subscribe", {"channel": "log:d"})
        await asyncio.to_thread(platform.publish, "log:d", 1)
        await client.until(1)
        for number, url in enumerate((other.url, platform.url, platform.url)):
            # A connection that nobody has closed: its client doesn't know of it any more.
            old = Recoverer()
            old.socket, client.socket = client.socket, None
            await asyncio.to_thread(platform.publish, "log:d", number + 2)
            assert await client.connect(url) is True
            assert data(await client.until(1)) == [number + 2]
            assert await old.ends(20) == "put out"
        await asyncio.to_thread(platform.publish, "log:d", "live")
        assert data(await client.until(1)) == ["live"]
    with Gateway(platform) as other:
        within(60, scenario(other))


@pytest.fixture(scope="module")
def ahead(tmp_path_factory):
    """The environment of a process whose wall clock is some seconds ahead."""
    shim = str(tmp_path_factory.mktemp("clock") / "clock.so")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clock.c")
    subprocess.run(["cc", "-O2", "-Wall", "-shared", "-fPIC", "-o", shim, source], check=True)
    return {"LD_PRELOAD": shim, "CLOCK_AHEAD": "8"}


def test_whoever_moves_twice_stays_whatever_the_clocks_of_gateways_say(platform, ahead):
    """Which connection came later is not for wall clocks to say: those of two machines differ."""
    async def scenario(other):
        async def comer():
            made = Recoverer()
            await made.connect(platform.url)
            await made.ask("subscribe", {"channel": "log:moves"})
            return made
        client, others = await comer(), [await comer() for _ in range(3)]
        await asyncio.to_thread(platform.publish, "log:moves", 1)
        for one in (client, *others):
            await one.until(1)
        assert await client.connect(other.url) is True
        # What the gateway has told the others by then is on disk.
        assert (await client.ask("publish", {"channel": "log:moved", "data": 0}))["type"] == "ack"
        assert await client.connect(platform.url) is True
        # The orders of these come behind those of the client.
        stale = []
        for one in others:
            stale.append(Recoverer())
            stale[-1].socket, one.socket = one.socket, None
            assert await one.connect(other.url) is True
        assert [await one.ends(20) for one in stale] == ["put out"] * 3
        # And every loop has looked at all of its clients since.
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            assert (await client.ask("ping"))["type"] == "pong"
        await asyncio.to_thread(platform.publish, "log:moves", 2)
        assert data(await client.until(1)) == [2]
    with Gateway(platform, environment=ahead) as other:
        within(60, scenario(other))


def test_is_back_once_other_gateways_will_learn_of_it(platform):
    """The answer to CONNECT says that the old connection is fenced: an order that is not on disk could end the new one,
    wherever the client goes from here."""
    async def scenario(other):
        client, witness = Recoverer(), Recoverer()
        await client.connect(platform.url)
        await client.ask("subscribe", {"channel": "memory"})
        await asyncio.to_thread(platform.publish, "memory", 1)
        await client.until(1)
        old = Recoverer()
        old.socket, client.socket = client.socket, None
        store = platform.pid("eventstore")
        freeze(store)
        try:
            back = asyncio.create_task(client.connect(other.url))
            await asyncio.to_thread(eventually, 5, "the client at the other gateway", lambda: sessions(other) == 1)
            # Whatever that gateway has to do for it but for the store: the hub answers one that came later.
            await witness.connect(other.url)
            assert (await witness.ask("subscribe", {"channel": "memory"}))["type"] == "ack"
            assert (await witness.ask("publish", {"channel": "memory", "data": 2}))["type"] == "ack"
            assert not back.done()
        finally:
            os.kill(store, signal.SIGCONT)
        assert await back is True
        assert data(await client.until(1)) == [2]
        assert await old.ends(20) == "put out"
    with Gateway(platform) as other:
        within(40, scenario(other))


def sessions(gateway):
    with urllib.request.urlopen(gateway.url + "/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("sapphire_gateway_engineio_sessions{")), None)


def test_begins_anew_where_other_gateways_can_not_be_told():
    async def scenario(platform, other):
        client = Recoverer()
        await client.connect(platform.url)
        await client.ask("subscribe", {"channel": "memory"})
        await asyncio.to_thread(platform.publish, "memory", 1)
        await client.until(1)
        await client.leave()
        pid, store = client.pid, platform.pid("eventstore")
        freeze(store)
        try:
            assert await client.connect(other.url) is False and client.pid != pid
        finally:
            os.kill(store, signal.SIGCONT)
    configuration = """{ socketio: { connectTimeout: "1s" }, channels: [ { match: "*", history: { size: 9 } } ] }"""
    with running(configuration) as platform:
        with Gateway(platform, configuration=os.path.join(platform.folder, "sapphire.json5")) as other:
            within(40, scenario(platform, other))


CLOSED = """{ identity: { keyFiles: "%s", leeway: "0s" }, socketio: {}, gateway: { loops: 2 },
  channels: [ { match: "closed:*", subscribe: "none", history: { durable: true } }, { match: "*", history: { size: 9 } } ] }"""


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    with running(CLOSED % signing.key_file(str(tmp_path_factory.mktemp("keys")))) as platform:
        yield platform


def test_comes_back_to_channels_of_tokens_if_it_brings_them(closed):
    async def scenario():
        signed = signing.token("ada")
        ada = Recoverer(token=signed)
        await ada.connect(closed.url)
        opening = signing.token("ada", channel="closed:a")
        assert (await ada.ask("subscribe", {"channel": "closed:a", "token": opening}))["type"] == "ack"
        await ada.ask("subscribe", {"channel": "open"})
        await asyncio.to_thread(closed.publish, "closed:a", 1)
        assert data(await ada.until(1)) == [1]
        await ada.leave()
        await asyncio.to_thread(closed.publish, "closed:a", 2)
        pid, offset = ada.pid, ada.offset
        wrong = [None, "x", signing.token("bob", channel="closed:a"), signing.token("ada", channel="closed:b"),
                 signing.token("ada", life=-1, channel="closed:a"), signed]
        for token in wrong:
            ada.pid, ada.offset, ada.auth = pid, offset, {"token": signed, "tokens": {"closed:a": token} if token else None}
            assert await ada.connect(closed.url) is False and "publication" not in ada.wire, token
        ada.pid, ada.offset, ada.auth = pid, offset, {"token": signed, "tokens": {"closed:a": opening, "closed:z": "x"}}
        assert await ada.connect(closed.url) is True
        assert data(await ada.until(1)) == [2]
        await asyncio.to_thread(closed.publish, "closed:a", 3)
        assert data(await ada.until(1)) == [3]
        # The right ends with the token that was brought.
        await ada.leave()
        ada.auth["tokens"] = {"closed:a": signing.token("ada", life=2, channel="closed:a")}
        assert await ada.connect(closed.url) is True
        errors = [event for event in await ada.until(1) if event[0] == "error" or event[0] == "expiring"]
        while not any(event[0] == "error" for event in errors):
            errors += await ada.until(1)
        assert errors[-1][1]["channel"] == "closed:a"
        while "closed:a" in ada.offset:
            await ada.packet()
    within(40, scenario())


def test_comes_back_to_channels_that_a_back_end_let_it_into_until_it_is_put_out(closed):
    async def scenario():
        eve, bob = [Recoverer(token=signing.token(user)) for user in ("eve", "bob")]

        def order(method, **more):
            assert closed.post(f"/api/{method}", {"user": "eve", "channel": "closed:b", **more}, closed.key)[2] == {"result": {}}
        await eve.connect(closed.url)
        await eve.ask("subscribe", {"channel": "open"})
        await asyncio.to_thread(closed.publish, "open", 0)
        await eve.until(1)
        await asyncio.to_thread(order, "subscribe", info={"seat": 1})
        while "closed:b" not in eve.offset:
            await eve.packet()
        await asyncio.to_thread(closed.publish, "closed:b", 1)
        assert data(await eve.until(1)) == [1]
        await kill(closed)
        await asyncio.to_thread(closed.publish, "closed:b", 2)
        # A string opens nothing to another user, nor to the same one what nobody has let it into.
        for one, place in ((bob, eve.offset.replace("open=", "other=")), (eve, eve.offset.replace("closed:b=", "closed:c="))):
            stranger = Recoverer(**one.auth)
            await stranger.connect(closed.url)
            stranger.offset = place
            assert await stranger.connect(closed.url) is False and "publication" not in stranger.wire
        assert await eve.connect(closed.url) is True
        assert data(await eve.until(1)) == [2]
        there = closed.post("/api/presence", {"channel": "closed:b"}, closed.key)[2]["result"]["presence"]
        assert [member.get("chan_info") for member in there.values()] == [{"seat": 1}]
        pid, offset = eve.pid, eve.offset
        await asyncio.to_thread(order, "unsubscribe")
        assert (await eve.until(1))[0][0] == "error"
        eve.pid, eve.offset = pid, offset
        assert await eve.connect(closed.url) is False
    within(60, scenario())


@pytest.mark.parametrize("guarded", [True], indirect=True)
def test_asks_for_the_token_and_the_right_again(guarded):
    async def scenario():
        ada = Recoverer(token=guarded.token("ada"))
        await ada.connect(guarded.url)
        await ada.ask("subscribe", {"channel": "members:x"})
        await ada.ask("publish", {"channel": "members:x", "data": 1})
        await ada.until(1)
        pid, good = ada.pid, ada.auth
        ada.auth = {"token": good["token"] + "x"}
        assert (await ada.connect(guarded.url))["data"]["code"] == 101
        # Another user with the same secret is nobody that was here.
        ada.auth = {"token": guarded.token("bob")}
        assert await ada.connect(guarded.url) is False and ada.pid != pid
        ada.auth, ada.pid = good, pid
    within(30, scenario())


NARROWED = """{ socketio: {}, channels: [ { match: "a:*", subscribe: "%s", history: { size: 9 } }, { match: "*" } ] }"""


def test_a_right_that_is_gone_is_not_brought_back():
    async def scenario(sapphire):
        client = Recoverer()
        await client.connect(sapphire.url)
        await client.ask("subscribe", {"channel": "a:1"})
        await client.ask("subscribe", {"channel": "b"})
        await asyncio.to_thread(sapphire.publish, "b", 1)
        await client.until(1)
        await client.leave()
        offset, pid = client.offset, client.pid
        with open(os.path.join(sapphire.folder, "sapphire.json5"), "w") as file:
            file.write(NARROWED % "user:*")
        os.kill(sapphire.process.pid, signal.SIGHUP)

        async def probe():
            other = Recoverer()
            await other.connect(sapphire.url)
            answer = await other.ask("subscribe", {"channel": "a:1"})
            await other.leave()
            return answer.get("code") == 103
        while not await probe():
            pass
        await asyncio.to_thread(sapphire.publish, "b", 2)
        client.offset, client.pid = offset, pid
        assert await client.connect(sapphire.url) is False
        assert client.pid != pid and "publication" not in client.wire
        # It is nowhere, and can begin anew.
        await client.ask("subscribe", {"channel": "b"})
        await asyncio.to_thread(sapphire.publish, "b", 3)
        assert data(await client.until(1)) == [3]
    with running(NARROWED % "anonymous") as platform:
        within(40, scenario(platform))


def test_says_when_it_can_not(platform):
    """Nothing is brought then, and the client is told by another pid."""
    async def scenario():
        async def client(channel):
            made = Recoverer()
            await made.connect(platform.url)
            await made.ask("subscribe", {"channel": channel})
            await asyncio.to_thread(platform.publish, channel, 0)
            await made.until(1)
            await made.leave()
            return made

        async def comes_to_nothing(one):
            pid = one.pid
            assert await one.connect(platform.url) is False
            assert one.pid != pid and one.wire == ["connected"], one.wire
            # It brings the same string again, since it has seen no other, with the new secret: that is no place either.
            pid = one.pid
            assert await one.connect(platform.url) is False and one.pid != pid
            await one.leave()

        trimmed = await client("short:1")
        for number in range(4):
            await asyncio.to_thread(platform.publish, "short:1", number)
        await comes_to_nothing(trimmed)
        await comes_to_nothing(await client("loose:1"))
        for offset in ("", "x", "1;", "1!", "1;log:z=nowhere:3", "1;log:z=1", "é" * 9000, "1;log:z=e:99999999999999999999"):
            wrong = await client("log:e")
            wrong.offset = offset
            await comes_to_nothing(wrong)
        ahead = await client("log:f")
        epoch = ahead.offset.split("=")[-1].split(":")[0]
        ahead.offset = f"1;log:f={epoch}:999"
        await comes_to_nothing(ahead)
        silent = await client("log:g")
        silent.offset = None
        await comes_to_nothing(silent)
        stranger = await client("log:h")
        stranger.pid = stranger.pid[:-1] + ("A" if stranger.pid[-1] != "A" else "B")
        await comes_to_nothing(stranger)
    within(40, scenario())


def test_what_has_no_history_keeps_nobody_who_did_not_ask_for_it(platform):
    """Everybody is in `map:cursor` and `talk`. A string that is spoken there must not be taken for a position."""
    async def scenario():
        client = Recoverer()
        await client.connect(platform.url)
        await client.ask("subscribe", {"channel": "log:i"})
        await asyncio.to_thread(platform.publish, "log:i", 1)
        await client.until(1)
        await asyncio.to_thread(platform.publish, "map:cursor", {"x": 1})
        await asyncio.to_thread(platform.publish, "talk", "1;log:other=e:1")
        cursor, talk = await client.until(2)
        assert cursor == ["map:cursor", {"x": 1}] and talk[:2] == ["talk", "1;log:other=e:1"] and "log:i=" in talk[2]
        await client.leave()
        await asyncio.to_thread(platform.publish, "log:i", 2)
        await asyncio.to_thread(platform.publish, "map:cursor", {"x": 2})
        assert await client.connect(platform.url) is True
        assert data(await client.until(1)) == [2]
        await asyncio.to_thread(platform.publish, "map:cursor", {"x": 3})
        assert await client.until(1) == [["map:cursor", {"x": 3}]]
    within(30, scenario())


def test_brings_back_clients_that_are_slow_or_compressed(platform):
    """Megabytes of many channels, compressed for several clients or for one, with what waited before it broke."""
    big, channels = "0123456789" * 3000, [f"log:many{number}" for number in range(4)]

    async def scenario():
        alone, several = Recoverer(), Recoverer()
        await alone.connect(platform.url)
        await alone.ask("subscribe", {"channel": channels[0]})
        await several.connect(platform.url)
        # The first is shared with `alone`, until there are more.
        for channel in channels:
            await several.ask("subscribe", {"channel": channel})
            await asyncio.to_thread(platform.publish, channels[0], f"{channel} {big}")
        assert [text[:9] for text in data(await alone.until(4))] == [channel[:9] for channel in channels]
        places = {}

        def follow(events):
            for _, event, _ in events:
                assert event["offset"] == places.get(event["channel"], 0) + 1, (event["channel"], event["offset"])
                places[event["channel"]] = event["offset"]
        follow(await several.until(4))
        for round in range(3):
            # What comes while the client does not read waits, and breaks off somewhere.
            for number in range(20):
                await asyncio.to_thread(platform.publish, channels[number % 4], f"{number} {big}")
            follow(await several.until(7))
            several.seen.clear()
            await several.leave()
            before = dict(places)
            for number in range(8):
                await asyncio.to_thread(platform.publish, channels[number % 4], big)
            assert await several.connect(platform.url) is True
            follow(await several.until(21))
            assert sum(places.values()) - sum(before.values()) == 21 and not several.seen
        # Where it is a lot, most of it comes behind the CONNECT's answer; in its order all the same.
        await several.leave()
        for number in range(40):
            await asyncio.to_thread(platform.publish, channels[number % 4], big * 5)
        assert await several.connect(platform.url) is True
        assert several.wire.count("publication") < 40
        follow(await several.until(40))
    within(60, scenario())


def test_nothing_is_lost_or_doubled_however_often_it_breaks(platform):
    """LONG=1: for a thousand breaks. Publications go on all the while; the seed is printed."""
    seed, rounds = random.randrange(1 << 32), 1000 if os.environ.get("LONG") == "1" else 40
    print("seed", seed)
    chance, channels, done = random.Random(seed), ["log:much1", "log:much2", "much3"], threading.Event()

    def publish():
        number = 0
        while not done.is_set():
            number += 1
            platform.publish(channels[number % 3], {"n": number, "x": "y" * (number % 7 * 400)})

    async def scenario():
        clients = [(Recoverer(), channels[:1], {}), (Recoverer(), channels, {})]
        for client, names, places in clients:
            await client.connect(platform.url)
            for name in names:
                confirmed = await client.ask("subscribe", {"channel": name})
                places[name] = confirmed.get("offset", 0)
        for _ in range(rounds):
            for client, names, places in clients:
                for event in await client.until(chance.randrange(1, 12)):
                    assert event[1]["offset"] == places[event[1]["channel"]] + 1, (event, places)
                    places[event[1]["channel"]] += 1
                sid = client.sid
                # What was sent and not read is as if it had been lost on the way.
                client.socket.transport.abort()
                client.socket = None
                assert [event for event in client.seen if event[0] != "publication"] == []
                assert await client.connect(platform.url) is True and client.sid == sid
    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        within(600 if rounds > 40 else 60, scenario())
    finally:
        done.set()
        publisher.join()


def test_is_the_same_member_of_its_channels(sapphire):
    """Presence sees the client that it knew, by the id that the client is told."""
    async def scenario():
        client, watcher = Recoverer(), Recoverer()
        await client.connect(sapphire.url)
        await client.ask("subscribe", {"channel": "room"})
        await asyncio.to_thread(sapphire.publish, "room", 1)
        await client.until(1)
        for _ in range(2):
            await kill(sapphire)
            assert await client.connect(sapphire.url) is True
            await watcher.connect(sapphire.url)
            while True:
                present = await watcher.ask("presence", {"channel": "room"})
                if present.get("total"):
                    break
            assert [member["client"] for member in present["members"]] == [client.sid], present
    within(40, scenario())


def test_comes_back_by_polling(platform):
    """The official client's way: packets of one poll, the missed ones first."""
    def call(path, body=None):
        query = f"/socket.io/?EIO=4&transport=polling{path}"
        status, _, answer = platform.get(query) if body is None else platform._request(
            urllib.request.Request(platform.url + query, body.encode(), {"Content-Type": "text/plain"}))
        assert status == 200, (status, answer)
        return answer.decode().split("\x1e")

    def opened(auth):
        sid = "&sid=" + json.loads(call("")[0][1:])["sid"]
        call(sid, "40" + json.dumps(auth))
        packets = []
        while not any(packet.startswith("40") for packet in packets):
            packets += call(sid)
        return sid, packets
    sid, packets = opened({})
    pid = json.loads(packets[0][2:])["pid"]
    call(sid, '420["subscribe",{"channel":"log:polled"}]')
    assert call(sid)[0].startswith("430")
    platform.publish("log:polled", 1)
    offset = json.loads(call(sid)[0][2:])[-1]
    for number in range(2):
        platform.publish("log:polled", number + 2)
        sid, packets = opened({"pid": pid, "offset": offset})
        assert [packet[:2] for packet in packets] == ["42", "40"] and json.loads(packets[1][2:])["pid"] == pid
        event = json.loads(packets[0][2:])
        assert event[1]["data"] == number + 2
        offset = event[-1]


def test_what_is_too_old_is_not_brought():
    text = """{ socketio: { connectionStateRecovery: { maxDisconnectionDuration: "1s" } },
                channels: [ { match: "*", history: { size: 9 } } ] }"""

    async def scenario(platform):
        quiet, late = Recoverer(), Recoverer()
        for client, channel in ((quiet, "quiet"), (late, "late")):
            await client.connect(platform.url)
            await client.ask("subscribe", {"channel": channel})
            await asyncio.to_thread(platform.publish, channel, 1)
            await client.until(1)
            await client.leave()
        missed = (await asyncio.to_thread(platform.publish, "late", 2), time.monotonic())
        while time.monotonic() < missed[1] + 1.1:
            await quiet.connect(platform.url)
            assert quiet.recovered
        # However long one was away: what counts is the age of what it has missed.
        assert await quiet.connect(platform.url) is True
        assert await late.connect(platform.url) is False and late.seen == []
    with running(text) as platform:
        within(30, scenario(platform))


def test_is_offered_to_whom_it_is_for(platform):
    async def scenario():
        plain = Recoverer()
        await plain.connect(platform.url, "&recovery=0")
        assert plain.pid is None
        await plain.ask("subscribe", {"channel": "log:j"})
        await asyncio.to_thread(platform.publish, "log:j", 1)
        assert [len(event) for event in await plain.until(1)] == [2]
        # What a client sees that knows nothing of it: one argument more, or none where it says so.
        for query, count in (("", 2), ("?recovery=0", 1)):
            client, got = socketio.AsyncClient(reconnection=False), asyncio.Queue()
            client.on("publication", lambda *arguments: got.put_nowait(arguments))
            await client.connect(platform.url + query, transports=["polling", "websocket"], namespaces=["/", "/plugin"])
            await client.call("subscribe", {"channel": "log:k"})
            await asyncio.to_thread(platform.publish, "log:k", 1)
            assert len(await asyncio.wait_for(got.get(), 10)) == count
            await client.disconnect()
        address = platform.url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
        async with websockets.connect(address) as socket:
            await socket.recv()
            await socket.send("40/plugin,")
            answer = await asyncio.wait_for(socket.recv(), 10)
            assert list(json.loads(answer.partition(",")[2])) == ["sid"]
    within(30, scenario())


def test_is_off_where_a_plugin_has_the_namespace():
    async def scenario(url, offered):
        client = Recoverer()
        await client.connect(url)
        assert (client.pid is not None) == offered
        await client.leave()
    for more, offered in (("", False), (", connectionStateRecovery: true", True)):
        with running('{ socketio: { namespaces: { "/": "conformance" } %s } }' % more) as platform:
            within(20, scenario(platform.url, offered))
