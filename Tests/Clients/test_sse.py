"""Event streams: plain HTTP clients, curl and Chromium's own EventSource on `/sse`; JSON lines on `/stream`."""
import base64
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
from urllib.parse import urlsplit

import pytest

from elsewhere import serving
from platform_under_test import Gateway, eventually, freeze
from raw_http import Wire


class Event:
    def __init__(self, name, data, last_id):
        self.name, self.data, self.id = name, data, last_id

    def __repr__(self):
        return f"{self.name}: {self.data[:120]}"

    @property
    def json(self):
        return json.loads(self.data)


class Feed:
    """One answer without end, read line by line; events as WHATWG HTML §9.2.6 makes them."""

    def __init__(self, sapphire, path, seconds=10, **headers):
        place = urlsplit(sapphire.url)
        self.connection = http.client.HTTPConnection(place.hostname, place.port, timeout=seconds)
        self.connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        self.answer = self.connection.getresponse()
        self.status, self.headers = self.answer.status, self.answer.headers
        self.id, self.retry, self.comments = "", None, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.answer.close()
        self.connection.close()

    def event(self):
        """The next event, or None at the end."""
        name, data, last_id = "message", [], self.id
        while True:
            raw = self.answer.readline()
            if not raw:
                return None
            assert raw.endswith(b"\n"), raw
            line = raw.rstrip(b"\n").decode()
            if line.startswith(":"):
                self.comments += 1
            elif not line:
                self.id = last_id
                if data:
                    return Event(name, "\n".join(data), last_id)
                name = "message"
            else:
                field, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if field == "data":
                    data.append(value)
                elif field == "event":
                    name = value
                elif field == "id":
                    last_id = value
                elif field == "retry":
                    self.retry = int(value)

    def next(self, name="message"):
        """The next event of that name; others before it are passed over, but for publications."""
        while True:
            event = self.event()
            assert event, f"the stream ended before a {name}"
            if event.name == name:
                return event
            assert event.name not in ("message", "unrecoverable", "gap"), event

    def line(self):
        """The next JSON value of a stream of lines."""
        while True:
            raw = self.answer.readline()
            assert raw.endswith(b"\n"), raw
            if raw != b"\n":
                return json.loads(raw)
            self.comments += 1


def feed(sapphire, *channels, since=None, last=None, path="/sse", **switches):
    query = [("channel", channel) for channel in channels]
    query += [(name, str(value)) for name, value in switches.items()]
    if since is not None:
        query.append(("since", since))
    return Feed(sapphire, f"{path}?{urllib.parse.urlencode(query)}", **({"Last_Event_ID": last} if last else {}))


def vector(*places):
    return base64.urlsafe_b64encode(";".join(f"{name}={place}" for name, place in places).encode()).decode().rstrip("=")


def plain(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def places(text, names):
    """The offsets that an event's id of several channels says, as docs/SSE.md has its shape."""
    assert text.startswith("~") and len(text) % 4 == 1, text
    data = base64.urlsafe_b64decode(text[1:])
    found = {}
    while data:
        groups = 1 + (data[9] >> 6) if data[9] < 0xC0 else 1
        value = int.from_bytes(data[9:9 + 3 * groups], "big")
        special = {0xC00000: "empty", 0xC00001: "start"}.get(value) if data[9] >= 0xC0 else None
        found[data[:3]] = special or value & (1 << 24 * groups - 2) - 1
        data = data[9 + 3 * groups:]
    tags = {name: (crc32c(name.encode()) & 0xFFFFFF).to_bytes(3, "big") for name in names}
    assert set(found) <= set(tags.values()), "no other channels"
    return {name: found[tag] for name, tag in tags.items() if tag in found}


def test_begins_with_a_welcome_and_gives_each_publication_its_position(sapphire):
    with feed(sapphire, "universal-frequency") as stream:
        assert stream.status == 200
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert stream.headers["Cache-Control"] == "no-cache"
        assert stream.headers["X-Accel-Buffering"] == "no"
        assert stream.headers["Connection"] == "close" and stream.headers["Content-Length"] is None
        welcome = stream.next("connection").json
        assert welcome["type"] == "connection" and welcome["channel"] == "universal-frequency"
        assert 1000 <= stream.retry <= 3000
        for data in ({"n": 43}, "two\r\nlines", [1, None]):
            place = sapphire.publish("universal-frequency", data)
            event = stream.next()
            assert event.json["data"] == data and event.json["offset"] == place["offset"]
            assert plain(event.id) == f"universal-frequency={place['epoch']}:{place['offset']}"
        status, _, _ = sapphire.post(
            "/api/publish", {"channel": "universal-frequency", "b64data": "AAEC/w=="}, sapphire.key)
        assert status == 200 and stream.next().json["b64data"] == "AAEC/w=="


def test_raw_events_are_the_payload_itself(sapphire):
    with feed(sapphire, "signal", raw=1) as stream:
        stream.next("connection")
        for sent, got in (("a\r\nb\rc\nd", "a\nb\nc\nd"), ("", ""), (" x", " x"), ("data: y\n\nid: 9", "data: y\n\nid: 9"),
                          ("🎉\n", "🎉\n")):
            sapphire.publish("signal", sent)
            assert stream.next().data == got
        sapphire.publish("signal", {"a": [1]})
        assert stream.next().json == {"a": [1]}
        sapphire.post("/api/publish", {"channel": "signal", "b64data": "AP8K"}, sapphire.key)
        assert stream.next("binary").data == "AP8K"
    with feed(sapphire, "a", "b", raw=1) as refused:
        assert refused.status == 400


def test_one_last_event_id_resumes_every_channel(sapphire):
    """S000-34: a client that comes back gets what it missed, in every channel, and nothing twice."""
    names = ["log:a", "log:b", "universal-frequency"]
    for name in names:
        sapphire.publish(name, "before")
    with feed(sapphire, *names) as stream:
        welcome = stream.next("connection").json
        assert [channel["offset"] for channel in welcome["channels"]] == [1, 1, 1]
        sapphire.publish("log:a", 2)
        stream.next()
        sapphire.publish("universal-frequency", 2)
        last = stream.next().id
    assert places(last, names) == {"log:a": 2, "log:b": 1, "universal-frequency": 2}
    for number in range(3, 6):
        for name in names:
            sapphire.publish(name, number)
    # The header of one that comes back wins over the address, which is as old as the first request.
    with feed(sapphire, *names, since="start", last=last) as again:
        assert again.headers["Last-Event-ID"] == last, "it goes on exactly from there"
        missed = [again.next().json for _ in range(9)]
        sapphire.publish("log:b", "live")
        assert again.next().json["data"] == "live"
    for name in names:
        assert [p["data"] for p in missed if p["channel"] == name] == [3, 4, 5], missed
    # Without the header the address says it.
    with feed(sapphire, *names, since=last) as by_address:
        assert sorted(by_address.next().json["offset"] for _ in range(10)) == [2, 3, 3, 3, 4, 4, 4, 5, 5, 5]


def is_ready(sapphire):
    with contextlib.suppress(OSError):
        return sapphire.get("/ready")[0] == 200
    return False


@pytest.mark.configuration("""{ channels: [{ match: "log:*", history: { durable: true } }, { match: "*", history: { size: 10, ttl: "5m" } }] }""")
def test_ids_of_many_channels_are_short_and_good_at_every_gateway(sapphire):
    """ADR 23: nothing but the id is needed to go on, after a restart, elsewhere, and with other channels."""
    kept = [f"log:a-channel-with-a-name-{number}" for number in range(20)]
    names = kept + [f"short-lived-history-{number}" for number in range(12)]
    for name in names:
        sapphire.publish(name, 1)

    def missed(last, on=None, of=names, count=32):
        with feed(on or sapphire, *of, last=last) as stream:
            assert stream.headers["Last-Event-ID"] == last
            got = [stream.next() for _ in range(count)]
            sapphire.publish(of[0], "live")
            end = stream.next()
            assert end.json["data"] == "live"
            return sorted((event.json["channel"], event.json["data"]) for event in got), end.id
    with feed(sapphire, *names) as stream:
        stream.next("connection")
        assert stream.headers["Last-Event-ID"] == stream.id
        sapphire.publish(kept[0], 2)
        last = stream.next().id
    assert len(last) == 1 + 16 * 32 and places(last, names) == {**dict.fromkeys(names, 1), kept[0]: 2}
    for name in names:
        sapphire.publish(name, "away")
    sapphire.kill("gateway")
    eventually(10, "it is back", lambda: is_ready(sapphire))
    everything = sorted((name, "away") for name in names)
    got, last = missed(last)
    assert got == everything
    for name in names:
        sapphire.publish(name, "away")
    with Gateway(sapphire) as other:
        got, last = missed(last, other)
        assert got == everything
    # Another channel in the place of one begins now; all others go on.
    sapphire.publish("log:new", "before")
    for name in names:
        sapphire.publish(name, "away")
    with feed(sapphire, *reversed(names[1:]), "log:new", last=last) as stream:
        got = sorted(stream.next().json["channel"] for _ in range(31))
        assert got == sorted(names[1:])
        sapphire.publish("log:new", "after")
        assert stream.next().json["data"] == "after"
    # Histories that are gone with the hub are told of, each by its name; the others go on from the same id.
    sapphire.kill("hub")
    eventually(10, "the hub takes publications", lambda: is_ready(sapphire) and "result" in sapphire.post(
        "/api/publish", {"channel": "of-no-account", "data": 1}, sapphire.key)[2])
    for name in kept:
        sapphire.publish(name, "with another hub")
    with feed(sapphire, *names, last=last) as stream:
        told, got = set(), []
        while len(told) < 12 or len(got) < 40:
            event = stream.event()
            if event.name == "unrecoverable":
                assert event.json["reason"] == "epoch_changed"
                told.add(event.json["channel"])
            elif event.name == "message":
                got.append((event.json["channel"], event.json["data"]))
    assert told == set(names) - set(kept)
    assert sorted(got) == sorted((name, data) for name in kept for data in ("away", "with another hub"))


def test_a_history_that_was_empty_is_resumed_from_its_first_publication(sapphire):
    with feed(sapphire, "log:new", "log:other") as stream:
        stream.next("connection")
        eventually(5, "an id", lambda: stream.id)
        last = stream.id
    assert places(last, ["log:new", "log:other"]) == {"log:new": 0, "log:other": 0}
    # What gateways said before streams had an epoch from their beginning is understood.
    for number, place in enumerate([last, vector(("log:new", "empty"), ("log:other", "empty"))]):
        sapphire.publish("log:new", number)
        with feed(sapphire, "log:new", "log:other", last=place) as again:
            assert again.next().json["data"] == 0


def test_says_what_cannot_be_resumed(sapphire):
    place = sapphire.publish("log:a", 1)
    gone = vector(("log:a", "0123456789abcdefABCDEF:7"))
    with feed(sapphire, "log:a", last=gone) as stream:
        # What the answer goes on from is not what was asked: a client can tell from the head alone.
        assert plain(stream.headers["Last-Event-ID"]) == f"log:a={place['epoch']}:1"
        stream.next("connection")
        lost = stream.event()
        assert lost.name == "unrecoverable" and lost.json["reason"] == "epoch_changed"
        assert lost.id == stream.headers["Last-Event-ID"], "it isn't told again to one that comes back"
    with feed(sapphire, "log:a", "log:b", last=vector(("log:a", f"{place['epoch']}:99"))) as ahead:
        while (event := ahead.event()).name != "unrecoverable":
            assert event.name == "connection", event
        assert event.json["reason"] == "ahead"
        sapphire.publish("log:a", 2)
        assert ahead.next().json["offset"] == 2
    for header in ("***", "log:a", "bm9uc2Vuc2U"):
        with feed(sapphire, "log:a", last=header) as refused:
            assert refused.status == 400


TRIMMED = """{ channels: [{ match: "*", history: { size: 3, ttl: "5m" } }] }"""


@pytest.mark.configuration(TRIMMED)
def test_a_history_that_outgrew_an_empty_place_is_a_loss(sapphire):
    with feed(sapphire, "a", "b") as stream:
        stream.next("connection")
        last = stream.headers["Last-Event-ID"]
    for number in range(9):
        sapphire.publish("a", number)
    with feed(sapphire, "a", "b", last=last) as again:
        while (event := again.event()).name != "unrecoverable":
            assert event.name == "connection", event
        assert event.json["reason"] == "trimmed" and event.json["floor"] == 6
        assert [again.next().json["data"] for _ in range(3)] == [6, 7, 8]
    # Who asks for the start takes what there is.
    with feed(sapphire, "a", since="start") as start:
        assert [start.next().json["data"] for _ in range(3)] == [6, 7, 8]


RULES = """{ channels: [{ match: "secret:*", subscribe: "role:staff" }, { match: "full:*", maxSubscribers: 12 },
  { match: "*", history: { size: 100, ttl: "5m" } }] }"""


@pytest.mark.configuration(RULES)
def test_refused_channels_are_told_and_the_others_go_on(sapphire):
    with feed(sapphire, "secret:a", "open", "not a name") as stream:
        told = {}
        while len(told) < 2:
            event = stream.event()
            if event.name == "error":
                told[event.json["channel"]] = event.json["code"]
        assert told == {"secret:a": 103, "not a name": 102}
        sapphire.publish("open", 1)
        while (event := stream.event()).name != "message":
            assert event.name == "connection", event
        assert event.json["data"] == 1
    # Where nothing is left, the status says so: an EventSource then stops asking.
    for channels, status, code in ((["secret:a"], 403, 103), (["secret:a", "secret:b"], 403, 103), (["no name"], 404, 102),
                                   ([], 400, 107)):
        for path in ("/sse", "/stream"):
            with feed(sapphire, *channels, path=path) as refused:
                assert refused.status == status and refused.headers["Content-Type"] == "application/json"
                assert json.loads(refused.answer.read())["error"]["code"] == code


@pytest.mark.configuration(RULES)
def test_what_may_change_lets_an_event_source_come_back(sapphire):
    def refusal():
        with feed(sapphire, "full:a") as late:
            event = late.event()
            if event.name != "error":
                return None
            assert late.status == 200 and late.retry and late.event() is None
            return event.json
    with contextlib.ExitStack() as others:
        # So many that every loop of the gateway has the channel, and soon knows how many there are.
        for _ in range(12):
            others.enter_context(feed(sapphire, "full:a")).next("connection")
        # An error status would end an EventSource for good; so it is told, and comes back after its `retry`.
        told = eventually(10, "a full channel refuses", refusal)
        assert told["code"] == 106 and told["channel"] == "full:a"
        with feed(sapphire, "full:a", path="/stream") as lines:
            assert lines.status == 429


@pytest.mark.configuration("{ limits: { httpFieldBytes: 1024 } }")
def test_what_does_not_fit_is_refused(sapphire):
    names = [f"c{number}" for number in range(129)]
    with feed(sapphire, *names) as refused:
        assert refused.status == 429
    # An id has to fit into a header, whatever the offsets: of so many channels it doesn't, however they are called.
    with feed(sapphire, *names[:42]) as refused:
        assert refused.status == 400
    with feed(sapphire, *[f"{'n' * 150}{number}" for number in range(40)]) as stream:
        assert stream.status == 200


def test_tells_who_is_there_and_who_comes(sapphire):
    with feed(sapphire, "route", presence=1) as stream:
        assert stream.next("presence").json["total"] == 1
        with feed(sapphire, "route") as other:
            client = other.next("connection").json["client"]
            assert stream.next("join").json["client"] == client


def test_head_options_and_methods(sapphire):
    with Wire(sapphire) as wire:
        for path, kind in (("/sse", "text/event-stream"), ("/stream", "application/x-ndjson")):
            with Wire(sapphire) as head:
                answer = head.ask(f"HEAD {path}?channel=a")
                assert answer.status == 200 and answer.fields["content-type"] == kind
                assert "content-length" not in answer.fields and head.closes()
            preflight = wire.ask(f"OPTIONS {path}?channel=a", "Origin: http://localhost:1")
            assert preflight.status == 204 and "Last-Event-ID" in preflight.fields["access-control-allow-headers"]
            assert preflight.fields["access-control-allow-origin"] == "http://localhost:1"
            answer = wire.ask(f"POST {path}?channel=a", "Content-Length: 0")
            assert answer.status == 405 and answer.fields["allow"] == "GET, HEAD, OPTIONS"
            wire.socket.close()
            wire.__init__(sapphire)


def test_old_clients_and_pipelines_get_their_stream(sapphire):
    for version, fields in (("1.0", ()), ("1.0", ("Connection: keep-alive",)), ("1.1", ("Connection: close",))):
        with Wire(sapphire) as wire:
            wire.send(wire.head("GET /sse?channel=a", *fields, version=version))
            head = wire._until(b"\r\n\r\n").lower()
            assert b"connection: close" in head and b"transfer-encoding" not in head
            sapphire.publish("a", "x")
            wire._until(b'"data":"x"}\n\n')
    # Behind an answer that is still due; what is sent after the request is nobody's.
    with Wire(sapphire) as wire:
        wire.send(wire.head("GET /health") + wire.head("GET /sse?channel=a") + wire.head("GET /live"))
        assert wire.answer().status == 200
        assert b"text/event-stream" in wire._until(b"\r\n\r\n")
        sapphire.publish("a", "y")
        wire._until(b'"data":"y"}\n\n')
        assert b"HTTP/1.1" not in wire.waiting


BEATS = """{ limits: { pingInterval: "1s", pongTimeout: "500ms", httpIdleTimeout: "2s", clientQueueBytes: 65536, publicationBytes: 65536 },
  channels: [{ match: "log:*", history: { durable: true } }, { match: "*", history: { size: 10, ttl: "5m" } }] }"""


def stalled(sapphire, path, receive_buffer=4096):
    """A connection whose receive buffer is small and that has read no more than the head."""
    wire = Wire(sapphire, receive_buffer=receive_buffer)
    wire.send(wire.head(f"GET {path}"))
    wire._until(b"event: connection\n")
    wire._until(b"\n\n")
    return wire


@pytest.mark.configuration(BEATS)
def test_beats_when_quiet_and_drops_who_takes_nothing(sapphire):
    with feed(sapphire, "a") as stream, feed(sapphire, "a", path="/stream") as lines:
        stream.next("connection")
        lines.line()
        with stalled(sapphire, "/sse?channel=big") as gone:
            for _ in range(120):
                sapphire.publish("big", "x" * 60000)
            eventually(10, "the reader that takes nothing is dropped", lambda: is_reset(gone))
        sapphire.publish("a", 1)
        assert stream.next().json["data"] == 1 and stream.comments >= 1
        assert lines.line()["data"] == 1 and lines.comments >= 1


@pytest.mark.configuration(BEATS)
def test_nothing_comes_before_the_head_while_a_channel_is_waited_for(sapphire):
    """One channel has its past at once, the other's store stands still: the head waits for both."""
    for number in range(3):
        sapphire.publish("early", number)
    store = sapphire.pid("eventstore")
    freeze(store)
    try:
        wire = Wire(sapphire)
        wire.send(wire.head("GET /stream?channel=early&channel=log:late&since=early%3Dempty%3Blog:late%3Dempty"))
        head = wire._until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        text = wire._until(b'"data":2}\n')
        assert text.count(b'"channel":"early"') >= 3
    finally:
        os.kill(store, signal.SIGCONT)
    wire.socket.close()


def is_reset(wire):
    """Whether the platform has given the connection up, although this side has not read on."""
    return wire.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 7  # TCP_CLOSE


SLOW = """{ limits: { clientQueueBytes: 65536, publicationBytes: 65536 },
  channels: [{ match: "log:strict", history: { durable: true }, slowConsumer: { steps: ["disconnect"] } },
    { match: "log:*", history: { durable: true } }, { match: "*", history: { size: 10, ttl: "5m" } }] }"""


@pytest.mark.configuration(SLOW)
def test_a_slow_reader_is_told_what_it_missed(sapphire):
    with stalled(sapphire, "/sse?channel=big", 65536) as slow:
        for _ in range(120):
            sapphire.publish("big", "x" * 60000)
        slow._until(b"event: gap\n")
        told = json.loads(slow._until(b"\n\n").decode().partition("data: ")[2])
        assert told["channel"] == "big" and told["dropped"] > 0
        sapphire.publish("big", "after")
        slow._until(b'"data":"after"')


@pytest.mark.configuration(SLOW)
def test_a_slow_reader_of_durable_channels_reads_on_where_it_was(sapphire):
    count, channels = 60, ["log:one", "log:two"]
    with stalled(sapphire, "/sse?channel=log:one&channel=log:two") as slow:
        blob = "x" * 30000
        for number in range(count):
            for channel in channels:
                sapphire.publish(channel, f"{number} {blob}")
        got, last, missing = {channel: [] for channel in channels}, None, {}
        while any(len(numbers) < count for numbers in got.values()):
            fields = dict(line.partition(": ")[::2] for line in slow._until(b"\n\n").decode().split("\n") if line)
            if fields.get("event") in (None, "message") and "data" in fields:
                event = json.loads(fields["data"])
                got[event["channel"]].append(int(event["data"].split()[0]))
            last = fields.get("id", last)
            if sum(len(numbers) for numbers in got.values()) == count:
                # Whoever comes back with the id of now gets exactly the rest.
                missing = {"last": last, **{channel: len(numbers) for channel, numbers in got.items()}}
    assert got == {channel: list(range(count)) for channel in channels}
    with feed(sapphire, *channels, last=missing["last"]) as again:
        rest = {channel: [] for channel in channels}
        while sum(len(numbers) for numbers in rest.values()) < count:
            event = again.next().json
            rest[event["channel"]].append(int(event["data"].split()[0]))
    assert rest == {channel: list(range(missing[channel], count)) for channel in channels}


@pytest.mark.configuration(SLOW)
def test_a_rule_may_have_a_slow_reader_cut_off_who_misses_nothing(sapphire):
    count, got, last = 100, [], None
    with stalled(sapphire, "/sse?channel=log:strict") as slow:
        blob = "x" * 60000
        for number in range(count):
            sapphire.publish("log:strict", f"{number} {blob}")
        text = b""
        with contextlib.suppress(ConnectionResetError):
            while data := slow.socket.recv(1 << 16):
                text += data
    blocks = (slow.waiting + text).decode().split("\n\n")
    for block in blocks[:-1]:
        fields = dict(line.partition(": ")[::2] for line in block.split("\n") if line)
        if "event" not in fields and "data" in fields:
            got.append(int(json.loads(fields["data"])["data"].split()[0]))
            last = fields["id"]
    assert got == list(range(len(got))) and len(got) < count
    assert any('"slow_consumer"' in block for block in blocks) or blocks[-1], "cut off within an event, or told so"
    with feed(sapphire, "log:strict", last=last or vector(("log:strict", "empty"))) as again:
        while len(got) < count:
            got.append(int(again.next().json["data"].split()[0]))
    assert got == list(range(count))


class Writer(threading.Thread):
    """Publishes 0, 1, 2 … to durable channels in turn until told to stop; what fails is tried again with its key."""

    def __init__(self, sapphire, channels):
        super().__init__(daemon=True)
        self.sapphire, self.channels, self.stopped, self.counts = sapphire, channels, threading.Event(), {}
        self.start()

    def run(self):
        number = 0
        while not self.stopped.is_set():
            for channel in self.channels:
                self.publish(channel, number)
                self.counts[channel] = number + 1
            number += 1
            time.sleep(0.002)

    def publish(self, channel, number):
        body = {"channel": channel, "data": number, "idempotency_key": f"{channel}-{number}"}
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                status, _, answer = self.sapphire.post("/api/publish", body, self.sapphire.key)
                if status == 200 and "result" in answer:
                    return
            time.sleep(0.02)

    def finish(self):
        self.stopped.set()
        self.join(30)
        return self.counts


def test_a_killed_gateway_costs_a_reader_nothing(sapphire):
    """A writer runs, the gateway is killed twice; each channel comes whole, in order and once."""
    names = ["log:a", "log:b", "log:c"]
    got = {name: [] for name in names}
    done = threading.Event()

    def read():
        last = vector(*((name, "empty") for name in names))
        while not done.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException, AssertionError):
                with feed(sapphire, *names, last=last) as stream:
                    while event := stream.event():
                        last = event.id or last
                        if event.name == "message":
                            got[event.json["channel"]].append(event.json["data"])
                        elif event.name in ("gap", "unrecoverable", "error"):
                            got["fault"] = event
                        if done.is_set():
                            return
            time.sleep(0.02)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    writer = Writer(sapphire, names)
    for _ in range(2):
        seen = len(got["log:a"])
        eventually(20, "publications flow", lambda: len(got["log:a"]) > seen + 50)
        sapphire.kill("gateway")
    counts = writer.finish()
    eventually(20, "all has come", lambda: all(len(got[name]) >= counts[name] for name in names))
    done.set()
    assert "fault" not in got, got["fault"]
    for name in names:
        assert got[name] == list(range(counts[name])), name


def test_a_gateway_that_stops_says_when_to_come_back(sapphire):
    with feed(sapphire, "log:a") as stream, feed(sapphire, "log:a", path="/stream") as lines:
        stream.next("connection")
        os.kill(sapphire.pid("gateway"), signal.SIGTERM)
        told = stream.next("reconnect")
        assert 100 <= told.json["after_ms"] <= 5000 and stream.retry == told.json["after_ms"]
        assert stream.event() is None
        assert [lines.line()["type"], lines.line()["type"]] == ["connection", "reconnect"]
        assert lines.answer.readline() == b""


def test_chromium_reconnects_by_itself_and_misses_nothing(sapphire, browser):
    with serving() as port:
        browser.go(f"http://localhost:{port}/")
        address = f"{sapphire.url}/sse?channel=log:a&channel=log:b&presence=1"
        browser.ask(f"""(() => {{
          window.got = []; window.told = []; window.opened = 0;
          window.source = new EventSource({json.dumps(address)});
          source.onopen = () => opened++;
          source.onmessage = e => {{ const p = JSON.parse(e.data); got.push(p.channel + ' ' + p.data); window.last = e.lastEventId; }};
          for (const name of ['connection', 'presence', 'gap', 'unrecoverable', 'error'])
            source.addEventListener(name, e => {{ if (e.data) told.push(name); }});
        }})()""")
        browser.until("told.includes('connection') && told.includes('presence')")
        writer = Writer(sapphire, ["log:a", "log:b"])
        browser.until("got.length > 40")
        sapphire.kill("gateway")
        browser.until("opened === 2")
        counts = writer.finish()
        browser.until(f"got.length >= {sum(counts.values())}")
        got = browser.ask("got")
        for name, count in counts.items():
            assert [line for line in got if line.startswith(name)] == [f"{name} {number}" for number in range(count)]
        assert "gap" not in browser.ask("told") and "unrecoverable" not in browser.ask("told")
        # What will not change is final: no further attempt is made.
        browser.ask(f"""(() => {{ source.close(); window.refused = new EventSource({json.dumps(sapphire.url)} + '/sse?channel=%20'); }})()""")
        browser.until("refused.readyState === EventSource.CLOSED")


def test_curl_reads_both_forms(sapphire):
    sapphire.publish("log:a", {"n": 1})
    for path, mark in (("/sse", b"data: {\"channel\":\"log:a\""), ("/stream", b"{\"channel\":\"log:a\"")):
        done = subprocess.run(["curl", "-sN", "--max-time", "1", f"{sapphire.url}{path}?channel=log:a&since=start"],
                              capture_output=True, timeout=20)
        assert done.returncode == 28 and done.stdout.count(mark) == 1, done


def test_lines_are_one_json_value_each_and_resume(sapphire):
    with feed(sapphire, "log:a", "route", path="/stream") as stream:
        assert stream.headers["Content-Type"] == "application/x-ndjson"
        assert stream.line()["type"] == "connection"
        status, _, _ = sapphire.post("/api/publish", b'{"channel":"log:a","data":{"x":\n[1,\r\n2]}}', sapphire.key)
        assert status == 200
        envelope = stream.line()
        assert envelope["data"] == {"x": [1, 2]}
        sapphire.publish("log:a", "two")
        assert stream.line()["offset"] == 2
    # A position is as simple as what stands in the envelope.
    with feed(sapphire, "log:a", "route", path="/stream", since=f"log:a={envelope['epoch']}:1") as again:
        lines = [again.line(), again.line()]
        assert sorted(str(line.get("data")) for line in lines) == ["None", "two"]


def connections(sapphire):
    text = sapphire.get("/metrics")[2].decode()
    return next(int(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith("sapphire_gateway_connections"))


@pytest.mark.parametrize("door", ["sse", "stream"])
def test_a_client_that_has_said_all_goes_on_listening(sapphire, door):
    """As `printf … | nc` does: it closes its side and reads on, however early that is."""
    for waits in (False, True):
        with Wire(sapphire) as wire:
            wire.send(wire.head(f"GET /{door}?channel=half"))
            if waits:
                wire._until(b"connection")
            wire.socket.shutdown(socket.SHUT_WR)
            if not waits:
                wire._until(b"connection")
            for number in range(3):
                sapphire.publish("half", f"number {number}")
                wire._until(f"number {number}".encode())


@pytest.mark.parametrize("door", ["sse", "stream"])
def test_a_client_that_has_gone_is_found_at_once(sapphire, door):
    before = connections(sapphire)
    wires = [Wire(sapphire) for _ in range(10)]
    for wire in wires:
        wire.send(wire.head(f"GET /{door}?channel=left"))
        wire._until(b"connection")
    assert connections(sapphire) >= before + 10
    for wire in wires:
        wire.socket.close()
    eventually(3, "none of them is there", lambda: connections(sapphire) <= before + 1)
