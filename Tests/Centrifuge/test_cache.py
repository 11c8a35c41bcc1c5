"""Channels that are a value rather than a history: whoever comes back gets the latest alone."""
import asyncio

import pytest

from test_raw import talk

SECTIONS = 'centrifuge: { cacheRecovery: ["kept:value-*", "room:value-*", "plain:value"] },'


@pytest.mark.parametrize("kind", ["kept", "room"])
def test_whoever_comes_back_gets_the_latest_alone(sapphire, kind):
    channel = f"{kind}:value-a"

    async def body(client):
        async def again(**since):
            await client.ask(unsubscribe={"channel": channel})
            return (await client.ask(subscribe={"channel": channel, "recover": True, **since}))["subscribe"]
        await client.come()
        empty = await again()
        assert empty["was_recovering"] is True and not empty.get("recovered") and not empty.get("publications")
        for number in range(1, 6):
            await asyncio.to_thread(sapphire.publish, channel, {"n": number})
        last = await again()
        assert last["recovered"] is True and last["offset"] == 5
        assert [publication["data"] for publication in last["publications"]] == [{"n": 5}]
        here = {"epoch": last["epoch"], "offset": 5}
        same = await again(**here)
        assert same["recovered"] is True and not same.get("publications") and same["offset"] == 5
        for number in range(6, 9):
            await asyncio.to_thread(sapphire.publish, channel, {"n": number})
        for since in [here, {"epoch": "another", "offset": 99}, {}]:
            found = await again(**since)
            assert found["recovered"] is True, since
            assert [publication["data"] for publication in found["publications"]] == [{"n": 8}]
        await asyncio.to_thread(sapphire.publish, channel, {"n": 9})
        while (await client.next("pub"))["push"]["pub"]["offset"] != 9:
            pass
        # Who doesn't come back gets what comes.
        await client.ask(unsubscribe={"channel": channel})
        fresh = (await client.ask(subscribe={"channel": channel}))["subscribe"]
        assert not fresh.get("publications") and fresh["offset"] == 9
    talk(sapphire, body)


def test_a_channel_without_a_history_has_no_latest(sapphire):
    async def body(client):
        await client.come()
        reply = (await client.ask(subscribe={"channel": "plain:value", "recover": True}))["subscribe"]
        assert reply["was_recovering"] is True and not reply.get("recovered")
    talk(sapphire, body)
