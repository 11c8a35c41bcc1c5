"""Clients that send a byte now and then, or read none: each is given up in time and nobody else notices (row 70)."""
import os
import resource
import select
import socket
import time
from urllib.parse import urlsplit

import pytest

from platform_under_test import eventually, running

# A run of all tests has few of them; `LONG=1` (make test-long) as many as row 70 wants.
LONG = os.environ.get("LONG") == "1"
COUNT = 5000 if LONG else 200
TIMES = """{ limits: { httpHeadTimeout: '1s', wsHandshakeTimeout: '1s', httpBodyTimeout: '1s', httpIdleTimeout: '1s',
  wsFrameTimeout: '1s', transferRate: 1000000 } }"""
UPGRADE = ("GET /ws/echo HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")

# What is sent at once, then byte by byte; all of it comes too slowly.
FORMS = {
    "head": ("", "GET /live HTTP/1.1\r\nHost: {host}\r\nX: " + "x" * 1000),
    "body": ("POST /api/info HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {key}\r\nContent-Length: 100000\r\n\r\n", " " * 1000),
    "frame": (UPGRADE, "\x82\xfe\x7f\xff\x01\x02\x03\x04" + "x" * 1000),
    # Asks for more than the kernel holds and takes nothing of it.
    "answer": ("GET /app.js HTTP/1.1\r\nHost: {host}\r\n\r\n" * 600, ""),
}


def slow(form, host, key):
    """A socket that has sent the beginning of its form, and what it will send byte by byte."""
    first, rest = (text.replace("{host}", host).replace("{key}", key).encode("latin-1") for text in FORMS[form])
    connection = socket.socket()
    if form == "answer":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(10)
    connection.connect((host.split(":")[0], int(host.split(":")[1])))
    connection.setblocking(False)
    try:
        connection.send(first) if first else None
    except OSError:
        pass
    return connection, rest


def is_over(connection, form):
    """Whether the gateway has ended the connection; what it said before is read, but for who never reads."""
    try:
        if form == "answer":
            poll = select.poll()
            poll.register(connection, 0)
            return bool(poll.poll(0))
        while connection.recv(1 << 16):
            pass
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True


@pytest.mark.configuration(TIMES)
def test_slow_clients_are_given_up_and_nobody_else_notices(sapphire):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    host = urlsplit(sapphire.url).netloc
    before = len(os.listdir(f"/proc/{sapphire.pid('gateway')}/fd"))
    # Unread answers take memory of the kernel, so there are fewer of those.
    counts = {form: COUNT // 40 if form == "answer" else COUNT // 3 for form in FORMS}
    began = time.monotonic()
    connections = [(form, *slow(form, host, sapphire.key), 0) for form, count in counts.items() for _ in range(count)]
    slowest = 0.0
    try:
        while connections and time.monotonic() < began + (60 if LONG else 15):
            # Another client meanwhile.
            asked = time.monotonic()
            assert sapphire.get("/live")[0] == 200
            slowest = max(slowest, time.monotonic() - asked)
            left = []
            for form, connection, rest, sent in connections:
                try:
                    sent += connection.send(rest[sent:sent + 1]) if sent < len(rest) else 0
                except BlockingIOError:
                    pass
                except OSError:
                    pass
                if is_over(connection, form):
                    connection.close()
                else:
                    left.append((form, connection, rest, sent))
            connections = left
            time.sleep(0.1)
        seconds = time.monotonic() - began
        print(f"{counts} given up within {seconds:.1f} s; others waited {slowest * 1000:.0f} ms at most")
        assert not connections, [form for form, *_ in connections]
        assert slowest < 2, slowest
        eventually(10, "their descriptors are free again",
                   lambda: len(os.listdir(f"/proc/{sapphire.pid('gateway')}/fd")) <= before + 5)
    finally:
        for _, connection, _, _ in connections:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_half_message_right_behind_the_handshake_is_given_up_in_time():
    """A socket that holds nothing is not looked at before its next ping, which is 25 s away; this one holds something."""
    upgrade = UPGRADE.replace("/ws/echo", "/ws/glued")
    with running(TIMES.replace("{ limits", "{ gateway: { loops: 1 }, limits", 1)) as platform:
        host = urlsplit(platform.url).netloc
        place = (host.split(":")[0], int(host.split(":")[1]))
        with socket.create_connection(place, 10) as first, socket.create_connection(place, 10) as second:
            # The channel is open, so that nothing of the second has to wait.
            first.sendall(upgrade.format(host=host).encode())
            assert b" 101 " in first.recv(4096)
            platform.publish("glued", "open")
            assert b"open" in first.recv(4096)
            second.sendall(upgrade.format(host=host).encode() + b"\x81\xfe\x10\x00\x01\x02\x03\x04half")
            second.setblocking(False)
            eventually(10, "the end of the connection", lambda: is_over(second, "frame"))
