"""centrifuge-python that comes back: to its place, to a place that is gone, over dead gateways and hubs."""
import asyncio
import os

import pytest
from centrifuge import ReplyError

import signing
from people import of, until
from platform_under_test import Gateway, eventually


async def publish(platform, channel, numbers, seconds=10):
    """Publishes numbers; a service that is being started again is waited for."""
    def one(number):
        def answered():
            return platform.post("/api/publish", {"channel": channel, "data": {"n": number}}, platform.key)[0] == 200
        eventually(seconds, "publishing", answered)
    for number in numbers:
        await asyncio.to_thread(one, number)


def numbers(listener):
    return [value["n"] for value in listener.data]


@pytest.mark.parametrize("missed", [0, 3, 700], ids=["nothing", "a-few", "more-than-a-page"])
def test_whoever_comes_back_gets_what_it_missed(people, sapphire, codec, missed):
    async def body(person):
        channel = f"kept:back-{codec}-{missed}"
        await publish(sapphire, channel, [-1])
        client = await person().come()
        listener = await client.listen(channel)
        await publish(sapphire, channel, [0])
        await until("the first", lambda: listener.data)
        await client.disconnect()
        commands = [{"publish": {"channel": channel, "data": {"n": number}}} for number in range(1, missed + 1)]
        for start in range(0, missed, 100):
            await asyncio.to_thread(sapphire.post, "/api/batch", {"commands": commands[start:start + 100]}, sapphire.key)
        await client.come()
        await until("coming back", lambda: len(listener.all_of("subscribed")) == 2)
        again = listener.all_of("subscribed")[1]
        assert again.was_recovering and again.recovered
        await publish(sapphire, channel, [missed + 1])
        await until("all of it", lambda: len(listener.data) >= missed + 2)
        assert numbers(listener) == list(range(missed + 2))
        assert listener.offsets == list(range(2, missed + 4))
    people(body)


def test_whoever_comes_to_an_empty_history_recovers_its_first_publication(people, sapphire, codec):
    async def body(person):
        channel = f"kept:empty-{codec}"
        client = await person().come()
        listener = await client.listen(channel)
        await client.disconnect()
        await publish(sapphire, channel, [1])
        await client.come()
        await until("the first", lambda: listener.data)
        assert listener.all_of("subscribed")[1].recovered and numbers(listener) == [1]
    people(body)


def test_whoever_waits_for_a_channels_first_publication_can_come_back_too(people, sapphire, codec):
    async def body(person):
        channel, mine = f"kept:first-{codec}", f"kept:mine-{codec}"
        client = await person(token=signing.token("ann", channels=[mine])).come()
        listener = await client.listen(channel)
        await publish(sapphire, channel, [0, 1])
        await publish(sapphire, mine, [0])
        await until("both", lambda: len(listener.data) == 2 and client.server_publications)
        # It knew the epoch before there was anything, which no publication says.
        assert [context.code for context in listener.all_of("subscribing")] == [0]
        place = listener.all_of("subscribed")[0].stream_position
        assert place.offset == 0 and place.epoch
        await client.disconnect()
        await publish(sapphire, channel, [2])
        await publish(sapphire, mine, [1])
        await client.come()
        await until("the others", lambda: len(listener.data) == 3 and len(client.server_publications) == 2)
        assert numbers(listener) == [0, 1, 2] and listener.offsets == [1, 2, 3]
        assert listener.all_of("subscribed")[-1].recovered
        assert [data["n"] for _, data in client.server_publications] == [0, 1]
    people(body)


def test_what_is_gone_is_told(people, sapphire, codec):
    async def body(person):
        channel = f"short:gone-{codec}"
        client = await person().come()
        listener = await client.listen(channel)
        await publish(sapphire, channel, [0])
        await until("the first", lambda: listener.data)
        await client.disconnect()
        await publish(sapphire, channel, range(1, 6))
        await client.come()
        again = (await until("coming back", lambda: listener.all_of("subscribed")[1:]))[0]
        assert again.was_recovering and not again.recovered
        await publish(sapphire, channel, [6])
        await until("the newest", lambda: numbers(listener)[-1] == 6)
    people(body)


def test_channels_of_the_token_recover_as_well(people, sapphire, codec):
    async def body(person):
        channel = f"kept:server-{codec}"
        await publish(sapphire, channel, [-1])
        client = await person(token=signing.token("ann", channels=[channel])).come()
        await publish(sapphire, channel, [0])
        await until("the first", lambda: client.server_publications)
        await client.disconnect()
        await publish(sapphire, channel, [1, 2])
        await client.come()
        await until("the others", lambda: len(client.server_publications) == 3)
        assert [data["n"] for _, data in client.server_publications] == [0, 1, 2]
        assert [context.recovered for kind, context in client.server_told if kind == "subscribed"] == [False, True]
    people(body)


async def patiently(ask):
    """Asks until the answer is no longer that it will come later: each loop finds a service that is back by itself."""
    while True:
        try:
            return await ask()
        except ReplyError as error:
            if not error.temporary:
                raise
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("service", ["gateway", "hub", "eventstore"])
def test_nothing_is_lost_or_doubled_when_one_dies(people, sapphire, codec, service):
    async def body(person):
        channel = f"kept:dies-{codec}-{service}"
        client = await person().come()
        listener = await client.listen(channel)
        publisher = await person().come()
        done, stop = [], asyncio.Event()

        async def speak():
            number = 0
            while not stop.is_set():
                # Who got no answer asks the history whether it was done.
                try:
                    await asyncio.wait_for(publisher.publish(channel, publisher.said({"n": number})), 5)
                    done.append(number)
                except Exception:
                    await asyncio.sleep(0.05)
                number += 1
        speaking = asyncio.create_task(speak())
        await until("some", lambda: len(listener.data) > 20)
        await asyncio.to_thread(sapphire.kill, service)
        count = len(done)
        await until("more", lambda: len(done) > count + 20, 15)
        stop.set()
        await speaking
        head = (await patiently(lambda: client.history(channel, limit=0))).offset
        await until("the head", lambda: listener.offsets[-1] == head)
        assert listener.offsets == list(range(1, head + 1)), "each offset once, in order"
        seen = numbers(listener)
        assert len(set(seen)) == len(seen) and set(done) <= set(seen)
        assert all(context.recovered for context in listener.all_of("subscribed")[1:])
    people(body, 40)


def test_a_history_that_died_with_the_hub_is_told_as_lost(people, sapphire, codec):
    async def body(person):
        channel = f"room:epoch-{codec}"
        client = await person().come()
        listener = await client.listen(channel)
        await publish(sapphire, channel, [0, 1])
        await until("both", lambda: len(listener.data) == 2)
        await asyncio.to_thread(sapphire.kill, "hub")
        again = (await until("subscribing anew", lambda: listener.all_of("subscribed")[1:], 15))[0]
        assert listener.all_of("subscribing")[1].code == 2500
        assert again.was_recovering and not again.recovered
        assert len(client.all_of("connecting")) == 1, "the connection goes on"
        await publish(sapphire, channel, [2])
        await until("what follows", lambda: numbers(listener)[-1] == 2)
    people(body, 30)


def test_a_channel_of_the_token_whose_history_died_is_told_as_lost(people, sapphire, codec):
    async def body(person):
        channel = f"room:mine-{codec}"
        await publish(sapphire, channel, [0])
        client = await person(token=signing.token("ann", channels=[channel])).come()
        await asyncio.to_thread(sapphire.kill, "hub")
        # Libraries ask for no such channel anew by itself: they come back as a whole.
        again = await until("being sent back", lambda: client.all_of("connecting")[1:], 15)
        assert again[0].code == 3010
        told = await until("the channel", lambda: [c for kind, c in client.server_told if kind == "subscribed"][1:])
        assert told[0].was_recovering and not told[0].recovered
        await publish(sapphire, channel, [1])
        await until("what follows", lambda: (channel, {"n": 1}) in client.server_publications)
    people(body, 30)


def test_whoever_comes_back_to_another_gateway_is_at_the_same_place(people, sapphire, codec):
    async def body(person):
        channel = f"kept:elsewhere-{codec}"
        await publish(sapphire, channel, [0])
        client = await person().come()
        listener = await client.listen(channel)
        await client.disconnect()
        await publish(sapphire, channel, [1, 2])
        with Gateway(sapphire, configuration=os.path.join(sapphire.folder, "sapphire.json5")) as other:
            client._address = other.url.replace("http", "ws", 1) + "/connection/websocket"
            await client.come()
            await until("what was missed", lambda: len(listener.data) == 2)
            assert numbers(listener) == [1, 2] and listener.all_of("subscribed")[1].recovered
            await client.disconnect()
    people(body)


def test_a_gateway_that_stops_says_so(people, sapphire, codec):
    async def body(person):
        with Gateway(sapphire) as other:
            client = person()
            client._address = other.url.replace("http", "ws", 1) + "/connection/websocket"
            await client.come()
            other.process.terminate()
            again = await until("being let go", lambda: client.all_of("connecting")[1:])
            assert again[0].code == 3001
    people(body)
