"""Back ends that keep their connection and say the same head again and again: it is read once, and nothing else is."""
import asyncio
import json
import os
import re
import subprocess

import pytest

from platform_under_test import eventually, executables, next_of
from raw_http import Wire


class BackEnd:
    """One kept connection that publishes with heads that differ in nothing but what it is told to."""

    def __init__(self, sapphire, wire, *fields, key=None, channel="kept"):
        self.wire, self.fields, self.key, self.channel = wire, fields, key or sapphire.key, channel

    def body(self, number):
        return json.dumps({"channel": self.channel, "data": f"{number:06}"}).encode()

    def request(self, number, key=None):
        body = self.body(number)
        return self.wire.head("POST /api/publish", f"X-API-Key: {key or self.key}", *self.fields,
                              f"Content-Length: {len(body)}") + body

    def publish(self, number, **changes):
        self.wire.send(self.request(number, **changes))
        return self.wire.answer()


def offset(answer):
    assert answer.status == 200, answer
    return json.loads(answer.body)["result"]["offset"]


def published(sapphire, channel="kept"):
    answer = sapphire.post("/api/history", {"channel": channel, "limit": 300}, sapphire.key)[2]
    return [p["data"] for p in answer["result"]["publications"]]


def metric(sapphire, name):
    text = sapphire.get("/metrics", **{"X-API-Key": sapphire.key})[2].decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.M))


def test_each_body_behind_the_same_head_is_its_own(sapphire):
    with Wire(sapphire) as wire:
        back_end = BackEnd(sapphire, wire)
        assert [offset(back_end.publish(n)) for n in range(20)] == list(range(1, 21))
    assert published(sapphire) == [f"{n:06}" for n in range(20)]


def test_the_same_head_may_come_in_pieces_and_several_at_once(sapphire):
    with Wire(sapphire) as wire:
        back_end = BackEnd(sapphire, wire)
        assert [offset(back_end.publish(n)) for n in range(3)] == [1, 2, 3]
        number = 3
        whole = len(back_end.request(0))
        for cut in range(1, whole, 7):
            request = back_end.request(number)
            wire.send(request[:cut])
            # Another connection's answer in between: the piece has been read by then.
            assert sapphire.get("/live")[0] == 200
            wire.send(request[cut:])
            number += 1
            assert offset(wire.answer()) == number
        wire.send(b"".join(back_end.request(number + n) for n in range(40)))
        assert [offset(wire.answer()) for _ in range(40)] == list(range(number + 1, number + 41))
    assert published(sapphire) == [f"{n:06}" for n in range(number + 40)][-300:]


def test_a_head_that_differs_anywhere_is_another(sapphire):
    with Wire(sapphire) as wire:
        back_end = BackEnd(sapphire, wire)
        for n in range(3):
            offset(back_end.publish(n))
        wrong = sapphire.key[:-1] + ("a" if sapphire.key[-1] != "a" else "b")
        assert back_end.publish(3, key=wrong).status == 401
        assert wire.closes()
    with Wire(sapphire) as wire:
        back_end = BackEnd(sapphire, wire)
        for n in range(3, 6):
            offset(back_end.publish(n))
        assert wire.ask("GET /live").status == 200
        body = b'{"channel":"kept","limit":1}'
        history = ("POST /api/history", f"X-API-Key: {sapphire.key}", f"Content-Length: {len(body)}")
        for _ in range(3):
            assert len(json.loads(wire.ask(*history, body=body).body)["result"]["publications"]) == 1
        assert offset(back_end.publish(6)) == 7
        # The body that such a head announces is none of JSON now.
        wire.send(back_end.request(7).replace(b"{", b"x"))
        assert wire.answer().status == 400
        assert offset(back_end.publish(8)) == 8


def test_what_a_head_says_of_its_answer_holds_each_time(sapphire):
    with Wire(sapphire) as wire:
        back_end = BackEnd(sapphire, wire, "X-Request-Id: mine-7", "Origin: http://localhost:3000")
        for n in range(4):
            answer = back_end.publish(n)
            assert offset(answer) == n + 1
            assert answer.fields["x-request-id"] == "mine-7"
            assert answer.fields["access-control-allow-origin"] == "http://localhost:3000"
    with Wire(sapphire) as wire:
        answers = [BackEnd(sapphire, wire).publish(n) for n in range(4)]
        assert len({answer.fields["x-request-id"] for answer in answers}) == 4
        assert all(answer.fields["vary"] == "Origin" for answer in answers)


def test_a_key_that_is_revoked_opens_nothing_on_a_connection_that_knew_it(sapphire):
    def key(*words):
        file = os.path.join(sapphire.data, "api.key")
        return subprocess.run([os.path.join(executables(), "sapphire"), "key", *words, "--file", file],
                              capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    till = key("make", "till", "--scopes", "publish")
    eventually(10, "the gateway knows the key",
               lambda: sapphire.post("/api/publish", {"channel": "kept", "data": 1}, till)[0] == 200)
    with Wire(sapphire) as wire:
        back_end = BackEnd(sapphire, wire, key=till)
        for n in range(3):
            offset(back_end.publish(n))
        key("revoke", "till")
        eventually(10, "the gateway refuses it",
                   lambda: sapphire.post("/api/publish", {"channel": "kept", "data": 1}, till)[0] == 401)
        assert back_end.publish(3).status == 401
        assert wire.closes()


@pytest.mark.configuration("{ limits: { requestsPerConnection: 5 } }")
def test_limits_bind_each_request_however_often_its_head_came(sapphire):
    with Wire(sapphire) as wire:
        back_end = BackEnd(sapphire, wire)
        answers = [back_end.publish(n) for n in range(5)]
        assert ["connection" in answer.fields for answer in answers] == [False] * 4 + [True]
        assert wire.closes()


@pytest.mark.configuration("{ gateway: { loops: 1 } }")
def test_what_nobody_listens_to_comes_back_to_no_gateway(sapphire):
    """The hub sends publications to gateways with listeners, and somebody who comes later misses nothing."""
    first = sapphire.publish("kept", {"n": 1})
    for n in range(2, 6):
        sapphire.publish("kept", {"n": n})
    assert metric(sapphire, "sapphire_gateway_publications_total") == 0

    async def scenario():
        position = f"{first['epoch']}:1"
        async with sapphire.socket(f"/ws?channel=kept&since={position}") as late, \
                sapphire.socket("/ws?channel=kept&since=start") as live:
            assert [(await next_of(live, "envelope"))["data"]["n"] for _ in range(5)] == [1, 2, 3, 4, 5]
            assert [(await next_of(late, "envelope"))["data"]["n"] for _ in range(4)] == [2, 3, 4, 5]
            for n in range(6, 9):
                sapphire.publish("kept", {"n": n})
            for socket in (late, live):
                assert [(await next_of(socket, "envelope"))["data"]["n"] for _ in range(3)] == [6, 7, 8]
    asyncio.run(scenario())
    assert metric(sapphire, "sapphire_gateway_publications_total") == 3


def test_listeners_come_and_go_while_others_publish_and_miss_nothing(sapphire):
    """A channel is opened for publishers alone, then for listeners too, in whichever order they come."""
    async def scenario(name):
        def publish(n):
            return asyncio.to_thread(sapphire.publish, name, {"n": n})
        async def listen(since, count):
            async with sapphire.socket(f"/ws?channel={name}&since={since}") as socket:
                return [(await next_of(socket, "envelope"))["data"]["n"] for _ in range(count)]
        first = await publish(0)
        sources = [publish(n) for n in range(1, 20)]
        listeners = [listen(f"{first['epoch']}:1", 19) for _ in range(3)]
        found = await asyncio.gather(*sources, *listeners)
        for numbers in found[19:]:
            assert sorted(numbers) == list(range(1, 20)), numbers
    for name in ("one", "two", "three"):
        asyncio.run(scenario(name))
