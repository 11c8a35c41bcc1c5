"""The protocol over HTTP: event streams and lines, spoken back to by /emulation, and doors for who only listens."""
import contextlib
import http.client
import json
import time
import urllib.parse

import pytest
from websockets.sync.client import connect

import signing
from people import Reader

SSE, LINES = "/connection/sse", "/connection/http_stream"


class Answer:
    """An answer without end, message by message; pings are left out, and counted."""

    def __init__(self, platform, path, body=None, **headers):
        address = platform.url.split("://")[1]
        self.connection = http.client.HTTPConnection(address, timeout=10)
        self.platform, self.pings, self.waiting = platform, 0, []
        self.connection.request("GET" if body is None else "POST", path, body, headers)
        self.answer = self.connection.getresponse()
        self.status, self.type = self.answer.status, self.answer.headers["Content-Type"]
        self.is_events = self.type == "text/event-stream"

    def lines(self):
        """The next message, as lines of JSON; none at the end."""
        while True:
            line = self.answer.readline()
            if not line:
                return []
            if not self.is_events:
                return [line.decode()]
            data = []
            while line.strip():
                assert line.startswith(b"data: "), line
                data.append(line[6:].decode())
                line = self.answer.readline()
            if data:
                return data

    def next(self):
        """The next reply or push; None at the end."""
        while not self.waiting:
            found = self.lines()
            if not found:
                return None
            replies = [json.loads(line) for line in found]
            self.pings += replies.count({})
            self.waiting = [reply for reply in replies if reply]
        return self.waiting.pop(0)

    def until_pings(self, count):
        """Reads on until so many pings have come; what else comes waits for `next`."""
        while self.pings < count:
            found = self.lines()
            assert found, "the answer ended"
            replies = [json.loads(line) for line in found]
            self.pings += replies.count({})
            self.waiting += [reply for reply in replies if reply]

    def until(self, what):
        while True:
            reply = self.next()
            assert reply is not None, f"the answer ended before {what} came"
            if what in reply or what in reply.get("push", {}):
                return reply

    def speak(self, connected, *commands):
        """Sends commands as the client of this stream; returns the status."""
        body = {"node": connected["node"], "session": connected["session"],
                "data": "\n".join(json.dumps(command) for command in commands)}
        return self.platform.post("/emulation", body)[0]

    def close(self):
        self.answer.close()
        self.connection.close()


@contextlib.contextmanager
def stream(platform, door, command=None, encoding=None, **headers):
    """A stream that begins with `command`: in the address of an event stream, in the body of another one."""
    command = json.dumps(command if command is not None else {"id": 1, "connect": {}})
    path, body = (f"{door}?cf_connect={urllib.parse.quote(command)}", None) if door.endswith("sse") else (door, command)
    answer = Answer(platform, path, body, **headers)
    try:
        yield answer
    finally:
        answer.close()


@pytest.mark.parametrize("door", [SSE, LINES])
def test_a_stream_is_spoken_back_to(sapphire, door):
    with stream(sapphire, door) as answer:
        assert answer.status == 200
        assert answer.type == ("text/event-stream" if door == SSE else "application/x-ndjson")
        connected = answer.until("connect")["connect"]
        assert len(connected["session"]) == 22 and connected["node"] and connected["pong"] is True
        channel = "kept:" + door.rsplit("/", 1)[1]
        # Each on a connection of its own, so that some come to another loop than the stream's.
        assert answer.speak(connected, {"id": 2, "subscribe": {"channel": channel}}) == 204
        assert answer.until("subscribe")["subscribe"]["recoverable"] is True
        for number in range(12):
            assert answer.speak(connected, {"id": 10 + number, "publish": {"channel": channel, "data": {"n": number}}}) == 204
        seen, ids = [], []
        while len(ids) < 12 or len(seen) < 12:
            reply = answer.next()
            if "id" in reply and "publish" in reply:
                ids.append(reply["id"])
            elif "pub" in reply.get("push", {}):
                seen.append(reply["push"]["pub"])
        assert sorted(ids) == list(range(10, 22)) and [item["offset"] for item in seen] == list(range(1, 13))


@pytest.mark.parametrize("door", [SSE, LINES])
def test_deltas_come_over_streams_live_and_after_coming_back(sapphire, door):
    channel = "kept:deltas-" + door.rsplit("/", 1)[1]
    documents = [{"n": number, "rows": [f"what stays the same, line {row}\nand more of \"it\"" for row in range(40)]}
                 for number in range(12)]

    @contextlib.contextmanager
    def reading(**place):
        with stream(sapphire, door) as answer:
            connected = answer.until("connect")["connect"]
            ask = {"channel": channel, "delta": "fossil", **place}
            assert answer.speak(connected, {"id": 2, "subscribe": ask}) == 204
            reply = answer.until("subscribe")["subscribe"]
            reader = Reader(reply)
            assert reader.is_delta
            yield reader, reply, answer

    def follow(reader, answer, count):
        while len(reader.read) < count:
            reader.take(answer.until("pub")["push"]["pub"])
        return [(offset, data) for offset, data, _ in reader.read]
    with reading() as (reader, begun, answer):
        for document in documents[:8]:
            sapphire.publish(channel, document)
        assert follow(reader, answer, 8) == list(enumerate(documents[:8], 1)) and reader.deltas == 7
    for document in documents[8:11]:
        sapphire.publish(channel, document)
    with reading(recover=True, epoch=begun["epoch"], offset=8) as (reader, again, answer):
        assert again["recovered"] and len(reader.read) == 3
        sapphire.publish(channel, documents[11])
        assert follow(reader, answer, 4) == list(enumerate(documents, 1))[8:] and reader.deltas >= 1


@pytest.mark.parametrize("door", [SSE, LINES])
def test_a_stream_whose_client_answers_no_ping_ends(sapphire, door):
    with stream(sapphire, door) as answer:
        answer.until("connect")
        assert answer.until("disconnect")["push"]["disconnect"] == {"code": 3012, "reason": "no pong", "reconnect": True}
        assert answer.next() is None


def test_a_client_that_answers_stays(sapphire):
    with stream(sapphire, SSE) as answer:
        connected, until = answer.until("connect")["connect"], time.monotonic() + 4
        while time.monotonic() < until:
            pings = answer.pings
            while answer.pings == pings:
                answer.waiting += [json.loads(line) for line in answer.lines()]
                answer.pings += answer.waiting.count({})
                answer.waiting = [reply for reply in answer.waiting if reply]
            assert answer.speak(connected, {}) == 204
        assert answer.pings >= 3 and not answer.waiting


def test_protobuf_is_streamed_as_it_is(sapphire):
    # connect {} under id 1: two fields, behind their length.
    answer = Answer(sapphire, LINES, b"\x04\x08\x01\x22\x00", **{"Content-Type": "application/octet-stream"})
    assert answer.status == 200 and answer.type == "application/octet-stream"
    length = answer.answer.read(1)[0]
    assert answer.answer.read(2) == b"\x08\x01" and length > 40
    answer.close()


@pytest.mark.parametrize("body, status", [
    ({"node": "x", "session": "y", "data": "{}"}, 404), ({}, 404), ({"node": 5}, 400), (b"[]", 400), (b"", 400),
])
def test_nobody_speaks_for_a_stream_that_is_not_there(sapphire, body, status):
    assert sapphire.post("/emulation", body)[0] == status


def test_a_stream_that_has_ended_is_not_there(sapphire):
    with stream(sapphire, LINES) as answer:
        connected = answer.until("connect")["connect"]
        assert answer.speak({**connected, "node": "0" * 16}, {}) == 404
    deadline = time.monotonic() + 5
    while answer.speak(connected, {}) != 404:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("door", [SSE, LINES, "/connection/uni_sse", "/connection/uni_http_stream"])
def test_who_is_not_let_in_is_told_in_the_stream(sapphire, door):
    ask = {"token": "no.such.token"}
    with stream(sapphire, door, ask if "uni_" in door else {"id": 1, "connect": ask}) as answer:
        told = answer.until("disconnect")
        assert (told.get("push") or told)["disconnect"]["code"] == 3500
        assert answer.next() is None


def test_a_stream_without_a_command_is_a_bad_request(sapphire):
    for door in (SSE, LINES, "/connection/uni_sse", "/connection/uni_http_stream"):
        assert sapphire.get(door)[0] == 400
    with stream(sapphire, LINES, {"id": 1, "subscribe": {"channel": "a"}}) as answer:
        assert answer.until("disconnect")["push"]["disconnect"]["code"] == 3501


# Doors for clients that only listen.

@pytest.mark.parametrize("door", ["/connection/uni_sse", "/connection/uni_http_stream"])
def test_who_only_listens_gets_pushes_and_comes_back_to_its_place(sapphire, door):
    channel = f"kept:{door.rsplit('/', 1)[1]}"
    sapphire.publish(channel, {"n": 0})
    token = signing.token("ann", channels=[channel])
    with stream(sapphire, door, {"token": token, "name": "tests"}) as answer:
        connected = answer.until("connect")["connect"]
        place = connected["subs"][channel]
        assert place["recoverable"] is True and place["offset"] == 1
        assert "pong" not in connected and "session" not in connected and connected["ping"] == 1
        sapphire.publish(channel, {"n": 1})
        push = answer.until("pub")
        assert push["channel"] == channel and push["pub"]["data"] == {"n": 1}
        # One a second, and none of them answered.
        answer.until_pings(answer.pings + 3)
        sapphire.publish(channel, {"n": 2})
        assert answer.until("pub")["pub"]["offset"] == 3, "it stays without answering"
    again = {channel: {"recover": True, "epoch": place["epoch"], "offset": 2}}
    with stream(sapphire, door, {"token": token, "subs": again}) as answer:
        place = answer.until("connect")["connect"]["subs"][channel]
        assert place["recovered"] is True and [item["data"] for item in place["publications"]] == [{"n": 2}]


@pytest.mark.parametrize("in_address", [False, True], ids=["message", "address"])
def test_a_socket_that_only_listens(sapphire, in_address):
    channel = f"room:uni-{in_address}"
    ask = json.dumps({"token": signing.token("ann", channels=[channel])})
    path = "/connection/uni_websocket" + (f"?cf_connect={urllib.parse.quote(ask)}" if in_address else "")
    with connect(sapphire.url.replace("http", "ws", 1) + path, proxy=None) as socket:
        if not in_address:
            socket.send(ask)
        assert channel in json.loads(socket.recv(5))["connect"]["subs"]
        socket.send('{"id":1,"publish":{"channel":"room:x","data":1}}')
        sapphire.publish(channel, {"n": 1})
        seen, until = [], time.monotonic() + 10
        while not any("pub" in message for message in seen) and time.monotonic() < until:
            seen.append(json.loads(socket.recv(5)))
        pushes = [message for message in seen if "pub" in message]
        assert pushes[0]["channel"] == channel and pushes[0]["pub"]["data"] == {"n": 1}
