"""A client that reads a long history slowly and steadily is alive, though its pongs come late."""
import struct
import time

import pytest

from platform_under_test import running
from raw_http import Wire

CONFIGURATION = """{ channels: [{ match: "log:*", history: { durable: true } }],
  limits: { pingInterval: "1s", pongTimeout: "500ms" } }"""
EVENTS, BYTES = 20, 400_000


@pytest.fixture(scope="module")
def impatient():
    with running(CONFIGURATION) as platform:
        yield platform


def frames(received):
    """(opcode, length) of each whole frame that a server sent, and what is left."""
    found, at = [], 0
    while at + 2 <= len(received):
        length, start = received[at + 1], at + 2
        if length == 126:
            if start + 2 > len(received):
                break
            length, start = struct.unpack_from(">H", received, start)[0], start + 2
        elif length == 127:
            if start + 8 > len(received):
                break
            length, start = struct.unpack_from(">Q", received, start)[0], start + 8
        if start + length > len(received):
            break
        found.append((received[at] & 15, length))
        at = start + length
    return found, received[at:]


def test_a_pong_that_stands_behind_megabytes_is_waited_for(impatient):
    for _ in range(EVENTS):
        impatient.publish("log:long", "x" * BYTES)
    # What the platform sends waits where it can see it: in its own kernel's buffer.
    with Wire(impatient, receive_buffer=1 << 16) as wire:
        wire.send(wire.head(
            "GET /ws/log:long?since=start", "Upgrade: websocket", "Connection: Upgrade",
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
        received, began, events, pings, latest = b"", time.monotonic(), 0, 0, 0.0
        while events < EVENTS:
            data = wire.socket.recv(1 << 15)
            assert data, f"closed after {events} events and {pings} pings"
            received += data
            if b"\r\n\r\n" in received[:1024] and received.startswith(b"HTTP/1.1 101"):
                received = received.split(b"\r\n\r\n", 1)[1]
            found, received = frames(received)
            for opcode, length in found:
                assert opcode != 8, f"a close after {events} events"
                events += opcode == 1 and length >= BYTES
                if opcode == 9:
                    pings += 1
                    wire.send(b"\x8a\x80\0\0\0\0")
            # Some 1.5 MB a second, whatever the reading itself takes.
            latest += len(data) / 1_500_000
            time.sleep(max(0, began + latest - time.monotonic()))
        assert pings >= 1 and time.monotonic() - began > 3
