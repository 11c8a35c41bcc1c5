"""Slow clients (S002-02): what is urgent overtakes a backlog, nobody starves, and each channel takes its own steps."""
import json
import os
import random
import re
import socket
import ssl
import struct
import threading
import time
import zlib

import pytest

from platform_under_test import Sapphire, eventually, running
from raw_http import Wire

CONFIGURATION = """{
  channels: [
    { match: "alarm", priority: "state" },
    { match: "bulk:*", priority: "bulk", slowConsumer: { steps: ["skip"] } },
    { match: "cursor", type: "cursor", priority: "state" },
    { match: "keyed", slowConsumer: { steps: ["merge", "skip"], mergeBy: ".key", buffer: "1KiB" } },
    { match: "log:*", priority: "state", history: { durable: true } },
    { match: "strict", priority: "state", slowConsumer: { steps: ["disconnect"], buffer: "64KiB" } },
    { match: "patient", priority: "state", slowConsumer: { steps: ["skip", "disconnect"], buffer: "64KiB", patience: "1s" } },
    { match: "kept", priority: "state", history: { size: 20 } },
    { match: "*" },
  ],
  limits: { clientQueueBytes: "2MiB" },
}"""
# What stands before a message that is committed: the window, the kernel's, and the link's own.
SMALL = 16 * 1024


@pytest.fixture(scope="module")
def slow():
    with running(CONFIGURATION) as platform:
        yield platform


class Link:
    """A link of so many bytes a second between a client and the platform, one connection wide."""

    def __init__(self, sapphire, rate):
        self.rate, self.upstream = rate, sapphire.url.split("//")[1]
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.server = socket.socket()
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        self.server.connect((self.upstream.split(":")[0], int(self.upstream.split(":")[1])))
        self.open = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        self.client, _ = self.listener.accept()
        threading.Thread(target=self._up, daemon=True).start()
        began, passed = time.monotonic(), 0
        try:
            while data := self.server.recv(4096):
                self.client.sendall(data)
                passed += len(data)
                if not self.open.is_set():
                    # Whatever comes before is the link's to keep: it may pass as it came.
                    began, passed = time.monotonic(), 0
                time.sleep(max(0, began + passed / self.rate - time.monotonic()))
        except OSError:
            pass
        self.client.close()

    def _up(self):
        try:
            while data := self.client.recv(65536):
                self.server.sendall(data)
        except OSError:
            pass

    def close(self):
        self.server.close()
        self.listener.close()


class Client:
    """A subscriber on `/ws` that reads when it is told to."""

    def __init__(self, door, channels, receive_buffer=SMALL, query="", offer=None):
        self.wire = Wire(door, receive_buffer=receive_buffer, seconds=30)
        self.inflater = None
        if getattr(door, "context", None):
            self.wire.socket = door.context.wrap_socket(self.wire.socket, server_hostname="localhost")
        self.wire.send(self.wire.head(
            "GET /ws?" + "&".join("channel=" + name for name in channels) + query, "Upgrade: websocket", "Connection: Upgrade",
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            *([f"Sec-WebSocket-Extensions: {offer}"] if offer else [])))
        head = self.wire._until(b"\r\n\r\n")
        if offer:
            assert b"permessage-deflate" in head
            self.keeps = b"server_no_context_takeover" not in head
            self.inflater = zlib.decompressobj(-15)
        assert self.message()["type"] == "connection"

    def frame(self):
        first, second = self.wire.take(2)
        length = second & 127
        if length == 126:
            length, = struct.unpack(">H", self.wire.take(2))
        elif length == 127:
            length, = struct.unpack(">Q", self.wire.take(8))
        payload = self.wire.take(length)
        if first & 0x40:
            payload = self.inflater.decompress(payload + b"\0\0\xff\xff")
            if not self.keeps:
                self.inflater = zlib.decompressobj(-15)
        return first & 15, payload

    def message(self):
        while True:
            opcode, payload = self.frame()
            if opcode == 8:
                return {"type": "close", "code": struct.unpack(">H", payload[:2])[0]}
            if opcode == 1:
                return json.loads(payload)

    def until(self, wanted):
        """All messages up to the first that `wanted` says is the one."""
        seen = []
        while not seen or not wanted(seen[-1]):
            seen.append(self.message())
            assert seen[-1].get("type") != "close" or wanted(seen[-1]), seen[-1]
        return seen

    def say(self, **message):
        payload = json.dumps(message).encode()
        mask = b"\0\0\0\0"
        head = bytes([0x81, 0x80 | len(payload)]) if len(payload) < 126 else \
            bytes([0x81, 0xFE]) + struct.pack(">H", len(payload))
        self.wire.send(head + mask + payload)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wire.socket.close()


def flood(sapphire, channel, count, bytes_each, first=0):
    for number in range(first, first + count):
        sapphire.publish(channel, {"n": number, "pad": "x" * bytes_each})


def metric(sapphire, name, **labels):
    labels = {"service": "gateway", **labels}
    wanted = name + "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"
    text = sapphire.get("/metrics", **{"X-API-Key": sapphire.key})[2].decode()
    found = re.search("^" + re.escape(wanted) + r" ([0-9.e+]+)$", text, re.M)
    return float(found.group(1)) if found else 0.0


def number(message):
    return message["data"]["n"]


def test_what_is_urgent_overtakes_a_megabyte_on_a_slow_link(slow):
    link = Link(slow, rate=512 * 1024)
    with Client(link, ["alarm", "bulk:a"]) as client:
        link.open.set()
        flood(slow, "bulk:a", 80, SMALL)
        began = time.monotonic()
        slow.publish("alarm", {"n": 1})
        client.say(id="q", type="ping")
        seen = client.until(lambda m: m.get("channel") == "alarm")
        waited, before = time.monotonic() - began, sum(m.get("channel") == "bulk:a" for m in seen)
        print(f"fig: the alarm came after {waited:.2f} s and {before} of 80 bulk messages")
        assert before < 40 and waited < 1.5, "a backlog of 1.3 MB takes 2.6 s on this link"
        rest = seen + client.until(lambda m: m.get("channel") == "bulk:a" and number(m) == 79)
        assert [number(m) for m in rest if m.get("channel") == "bulk:a"] == list(range(80)), "in order, all of it"
        assert [m for m in rest if m.get("type") == "pong"], "an answer overtakes as well"
    link.close()
    assert metric(slow, "sapphire_gateway_lane_wait_seconds_count", lane="bulk") > 0
    assert metric(slow, "sapphire_gateway_slow_publications_total", step="buffer") > 0


def test_bulk_is_not_starved_by_what_is_urgent(slow):
    link = Link(slow, rate=1024 * 1024)
    with Client(link, ["alarm", "bulk:b"]) as client:
        link.open.set()
        flood(slow, "bulk:b", 40, 4096)
        flood(slow, "alarm", 60, SMALL)
        # A megabyte of alarms stands before it in urgency; it gets its part all the same.
        seen = client.until(lambda m: m.get("channel") == "alarm" and number(m) == 59)
        assert sum(m.get("channel") == "bulk:b" for m in seen) >= 10
        assert [number(m) for m in seen if m.get("channel") == "alarm"] == list(range(60))
    link.close()


def test_a_durable_channel_is_parked_and_read_on_without_loss_or_double(slow):
    with Client(slow, ["log:parked"]) as client:
        parked = metric(slow, "sapphire_gateway_slow_clients_total", step="park")
        flood(slow, "log:parked", 300, SMALL)
        assert metric(slow, "sapphire_gateway_slow_clients_total", step="park") > parked
        seen = client.until(lambda m: m.get("channel") == "log:parked" and number(m) == 299)
        assert [number(m) for m in seen] == list(range(300))
        assert [m["offset"] for m in seen] == list(range(1, 301))
        slow.publish("log:parked", {"n": 300})
        assert number(client.message()) == 300, "live again"


def test_what_is_in_no_history_is_told_as_a_gap_where_a_channel_is_parked(slow):
    with Client(slow, ["log:mixed"]) as client:
        for each in range(300):
            status, _, answer = slow.post("/api/publish", {
                "channel": "log:mixed", "data": {"n": each, "pad": "x" * SMALL}, "skip_history": each % 5 == 4}, slow.key)
            assert status == 200 and "result" in answer
        stored, live, missing = [], [], 0
        while len(stored) < 240 or len(live) + missing < 60:
            message = client.message()
            if message.get("type") == "gap":
                missing += message["dropped"]
            else:
                (stored if "offset" in message else live).append(number(message))
        assert stored == [n for n in range(300) if n % 5 != 4]
        assert live == sorted(set(live)) and missing > 0 and missing + len(live) == 60


def test_what_a_short_history_lost_is_told_in_its_place(slow):
    with Client(slow, ["kept"]) as client:
        flood(slow, "kept", 300, SMALL)
        seen = client.until(lambda m: m.get("channel") == "kept" and m.get("data", {}).get("n") == 299)
        at = 0
        for message in seen:
            if message.get("type") == "gap":
                at += message["dropped"]
            else:
                assert number(message) == at
                at += 1
        assert at == 300 and any(m.get("type") == "gap" for m in seen)


def test_skipping_leaves_out_the_oldest_and_says_how_many_in_their_place(slow):
    with Client(slow, ["bulk:c"]) as client:
        flood(slow, "bulk:c", 300, SMALL)
        seen = client.until(lambda m: m.get("channel") == "bulk:c" and m.get("data", {}).get("n") == 299)
        gaps = [m["dropped"] for m in seen if m.get("type") == "gap"]
        assert gaps and sum(gaps) + sum("data" in m for m in seen) == 300
        at = 0
        for message in seen:
            at += message["dropped"] if message.get("type") == "gap" else 1
            assert "data" not in message or number(message) == at - 1, "the gap stands where they are missing"
        assert number(seen[-2]) == 298, "the newest are what is kept"


def test_merging_keeps_the_last_value_of_each_key_and_tells_nothing(slow):
    with Client(slow, ["keyed", "bulk:d"]) as client:
        flood(slow, "bulk:d", 40, SMALL)
        for value in range(200):
            slow.publish("keyed", {"key": f"k{value % 5}", "n": value})
        slow.publish("bulk:d", {"n": 40, "pad": ""})
        seen = client.until(lambda m: m.get("channel") == "bulk:d" and number(m) == 40)
        keyed = [m["data"] for m in seen if m.get("channel") == "keyed"]
        last = {data["key"]: data["n"] for data in keyed}
        assert last == {f"k{k}": 195 + k for k in range(5)}
        assert len(keyed) < 60, "most were replaced"
        for key in last:
            values = [data["n"] for data in keyed if data["key"] == key]
            assert values == sorted(values)
        assert not [m for m in seen if m.get("type") == "gap"]
    assert metric(slow, "sapphire_gateway_slow_publications_total", step="merge") > 100


def test_a_rule_may_have_slow_clients_let_go_at_once_or_with_patience(slow):
    with Client(slow, ["strict"]) as client:
        flood(slow, "strict", 40, SMALL)
        assert client.until(lambda m: m.get("type") == "close")[-1]["code"] == 4008

    def disconnected():
        return metric(slow, "sapphire_gateway_slow_clients_total", step="disconnect")
    before = disconnected()
    with Client(slow, ["patient"]) as client:
        flood(slow, "patient", 60, SMALL)
        # It reads nothing until its patience, a second, has run out.
        eventually(10, "the end of patience", lambda: disconnected() > before)
        assert client.until(lambda m: m.get("type") == "close")[-1]["code"] == 4008
    assert before >= 1


def test_one_slow_channel_does_not_force_another_down_a_step(slow):
    with Client(slow, ["bulk:e", "quiet"]) as client:
        flood(slow, "bulk:e", 400, SMALL)
        flood(slow, "quiet", 20, 512)
        flood(slow, "bulk:e", 100, SMALL, first=400)
        seen = client.until(lambda m: m.get("channel") == "bulk:e" and m.get("data", {}).get("n") == 499)
        assert [number(m) for m in seen if m.get("channel") == "quiet" and "data" in m] == list(range(20))
        assert {m["channel"] for m in seen if m.get("type") == "gap"} == {"bulk:e"}


SECURE = """{ channels: [ { match: "state", priority: "state" }, { match: "log:*", history: { durable: true }, priority: "bulk" },
    { match: "*" } ], compression: { contextTakeover: %s }, limits: { clientQueueBytes: "1MiB" } }"""


@pytest.mark.parametrize("tls, offer", [(True, None), (False, "shared"), (False, "context"), (True, "context")],
                         ids=["tls", "shared", "context", "tls-context"])
def test_what_leaves_in_another_order_is_compressed_and_encrypted_in_that_order(tls, offer):
    sapphire = Sapphire()
    try:
        sapphire.start(SECURE % ("true" if offer == "context" else "false"), options=["--tls"] if tls else [])
        if tls:
            sapphire.context = ssl.create_default_context(
                cafile=os.path.join(sapphire.data, "tls", "certificate.pem"))
        words = random.Random(7)
        with Client(sapphire, ["state", "log:a", "other"], offer=offer and "permessage-deflate") as client:
            assert offer is None or client.keeps == (offer == "context")
            noise = [words.randbytes(9000).hex() for _ in range(8)]
            for number in range(120):
                sapphire.publish("log:a", {"n": number, "pad": noise[number % 8]})
                if number % 3 == 0:
                    sapphire.publish("other", {"n": number // 3, "pad": noise[number % 7][:3000]})
                if number % 10 == 0:
                    sapphire.publish("state", {"n": number // 10, "pad": noise[3][:2000]})
            client.say(id="last", type="ping")
            got = {"state": [], "log:a": [], "other": []}
            order = []
            while len(got["log:a"]) < 120:
                message = client.message()
                assert message.get("type") in (None, "pong"), message
                if "channel" in message:
                    got[message["channel"]].append(number_of(message, noise))
                    order.append(message["channel"])
            assert got == {"state": list(range(12)), "log:a": list(range(120)), "other": list(range(40))}
            assert order.index("other", order.index("log:a")) < 100
            assert "state" not in order[-20:], "what is urgent has not waited for the bulk"
    finally:
        sapphire.stop()
        sapphire.remove()


def number_of(message, noise):
    assert any(text.startswith(message["data"]["pad"]) for text in noise), "damaged"
    return number(message)
