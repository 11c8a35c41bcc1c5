"""permessage-deflate (RFC 7692) on client sockets: what is agreed to, what is shared, and what is stopped.

The rows are those of docs/RELIABILITY.md.
"""
import asyncio
import base64
import contextlib
import json
import re
import struct
import zlib

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory as Offer

from platform_under_test import Sapphire, eventually, next_json, next_message, next_of, within
from raw_http import Wire
from test_limits import close_code, frame, next_frame

# One loop: what it compresses is compressed once.
SHARED = """{ gateway: { loops: 1 }, compression: { threshold: "256B" },
  channels: [{ match: "terminal:*", compress: false }, { match: "*", history: { size: 100, ttl: "5m" } }] }"""
CONTEXTS = """{ gateway: { loops: 1 }, compression: { contextTakeover: true },
  channels: [{ match: "terminal:*", compress: false }, { match: "*", history: { size: 100, ttl: "5m" } }] }"""
OFF = """{ compression: { enabled: false } }"""
EVENT = json.dumps({"type": "position", "points": [{"latitude": 50.08804 + n, "longitude": 14.42076} for n in range(40)]})


def running(configuration):
    @pytest.fixture(scope="module")
    def platform():
        started = Sapphire()
        try:
            started.start(configuration)
            yield started
        finally:
            started.stop()
            started.remove()
    return platform


shared, contexts, off = running(SHARED), running(CONTEXTS), running(OFF)


# Helpers.

def opened(platform, path, *offers):
    """A raw socket behind its handshake, and the extensions that were agreed on."""
    wire = Wire(platform)
    answer = asked(wire, path, *offers)
    assert b" 101 " in answer, answer
    agreed = re.findall(rb"\r\nSec-WebSocket-Extensions: ([^\r]*)\r\n", answer)
    assert len(agreed) <= 1
    return wire, agreed[0].decode() if agreed else None


def asked(wire, path, *offers):
    wire.send(wire.head(f"GET {path}", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                        "Sec-WebSocket-Key: " + base64.b64encode(b"0123456789abcdef").decode(),
                        *[f"Sec-WebSocket-Extensions: {offer}" for offer in offers]))
    return wire._until(b"\r\n\r\n")


def deflated(data, bits=15):
    """One whole message, compressed by itself."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -bits)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflated(data):
    return zlib.decompressobj(-15).decompress(data + b"\x00\x00\xff\xff")


def metric(platform, name, **labels):
    text = platform.get("/metrics", **{"X-API-Key": platform.key})[2].decode()
    wanted = "".join(f'[^}}]*{key}="{value}"' for key, value in labels.items())
    return int(re.search(r"^sapphire_%s(?:\{%s[^}]*\})? (\d+)$" % (name, wanted), text, re.MULTILINE).group(1))


def resident(platform):
    with open(f"/proc/{platform.pid('gateway')}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+) kB", file.read()).group(1)) * 1024


# What is agreed to.

NONE = "server_no_context_takeover; client_no_context_takeover"


@pytest.mark.parametrize("offers, answer", [
    (["permessage-deflate"], NONE),
    (["permessage-deflate; client_max_window_bits"], NONE),
    (["permessage-deflate; client_max_window_bits=10"], NONE + "; client_max_window_bits=10"),
    (["permessage-deflate; client_max_window_bits=8"], NONE + "; client_max_window_bits=8"),
    (['permessage-deflate; server_max_window_bits="9"'], NONE + "; server_max_window_bits=9"),
    (["permessage-deflate; server_max_window_bits=14"], NONE + "; server_max_window_bits=12"),
    (["permessage-deflate; server_max_window_bits=15"], NONE + "; server_max_window_bits=15"),
    (["permessage-deflate; server_no_context_takeover; client_no_context_takeover"], NONE),
    # A window that can't be written is passed over, and so is what isn't known.
    (["permessage-deflate; server_max_window_bits=8"], None),
    (["permessage-deflate; server_max_window_bits=8, permessage-deflate"], NONE),
    (["permessage-deflate; mystery", "permessage-deflate; server_max_window_bits=12"],
     NONE + "; server_max_window_bits=12"),
    (["x-webkit-deflate-frame, permessage-bzip2, permessage-deflate"], NONE),
    (["permessage-deflate; server_max_window_bits"], None),
    (["permessage-deflate; server_max_window_bits=010"], None),
    (["permessage-deflate; client_max_window_bits=16"], None),
    (["permessage-deflate; server_no_context_takeover=true"], None),
    (["permessage-deflate; client_no_context_takeover; client_no_context_takeover"], None),
    (["Permessage-Deflate"], None), ([""], None), ([","], None), ([], None),
])
def test_agrees_to_what_the_standard_lets_it(shared, offers, answer):
    wire, agreed = opened(shared, "/ws/a", *offers)
    with wire:
        assert agreed == (answer and "permessage-deflate; " + answer)


@pytest.mark.parametrize("offer", ["permessage-deflate;", "=", "permessage-deflate; =1", "permessage deflate",
                                   'permessage-deflate; client_max_window_bits="1', "a; b=\"c d\""])
def test_a_list_that_is_none_fails_the_handshake(shared, offer):
    """RFC 6455 §9.1."""
    with Wire(shared) as wire:
        assert b" 400 " in asked(wire, "/ws/a", offer)


@pytest.mark.parametrize("path", ["/ws/a", "/ws?channel=a", "/ws/events/a", "/ws/echo"])
def test_what_is_off_is_not_agreed_to(off, path):
    wire, agreed = opened(off, path, "permessage-deflate")
    with wire:
        assert agreed is None
        # Row 69: a compressed frame that nothing was agreed about.
        wire.send(frame(0xC1, deflated(b"hello")))
        assert close_code(wire) == 1002


# What is shared.

def test_one_compression_serves_every_subscriber_of_a_window(shared):
    async def scenario():
        async with contextlib.AsyncExitStack() as stack:
            sockets = [await stack.enter_async_context(shared.socket("/ws/many")) for _ in range(12)]
            small = await stack.enter_async_context(
                shared.socket("/ws/many", extensions=[Offer(server_max_window_bits=10)], compression=None))
            plain = await stack.enter_async_context(shared.socket("/ws/many", compression=None))
            wrapped = [await stack.enter_async_context(shared.socket("/ws/many?envelope=1")) for _ in range(3)]
            for socket in wrapped:
                await next_of(socket, "connection")
            before = metric(shared, "gateway_compressions_total")
            sent = [EVENT.replace("position", f"position{n}") for n in range(20)]
            for message in sent:
                await plain.send(message)
            for socket in [*sockets, small, plain]:
                assert [await next_message(socket) for _ in sent] == sent
            for socket in wrapped:
                assert [(await next_of(socket, "envelope"))["data"] for _ in sent] == [json.loads(m) for m in sent]
            # One for each form: raw with 15 bits, raw with 9, envelopes with 15.
            assert metric(shared, "gateway_compressions_total") - before == 3 * len(sent)
    within(30, scenario())
    assert metric(shared, "gateway_compression_compressed_bytes_total") * 3 < metric(
        shared, "gateway_compression_plain_bytes_total")


def test_shared_messages_stand_alone_and_small_ones_are_not_compressed(shared):
    wire, _ = opened(shared, "/ws/alone", "permessage-deflate")
    with wire:
        for message in (EVENT, "small", EVENT):
            wire.send(frame(0x81, message.encode()))
        first, second, third = (next_frame(wire) for _ in range(3))
    assert first == third and first[0] == 0xC1 and inflated(first[1]) == EVENT.encode()
    assert second == (0x81, b"small")


def test_what_a_rule_leaves_out_and_what_is_told_is_never_compressed(contexts):
    """Row 87: a terminal's bytes, and the message that names the session."""
    wire, agreed = opened(contexts, "/ws/events/route", "permessage-deflate")
    with wire:
        first, welcome = next_frame(wire)
        assert first == 0x81 and json.loads(welcome)["session"] and len(welcome) > 64
        wire.send(frame(0x81, EVENT.encode()))
        assert next_frame(wire)[0] == 0xC1
    wire, agreed = opened(contexts, "/ws/terminal:1", "permessage-deflate")
    with wire:
        assert agreed
        wire.send(frame(0x82, b"x" * 5000))
        assert next_frame(wire) == (0x82, b"x" * 5000)


def test_a_kept_context_serves_one_connection_in_its_order(contexts):
    async def scenario():
        before = metric(contexts, "gateway_compressions_total")
        async with contexts.socket("/ws/kept") as one, contexts.socket("/ws/kept") as two, contexts.socket(
                "/ws?channel=kept&channel=terminal:kept") as many:
            assert not one.extensions[0].remote_no_context_takeover
            await next_of(many, "connection")
            assert metric(contexts, "gateway_compression_context_bytes") > 3 * 30_000
            for number in range(50):
                message = json.dumps({"type": "tick", "number": number, "text": "the same as always " * 5})
                await one.send(message)
                for socket in (one, two):
                    assert await next_message(socket) == message
                assert (await next_of(many, "envelope"))["data"]["number"] == number
                await many.send(json.dumps({"channel": "terminal:kept", "data": "secret " * 20}))
                assert (await next_of(many, "envelope"))["data"] == "secret " * 20
            # A replay goes through the same context as what comes after it.
            async with contexts.socket("/ws/kept?since=start") as late:
                assert [(await next_json(late))["number"] for _ in range(50)] == list(range(50))
                await one.send('{"number":50,"text":"' + "the same as always " * 5 + '"}')
                assert (await next_json(late))["number"] == 50
        assert metric(contexts, "gateway_compressions_total") - before >= 200
    within(30, scenario())
    eventually(5, "the contexts are given back", lambda: metric(contexts, "gateway_compression_context_bytes") == 0)


def test_a_replay_and_what_follows_it_can_be_read(shared):
    async def scenario():
        async with shared.socket("/ws/past") as socket:
            for number in range(5):
                await socket.send(json.dumps({"n": number, "text": EVENT}))
                await next_message(socket)
            async with shared.socket("/ws/past?since=start") as late:
                assert [(await next_json(late))["n"] for _ in range(5)] == list(range(5))
                await socket.send(json.dumps({"n": 5, "text": EVENT}))
                assert (await next_json(late))["n"] == 5
    within(30, scenario())


# What clients send.

def test_fragments_of_a_compressed_message_with_a_ping_between_them(shared):
    for path in ("/ws/echo", "/ws/pieces"):
        wire, _ = opened(shared, path, "permessage-deflate")
        with wire:
            data = deflated(EVENT.encode())
            wire.send(frame(0x41, data[:1]) + frame(0x89, b"still there?") + b"".join(
                frame(0x00, data[n:n + 1]) for n in range(1, len(data))) + frame(0x80))
            assert next_frame(wire) == (0x8A, b"still there?")
            first, payload = next_frame(wire)
            assert first == 0xC1 and inflated(payload) == EVENT.encode()


@pytest.mark.parametrize("frames, code", [
    (frame(0xC1, b"\xff\xff\xff"), 1007), (frame(0xC1, b""), 1007), (frame(0xC1, deflated(b"hello " * 99)[:-3]), 1007),
    (frame(0xC1, deflated(b"\xff\xfe")), 1007), (frame(0x41, deflated(b"a")) + frame(0xC0, b""), 1002),
    (frame(0xC9, b""), 1002), (frame(0xE1, b""), 1002), (frame(0xA1, b"a"), 1002),
], ids=["no deflate", "nothing", "cut off", "no UTF-8", "RSV1 inside", "a ping", "RSV2 too", "RSV2"])
@pytest.mark.parametrize("path", ["/ws/echo", "/ws/hostile"])
def test_what_is_no_compressed_message_is_closed_with_its_code(shared, path, frames, code):
    """Row 69."""
    wire, _ = opened(shared, path, "permessage-deflate")
    with wire:
        wire.send(frames)
        assert close_code(wire) == code


@pytest.mark.parametrize("payload", [b"\x00", b"\x02\x00", b"\x01\x00\x00\xff\xff\x00", b"\x03\x00\x00"])
def test_every_way_to_say_nothing_is_read(shared, payload):
    """Row 69: empty blocks, the last one marked as such or not."""
    wire, _ = opened(shared, "/ws/echo", "permessage-deflate")
    with wire:
        wire.send(frame(0xC1, payload))
        assert next_frame(wire) == (0x81, b"")


BOMB = deflated(bytes(64 << 20))


def test_a_hundred_bombs_at_once_are_stopped_at_the_cap(shared):
    """Row 67."""
    def explode():
        with contextlib.ExitStack() as stack:
            wires = [stack.enter_context(opened(shared, "/ws/bombs", "permessage-deflate")[0]) for _ in range(100)]
            for wire in wires:
                wire.send(frame(0xC2, BOMB))
            assert {close_code(wire) for wire in wires} == {1009}
    explode()  # What the allocator keeps of so many connections is there from now on.
    before = resident(shared)
    explode()
    assert resident(shared) - before < 8 << 20
    # A hundred times its 65 KB would be more than a message may have.
    assert metric(shared, "limit_reached_total", limit="wsMessageBytes") >= 200


@pytest.mark.parametrize("path, bomb, limit", [
    ("/ws/echo", BOMB, "wsInflateRatio"), ("/ws/b", BOMB, "wsMessageBytes"),
    ("/ws/b", deflated(bytes(2 << 20)), "wsMessageBytes")], ids=["64 MiB to echo", "64 MiB", "2 MiB"])
def test_a_message_that_unfolds_to_too_much_is_closed_with_1009(shared, path, bomb, limit):
    before = metric(shared, "limit_reached_total", limit=limit)
    wire, _ = opened(shared, path, "permessage-deflate")
    with wire:
        wire.send(frame(0xC2, bomb))
        assert close_code(wire) == 1009
    assert metric(shared, "limit_reached_total", limit=limit) == before + 1


def test_a_publication_of_any_size_that_is_allowed_may_be_as_dull_as_it_likes(shared):
    async def scenario():
        async with shared.socket("/ws/dull") as socket:
            for message in ("x" * 70000, "0" * (1 << 20), bytes(1 << 20)):
                await socket.send(message)
                assert await next_message(socket) == message
        async with shared.socket("/ws") as socket:
            await socket.send(json.dumps({"id": 1, "channel": "dull", "b64data": base64.b64encode(bytes(1 << 20)).decode()}))
            assert (await next_of(socket, "ack"))["id"] == 1
    within(30, scenario())


def test_a_kept_context_is_no_way_around_the_cap(contexts):
    """Row 67: many messages, each of which refers to the one before."""
    wire, _ = opened(contexts, "/ws/echo", "permessage-deflate")
    with wire:
        compressor = zlib.compressobj(9, zlib.DEFLATED, -15)

        def message(size):
            return (compressor.compress(b"x" * size) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
        for _ in range(20):
            wire.send(frame(0xC1, message(60_000)))
            assert next_frame(wire)[0] == 0xC1
        wire.send(frame(0xC1, message(2_000_000)))
        assert close_code(wire) == 1009


def test_a_thousand_clients_with_the_largest_window_cost_next_to_nothing(shared):
    """Row 68: each of them would have 308 KB of contexts."""
    count = 1000
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(opened(shared, "/ws/crowd", "permessage-deflate; server_max_window_bits=15")[0])
        before = resident(shared)
        wires = [stack.enter_context(opened(shared, "/ws/crowd", "permessage-deflate; server_max_window_bits=15")[0])
                 for _ in range(count)]
        for wire in wires:
            wire.send(frame(0x89))
        for wire in wires:
            assert next_frame(wire)[0] == 0x8A
        assert (resident(shared) - before) / count < 32 << 10


@pytest.mark.parametrize("is_compressed", [False, True])
def test_the_largest_message_in_65536_fragments(shared, is_compressed):
    wire, _ = opened(shared, "/ws/echo", *["permessage-deflate"] * is_compressed)
    text = b"".join(b"%015d\n" % number for number in range(1 << 20))
    assert len(text) == 16 << 20
    data = deflated(text) if is_compressed else text
    size = -(-len(data) // 65536)
    pieces = [data[n:n + size] for n in range(0, len(data), size)]
    pieces += [b""] * (65536 - len(pieces))
    mask = bytes(4)

    def piece(first, payload):
        length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
        return bytes([first]) + length + mask + payload
    with wire:
        wire.send(piece(0x41 if is_compressed else 0x01, pieces[0]) + b"".join(
            piece(0x00, each) for each in pieces[1:-1]) + piece(0x80, pieces[-1]))
        first, payload = next_frame(wire)
        assert first == (0xC1 if is_compressed else 0x81)
        assert (inflated(payload) if is_compressed else payload) == text
