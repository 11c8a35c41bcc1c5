"""Documents by key as clients and back ends share them (S002-01, S002-09)."""
import asyncio
import json

import pytest

from platform_under_test import eventually, next_json, next_of, running, within

CONFIGURATION = """{ channels: [
  { match: "state:merge:*", type: "state", history: { durable: true }, options: { conflict: "merge" } },
  { match: "state:*", type: "state", history: { durable: true }, options: { maxBytes: 4194304 } },
] }"""


@pytest.fixture(scope="module")
def platform():
    with running(CONFIGURATION) as platform:
        yield platform


def event(name, key, version=None, **rest):
    message = {"event": f"state.{name}", "key": key, **rest}
    return message if version is None else {**message, "version": version}


def api(platform, method, **parameters):
    status, _, answer = platform.post(f"/api/{method}", parameters, platform.key)
    assert status == 200, (method, status, answer)
    return answer


async def ask(socket, number, channel, data):
    """Publishes and waits for what became of it; what others do meanwhile is passed over."""
    await socket.send(json.dumps({"id": number, "channel": channel, "data": data}))
    while (message := await next_json(socket)).get("id") != number:
        pass
    return message


async def snapshot(socket):
    """The documents that a newcomer is shown."""
    documents = {}
    while True:
        page = (await next_of(socket, "envelope"))["data"]
        assert page["event"] == "state.snapshot", page
        documents.update({d["key"]: (d["value"], d["version"]) for d in page["documents"]})
        if page["page"] == page["pages"]:
            return documents


async def seen_by_newcomer(platform, channel):
    async with platform.socket(f"/ws?channel={channel}") as socket:
        return await snapshot(socket)


def newcomer_sees(platform, channel, expected):
    """At once or soon: a newcomer's loop may not have heard yet of what another one acknowledged."""
    eventually(10, f"a newcomer to {channel} is shown {expected}",
               lambda: within(10, seen_by_newcomer(platform, channel)) == expected)


def test_a_version_that_has_passed_is_refused_and_the_present_one_is_told(platform):
    async def writers():
        async with platform.socket("/ws?channel=state:cas") as socket:
            first = await ask(socket, 1, "state:cas", event("set", "posture", 0, value={"mode": "calm"}))
            second = await ask(socket, 2, "state:cas", event("set", "posture", 1, value={"mode": "alert"}))
            late = await ask(socket, 3, "state:cas", event("set", "posture", 1, value="lost"))
            there = await ask(socket, 4, "state:cas", event("set", "posture", 0, value="lost"))
            return first, second, late, there
    first, second, late, there = within(20, writers())
    assert (first["type"], first["offset"]) == ("ack", 1) and (second["type"], second["offset"]) == ("ack", 2)
    assert (late["type"], late["code"]) == ("error", 1006) and "version 2" in late["message"], late
    assert (there["type"], there["code"]) == ("error", 1006), there
    newcomer_sees(platform, "state:cas", {"posture": ({"mode": "alert"}, 2)})


def test_patches_and_removals_reach_all_with_their_versions(platform):
    async def watch():
        async with platform.socket("/ws?channel=state:patch") as watcher, platform.socket("/ws") as writer:
            assert await snapshot(watcher) == {}
            await ask(writer, 1, "state:patch", event("set", "p", value={"a": 1, "b": {"c": 2, "d": 3}}))
            await ask(writer, 2, "state:patch", event("patch", "p", patch={"b": {"c": None, "e": 4}}))
            await ask(writer, 3, "state:patch", event("remove", "p", 2))
            return [await next_of(watcher, "envelope") for _ in range(3)]
    made, patched, removed = within(20, watch())
    assert made["data"]["value"] == {"a": 1, "b": {"c": 2, "d": 3}} and made["data"]["version"] == 1
    assert patched["offset"] == 2 and patched["data"]["patch"] == {"b": {"c": None, "e": 4}}
    assert removed["data"] == {"event": "state.remove", "key": "p", "version": 3}
    assert api(platform, "publish", channel="state:patch", data=event("remove", "p"))["error"]["code"] == 1004
    newcomer_sees(platform, "state:patch", {})


def test_older_patches_of_other_members_are_merged_where_the_rule_says_so(platform):
    channel = "state:merge:a"

    def publish(**message):
        return api(platform, "publish", channel=channel, data=message)
    publish(**event("set", "doc", value={"x": 1, "y": 1}))
    publish(**event("patch", "doc", 1, patch={"x": 2}))
    assert "result" in publish(**event("patch", "doc", 1, patch={"y": 2}))
    assert publish(**event("patch", "doc", 1, patch={"x": 3}))["error"]["code"] == 1006
    newcomer_sees(platform, channel, {"doc": ({"x": 2, "y": 2}, 3)})


def test_who_comes_back_gets_what_was_missed_or_all_where_that_is_gone(platform):
    channel = "state:back"

    async def missed(since):
        async with platform.socket(f"/ws?channel={channel}&since={since}") as socket:
            return (await next_of(socket, "envelope"))["data"]

    async def come_back():
        async with platform.socket(f"/ws?channel={channel}") as socket:
            opened = await next_of(socket, "connection")
            await ask(socket, 1, channel, event("set", "a", value=1))
        epoch = next(c["epoch"] for c in opened["channels"] if c["channel"] == channel) \
            if "channels" in opened else opened["epoch"]
        platform.publish(channel, event("set", "a", value=2))
        tail = await missed(f"{epoch}:1")
        platform.publish(channel, event("set", "b", value=3))
        return epoch, tail
    epoch, tail = within(20, come_back())
    assert (tail["event"], tail["value"]) == ("state.set", 2)

    async def past_the_floor():
        async with platform.socket(f"/ws?channel={channel}&since=otherepoch:1") as socket:
            lost = await next_of(socket, "unrecoverable")
            return lost["reason"], await snapshot(socket)

    def all_is_shown():
        reason, documents = within(20, past_the_floor())
        assert reason == "epoch_changed"
        return {key: value for key, (value, _) in documents.items()} == {"a": 2, "b": 3}
    eventually(10, "who comes from another epoch is shown all", all_is_shown)


def test_ten_writers_of_ten_keys_do_not_stop_each_other(platform):
    channel = "state:ten"

    async def write(key):
        version = 0
        async with platform.socket("/ws") as socket:
            for step in range(30):
                # Every third one compares, the others overwrite.
                named = version if step % 3 == 0 else None
                answer = await ask(socket, step, channel, event("set", key, named, value=step))
                assert answer["type"] == "ack", (key, step, answer)
                version = answer["offset"]
        return key, version

    async def everyone():
        return await asyncio.gather(*(write(f"k{n}") for n in range(10)))
    versions = dict(within(60, everyone()))
    newcomer_sees(platform, channel, {key: (29, at) for key, at in versions.items()})


def test_a_state_larger_than_a_message_comes_in_pages(platform):
    big = "x" * 15_000
    for number in range(12):
        platform.publish("state:large", event("set", f"k{number:02}", value=big))
    newcomer_sees(platform, "state:large", {f"k{n:02}": (big, n + 1) for n in range(12)})


def test_nothing_acknowledged_is_lost_when_gateway_and_store_are_killed():
    with running(CONFIGURATION) as platform:
        acknowledged = {}
        for round_number in range(3):
            for number in range(20):
                answer = api(platform, "publish", channel="state:k",
                             data=event("set", f"k{number % 5}", value=[round_number, number]))
                acknowledged[f"k{number % 5}"] = ([round_number, number], answer["result"]["offset"])
            platform.kill("eventstore")
            platform.kill("gateway")

            def reopened():
                try:
                    return within(10, seen_by_newcomer(platform, "state:k")) == acknowledged
                except Exception:  # The gateway is not there yet.
                    return None
            eventually(30, "a newcomer is let in, and shown all", reopened)
