"""Heartbeats and what they say of a connection (S002-04, S002-05, S002-06)."""
import json

import pytest

from platform_under_test import eventually, next_json, next_of, within
from raw_http import Wire

FAST = "{ limits: { pingInterval: '1s', pongTimeout: '900ms' } }"


def metrics(sapphire):
    text = sapphire.get("/metrics")[2].decode()
    return {name.partition("{")[0]: float(value) for name, _, value in
            (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#") and "bucket" not in line)}


def follows(told, late=0):
    """Whether score and grade are what docs/WEBSOCKET.md makes of the rest, whatever time the machine took."""
    waited, doublings = told["round_trip_ms"] + 2 * told["jitter_ms"], 0
    while waited > 40:
        waited, doublings = waited / 2, doublings + 1
    slowness = min(70, 9 * (doublings + max(0, waited / 20 - 1)))
    score = max(0, 100 - slowness - 10 * late - 15 * told["reconnects"])
    grade = next(word for least, word in ((80, "excellent"), (55, "good"), (30, "fair"), (0, "poor")) if told["score"] >= least)
    return abs(told["score"] - score) <= 1 and told["grade"] == grade


def test_tells_the_quality_to_those_who_ask_for_it(sapphire):
    async def scenario():
        async with sapphire.socket("/ws/route?quality=1") as raw, sapphire.socket("/ws/echo?quality=1") as echo:
            for socket in (raw, echo):
                told = await next_json(socket, 5)
                assert told["type"] == "quality" and follows(told), told
                assert told["loss"] == 0 and told["reconnects"] == 0
                assert 0 < told["round_trip_ms"] < 5000 and told["jitter_ms"] == 0
            await echo.send("as ever")
            assert await echo.recv() == "as ever"
    within(30, scenario())
    seen = metrics(sapphire)
    for name in ("round_trip_seconds", "jitter_seconds", "quality_score"):
        assert seen[f"sapphire_gateway_{name}_count"] == 2, name
    assert seen["sapphire_gateway_late_pongs_total"] == 0


@pytest.mark.configuration(FAST)
def test_tells_nobody_else(sapphire):
    async def scenario():
        async with sapphire.socket("/ws?channel=route") as plain, sapphire.socket("/ws?channel=route&quality=1") as asking:
            await next_of(plain, "connection")
            for _ in range(2):
                await next_of(asking, "quality")
            # Both are asked for heartbeats as often; whatever was said to the first would be there by now.
            await plain.send('{"type":"ping","id":1}')
            assert (await next_json(plain))["type"] == "pong"
    within(30, scenario())


def test_a_session_that_comes_back_scores_less(sapphire):
    async def scenario():
        async with sapphire.socket("/ws?channel=route") as first:
            session = (await next_of(first, "connection"))["session"]
        for times in (1, 2):
            async with sapphire.socket(f"/ws?channel=route&quality=1&session={session}") as socket:
                assert (await next_json(socket))["type"] == "connection", "the welcome comes first"
                told = await next_of(socket, "quality")
                assert told["reconnects"] == times and told["score"] <= 100 - 15 * times and follows(told), told
    within(30, scenario())


def test_an_answer_that_comes_late_is_lost_and_the_connection_goes_on(sapphire):
    with Wire(sapphire, seconds=10) as wire:
        wire.send(wire.head("GET /ws/route?quality=1", "Upgrade: websocket", "Connection: Upgrade",
                            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="))
        assert wire.answer().status == 101

        def frame():
            first, count = wire.take(2)
            if count == 126:
                count = int.from_bytes(wire.take(2), "big")
            return first & 15, wire.take(count)

        assert frame() == (9, b"")
        eventually(10, "the heartbeat counts as late",
                   lambda: metrics(sapphire)["sapphire_gateway_late_pongs_total"] == 1)
        wire.send(bytes([0x8A, 0x80, 0, 0, 0, 0]))
        kind, text = frame()
        told = json.loads(text)
        assert kind == 1 and told["type"] == "quality", text
        assert told["loss"] == 1 and told["round_trip_ms"] > 2000 and told["score"] < 40 and follows(told, late=1), told
