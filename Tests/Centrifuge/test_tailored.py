"""Tag filters and deltas, together and with recovery: a client gets what its filter lets through, once, whatever happens."""
import asyncio
import contextlib
import json
import os
import random
import re

import pytest
from centrifuge import DeltaType
from centrifuge.filter import Filter
from websockets.asyncio.client import connect

from people import Listener, Reader, until
from platform_under_test import eventually
from test_raw import URL, Talker, talk

SEED = int(os.environ.get("SEED", "0")) or random.randrange(1 << 30)
KINDS = ["a", "b", "c"]
LEAF = {"key": "kind", "cmp": "eq", "val": "a"}


def publish(platform, channel, data, tags=None):
    status, _, answer = platform.post("/api/publish", {"channel": channel, "data": data, "tags": tags or {}}, platform.key)
    assert status == 200 and "result" in answer, answer
    return answer["result"]


def deltas(platform):
    """How many were made so far, on all loops."""
    text = platform.get("/metrics", **{"X-API-Key": platform.key})[2].decode()
    return sum(float(value) for value in re.findall(r"^sapphire_gateway_deltas_total\S* (\S+)", text, re.M))


def document(number, fill=40):
    return {"n": number, "items": [{"id": index, "text": f"what stays the same, row {index}"} for index in range(fill)]}


# Tags.

def test_tags_come_with_publications_and_stand_in_histories(sapphire):
    async def body(client):
        await client.come()
        for channel in ["kept:tags", "room:tags"]:
            reader = Reader((await client.ask(subscribe={"channel": channel}))["subscribe"])
            given = {"kind": "a", "ü": "\"ö\"", "empty": ""}
            await asyncio.to_thread(publish, sapphire, channel, {"n": 1}, given)
            await asyncio.to_thread(publish, sapphire, channel, {"n": 2})
            assert await reader.reads(client, 2) == [(1, {"n": 1}, given), (2, {"n": 2}, None)]
            found = (await client.ask(history={"channel": channel, "limit": 10}))["history"]["publications"]
            assert [publication.get("tags") for publication in found] == [given, None]
            answer = sapphire.post("/api/history", {"channel": channel, "limit": 10}, sapphire.key)[2]["result"]
            assert [publication.get("tags") for publication in answer["publications"]] == [given, None]
    talk(sapphire, body)


@pytest.mark.parametrize("tags", [{"a": 1}, {"": "x"}, ["a"], "a", {"a": "x" * 5000}, {str(n): "" for n in range(65)}],
                         ids=["a-number", "no-name", "a-list", "a-text", "too-long", "too-many"])
def test_what_are_no_tags_is_refused(sapphire, tags):
    status, _, answer = sapphire.post("/api/publish", {"channel": "room:no-tags", "data": {}, "tags": tags}, sapphire.key)
    assert (status, answer["error"]["code"]) == (200, 107) and "tags" in answer["error"]["message"], answer


# Filters.

@pytest.mark.parametrize("tf", [{"op": "xor"}, {"key": "kind", "cmp": "eq"}, {"op": "not", "nodes": []}, {"cmp": "like"}])
def test_what_is_no_filter_is_refused(sapphire, tf):
    async def body(client):
        await client.come()
        assert (await client.ask(subscribe={"channel": "room:tf", "tf": tf}))["error"]["code"] == 107
        assert "subscribe" in await client.ask(subscribe={"channel": "room:tf", "tf": LEAF})
    talk(sapphire, body)


# Deltas.

def test_a_delta_is_made_once_for_all_who_have_the_same(sapphire):
    async def body(first):
        channel, address = "room:shared", sapphire.url.replace("http", "ws", 1) + URL
        async with contextlib.AsyncExitStack() as stack:
            talkers = [first] + [Talker(await stack.enter_async_context(connect(address, proxy=None))) for _ in range(7)]
            readers = []
            for talker in talkers:
                await talker.come()
                readers.append(Reader((await talker.ask(subscribe={"channel": channel, "delta": "fossil"}))["subscribe"]))
            before = deltas(sapphire)
            for number in range(10):
                await asyncio.to_thread(publish, sapphire, channel, document(number))
            for talker, reader in zip(talkers, readers):
                assert [data for _, data, _ in await reader.reads(talker, 10)] == [document(n) for n in range(10)]
                assert reader.deltas == 9
            assert 9 <= deltas(sapphire) - before <= 18, "once for each of two loops"
    talk(sapphire, body)


def test_deltas_go_on_from_what_was_recovered(sapphire):
    async def body(client):
        channel = "room:again"
        await client.come()
        for number in range(3):
            await asyncio.to_thread(publish, sapphire, channel, document(number))
        first = (await client.ask(subscribe={"channel": channel}))["subscribe"]
        await client.ask(unsubscribe={"channel": channel})
        await asyncio.to_thread(publish, sapphire, channel, document(3))
        reader = Reader((await client.ask(subscribe={
            "channel": channel, "delta": "fossil", "recover": True, "epoch": first["epoch"], "offset": 1}))["subscribe"])
        await asyncio.to_thread(publish, sapphire, channel, document(4))
        assert [data["n"] for _, data, _ in await reader.reads(client, 4)] == [1, 2, 3, 4]
        assert reader.deltas >= 1, "the one after those that were missed"
    talk(sapphire, body)


def test_payloads_of_every_kind_travel_as_deltas(sapphire):
    async def body(client):
        channel = "room:kinds"
        await client.come()
        reader = Reader((await client.ask(subscribe={"channel": channel, "delta": "fossil"}))["subscribe"])
        texts = ["zwölf \u2028 \" \\ " * 20 + str(number) for number in range(3)]
        values = [texts[0], texts[1], {"a": texts[2]}, [texts[2]], 7, "", document(1), {"a": "\u00e4" * 300}, {"a": "\u00e5" * 300}]
        for value in values:
            await asyncio.to_thread(publish, sapphire, channel, value)
        assert [data for _, data, _ in await reader.reads(client, len(values))] == values
        assert reader.deltas >= 2
    talk(sapphire, body)


# All of it together.

def some_filter(chance):
    """A filter, and what it means."""
    kind, least = chance.choice(KINDS), chance.randrange(100)
    return chance.choice([
        (None, lambda tags: True),
        (Filter.eq("kind", kind), lambda tags: tags["kind"] == kind),
        (Filter.negate(Filter.eq("kind", kind)), lambda tags: tags["kind"] != kind),
        (Filter.all(Filter.eq("kind", kind), Filter.gte("number", str(least))),
         lambda tags: tags["kind"] == kind and int(tags["number"]) >= least),
        (Filter.any(Filter.eq("kind", kind), Filter.exists("rare")), lambda tags: tags["kind"] == kind or "rare" in tags),
    ])


def some_data(chance, number, before):
    """Mostly a little changed; now and then something else altogether."""
    if before is None or chance.random() < 0.2:
        return chance.choice([document(number), {"n": number}, {"n": number, "text": "Füll" * chance.randrange(300)}])
    after = json.loads(json.dumps(before))
    after["n"] = number
    if after.get("items"):
        chance.choice(after["items"])["text"] = f"changed by {number}, ß"
    return after


@pytest.mark.parametrize("channel", ["kept:model", "room:model"])
def test_filters_deltas_and_recovery_are_as_the_model_says(people, sapphire, codec, channel):
    print(f"SEED={SEED}")
    chance = random.Random(f"{SEED} {channel} {codec}")
    name = f"{channel}-{codec}"
    publish(sapphire, name, {"n": "before"}, {"kind": "b", "number": "0"})
    published = []

    async def body(person):
        clients = []
        for number in range(6):
            client = await person().come()
            tf, admits = some_filter(chance)
            listener = Listener(client, name)
            # The library refuses both together, since its own server can't; the protocol has them.
            listener.subscription._tags_filter = tf
            listener.subscription._delta = DeltaType.FOSSIL if number < 4 else None
            await listener.subscription.subscribe()
            await asyncio.wait_for(listener.subscription.ready(), 10)
            clients.append((client, listener, admits))
        before = None
        # Fewer than `room:*` keeps: what was trimmed could not be recovered.
        for number in range(90):
            before = some_data(chance, number, before)
            tags = {"kind": chance.choice(KINDS), "number": str(chance.randrange(100))}
            if chance.random() < 0.1:
                tags["rare"] = ""
            offset = (await published_when_it_can_be(sapphire, name, before, tags))["offset"]
            published.append((offset, before, tags))
            if number == 45 and channel.startswith("kept"):
                await asyncio.to_thread(sapphire.kill, "hub")
            if chance.random() < 0.25:
                await part(chance, chance.choice(clients)[0])
        for client, listener, admits in clients:
            wanted = [(offset, data) for offset, data, tags in published if admits(tags)]
            await client.connect()
            try:
                await until("all that the filter lets through", lambda: len(listener.data) >= len(wanted), 15)
            finally:
                got = list(zip(listener.offsets, listener.data))
                assert got == wanted[:len(got)], f"SEED={SEED}"
            assert got == wanted
            told = listener.all_of("subscribed")[1:]
            assert all(context.recovered for context in told), f"SEED={SEED}"
    people(body, seconds=50)


async def published_when_it_can_be(platform, channel, data, tags):
    """A hub that is being started again is waited for; the key has it published once."""
    answers = []
    body = {"channel": channel, "data": data, "tags": tags, "idempotency_key": str(data["n"])}

    def answered():
        status, _, answer = platform.post("/api/publish", body, platform.key)
        answers.append(answer)
        return status == 200
    await asyncio.to_thread(eventually, 10, "publishing", answered)
    return answers[-1]["result"]


async def part(chance, client):
    """The client leaves and comes back later, or its connection breaks."""
    if chance.random() < 0.5 and client._conn is not None:
        client._conn.transport.abort()
    else:
        await client.disconnect()
        if chance.random() < 0.7:
            await client.connect()
