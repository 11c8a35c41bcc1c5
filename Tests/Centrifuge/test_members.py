"""Channels of users: personal ones, those that a channel's name lists, and channels whose members are connections."""
import asyncio

import pytest
from centrifuge import ReplyError, SubscriptionState

import signing
from people import until

SECTIONS = 'centrifuge: { personalChannel: "#{user}", joinLeave: "told:*" },'
RULES = """
  { match: "#*", history: { size: 10 }, subscribe: "owner", publish: "owner" },
  { match: ["seats:*", "told:*"], subscribe: "user:*", publish: "user:*", presence: "connections" },
"""


def test_a_user_is_in_its_personal_channel_by_itself(people, codec):
    async def body(person):
        client = await person(token=signing.token(f"ann-{codec}")).come()
        own = f"#ann-{codec}"
        assert [context.channel for _, context in client.server_told] == [own]
        await client.publish(own, client.said({"n": 1}))
        await until("the publication", lambda: client.server_publications == [(own, {"n": 1})])
        other = await person(token=signing.token("bob")).come()
        with pytest.raises(ReplyError) as caught:
            await other.publish(own, other.said({"n": 2}))
        assert caught.value.code == 103
        nobody = await person().come()
        assert not nobody.server_told
    people(body)


def test_what_a_personal_channel_missed_comes_with_the_next_connection(people, sapphire, codec):
    async def body(person):
        client = await person(token=signing.token(f"eve-{codec}")).come()
        own = f"#eve-{codec}"
        await asyncio.to_thread(sapphire.publish, own, {"n": 1})
        await until("the first", lambda: client.server_publications)
        await client.disconnect()
        await asyncio.to_thread(sapphire.publish, own, {"n": 2})
        await client.connect()
        await until("what was missed", lambda: client.server_publications == [(own, {"n": 1}), (own, {"n": 2})])
        assert client.server_told[-1][1].recovered
    people(body)


def test_a_user_whose_name_is_no_channels_has_none(people, codec):
    async def body(person):
        assert not (await person(token=signing.token("zoë with spaces")).come()).server_told
        # The channel of this one would be that of two others.
        assert not (await person(token=signing.token("ann,bob")).come()).server_told
    people(body)


def test_a_channel_that_lists_its_users_is_theirs(people, codec):
    async def body(person):
        channel = f"#ann,bob-{codec}"
        for user, may in [("ann", True), (f"bob-{codec}", True), ("bob", False), (channel, False)]:
            client = await person(token=signing.token(user)).come()
            subscription = client.new_subscription(channel)
            await subscription.subscribe()
            await until("the answer", lambda: subscription.state in (SubscriptionState.SUBSCRIBED, SubscriptionState.UNSUBSCRIBED))
            assert (subscription.state == SubscriptionState.SUBSCRIBED) == may, user
    people(body)


def test_each_connection_of_a_user_is_a_member_where_the_rule_says_so(people, sapphire, codec):
    async def body(person):
        channel = f"seats:{codec}"
        clients = [await person(token=signing.token(user)).come() for user in ["ann", "ann", "bob"]]
        first = await clients[0].listen(channel, join_leave=True)
        # Who comes after this answer is told of.
        await first.subscription.presence()
        second = await clients[1].listen(channel, join_leave=True)
        await clients[2].listen(channel)
        names = [client.all_of("connected")[0].client for client in clients]
        await until("all joins", lambda: {info.client for info in first.joined} == set(names))
        assert {info.client: info.user for info in first.joined} == dict(zip(names, ["ann", "ann", "bob"]))
        told = (await first.subscription.presence()).clients
        assert {name: info.user for name, info in told.items()} == dict(zip(names, ["ann", "ann", "bob"]))
        stats = await first.subscription.presence_stats()
        assert (stats.num_clients, stats.num_users) == (3, 2)
        answer = sapphire.post("/api/presence", {"channel": channel}, sapphire.key)[2]["result"]["presence"]
        assert {name: info["user"] for name, info in answer.items()} == dict(zip(names, ["ann", "ann", "bob"]))
        await second.subscription.unsubscribe()
        await until("the leave", lambda: [info.client for info in first.left] == [names[1]])
        assert first.left[0].user == "ann"
    people(body)


def test_subscribers_are_told_of_members_without_asking_where_the_configuration_says_so(people, codec):
    async def body(person):
        one, other = [await person(token=signing.token("ann")).come() for _ in range(2)]
        first = await one.listen(f"told:{codec}")
        # Who comes after this answer is told of.
        await first.subscription.presence()
        second = await other.listen(f"told:{codec}")
        names = [client.all_of("connected")[0].client for client in (one, other)]
        # Who is gone before anybody was told is not told of.
        await until("both joins", lambda: {info.client for info in first.joined} == set(names))
        await second.subscription.unsubscribe()
        await until("the leave", lambda: [info.client for info in first.left] == [names[1]])
    people(body)
