"""Event streams and lines behind nginx and haproxy, and clients of theirs that are gone without a word."""
import json
import os
import subprocess
import sys
import time

import pytest

from platform_under_test import eventually
from proxies import Haproxy, Nginx
from raw_http import Wire
from test_sse import feed, is_reset

BEATS = """{ gateway: { trustedProxies: ['127.0.0.1'] }, limits: { pingInterval: '1s', pongTimeout: '900ms' },
  channels: [{ match: 'log:*', history: { durable: true } }, { match: '*', history: { size: 100 } }] }"""


def limit_reached(sapphire, name):
    text = sapphire.get("/metrics", **{"X-API-Key": sapphire.key})[2].decode()
    return next(float(line.rpartition(" ")[2]) for line in text.splitlines()
                if line.startswith("sapphire_limit_reached_total") and f'limit="{name}"' in line)


@pytest.mark.configuration(BEATS)
def test_a_client_whose_kernel_takes_no_heartbeat_is_given_up(sapphire):
    """As one that vanished: nothing that is sent is taken, and no word of an end comes. What waits is in the gateway's
    kernel alone, so only the heartbeat can tell."""
    wires = []
    for path in ("/sse?channel=a", "/stream?channel=a"):
        wire = Wire(sapphire, receive_buffer=4096)
        wire.send(wire.head(f"GET {path}"))
        wire._until(b"connection")
        wires.append(wire)
    with feed(sapphire, "a") as reader:
        reader.next("connection")
        # More than the clients' kernels have room for, and less than waits anywhere but in the gateway's.
        sapphire.publish("a", "x" * 12_000)
        reader.next()
        for wire in wires:
            eventually(15, "the connection is given up", lambda: is_reset(wire))
            wire.socket.close()
        # Who takes what comes stays, heartbeats and all.
        before = reader.comments
        sapphire.publish("a", "on")
        assert reader.next().json["data"] == "on" and reader.comments >= before
    assert limit_reached(sapphire, "pongTimeout") == 2


@pytest.mark.configuration(BEATS)
@pytest.mark.parametrize("kind", [Nginx, Haproxy], ids=["nginx", "haproxy"])
def test_streams_come_through_a_proxy_at_once_and_are_taken_up_again(sapphire, kind):
    with kind(sapphire) as proxy:
        with feed(proxy, "log:a", "b", since="start") as stream, feed(proxy, "log:a", path="/stream") as lines:
            assert stream.status == lines.status == 200
            stream.next("connection")
            assert lines.line()["type"] == "connection"
            waits = []
            for number in range(10):
                sent = time.monotonic()
                sapphire.publish("log:a", {"n": number})
                assert stream.next().json["data"] == {"n": number} == lines.line()["data"]
                waits.append(time.monotonic() - sent)
            # One that held them back would have held them back for ever, or until more had come.
            assert max(waits) < 1, waits
            # Heartbeats come through, too: without them a proxy would end what is quiet.
            quiet = time.monotonic()
            while stream.comments == 0:
                assert time.monotonic() - quiet < 10
                assert stream.answer.readline()[:1] in (b":", b"\n")
                stream.comments += 1
            last = stream.id
        for number in range(10, 20):
            sapphire.publish("log:a", {"n": number})
        sapphire.publish("b", "beside")
        with feed(proxy, "log:a", "b", last=last) as stream:
            got = [stream.next().json for _ in range(11)]
            assert [e["data"]["n"] for e in got if e["channel"] == "log:a"] == list(range(10, 20))
            assert [e["data"] for e in got if e["channel"] == "b"] == ["beside"]
            # The client is gone: the proxy tells, and nobody is left in the channel.
        def listed():
            return json.loads(sapphire.get("/channels", **{"X-API-Key": sapphire.key})[2])["channels"]
        eventually(10, "nobody listens", lambda: "b" not in listed())


if os.environ.get("LONG") == "1":
    def test_clients_whose_network_is_gone_are_given_up_within_an_interval_and_a_timeout():
        """Needs root for a network of its own, in which an address can go."""
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vanished.py")
        done = subprocess.run(["unshare", "-n", sys.executable, script], capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr[-2000:]
        took = json.loads(done.stdout)
        # Each 2 s, and two sweeps.
        assert set(took) == {"socket", "events", "lines"} and max(took.values()) < 7, took
