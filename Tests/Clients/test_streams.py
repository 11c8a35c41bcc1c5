"""Timelines of durable channels: forks, trims, deletions, as back ends, clients and people at a terminal see them."""
import asyncio
import contextlib
import json
import os
import signal
import subprocess

import pytest

from platform_under_test import eventually, executables, freeze, next_json, next_of, running, within

CONFIGURATION = """{ channels: [
  { match: "sim:*", type: "simulation", history: { durable: true } },
  { match: "log:kept:*", history: { durable: true, keep: { events: 5 } } },
  { match: "log:*", type: "relay", history: { durable: true } },
  { match: "map:*", type: "board", history: { durable: true } },
  { match: "*", type: "relay" },
] }"""


@pytest.fixture(scope="module")
def platform():
    with running(CONFIGURATION) as platform:
        yield platform


def api(platform, method, **parameters):
    status, _, answer = platform.post(f"/api/{method}", parameters, platform.key)
    assert status == 200, (method, status, answer)
    return answer


def done(platform, method, **parameters):
    answer = api(platform, method, **parameters)
    assert "result" in answer, (method, parameters, answer)
    return answer["result"]


def refused(platform, method, **parameters):
    return api(platform, method, **parameters)["error"]["code"]


def texts(platform, channel):
    page = done(platform, "history", channel=channel, limit=-1)
    return [event["data"] for event in page["publications"]]


def fill(platform, channel, count, mark="n"):
    for number in range(1, count + 1):
        platform.publish(channel, f"{mark}{number}")


def test_a_fork_begins_as_its_source_and_goes_on_by_itself(platform):
    fill(platform, "log:a", 5)
    made = done(platform, "stream_fork", channel="log:a", fork="log:a@b", at=3, author="ada")
    assert (made["at"], made["offset"], made["new"]) == (3, 3, True)
    assert done(platform, "stream_fork", channel="log:a", fork="log:a@b", at=3)["new"] is False
    assert platform.publish("log:a@b", "other")["offset"] == 4
    platform.publish("log:a", "n6")
    assert texts(platform, "log:a@b") == ["n1", "n2", "n3", "other"]
    assert texts(platform, "log:a") == [f"n{n}" for n in range(1, 7)]
    # A fork at what its source has from its own is a fork of that.
    done(platform, "stream_fork", channel="log:a@b", fork="log:a@c", at=2)
    done(platform, "stream_fork", channel="log:a@b", fork="log:a@d")
    listed = {s["channel"]: s for s in done(platform, "streams", prefix="log:a")["streams"]}
    assert listed["log:a@b"]["fork"] == {"of": "log:a", "at": 3, "author": "ada"}
    assert listed["log:a@c"]["fork"]["of"] == "log:a" and listed["log:a@d"]["fork"]["of"] == "log:a@b"
    assert listed["log:a@d"]["sha256"] == listed["log:a@b"]["sha256"] != listed["log:a"]["sha256"]
    assert listed["log:a@d"]["epoch"] != listed["log:a@b"]["epoch"]


def test_a_client_watches_a_fork_like_any_channel_from_its_beginning_on(platform):
    fill(platform, "log:watched", 3)
    done(platform, "stream_fork", channel="log:watched", fork="log:watched@x", at=2)

    async def watch():
        async with platform.socket("/ws?channel=log:watched@x&since=start") as socket:
            seen = [(m["offset"], m["data"]) for m in [await next_of(socket, "envelope") for _ in range(2)]]
            platform.publish("log:watched", "not here")
            platform.publish("log:watched@x", "here")
            message = await next_of(socket, "envelope")
            return seen + [(message["offset"], message["data"])]
    assert within(20, watch()) == [(1, "n1"), (2, "n2"), (3, "here")]


@pytest.mark.parametrize("parameters, code", [
    ({"channel": "log:none", "fork": "log:none@x"}, 156),
    ({"channel": "log:e", "fork": "log:e@x", "at": 99}, 164),
    ({"channel": "log:e", "fork": "log:e@x", "at": 1}, 112),
    ({"channel": "log:e", "fork": "log:e@x", "epoch": "another"}, 112),
    ({"channel": "log:e", "fork": "log:f@x"}, 107),
    ({"channel": "log:e", "fork": "log:e@"}, 107),
    ({"channel": "log:e", "fork": "log:e"}, 107),
    ({"channel": "log:e"}, 107),
    ({"channel": "log:e", "fork": "log:e@x", "at": -1}, 107),
    ({"channel": "log:e", "fork": "log:e@taken", "at": 4}, 162),
    ({"channel": "chat", "fork": "chat@x"}, 108),
])
def test_what_can_not_be_forked_says_why(platform, parameters, code):
    if texts(platform, "log:e") == []:
        fill(platform, "log:e", 5)
        done(platform, "stream_trim", channel="log:e", through=2)
        done(platform, "stream_fork", channel="log:e", fork="log:e@taken", at=3)
    assert refused(platform, "stream_fork", **parameters) == code


def test_a_fork_that_nobody_made_is_neither_published_to_nor_watched(platform):
    assert refused(platform, "publish", channel="log:g@nobody", data=1) == 156
    assert refused(platform, "history", channel="log:g@nobody") == 156

    async def watch():
        async with platform.socket("/ws") as socket:
            await socket.send(json.dumps({"id": 1, "type": "subscribe", "channel": "log:g@nobody"}))
            while (message := await next_json(socket)).get("id") != 1:
                pass
            return message
    message = within(20, watch())
    assert message["type"] == "error" and message["code"] == 156, message


def test_a_fork_that_was_looked_for_too_early_is_there_once_it_is_made(platform):
    fill(platform, "log:late", 3)

    async def ask():
        async with platform.socket("/ws") as socket:
            await socket.send(json.dumps({"id": 1, "type": "subscribe", "channel": "log:late@x"}))
            while (message := await next_json(socket)).get("id") != 1:
                pass
            return message.get("code", message["type"])

    async def all_loops():
        return [await ask() for _ in range(8)]
    assert within(30, all_loops()) == [156] * 8
    done(platform, "stream_fork", channel="log:late", fork="log:late@x")
    assert within(30, all_loops()) == ["ack"] * 8


def test_what_a_fork_shares_outlives_its_source(platform):
    fill(platform, "log:gone", 6)
    done(platform, "stream_fork", channel="log:gone", fork="log:gone@kept", at=4)
    done(platform, "stream_trim", channel="log:gone", through=5)
    assert texts(platform, "log:gone") == ["n6"]
    before = done(platform, "history", channel="log:gone")["epoch"]
    assert done(platform, "stream_delete", channel="log:gone") == {"forks": 1}
    assert refused(platform, "stream_delete", channel="log:gone") == 156
    assert texts(platform, "log:gone@kept") == ["n1", "n2", "n3", "n4"]
    # The name is free, and what begins under it is another history.
    again = platform.publish("log:gone", "new")
    assert again["offset"] == 1 and again["epoch"] != before
    assert texts(platform, "log:gone@kept") == ["n1", "n2", "n3", "n4"]


def test_as_much_is_kept_as_the_rule_says(platform):
    fill(platform, "log:kept:a", 12)
    eventually(10, "the rest is trimmed", lambda: texts(platform, "log:kept:a") == [f"n{n}" for n in range(8, 13)])
    assert done(platform, "streams", prefix="log:kept:a")["streams"][0]["floor"] == 7


def test_who_comes_back_to_another_history_is_told(platform):
    fill(platform, "log:reborn", 3)
    at = done(platform, "history", channel="log:reborn")
    done(platform, "stream_delete", channel="log:reborn")
    platform.publish("log:reborn", "other")

    async def come_back():
        async with platform.socket(f"/ws?channel=log:reborn&since={at['epoch']}:{at['offset']}") as socket:
            told = await next_of(socket, "unrecoverable")
            platform.publish("log:reborn", "more")
            return told, await next_of(socket, "envelope")
    told, publication = within(20, come_back())
    assert told["reason"] == "epoch_changed"
    assert publication["data"] == "more"


def test_state_that_is_made_of_a_history_stays_whole(platform):
    platform.publish("map:b", {"text": "x"})
    assert refused(platform, "stream_trim", channel="map:b") == 108


def test_a_simulation_goes_two_ways_from_one_tick(platform):
    """S001-22, S001-23, S001-24: the fork's world is the source's at that tick, then another."""
    platform.publish("sim:run7", {"event": "simulation.create", "seed": 11})
    platform.publish("sim:run7", {"event": "simulation.tick.batch", "from": 0, "to": 60})
    at = done(platform, "history", channel="sim:run7")["offset"]
    platform.publish("sim:run7", {"event": "simulation.tick.batch", "from": 60, "to": 160})
    done(platform, "stream_fork", channel="sim:run7", fork="sim:run7@same", at=at)
    done(platform, "stream_fork", channel="sim:run7", fork="sim:run7@what-if", at=at)
    platform.publish("sim:run7@same", {"event": "simulation.tick.batch", "from": 60, "to": 160})
    platform.publish("sim:run7@what-if", {"event": "simulation.reseed", "seed": 12})
    platform.publish("sim:run7@what-if", {"event": "simulation.tick.batch", "from": 60, "to": 160})

    def ticks(channel):
        seen, since = [], None
        while True:
            page = done(platform, "history", channel=channel, limit=-1, **({"since": since} if since else {}))
            seen += [e["data"] for e in page["publications"] if "tick" in e["data"] and "events" in e["data"]]
            if not page["publications"] or page["publications"][-1]["offset"] == page["offset"]:
                return seen
            since = {"epoch": page["epoch"], "offset": page["publications"][-1]["offset"]}
    original, same, other = (ticks(f"sim:run7{fork}") for fork in ("", "@same", "@what-if"))
    assert [t["tick"] for t in original] == list(range(1, 161)) == [t["tick"] for t in other]
    assert same == original
    assert other[:60] == original[:60] and other[60:] != original[60:]


def test_ten_observers_see_every_tick_in_order(platform):
    """S001-34."""
    async def observe(ready):
        async with platform.socket("/ws?channel=sim:watched") as socket:
            await next_of(socket, "connection")
            ready.release()
            ticks = []
            while len(ticks) < 100:
                message = await next_of(socket, "envelope")
                if "events" in message["data"]:
                    ticks.append(message["data"]["tick"])
            return ticks

    async def all_of_them():
        ready = asyncio.Semaphore(0)
        watching = [asyncio.create_task(observe(ready)) for _ in range(10)]
        for _ in watching:
            await ready.acquire()
        await asyncio.to_thread(platform.publish, "sim:watched", {"event": "simulation.create"})
        await asyncio.to_thread(
            platform.publish, "sim:watched", {"event": "simulation.tick.batch", "from": 0, "to": 100})
        return await asyncio.gather(*watching)
    assert within(30, all_of_them()) == [list(range(1, 101))] * 10


def test_who_waits_at_a_stream_learns_at_once_that_it_was_deleted(platform):
    async def watch():
        async with platform.socket("/ws?channel=log:gone") as socket:
            await next_of(socket, "connection")
            epoch = platform.publish("log:gone", "one")["epoch"]
            assert (await next_of(socket, "envelope"))["data"] == "one"
            done(platform, "stream_delete", channel="log:gone")
            told = await next_of(socket, "unrecoverable")
            assert (told["channel"], told["reason"], told["head"]) == ("log:gone", "epoch_changed", 0)
            again = platform.publish("log:gone", "two")
            assert (again["offset"], again["epoch"]) == (1, told["epoch"]) and again["epoch"] != epoch
            assert (await next_of(socket, "envelope"))["data"] == "two"
    within(30, watch())


def test_no_refusal_goes_by_what_a_loop_has_not_heard_yet():
    """Every loop decides, and each hears of a publication in its own time; who has an answer may go on from it."""
    configuration = CONFIGURATION.replace("{", "{ gateway: { loops: 2 },", 1)

    async def go_on(platform):
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(8):
                socket = await stack.enter_async_context(platform.socket("/ws?channel=sim:heard"))
                await next_of(socket, "connection")
            hub = platform.pid("hub")
            freeze(hub)
            try:
                await asyncio.to_thread(platform.publish, "sim:heard", {"event": "simulation.create"})
                for tick in range(8):
                    await asyncio.to_thread(platform.publish, "sim:heard", {
                        "event": "simulation.tick.batch", "from": tick, "to": tick + 1})
                status, _, answer = await asyncio.to_thread(platform.post, "/api/publish", {
                    "channel": "sim:heard", "data": {"event": "simulation.tick.batch", "from": 3, "to": 4}}, platform.key)
            finally:
                os.kill(hub, signal.SIGCONT)
            assert (status, answer["error"]["name"]) == (200, "wrong_tick"), answer
    with running(configuration) as platform:
        within(60, go_on(platform))


def test_timelines_are_handled_from_the_command_line(platform):
    fill(platform, "log:cli", 4)
    assert platform.run("stream", "fork", "log:cli", "b", "--at", "2") == "log:cli@b begins after offset 2\n"
    platform.run("publish", "log:cli@b", "other")
    assert platform.run("stream", "read", "log:cli@b", "--from", "2") == "2\tn2\n3\tother\n"
    assert platform.run("stream", "read", "log:cli", "--from", "2", "--to", "3") == "2\tn2\n3\tn3\n"
    assert platform.run("stream", "read", "log:cli", "--from", "9") == ""
    tree = platform.run("stream", "tree", "log:cli@b").splitlines()
    assert tree[0].startswith("log:cli  4, ") and tree[1].startswith("└─ log:cli@b  3, from 2, by ")
    assert "log:cli@b" in platform.run("stream", "ls", "log:cli")
    assert json.loads(platform.run("stream", "ls", "log:cli@", "--json"))["fork"]["of"] == "log:cli"
    diff = subprocess.run(
        [f"{executables()}/sapphire", "stream", "diff", "log:cli", "log:cli@b", "--url", platform.url],
        capture_output=True, text=True, timeout=60, env={"SAPPHIRE_API_KEY": platform.key})
    assert (diff.returncode, diff.stdout) == (1, "- 3\tn3\n- 4\tn4\n+ 3\tother\n"), diff.stderr
    assert platform.run("stream", "diff", "log:cli", "log:cli") == ""
    # What they share two forks up is no difference.
    platform.run("stream", "fork", "log:cli@b", "c")
    platform.run("publish", "log:cli@c", "deep")
    diff = subprocess.run(
        [f"{executables()}/sapphire", "stream", "diff", "log:cli", "log:cli@c", "--url", platform.url],
        capture_output=True, text=True, timeout=60, env={"SAPPHIRE_API_KEY": platform.key})
    assert (diff.returncode, diff.stdout) == (1, "- 3\tn3\n- 4\tn4\n+ 3\tother\n+ 4\tdeep\n"), diff.stderr
    platform.run("stream", "trim", "log:cli", "--through", "3", "--yes")
    assert platform.run("stream", "read", "log:cli") == "4\tn4\n"
    assert platform.run("stream", "read", "log:cli", "--from", "2") == "4\tn4\n"
    platform.run("stream", "rm", "log:cli", "--yes")
    assert platform.run("stream", "read", "log:cli@b") == "1\tn1\n2\tn2\n3\tother\n"


def test_all_of_it_is_there_after_the_store_was_killed(platform):
    fill(platform, "log:k", 3)
    done(platform, "stream_fork", channel="log:k", fork="log:k@f", at=2)
    platform.publish("log:k@f", "other")
    platform.kill("eventstore")

    def again(method, **parameters):
        """Each of the gateway's loops finds the store by itself."""
        return eventually(20, "the store is back", lambda: platform.post(
            f"/api/{method}", parameters, platform.key)[2].get("result"))
    assert [e["data"] for e in again("history", channel="log:k@f", limit=-1)["publications"]] == ["n1", "n2", "other"]
    assert again("publish", channel="log:k@f", data="more", idempotency_key="once")["offset"] == 4
