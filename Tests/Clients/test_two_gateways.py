"""Two gateways on one hub, and no sticky sessions: what belongs to one of them may be asked of the other."""
import asyncio
import base64
import concurrent.futures
import contextlib
import gzip
import json
import os
import re
import signal
import socket
import struct
import urllib.error
import urllib.request

import pytest
import websockets
from websockets.exceptions import InvalidStatusCode

from platform_under_test import Gateway, eventually, freeze, next_json, running, within
from proxies import Haproxy, free_port
from raw_http import Wire
from signing import bearer, key_file, token
from test_socketio import Client

CONFIGURATION = """{ gateway: { loops: 2, trustedProxies: ['127.0.0.1'] }, socketio: { engine: 'conformance' },
  limits: { relayedRequests: 64, httpBodyBytes: '20MiB' }, identity: { keyFiles: 'KEYS', leeway: '0s' },
  channels: [ { match: "log:*", history: { durable: true } }, { match: "live:*" }, { match: "*", history: { size: 100 } } ] }"""
LONG = os.environ.get("LONG") == "1"
UNKNOWN = {"code": 1, "message": "Session ID unknown"}


class Pair:
    """A platform and one more gateway on it. `urls` are those of the two; the second is the one that tests kill."""

    def __init__(self, stack, folder):
        text = CONFIGURATION.replace("KEYS", key_file(str(folder)))
        self.platform = stack.enter_context(running(text))
        self.configuration = os.path.join(self.platform.folder, "sapphire.json5")
        self.stack, self.second, self.place = stack, None, f"127.0.0.1:{free_port()}"
        self.begin()

    def begin(self):
        self.second = self.stack.enter_context(Gateway(self.platform, self.place, configuration=self.configuration))
        self.urls = [self.platform.url, self.second.url]

    def ask(self, number, path, body=None, seconds=40, **headers):
        """(status, headers, body) of one gateway's answer."""
        if body is not None:
            headers.setdefault("Content-Type", "text/plain;charset=UTF-8")
        try:
            with urllib.request.urlopen(urllib.request.Request(self.urls[number] + path, body, headers), timeout=seconds) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def opened(self, number, door="/socket.io/", **headers):
        """The address of a new session of that gateway."""
        text = self.ask(number, door + "?EIO=4&transport=polling", **headers)[2]
        return f"{door}?EIO=4&transport=polling&sid=" + json.loads(text[1:])["sid"]

    def metric(self, number, name, labels=""):
        found = re.search(rf'^{name}{{service="gateway"{labels}}} (\S+)$', self.ask(number, "/metrics", **{"X-API-Key": self.platform.key})[2].decode(), re.M)
        return float(found.group(1))

    def under_way(self):
        """Relays that the second has asked for and that the first carries out."""
        return [self.metric(1, "sapphire_gateway_relays_asked"), self.metric(0, "sapphire_gateway_relays_served")]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        yield Pair(stack, tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def balancer(pair):
    """The sample's haproxy, with both gateways in turn for every request: nothing is sticky."""
    first = pair.urls[0].split("://")[1]
    more = (f"    server gateway-1 {first}\n", f"    server gateway-1 {first}\n    server gateway-2 {pair.second.address}\n")
    with Haproxy(pair.platform, [more, ("balance leastconn", "balance roundrobin"), ("slowstart 5s", "")]) as proxy:
        yield proxy


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(100) as threads:
        yield threads


def test_a_request_is_carried_out_by_the_gateway_that_holds_the_session(pair):
    for owner, other in ((0, 1), (1, 0)):
        session = pair.opened(owner)
        status, headers, body = pair.ask(other, session, b"40", Origin="http://localhost:5173")
        assert (status, body, headers["Access-Control-Allow-Origin"]) == (200, b"ok", "http://localhost:5173")
        status, headers, body = pair.ask(other, session)
        assert status == 200 and body.startswith(b"40{") and headers["Cache-Control"] == "no-store"
        assert pair.ask(other, session, b"420[\"ping\"]")[0] == 200
        assert b"\"pong\"" in pair.ask(owner, session)[2]
        # What the session refuses, it refuses wherever it is asked.
        assert pair.ask(other, session.replace("/socket.io/", "/engine.io/"))[0] == 400
        assert pair.ask(other, session, b"9")[0] == 400
        assert (pair.ask(other, session)[0], json.loads(pair.ask(other, session)[2])) == (400, UNKNOWN)


def test_a_poll_is_compressed_by_the_gateway_its_client_talks_to(pair):
    session = pair.opened(0)
    for packet in (b"40", b"420[\"subscribe\",{\"channel\":\"long\"}]"):
        assert pair.ask(1, session, packet)[0] == 200
    while b"430[" not in pair.ask(1, session)[2]:
        pass
    text = "na " * 5_000
    pair.platform.publish("long", text)
    status, headers, body = pair.ask(1, session, **{"Accept-Encoding": "gzip"})
    assert (status, headers["Content-Encoding"]) == (200, "gzip") and len(body) < 1_000
    assert text in gzip.decompress(body).decode()


def test_what_a_gateway_was_too_slow_for_is_told_where_it_is_missing(pair):
    """The first stands still until the hub has no room left for it; its client has a gap behind what there was room for."""
    def dropped():
        text = pair.ask(1, "/metrics", **{"X-API-Key": pair.platform.key})[2].decode()
        return float(re.search(r"^sapphire_hub_dropped_total\S* (\S+)$", text, re.M).group(1))

    async def scenario():
        address = pair.urls[1].replace("http", "ws", 1) + "/ws?channel=live:gap"
        async with pair.platform.socket("/ws?channel=live:gap", max_queue=None) as reader, \
                websockets.connect(address, max_queue=None, max_size=None) as writer:
            for socket_ in (reader, writer):
                assert (await next_json(socket_))["type"] == "connection"
            process, before, sent = pair.platform.pid("gateway"), await asyncio.to_thread(dropped), 0
            freeze(process)
            try:
                while await asyncio.to_thread(dropped) == before:
                    for _ in range(100):
                        await writer.send(json.dumps({"channel": "live:gap", "data": f"{sent:06}" + "x" * 60_000}))
                        sent += 1
                    while int((await next_json(writer))["data"][:6]) < sent - 1:
                        pass
            finally:
                os.kill(process, signal.SIGCONT)
            seen = missing = 0
            while seen + missing < sent:
                message = await next_json(reader)
                if message.get("type") == "gap":
                    missing += message["dropped"]
                else:
                    assert int(message["data"][:6]) == seen + missing, "a gap stands where they are missing"
                    seen += 1
            assert seen and missing
    within(40, scenario())


def test_bare_engineio_as_well(pair):
    session = pair.opened(0, "/engine.io/")
    assert pair.ask(1, session, b"4text\x1ebAQID")[0] == 200
    assert pair.ask(1, session)[2] == b"4text\x1ebAQID"


def test_a_websocket_at_another_gateway_is_refused_and_polling_goes_on(pair):
    """What clients take for *stay with polling*: the handshake fails, and the session knows nothing of it."""
    session = pair.opened(0)
    sid = session.split("sid=")[1]

    async def scenario():
        with pytest.raises(InvalidStatusCode) as refused:
            await websockets.connect(f"{pair.urls[1].replace('http', 'ws', 1)}/socket.io/?EIO=4&transport=websocket&sid={sid}")
        assert refused.value.status_code == 400
    within(20, scenario())
    assert pair.ask(1, session, b"40")[0] == 200
    assert pair.ask(0, session)[2].startswith(b"40{")


def test_a_session_stays_with_its_user(pair):
    """The gateway that reads a request says whom it names; the one that holds the session, whether that is its user."""
    ada, bob = (bearer(token(user)) for user in ("ada", "bob"))
    session = pair.opened(0, **ada)
    assert pair.ask(1, session, b"40", **ada)[0] == 200
    assert pair.ask(1, session, **bob)[0] == 400
    assert pair.ask(1, session, Authorization=ada["Authorization"] + "x")[0] == 401
    # Another token of the same user is as good, and the id alone as well.
    assert pair.ask(1, session, **bearer(token("ada", 77)))[2].startswith(b"40{")
    assert pair.ask(1, session, b"42[\"ping\"]")[0] == 200
    session = pair.opened(0)
    assert pair.ask(1, session, b"40", **ada)[0] == 400


def test_forged_ids_open_nothing(pair):
    session = pair.opened(0)
    address, sid = session.split("sid=")
    raw = base64.urlsafe_b64decode(sid + "=")
    assert len(raw) == 26
    shapes = {
        "another secret": os.urandom(16) + raw[16:], "another loop": raw[:16] + b"\x01\x01" + raw[18:],
        "no loop": raw[:16] + b"\xff\xff" + raw[18:], "no gateway": raw[:18] + os.urandom(8),
        "short": raw[:-1], "long": raw + b"\x00"}
    for what, forged in shapes.items():
        text = base64.urlsafe_b64encode(forged).decode().rstrip("=")
        for body in (None, b"40"):
            status, _, answer = pair.ask(1, address + "sid=" + text, body)
            assert (status, json.loads(answer)) == (400, UNKNOWN), what
    assert pair.ask(1, session, b"40")[0] == 200


def test_bodies_are_bounded_where_they_come(pair):
    session = pair.opened(0)
    assert pair.ask(1, session, b"40")[0] == 200
    assert pair.ask(1, session, b"4" + b"x" * 1_000_001)[0] == 413
    assert pair.ask(1, session, b"42[\"ping\"]")[0] == 200, "the session goes on"
    large = json.dumps({"node": _node(pair.second), "session": "A" * 22, "data": "x" * (17 << 20)}).encode()
    assert pair.ask(0, "/emulation", large, **{"Content-Type": "application/json"})[0] == 413


def _node(gateway):
    """What clients of the Centrifuge protocol know it by."""
    with urllib.request.urlopen(urllib.request.Request(
            gateway.url + "/connection/http_stream", b'{"id":1,"connect":{}}'), timeout=10) as answer:
        return json.loads(answer.readline())["connect"]["node"]


def test_a_flood_is_bounded_and_counted(pair, pool):
    """limits.relayedRequests: 64 polls that wait elsewhere are as many as there may be."""
    sessions = [pair.opened(0) for _ in range(80)]
    polls = [pool.submit(pair.ask, 1, session) for session in sessions]
    eventually(20, "as many as may be", lambda: pair.under_way() == [64, 64])
    refused = eventually(10, "the others are refused", lambda: [p.result() for p in polls if p.done()][15:] and
                         [p.result() for p in polls if p.done()])
    assert {status for status, _, _ in refused} == {503} and refused[0][1]["Retry-After"]
    assert pair.metric(1, "sapphire_limit_reached_total", ',limit="relayedRequests"') == len(refused)
    # Whoever waits is not harmed: each gets what is for it.
    for session, poll in zip(sessions, polls):
        if not poll.done():
            assert pair.ask(0, session, b"41")[0] in (200, 400)
    for poll in polls:
        poll.result(20)
    eventually(10, "nothing is left", lambda: pair.under_way() == [0, 0])


def test_a_client_that_leaves_ends_its_session(pair):
    """As where it is held: by a poll that breaks off, or by another one beside a poll that was only given up."""
    for breaks_off in (False, True):
        session = pair.opened(0)
        assert pair.ask(1, session, b"40")[0] == 200
        assert pair.ask(1, session)[2].startswith(b"40{")
        with Wire(pair.second) as wire:
            wire.send(wire.head(f"GET {session}"))
            eventually(10, "the poll waits", lambda: pair.under_way() == [1, 1])
            if breaks_off:
                wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                wire.socket.close()
            else:
                wire.socket.shutdown(socket.SHUT_WR)
                assert pair.ask(1, session)[0] == 400
                assert wire.answer().body == b"1"
        eventually(10, "nothing is waited for", lambda: pair.under_way() == [0, 0])
        assert json.loads(pair.ask(0, session, b"3")[2]) == UNKNOWN


def test_a_gateway_that_stops_answers_the_polls_it_relays(pair, pool):
    """The session is not touched by that: its client polls on at another gateway and misses nothing."""
    session = pair.opened(0)
    assert pair.ask(1, session, b"40")[0] == 200
    assert pair.ask(1, session)[2].startswith(b"40{")
    poll = pool.submit(pair.ask, 1, session)
    eventually(10, "the poll waits", lambda: pair.metric(0, "sapphire_gateway_relays_served") == 1)
    code, seconds = pair.second.drain()
    assert (code, poll.result(5)[2]) == (0, b"6") and seconds < 10
    assert pair.ask(0, session, b"42[\"ping\"]")[0] == 200
    assert b"\"pong\"" in pair.ask(0, session)[2]
    pair.begin()


def test_the_owners_death_is_an_unknown_session(pair, pool):
    session = pair.opened(1)
    assert pair.ask(0, session, b"40")[0] == 200
    assert pair.ask(0, session)[2].startswith(b"40{")
    poll = pool.submit(pair.ask, 0, session)
    eventually(10, "the poll waits", lambda: pair.metric(1, "sapphire_gateway_relays_served") == 1)
    pair.second.kill()
    status, _, body = poll.result(10)
    assert (status, json.loads(body)) == (400, UNKNOWN)
    assert json.loads(pair.ask(0, session)[2]) == UNKNOWN
    pair.begin()


def test_the_relaying_gateways_death_ends_the_session(pair, pool):
    session = pair.opened(0)
    poll = pool.submit(pair.ask, 1, session)
    eventually(10, "the poll waits", lambda: pair.metric(0, "sapphire_gateway_relays_served") == 1)
    pair.second.kill()
    with pytest.raises((OSError, Exception)):
        poll.result(10)
    eventually(10, "nothing is waited for", lambda: not pair.metric(0, "sapphire_gateway_relays_served"))
    assert json.loads(pair.ask(0, session)[2]) == UNKNOWN
    pair.begin()


def test_the_hubs_death_ends_what_is_under_way_in_order(pair, pool):
    session, quiet = pair.opened(0), pair.opened(0)
    poll = pool.submit(pair.ask, 1, session)
    eventually(10, "the poll waits", lambda: pair.metric(0, "sapphire_gateway_relays_served") == 1)
    pair.platform.kill("hub")
    status, _, body = poll.result(10)
    assert (status, json.loads(body)) == (400, UNKNOWN)
    assert json.loads(pair.ask(0, session)[2]) == UNKNOWN
    # One that had nothing under way is asked for again, once both have found the new hub.
    eventually(20, "the session is found again", lambda: pair.ask(1, quiet, b"40")[0] == 200)
    eventually(20, "on every loop", lambda: pair.ask(1, quiet)[2].startswith(b"40{"))
    client = within(20, _comes_back(pair))
    assert client == "pong"


async def _comes_back(pair):
    async with Client(pair.urls[1], ["polling"]) as client:
        return (await client.ask("ping"))["type"]


@pytest.mark.parametrize("transports", [["polling"], None], ids=["polling", "default"])
def test_clients_of_socketio_behind_round_robin(pair, balancer, transports):
    """Text and bytes, both ways, in order and without loss."""
    before = sum(pair.metric(number, "sapphire_gateway_relays_total") for number in range(2))
    channel, count = f"log:{transports}".translate({ord(c): None for c in "[']"}), 40

    async def publish(writer, name):
        for number in range(count):
            data = {"from": name, "n": number} if number % 2 else bytes([name, number]) + os.urandom(2000)
            assert (await writer.ask("publish", {"channel": channel, "data": data}))["type"] == "ack"

    def told(publication):
        data = publication["data"]
        return (data[0], data[1]) if isinstance(data, bytes) else (data["from"], data["n"])

    async def scenario():
        headers = {"Host": balancer.gateway}
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(
                Client(balancer.url, transports or ("polling", "websocket"), headers=headers)) for _ in range(6)]
            for client in clients:
                assert (await client.ask("subscribe", {"channel": channel}))["type"] == "ack"
            await asyncio.gather(*(publish(client, name) for name, client in enumerate(clients)))
            for client in clients:
                got = [await client.next("publication", 20) for _ in range(count * len(clients))]
                assert [g["offset"] for g in got] == list(range(1, len(got) + 1))
                for name in range(len(clients)):
                    assert [told(g)[1] for g in got if told(g)[0] == name] == list(range(count))
            return {client.io.eio.current_transport for client in clients}
    used = within(90, scenario())
    assert "polling" in used if transports else used <= {"polling", "websocket"}
    assert sum(pair.metric(number, "sapphire_gateway_relays_total") for number in range(2)) > before


def test_a_client_whose_upgrade_is_refused_stays_with_polling(pair):
    """By the python library; JavaScript's does the same. Every upgrade goes to the gateway that does not hold the session."""
    first = pair.urls[0].split("://")[1]
    apart = (f"    server gateway-1 {first}\n",
             "    use-server gateway-2 if { hdr(Upgrade) -i websocket }\n    use-server gateway-1 if !{ hdr(Upgrade) -m found }\n"
             f"    server gateway-1 {first}\n    server gateway-2 {pair.second.address}\n")

    async def scenario(proxy):
        async with Client(proxy.url, ("polling", "websocket"), headers={"Host": proxy.gateway}) as client:
            assert client.io.eio.current_transport == "polling"
            await client.ask("subscribe", {"channel": "stays"})
            for number in range(20):
                await client.ask("publish", {"channel": "stays", "data": bytes([number])})
            assert [(await client.next("publication"))["data"] for _ in range(20)] == [bytes([n]) for n in range(20)]
    with Haproxy(pair.platform, [apart]) as proxy:
        within(30, scenario(proxy))


LARGE = """{ gateway: { loops: 1 }, limits: { publicationBytes: '16MiB', clientQueueBytes: '64MiB', httpBodyBytes: '40MiB', commitBytes: '64MiB',
  clientMemoryBytes: '512MiB', requestTimeout: '30s' } }"""


# Tens of megabytes, which a debug build takes its time for.
if LONG:
    def test_what_is_too_large_for_a_relay_ends_the_session():
        """It is not lost without a word: the client comes back, and finds it in the history."""
        with running(LARGE) as platform, Gateway(platform, configuration=os.path.join(platform.folder, "sapphire.json5")) as other:
            pair = Pair.__new__(Pair)
            pair.platform, pair.second, pair.urls = platform, other, [platform.url, other.url]
            session = pair.opened(0)
            for packet in (b"40", b"420[\"subscribe\",{\"channel\":\"x\"}]"):
                assert pair.ask(1, session, packet)[0] == 200
            while b"430[" not in pair.ask(1, session)[2]:
                pass
            large = {"channel": "x", "b64data": base64.b64encode(os.urandom(13 << 20)).decode()}
            status, _, answer = platform.post("/api/publish", large, platform.key)
            assert status == 200, answer
            assert pair.ask(1, session)[2].startswith(b"451-"), "what is small enough comes"
            assert pair.ask(1, session)[0] == 413
            assert json.loads(pair.ask(0, session)[2]) == UNKNOWN
