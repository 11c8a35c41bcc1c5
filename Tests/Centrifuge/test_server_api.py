"""PyPI's cent on the server API: every method of Centrifugo's that there is, with clients who feel it."""
import asyncio
import time

import cent
import pytest
from centrifuge import ClientState

import signing
from people import until


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
    with pytest.raises(cent.CentApiResponseError) as caught:
        api.history_remove(cent.HistoryRemoveRequest(channel="kept:cent"))
    assert caught.value.code == 108


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
        await call(api.subscribe, cent.SubscribeRequest(user=user, channel=channel, info={"by": "cent"}))
        await until("the channel", lambda: ("subscribed", channel) in [(k, c.channel) for k, c in client.server_told])
        await call(api.publish, cent.PublishRequest(channel=channel, data={"n": 1}))
        await until("a publication", lambda: (channel, {"n": 1}) in client.server_publications)
        there = (await call(api.presence, cent.PresenceRequest(channel=channel))).presence
        assert [info.conn_info for info in there.values()] == [{"by": "cent"}]
        await call(api.unsubscribe, cent.UnsubscribeRequest(user=user, channel=channel))
        await until("its end", lambda: ("unsubscribed", channel) in [(k, c.channel) for k, c in client.server_told])
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
        with pytest.raises(cent.CentApiResponseError) as caught:
            await call(api.disconnect, cent.DisconnectRequest(user=user, whitelist=["x"]))
        assert caught.value.code == 107
    people(body)


def test_a_wrong_key_opens_nothing(sapphire):
    client = cent.Client(sapphire.url + "/api", "wrong", timeout=10)
    with pytest.raises(cent.CentUnauthorizedError):
        client.publish(cent.PublishRequest(channel="room:a", data={}))
    client.close()
