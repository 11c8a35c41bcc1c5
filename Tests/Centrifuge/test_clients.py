"""centrifuge-python in both codecs: connecting, channels, histories, presence, tokens (S004-17…21)."""
import asyncio
import time

import pytest
from centrifuge import ClientState, DeltaType, ReplyError, StreamPosition, SubscriptionState

import signing
from people import of, until


RULES = """
  { match: "others:kept:*", history: { durable: true }, options: { toPublisher: false }, subscribe: "anonymous",
    publish: "anonymous", readHistory: "anonymous" },
  { match: "others:short:*", history: { size: 9 }, options: { toPublisher: false }, subscribe: "anonymous",
    publish: "anonymous", readHistory: "anonymous" },
"""


def name(kind, codec):
    name.count += 1
    return f"{kind}:{codec}{name.count}"


name.count = 0


async def refused(awaitable):
    with pytest.raises(ReplyError) as caught:
        await awaitable
    return caught.value.code


# Connecting.

def test_a_client_comes_and_goes_as_often_as_it_likes(people, codec):
    async def body(person):
        client = person(data={"json": {"for": "nobody"}, "protobuf": b"nobody"}[codec], name="tests", version="1")
        seen = set()
        for _ in range(3):
            await client.come()
            seen.add(client.all_of("connected")[-1].client)
            await client.disconnect()
            assert client.state == ClientState.DISCONNECTED
        assert len(seen) == 3 and all(len(text) == 16 for text in seen)
    people(body)


@pytest.mark.waits
def test_it_stays_while_nothing_is_said(people):
    async def body(person):
        client = await person(max_server_ping_delay=1.5).come()
        await asyncio.sleep(4)
        assert client.state == ClientState.CONNECTED and len(client.all_of("connecting")) == 1
    people(body)


def test_a_token_says_who_it_is(people, sapphire, codec):
    async def body(person):
        async def token():
            return signing.token("ann")
        client = await person(get_token=token).come()
        listener = await client.listen(name("members", codec))
        who = list((await listener.subscription.presence()).clients.values())
        assert [info.user for info in who] == ["ann"]
        await listener.subscription.publish(client.said({"a": 1}))
        publication = (await until("a publication", lambda: listener.publications))[0]
        assert publication.info.user == "ann" and publication.info.client == client.all_of("connected")[0].client
    people(body)


def test_a_token_of_nobody_is_the_end(people):
    async def body(person):
        client = person(token="no.such.token")
        await client.connect()
        ends = await until("the end", lambda: client.all_of("disconnected"))
        assert ends[0].code == 3500
    people(body)


def test_an_expired_token_is_replaced(people):
    async def body(person):
        given = [signing.token("ann", life=-10), signing.token("ann")]

        async def token():
            return given.pop(0)
        client = await person(get_token=token).come()
        assert not given and client.state == ClientState.CONNECTED
    people(body)


@pytest.mark.waits
def test_a_connection_is_refreshed_before_it_ends(people):
    async def body(person):
        asked = []

        async def token():
            asked.append(time.monotonic())
            return signing.token("ann", life=4)
        client = await person(get_token=token).come()
        await asyncio.sleep(6)
        assert len(asked) >= 2 and len(client.all_of("connecting")) == 1, "it was refreshed, and never let go"
    people(body)


@pytest.mark.waits
def test_without_a_new_token_it_ends_and_the_client_asks_to_come_back(people):
    async def body(person):
        client = await person(token=signing.token("ann", life=2)).come()
        again = await until("being let go", lambda: client.all_of("connecting")[1:] or client.all_of("disconnected"))
        assert again[0].code in (3005, 1), again[0]
    people(body)


# Channels.

def test_publications_come_as_they_were_published(people, codec):
    async def body(person):
        client = await person().come()
        listener = await client.listen(name("room", codec))
        said = [{"a": [1, {"b": None}]}, [1, 2], {"text": "zwölf\n\"\u2028"}, {}]
        for value in said:
            await listener.subscription.publish(client.said(value))
        await until("all of them", lambda: len(listener.data) == len(said))
        assert listener.data == said and listener.offsets == [1, 2, 3, 4]
    people(body)


def test_codecs_understand_each_other(people, codec):
    async def body(person):
        one, other = await person().come(), await person(codec={"json": "protobuf", "protobuf": "json"}[codec]).come()
        channel = name("room", codec)
        here, there = await one.listen(channel), await other.listen(channel)
        await here.subscription.publish(one.said({"from": "one"}))
        await there.subscription.publish(other.said({"from": "other"}))
        await until("both", lambda: len(here.data) == len(there.data) == 2)
        assert here.data == there.data == [{"from": "one"}, {"from": "other"}]
        assert here.offsets == there.offsets == [1, 2]
    people(body)


def test_bytes_arrive_as_bytes_or_say_that_they_were(people, sapphire, codec):
    async def body(person):
        client = await person().come()
        listener = await client.listen(name("room", codec))
        channel = listener.subscription.channel
        await asyncio.to_thread(sapphire.post, "/api/publish", {"channel": channel, "b64data": "AP/+"}, sapphire.key)
        await asyncio.to_thread(sapphire.publish, channel, "text")
        await until("both", lambda: len(listener.data) == 2)
        first, second = listener.publications
        if codec == "protobuf":
            assert (first.data, second.data, first.tags) == (b"\x00\xff\xfe", b"text", {})
        else:
            assert (first.data, first.tags, second.data, second.tags) == ("AP/+", {"encoding": "base64"}, "text", {})
    people(body)


def test_whoever_leaves_a_channel_hears_no_more_of_it(people, codec):
    async def body(person):
        client = await person().come()
        here, there = await client.listen(name("room", codec)), await client.listen(name("room", codec))
        await here.subscription.unsubscribe()
        await client.publish(here.subscription.channel, client.said({}))
        await client.publish(there.subscription.channel, client.said({}))
        await until("the other channel's", lambda: there.data)
        assert here.data == [] and here.subscription.state == SubscriptionState.UNSUBSCRIBED
    people(body)


def test_what_is_not_permitted_is_refused(people, codec):
    async def body(person):
        client = await person().come()
        for channel, code in ((name("hidden", codec), 103), (name("members", codec), 103), ("no channel!", 102)):
            listener = client.new_subscription(channel)
            ended = asyncio.Future()

            async def unsubscribed(context):
                ended.done() or ended.set_result(context.code)
            listener.events.on_unsubscribed = unsubscribed
            await listener.subscribe()
            assert await ended == code, channel
            assert await refused(client.publish(channel, client.said({}))) == code
        assert client.state == ClientState.CONNECTED
    people(body)


def test_a_channel_is_subscribed_to_though_the_client_asks_for_deltas(people, codec):
    async def body(person):
        client = await person().come()
        listener = await client.listen(name("room", codec), delta=DeltaType.FOSSIL)
        await listener.subscription.publish(client.said({"a": "x" * 200}))
        await listener.subscription.publish(client.said({"a": "x" * 199}))
        await until("both", lambda: len(listener.data) == 2)
        assert listener.data == [{"a": "x" * 200}, {"a": "x" * 199}]
    people(body)


def test_an_unknown_procedure_is_an_error(people):
    async def body(person):
        client = await person().come()
        assert await refused(client.rpc("nothing", client.said({}))) == 104
    people(body)


# Histories and presence.

def test_a_history_is_read_from_either_end(people, codec):
    async def body(person):
        client = await person().come()
        listener = await client.listen(name("kept", codec))
        history = listener.subscription.history
        for number in range(5):
            await listener.subscription.publish(client.said({"n": number}))

        def numbers(result):
            return [of(publication.data)["n"] for publication in result.publications]
        position = await history(limit=0)
        assert numbers(position) == [] and position.offset == 5 and position.epoch
        assert numbers(await history(limit=-1)) == [0, 1, 2, 3, 4]
        assert numbers(await history(limit=-1, reverse=True)) == [4, 3, 2, 1, 0]
        assert numbers(await history(limit=2)) == [0, 1]
        place = StreamPosition(offset=2, epoch=position.epoch)
        assert numbers(await history(limit=2, since=place)) == [2, 3]
        assert await refused(history(limit=2, since=StreamPosition(offset=2, epoch="another"))) == 112
        assert await refused(history(limit=2, since=StreamPosition(offset=9, epoch=position.epoch))) == 112
        assert await refused(client.history(name("plain", codec), limit=1)) == 108
    people(body)


def test_members_are_seen_and_seen_to_come_and_go(people, codec):
    async def body(person):
        channel = name("room", codec)
        ann = await person(token=signing.token("ann", info={"name": "Ann"})).come()
        here = await ann.listen(channel, join_leave=True)
        bob = await person(token=signing.token("bob")).come()
        await bob.listen(channel)
        joined = await until("bob", lambda: [info for info in here.joined if info.user == "bob"])
        assert joined[0].client == bob.all_of("connected")[0].client
        stats = await here.subscription.presence_stats()
        assert (stats.num_clients, stats.num_users) == (2, 2)
        people = {info.user: info for info in (await here.subscription.presence()).clients.values()}
        assert sorted(people) == ["ann", "bob"] and of(people["ann"].conn_info) == {"name": "Ann"}
        await bob.disconnect()
        left = await until("bob leaving", lambda: here.left)
        assert [info.user for info in left] == ["bob"]
        assert [info.user for info in here.joined] == ["ann", "bob"], "its own join, then the other's, each once"
    people(body)


def test_what_is_said_of_a_client_everywhere_and_in_a_channel_is_told_apart(people, codec):
    async def body(person):
        channel = name("members", codec)
        bob = await person(token=signing.token("bob")).come()
        there = await bob.listen(channel, join_leave=True)
        ann = await person(token=signing.token("ann", info={"name": "Ann"})).come()

        async def token(channel):
            return signing.token("ann", channel=channel, info={"seat": 4}, data={"told": [1, "once"]})
        hers = await ann.listen(channel, get_token=token)
        assert of(hers.all_of("subscribed")[0].data) == {"told": [1, "once"]}
        assert there.all_of("subscribed")[0].data is None
        joined = await until("ann", lambda: [info for info in there.joined if info.user == "ann"])
        await hers.subscription.publish(ann.said({"n": 1}))
        await there.subscription.publish(bob.said({"n": 2}))
        await until("both", lambda: len(there.publications) == 2)
        of_ann, of_bob = [publication.info for publication in there.publications]
        present = {info.user: info for info in (await there.subscription.presence()).clients.values()}
        kept = (await there.subscription.history(limit=-1)).publications
        for info in [joined[0], of_ann, present["ann"], kept[0].info]:
            assert (of(info.conn_info), of(info.chan_info)) == ({"name": "Ann"}, {"seat": 4}), info
        for info in [of_bob, present["bob"], kept[1].info]:
            assert not info.conn_info and not info.chan_info and info.user == "bob", info
        await ann.disconnect()
        left = await until("ann leaving", lambda: there.left)
        assert (of(left[0].conn_info), of(left[0].chan_info)) == ({"name": "Ann"}, {"seat": 4})
    people(body)


@pytest.mark.parametrize("history", ["kept", "short"])
def test_who_publishes_for_others_gets_theirs_and_not_its_own(people, codec, history):
    async def body(person):
        channel = name(f"others:{history}", codec)
        ann, bob = [await person().come() for _ in range(2)]
        hers, his = await ann.listen(channel), await bob.listen(channel)
        await hers.subscription.publish(ann.said({"by": "ann"}))
        await his.subscription.publish(bob.said({"by": "bob"}))
        await until("each other's", lambda: hers.data and his.data)
        assert (hers.data, hers.offsets, his.data, his.offsets) == ([{"by": "bob"}], [2], [{"by": "ann"}], [1])
        kept = await (await person().come()).history(channel, limit=-1)
        assert [of(publication.data) for publication in kept.publications] == [{"by": "ann"}, {"by": "bob"}]
    people(body)


# Subscription tokens, server-side channels, the server API.

@pytest.mark.waits
def test_a_subscription_token_opens_its_channel(people, codec):
    async def body(person):
        channel = name("hidden", codec)
        client = await person(token=signing.token("ann")).come()
        asked = []

        async def token(channel):
            asked.append(channel)
            return signing.token("ann", life=3, channel=channel)
        listener = await client.listen(channel, get_token=token)
        await asyncio.sleep(4.5)
        assert len(asked) >= 2 and len(listener.all_of("subscribing")) == 1, "refreshed, and never ended"

        async def wrong(_):
            return signing.token("ann", channel="hidden:other")
        other = client.new_subscription(name("hidden", codec), get_token=wrong)
        ended = asyncio.Future()

        async def unsubscribed(context):
            ended.done() or ended.set_result(context.code)
        other.events.on_unsubscribed = unsubscribed
        await other.subscribe()
        assert await ended == 103
    people(body)


def test_a_token_brings_its_channels(people, sapphire, codec):
    async def body(person):
        first, second = name("kept", codec), name("plain", codec)
        client = person(token=signing.token("ann", channels=[first, second, "hidden:x", "odd"]))
        await client.come()
        opened = {context.channel: context for kind, context in client.server_told if kind == "subscribed"}
        assert set(opened) == {first, second, "hidden:x", "odd"}
        assert opened[first].recoverable and not opened[second].recoverable
        await asyncio.to_thread(sapphire.publish, first, {"n": 1})
        await asyncio.to_thread(sapphire.publish, second, {"n": 2})
        await until("both", lambda: len(client.server_publications) == 2)
        assert client.server_publications == [(first, {"n": 1}), (second, {"n": 2})]
    people(body)


def test_a_back_end_ends_a_subscription_and_a_connection(people, sapphire, codec):
    async def body(person):
        user = f"eve-{codec}"
        client = await person(token=signing.token(user)).come()
        listener = await client.listen(name("room", codec))

        async def call(method, **parameters):
            return (await asyncio.to_thread(sapphire.post, f"/api/{method}", {"user": user, **parameters}, sapphire.key))[2]
        assert await call("unsubscribe", channel=listener.subscription.channel) == {"result": {}}
        ended = await until("the end", lambda: listener.all_of("unsubscribed"))
        assert ended[0].code == 2000 and client.state == ClientState.CONNECTED
        assert await call("disconnect") == {"result": {}}
        ended = await until("the end", lambda: client.all_of("disconnected"))
        assert ended[0].code == 3503
    people(body)
