"""Snapshots of folded channels: begun from, written, passed over, and states at past offsets."""
import glob
import json
import os
import re
import sqlite3
import struct

import pytest

from platform_under_test import eventually, next_of, running, within

CONFIGURATION = """{ channels: [ { match: "state:*", type: "state", history: { durable: true } },
  { match: "log:*", history: { durable: true } } ] }"""


@pytest.fixture(scope="module")
def platform():
    with running(CONFIGURATION) as platform:
        yield platform


def api(platform, method, **parameters):
    status, _, answer = platform.post(f"/api/{method}", parameters, platform.key)
    assert status == 200, (method, status, answer)
    return answer


def snapshots(platform, use):
    text = platform.get("/metrics")[2].decode()
    found = re.search(r'sapphire_gateway_snapshots_total\{[^}]*use="%s"\} (\d+)' % use, text)
    return int(found.group(1)) if found else 0


def fill(platform, channel, first, last):
    """Sets one of ten keys to its number with each event, many at a time."""
    numbers = list(range(first, last + 1))
    for begin in range(0, len(numbers), 200):
        commands = [{"publish": {"channel": channel, "data": {
            "event": "state.set", "key": f"k{number % 10}", "value": number}}}
            for number in numbers[begin:begin + 200]]
        replies = api(platform, "batch", commands=commands)["replies"]
        assert all("error" not in reply for reply in replies), replies[:3]


def expected(last, count=10):
    return {f"k{n % 10}": n for n in range(max(1, last - count + 1), last + 1)}


def values(pages):
    return {d["key"]: d["value"] for page in pages for d in page["documents"]}


async def shown(platform, channel):
    async with platform.socket(f"/ws?channel={channel}") as socket:
        return values([(await next_of(socket, "envelope"))["data"]])


def again(platform, channel):
    """What a newcomer is shown by a gateway that was just started."""
    platform.kill("gateway")

    def look():
        try:
            return within(10, shown(platform, channel))
        except Exception:  # It is not there yet.
            return None
    return eventually(20, "a newcomer is shown the state", look)


def test_a_gateway_begins_from_the_snapshot_and_reads_only_what_follows(platform):
    fill(platform, "state:long", 1, 1100)
    eventually(10, "a snapshot is kept", lambda: snapshots(platform, "kept"))
    fill(platform, "state:long", 1101, 1150)
    platform.kill("eventstore")
    assert again(platform, "state:long") == expected(1150)
    assert snapshots(platform, "restored") == 1
    text = platform.get("/metrics")[2].decode()
    folded = int(re.search(r"sapphire_gateway_folded_total\{[^}]*\} (\d+)", text).group(1))
    assert 50 <= folded < 1100, folded


def test_forks_begin_from_their_sources_snapshots_and_past_states_are_told(platform):
    channel = "state:past"
    fill(platform, channel, 1, 1200)
    eventually(10, "a snapshot is kept", lambda: api(platform, "state", channel=channel)["result"]["from"])
    api(platform, "stream_fork", channel=channel, fork=f"{channel}@f")
    fill(platform, f"{channel}@f", 2001, 2003)
    fork = api(platform, "state", channel=f"{channel}@f")["result"]
    assert fork["offset"] == 1203 and fork["from"] >= 1000 and values(fork["state"])["k3"] == 2003
    for at in (1, 7, 999, 1005, 1200):
        nearest = api(platform, "state", channel=channel, at=at)["result"]
        rebuilt = api(platform, "state", channel=channel, at=at, rebuild=True)["result"]
        assert nearest["state"] == rebuilt["state"] and values(rebuilt["state"]) == expected(at)
        assert (nearest["offset"], rebuilt["events"]) == (at, at)
    assert api(platform, "state", channel=channel, rebuild=True)["result"]["snapshot"]["same"] is True


@pytest.mark.parametrize("parameters, code", [
    ({"channel": "log:a"}, 108), ({}, 107), ({"channel": "state:few", "at": 99}, 164),
    ({"channel": "state:few", "at": -1}, 107), ({"channel": "state:few", "rebuild": 1}, 107),
])
def test_what_has_no_state_says_why(platform, parameters, code):
    fill(platform, "state:few", 1, 3)
    assert api(platform, "state", **parameters)["error"]["code"] == code


def test_the_command_line_shows_a_past_state_and_compares(platform):
    fill(platform, "state:cli", 1, 30)
    pages = [json.loads(line) for line in platform.run("stream", "state", "state:cli", "--at", "12").splitlines()]
    assert values(pages) == expected(12)
    rebuilt = json.loads(platform.run("stream", "state", "state:cli", "--rebuild", "--json"))
    assert rebuilt["events"] == 30 and values(rebuilt["state"]) == expected(30)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def spoil_snapshots(database):
    """Puts bytes that no type understands in place of all states, under sums that are right."""
    connection = sqlite3.connect(database)
    state = b"\xffnot a state"
    rows = connection.execute("SELECT id, stream, fold, version, offset, chain, time FROM snapshots").fetchall()
    for number, stream, fold, version, offset, chain, time in rows:
        total = crc32c(state)
        name = fold.encode()
        head = struct.pack("<qH", stream, len(name)) + name + struct.pack("<IQ", version, offset)
        crc = crc32c(head + chain + struct.pack("<qIQ", time, total, len(state)))
        connection.execute("UPDATE snapshots SET state = ?, sum = ?, bytes = ?, crc = ? WHERE id = ?",
                           (state, total, len(state), crc, number))
    connection.commit()
    connection.close()
    return len(rows)


def test_a_snapshot_that_the_type_does_not_take_is_passed_over():
    with running(CONFIGURATION) as platform:
        fill(platform, "state:spoilt", 1, 1050)
        eventually(10, "a snapshot is kept", lambda: snapshots(platform, "kept"))
        assert platform.stop() == 0
        platform.lines.clear()
        found = glob.glob(os.path.join(platform.data, "**", "events.sqlite"), recursive=True)
        assert len(found) == 1 and spoil_snapshots(found[0]) > 0
        platform.start(CONFIGURATION)
        assert within(10, shown(platform, "state:spoilt")) == expected(1050)
        assert snapshots(platform, "refused") == 1 and snapshots(platform, "restored") == 0
        rebuilt = api(platform, "state", channel="state:spoilt", rebuild=True)["result"]
        assert rebuilt["snapshot"]["same"] is False
