#!/usr/bin/env python3
"""What run.py makes of figures, who takes part in what, and what goes on beside a scenario.

Servers are made up, but for one that does nothing, to be restarted. Nothing here needs to be built.
"""
import os
import sys
import types

import beside
import harness
import run
import scenarios
from harness import Failed, Server

sys.dont_write_bytecode = True


def check(name, got, wanted):
    assert got == wanted, (name, got, wanted)
    print(f"{name:<44} ok")


def appended(rate, p50, p99, **more):
    return {"mode": "reqrep", "replies_per_s": rate, "lat_us": {"p50": p50, "p99": p99}, **more}


def held(results):
    return [(scenario, text, kept) for scenario, text, kept in run.verdicts(results)]


def check_bars():
    check("append1 is told by its p50", held({"append1": {
        "ours": [appended(9999, 300, 1)], "redis_aof": [appended(1, 200, 1)]}}),
        [("append1", "1.5 x redis_aof, bar at most 1", False)])
    check("a bar against one who was not measured", held({"append64": {
        "ours": [appended(80, 1, 1)], "redis_aof": [appended(100, 1, 1)]}}),
        [("append64", "0.8 x redis_aof, bar at least 0.8", True)])
    check("a bar against one without a result", held({"append8x128": {
        "ours": [appended(80, 1, 1)], "redis_aof": []}}),
        [("append8x128", "no result of redis_aof to compare with", False)])
    check("two bars of one scenario", held({"replay1000": {
        "ours": [{"mode": "replay", "ms": 2.5}], "jetstream": [{"mode": "replay", "ms": 4}]}}),
        [("replay1000", "2.5 ms to the last event, bar at most 3", True),
         ("replay1000", "0.62 x jetstream, bar at most 0.5", False)])
    check("replays against the floor", held({"replay100k": {
        "ours": [{"mode": "replay", "ms": 90}], "sqlite_replay": [{"mode": "replay", "ms": 45}]}}),
        [("replay100k", "2 x sqlite_replay, bar at most 2", True)])
    check("interference is told by the p99 of both", held({
        "append64": {"ours": [appended(50, 1, 1000)]},
        "interference_replay": {"ours": [appended(10, 1, 1600, beside={"times": 3})]}}),
        [("interference_replay", "1.6 x append64, bar at most 1.5", False)])
    check("a fault beside is a fault", held({
        "interference_replay": {"ours": [appended(10, 1, 1600, beside={"times": 3, "lost": 2})]}}),
        [("interference_replay", "BAD: 2 messages lost, doubled, reordered, refused or unanswered", False)])


def check_turns():
    check("what is held against each other is one family",
          run.families(["append1", "append64", "interference_replay"]), [["append1"], ["append64", "interference_replay"]])
    redis, floor = scenarios.SERVERS["redis_aof"], scenarios.SERVERS["sqlite_replay"]
    parts = [(scenario, name) for scenario in ("append64", "interference_replay", "replay100k", "replay100k_restart")
             for name in ("ours", "redis_aof", "sqlite_replay", "jetstream_always")
             if run.takes_part(scenario, scenarios.SERVERS[name], None)]
    check("who takes part", parts, [
        ("append64", "ours"), ("append64", "redis_aof"), ("append64", "jetstream_always"),
        ("interference_replay", "ours"), ("interference_replay", "redis_aof"),
        ("replay100k", "ours"), ("replay100k", "redis_aof"), ("replay100k", "sqlite_replay"),
        ("replay100k_restart", "ours")])
    check("only at its doors", [run.takes_part("replay100k", floor, {"replay"}), run.takes_part("append64", redis, {"fan"})],
          [True, False])


def check_tables():
    """Whatever is named in one table stands in the others."""
    named = set(scenarios.DEFAULT_SCENARIOS) | scenarios.BARS.keys() | scenarios.RATIOS.keys()
    named |= scenarios.FILLINGS.keys() | scenarios.BESIDE.keys() | scenarios.FIGURE_OF.keys()
    named |= {ratio[0] for ratio in scenarios.RATIOS.values()}
    check("every scenario that is named is one", named - scenarios.SCENARIOS.keys(), set())
    peers = {bar[0] for bars in scenarios.BARS.values() for bar in bars} - {None}
    check("every server that is named is one",
          (peers | scenarios.DEFAULT_SERVERS.keys() | scenarios.OPTIONAL.keys()) - scenarios.SERVERS.keys(), set())
    counts = {name: int(run.option(scenarios.SCENARIOS[name][2], "--count"))
              for name in scenarios.FILLINGS if name not in scenarios.BESIDE}
    check("as much is read as was filled in", counts,
          {name: filling.events for name, filling in scenarios.FILLINGS.items() if name not in scenarios.BESIDE})


def check_beside():
    server = types.SimpleNamespace(port=1, data="there")
    with beside.going_on("sleep 0.01", server, {}, None) as told:
        check("nothing is told before the end", told, {})
        harness.time.sleep(0.3)
    assert told["times"] > 1 and told["errors"] == 0 and len(told["seconds"]) == told["times"], told
    print(f"{'a command goes on beside':<44} ok {told['times']} times")
    with beside.going_on("test {data}{port} = elsewhere", server, {}, None) as told:
        pass
    check("one that fails is a fault", run.faults({"mode": "reqrep", "beside": told}), told["times"])
    with beside.going_on(None, server, {}, None) as told:
        pass
    check("nothing beside", told, {})


def check_restart():
    """A server comes back with what it had stored, as another process; and leaves nothing in the end."""
    keep = "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); " \
           "open(sys.argv[2] + '/starts', 'a').write('.'); print('here', flush=True); s.accept()"
    with Server("test", f'python3 -c "{keep}" {{port}} {{data}}', "here") as server:
        first = server.pid
        server.restart()
        with open(os.path.join(server.data, "starts")) as starts:
            check("a restart keeps the data", (starts.read(), server.pid != first), ("..", True))
    check("and nothing stays", os.path.exists(server.data), False)
    try:
        Server("test", "false", "here")
    except Failed:
        print(f"{'one that does not start':<44} ok")


check_bars()
check_turns()
check_tables()
check_beside()
check_restart()
