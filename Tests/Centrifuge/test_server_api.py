"""PyPI's cent on the server API: every method of Centrifugo's that there is, with clients who feel it."""
import asyncio
import time

import cent
import pytest
from centrifuge import ClientState

import signing
from people import of, until


RULES = '{ match: "board:*", type: "board", history: { durable: true } },'


@pytest.fixture(scope="module")
def api(sapphire):
    client = cent.Client(sapphire.url + "/api", sapphire.key, timeout=10)
    yield client
    client.close()


async def call(method, request):
    return await asyncio.to_thread(method, request)


def test_publications_and_what_is_kept_of_them(api):
    first = api.publish(cent.PublishRequest(channel="kept:cent", data={"n": 1}, idempotency_key="one"))
    again = api.publish(cent.PublishRequest(channel="kept:cent", data={"n": 1}, idempotency_key="one"))
    assert (first.offset, first.epoch) == (again.offset, again.epoch) == (1, first.epoch) and first.epoch
    api.publish(cent.PublishRequest(channel="kept:cent", data={"n": 0}, skip_history=True))
    both = api.broadcast(cent.BroadcastRequest(channels=["kept:cent", "room:cent"], data={"n": 2})).responses
    assert [one.error for one in both] == [None, None] and both[0].result.offset == 2
    history = api.history(cent.HistoryRequest(channel="kept:cent", limit=10))
    assert [item.data for item in history.publications] == [{"n": 1}, {"n": 2}] and history.offset == 2
    backwards = api.history(cent.HistoryRequest(channel="kept:cent", limit=1, reverse=True))
    assert [item.data for item in backwards.publications] == [{"n": 2}]
    rest = api.history(cent.HistoryRequest(
        channel="kept:cent", limit=10, since=cent.StreamPosition(offset=1, epoch=first.epoch)))
    assert [item.offset for item in rest.publications] == [2]


@pytest.mark.parametrize("channel", ["kept:removed", "room:removed"])
def test_a_removed_history_is_gone_and_its_offsets_go_on(api, channel):
    def publish(number):
        return api.publish(cent.PublishRequest(channel=channel, data={"n": number}))
    first = publish(1)
    publish(2)
    api.history_remove(cent.HistoryRemoveRequest(channel=channel))
    history = api.history(cent.HistoryRequest(channel=channel, limit=10))
    assert (history.publications, history.offset, history.epoch) == ([], 2, first.epoch)
    third = publish(3)
    assert (third.offset, third.epoch) == (3, first.epoch)
    assert [item.offset for item in api.history(cent.HistoryRequest(channel=channel, limit=10)).publications] == [3]
    with pytest.raises(cent.CentApiResponseError) as caught:
        api.history(cent.HistoryRequest(
            channel=channel, limit=10, since=cent.StreamPosition(offset=1, epoch=first.epoch)))
    assert caught.value.code == 112


def test_no_history_is_removed_that_is_none_or_a_channels_state(api):
    for channel, code in [("plain:removed", 108), ("board:removed", 108), ("no/channel", 102)]:
        with pytest.raises(cent.CentApiResponseError) as caught:
            api.history_remove(cent.HistoryRemoveRequest(channel=channel))
        assert caught.value.code == code


@pytest.mark.parametrize("kind", ["kept", "room"])
def test_whoever_was_behind_a_removed_history_is_told_so_and_whoever_was_not_is_not(api, people, codec, kind):
    async def body(person):
        channel = f"{kind}:gone-{codec}"
        await call(api.publish, cent.PublishRequest(channel=channel, data={"n": 0}))
        behind, level = [await person().come() for _ in range(2)]
        lost, kept = await behind.listen(channel), await level.listen(channel)
        await behind.disconnect()
        await call(api.publish, cent.PublishRequest(channel=channel, data={"n": 1}))
        await until("the first", lambda: kept.data)
        await level.disconnect()
        await call(api.history_remove, cent.HistoryRemoveRequest(channel=channel))
        await behind.come()
        await level.come()
        await until("both", lambda: len(lost.all_of("subscribed")) == len(kept.all_of("subscribed")) == 2)
        assert [again.all_of("subscribed")[1].recovered for again in (lost, kept)] == [False, True]
        await call(api.publish, cent.PublishRequest(channel=channel, data={"n": 2}))
        await until("the next", lambda: lost.data and len(kept.data) == 2)
        assert lost.data == [{"n": 2}] and kept.data == [{"n": 1}, {"n": 2}]
    people(body)


def test_several_calls_at_once(api):
    replies = api.batch(cent.BatchRequest(requests=[
        cent.PublishRequest(channel="room:batch-cent", data={}), cent.ChannelsRequest(), cent.InfoRequest()])).replies
    assert isinstance(replies[0], cent.PublishResult) and isinstance(replies[1], cent.ChannelsResult)
    assert replies[2].nodes[0].name == "gateway"


def test_who_is_where(api, people, codec):
    async def body(person):
        channel = f"room:who-{codec}"
        client = await person(token=signing.token("ann")).come()
        await client.listen(channel)
        await until("being seen", lambda: api.presence_stats(cent.PresenceStatsRequest(channel=channel)).num_clients == 1)
        there = (await call(api.presence, cent.PresenceRequest(channel=channel))).presence
        assert [info.user for info in there.values()] == ["ann"]
        channels = (await call(api.channels, cent.ChannelsRequest(pattern="room:who-*"))).channels
        assert channels[channel].num_clients == 1
    people(body)


def test_a_back_end_lets_clients_into_channels_and_out_again(api, people, codec):
    async def body(person):
        user, channel = f"sub-{codec}", f"hidden:let-in-{codec}"
        client = await person(token=signing.token(user)).come()
        await call(api.subscribe, cent.SubscribeRequest(
            user=user, channel=channel, info={"by": "cent"}, data={"told": "with it"}))
        await until("the channel", lambda: ("subscribed", channel) in [(k, c.channel) for k, c in client.server_told])
        assert [of(told.data) for kind, told in client.server_told if kind == "subscribed"] == [{"told": "with it"}]
        await call(api.publish, cent.PublishRequest(channel=channel, data={"n": 1}))
        await until("a publication", lambda: (channel, {"n": 1}) in client.server_publications)
        there = (await call(api.presence, cent.PresenceRequest(channel=channel))).presence
        assert [(info.conn_info, info.chan_info) for info in there.values()] == [(None, {"by": "cent"})]
        await call(api.unsubscribe, cent.UnsubscribeRequest(user=user, channel=channel))
        await until("its end", lambda: ("unsubscribed", channel) in [(k, c.channel) for k, c in client.server_told])
        assert client.state == ClientState.CONNECTED
    people(body)


def test_whoever_a_back_end_let_in_comes_back_to_where_it_was_until_it_is_put_out(api, people, codec):
    async def body(person):
        user, channel = f"back-{codec}", f"hidden:back-{codec}"
        client = await person(token=signing.token(user)).come()
        await call(api.subscribe, cent.SubscribeRequest(user=user, channel=channel, info={"by": "cent"}))
        await until("the channel", lambda: client.server_told)
        await call(api.publish, cent.PublishRequest(channel=channel, data={"n": 1}))
        await until("the first", lambda: client.server_publications)
        await client.disconnect()
        await call(api.publish, cent.PublishRequest(channel=channel, data={"n": 2}))
        await client.come()
        await until("what was missed", lambda: client.server_publications == [(channel, {"n": 1}), (channel, {"n": 2})])
        kind, again = client.server_told[-1]
        assert (kind, again.recovered) == ("subscribed", True)
        await client.disconnect()
        await call(api.unsubscribe, cent.UnsubscribeRequest(user=user, channel=channel))
        await client.come()
        await until("being out", lambda: client.server_told[-1][0] == "unsubscribed")
        assert client.state == ClientState.CONNECTED
    people(body)


@pytest.mark.waits
def test_a_back_end_moves_the_end_of_a_connection(api, people, codec):
    async def body(person):
        user = f"refresh-{codec}"
        client = await person(token=signing.token(user, life=4)).come()
        await call(api.refresh, cent.RefreshRequest(user=user, expire_at=int(time.time()) + 600))
        await asyncio.sleep(5.5)
        assert client.state == ClientState.CONNECTED and len(client.all_of("connecting")) == 1
        await call(api.refresh, cent.RefreshRequest(user=user, expired=True))
        again = await until("being let go", lambda: client.all_of("connecting")[1:])
        assert again[0].code == 3005
        with pytest.raises(cent.CentApiResponseError) as caught:
            await call(api.refresh, cent.RefreshRequest(user=user))
        assert caught.value.code == 107
    people(body)


def test_a_back_end_sends_one_connection_away_and_not_the_others(api, people, codec):
    async def body(person):
        user = f"gone-{codec}"
        one, other = [await person(token=signing.token(user)).come() for _ in range(2)]
        await call(api.disconnect, cent.DisconnectRequest(user=user, client=one.all_of("connected")[0].client))
        ends = await until("the end", lambda: one.all_of("disconnected"))
        assert ends[0].code == 3503 and other.state == ClientState.CONNECTED
    people(body)


def test_a_back_end_says_who_stays_and_what_the_others_end_with(api, people, codec):
    async def body(person):
        user = f"away-{codec}"
        stays, goes = [await person(token=signing.token(user)).come() for _ in range(2)]
        await call(api.disconnect, cent.DisconnectRequest(
            user=user, whitelist=[stays.all_of("connected")[0].client],
            disconnect=cent.Disconnect(code=4555, reason="enough")))
        ends = await until("the end", lambda: goes.all_of("disconnected"))
        assert (ends[0].code, ends[0].reason) == (4555, "enough") and stays.state == ClientState.CONNECTED
        await call(api.disconnect, cent.DisconnectRequest(user=user, disconnect=cent.Disconnect(code=4000, reason="later")))
        again = await until("coming back", lambda: stays.all_of("connecting")[1:])
        assert again[0].code == 4000
        await until("being back", lambda: len(stays.all_of("connected")) == 2)
        for wrong in [3503, 5000, 100]:
            with pytest.raises(cent.CentApiResponseError) as caught:
                await call(api.disconnect, cent.DisconnectRequest(user=user, disconnect=cent.Disconnect(code=wrong, reason="")))
            assert caught.value.code == 107
    people(body)


def test_a_wrong_key_opens_nothing(sapphire):
    client = cent.Client(sapphire.url + "/api", "wrong", timeout=10)
    with pytest.raises(cent.CentUnauthorizedError):
        client.publish(cent.PublishRequest(channel="room:a", data={}))
    client.close()
