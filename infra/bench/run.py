#!/usr/bin/env python3
"""Measures our processes beside their peers in one interleaved run and holds the medians to the bars.

  run.py                                   the default servers and scenarios, 5 runs each
  run.py --scenarios fan_w1,echo64 --runs 9
  run.py --servers ours,epoll,uring --scenarios fan_w16
  run.py --servers ours,redis_aof,sqlite_replay,jetstream --scenarios append1,replay1000,replay100k
  run.py --table FILE                      the table and verdicts of an earlier run

Exit code: 0 every bar measured was held, 1 a bar was missed, 2 nothing could be measured.
"""
import argparse
import json
import os
import shlex
import shutil
import statistics
import sys
import tempfile
import time

import harness
from beside import going_on
from harness import Failed, Server, append_line
from scenarios import (BARS, BESIDE, DEFAULT_SCENARIOS, DEFAULT_SERVERS, FIGURE_OF, FIGURES, FILLINGS, OPTIONAL, RATIOS,
                       RELEASE, SCENARIOS, SERVERS)

# Any of these makes a run no result, however good its figures are.
FAULTS = ["lost", "dup", "out_of_order", "bad", "pub_errors", "unanswered", "errors", "unmatched"]


def measure(name, scenario):
    """One run of one scenario against a fresh server."""
    facts = SERVERS[name]
    mode, door, options = SCENARIOS[scenario]
    if "tool" in facts:
        return measure_tool(facts["tool"], options)
    label, offset = f"{name}/{scenario}", facts.get("port_offset", 0)
    with Server(name, facts["command"], facts.get("ready"), facts.get("env")) as server:
        if facts.get("jetstream"):
            harness.make_jetstream(server.port)
        if scenario in FILLINGS:
            fill(server, facts, FILLINGS[scenario])
        time.sleep(0.3)
        with going_on(BESIDE.get(scenario), server, facts, FILLINGS.get(scenario)) as beside:
            row = harness.load(mode, server, options.split() + spoken(facts[door], server), label, offset)
        if beside:
            row["beside"] = beside
    if mode == "connect":
        row["idle_cores"] = row["idle_cpu_s"] / float(option(options, "--hold"))
    return row


def option(options, name):
    words = options.split()
    return words[words.index(name) + 1]


def spoken(door, server):
    """The words of a door. Templates are JSON: split at spaces alone, quotes belong to them."""
    if isinstance(door, list):
        return door
    if "{key}" in door:
        with open(os.path.join(server.data, "api.key")) as key:
            door = door.replace("{key}", key.read().strip())
    return door.split()


def fill(server, facts, filling):
    """Through the server's own front door, every event acknowledged."""
    words = spoken(facts["fill"], server)
    words += f"--payload 200 --count {filling.events} --channels {filling.streams}".split()
    row = harness.load("fill", server, words, "fill", facts.get("port_offset", 0), timeout=900)
    if faults(row):
        raise Failed(f"could not be filled: {row}")
    if filling.restart:
        server.restart()


def measure_tool(line, options):
    """A floor fills a file and then measures itself as often as a server is asked."""
    with tempfile.TemporaryDirectory(prefix="floor-", dir=harness.HOME) as data:
        words = line.format(data=data, count=option(options, "--count"), payload=option(options, "--payload")).split()
        harness.tool(*words)
        rows = [harness.tool(*words) for _ in range(int(option(options, "--repeat")))]
    row = {key: statistics.median(one[key] for one in rows) for key in ("ms", "events_per_s", "mb_per_s", "cpu_s_per_M")}
    return {"mode": "replay", "count": rows[0]["count"], "replays": len(rows), **row}


def faults(row):
    count = sum(abs(row.get(key, 0)) for key in FAULTS)
    if "beside" in row:
        count += faults(row["beside"])
    if row.get("mode") == "connect":
        count += row["conns"] - row["alive"]
    return count


def families(scenarios):
    """Scenarios that are held against each other stand together."""
    found = []
    for scenario in scenarios:
        other = RATIOS.get(scenario, (None,))[0]
        home = next((family for family in found if other in family), None)
        if home is None:
            found.append([scenario])
        else:
            home.append(scenario)
    return found


def run(scenarios, servers, runs, out):
    """scenario -> server -> rows. Interleaved: ours, peer, ours, peer, so that drift meets all alike.

    `servers` has the doors each is measured at, or None for all.
    """
    results = {}
    for family in families(scenarios):
        turns = [(scenario, name) for scenario in family for name, doors in servers.items()
                 if takes_part(scenario, SERVERS[name], doors)]
        for scenario, name in turns:
            results.setdefault(scenario, {})[name] = []
        for number in range(runs):
            for scenario, name in turns:
                measured(results[scenario][name], scenario, name, number, out)
        for scenario in family:
            if scenario in results:
                print_scenario(scenario, results[scenario])
    return results


def takes_part(scenario, facts, doors):
    """Whether a server has the doors that a scenario needs; `doors` are those it is to be measured at."""
    door = SCENARIOS[scenario][1]
    needed = {door}
    if scenario in FILLINGS and "tool" not in facts:
        needed.add("fill")
    if BESIDE.get(scenario) == "replay":
        needed.add("replay")
    return needed <= facts.keys() and (doors is None or door in doors)


def measured(rows, scenario, name, number, out):
    """One run more, into `rows` and the file."""
    with harness.machine():
        try:
            row = measure(name, scenario)
        except (Failed, OSError) as problem:
            print(f"{name} {scenario}: {problem}", file=sys.stderr)
            return
    row.update(server=name, scenario=scenario, run=number, machine_load=os.getloadavg()[0])
    append_line(out, row)
    rows.append(row)


def figure(scenario):
    return FIGURE_OF.get(scenario, "cpu_s_per_M")


def middle(rows, key):
    if key in ("p50_us", "p99_us"):
        return statistics.median(row["lat_us"][key[:3]] for row in rows)
    return statistics.median(row[key] for row in rows)


def print_scenario(scenario, table):
    key = figure(scenario)
    print(f"\n{scenario}: {FIGURES[key]}, median (least-most)")
    for name, rows in table.items():
        if not rows:
            print(f"  {name:<14} no result")
            continue
        values = [middle([row], key) for row in rows]
        rate = rows[0].get("deliveries_per_s") and "deliveries_per_s" or "replies_per_s"
        rest = [f"{number(statistics.median(values)):>10} ({number(min(values))}-{number(max(values))})"]
        if rows[0]["mode"] == "replay":
            rest += [f"{middle(rows, 'cpu_s_per_M'):.3g} CPU-s/M", f"{middle(rows, 'events_per_s'):,.0f}/s",
                     f"{middle(rows, 'mb_per_s'):,.0f} MB/s"]
            if "client_cores" in rows[0]:
                rest += [f"client {middle(rows, 'client_cores'):.2f} cores", f"{middle(rows, 'server_rss_mb'):,.0f} MB"]
        elif rows[0]["mode"] == "connect":
            rest += [f"{middle(rows, 'cpu_us_per_connect'):,.1f} us CPU to connect",
                     f"{middle(rows, 'idle_cores'):.4f} cores idle"]
        elif rate in rows[0]:
            latency = [statistics.median(row["lat_us"][q] for row in rows) for q in ("p50", "p99")]
            if key != "cpu_s_per_M":
                rest.append(f"{middle(rows, 'cpu_s_per_M'):.3g} CPU-s/M")
            rest += [f"{middle(rows, rate):,.0f}/s",
                     f"p50 {latency[0]:,.0f} us p99 {latency[1]:,.0f} us",
                     f"client {middle(rows, 'client_cores'):.2f} cores", f"{middle(rows, 'server_rss_mb'):,.0f} MB"]
        if "beside" in rows[0]:
            rest.append(f"{statistics.median(row['beside']['times'] for row in rows):.0f} times beside")
        wrong = sum(faults(row) for row in rows)
        print(f"  {name:<14} {'  '.join(rest)}  n={len(rows)}{f'  BAD {wrong}' if wrong else ''}", flush=True)


def verdicts(results):
    """Rows of (scenario, text, held); a scenario that was measured without its peer has no verdict."""
    for scenario, table in results.items():
        mine = table.get("ours")
        if mine is None:
            continue
        if not mine:
            yield scenario, "ours gave no result", False
            continue
        wrong = sum(faults(row) for row in mine)
        if wrong:
            yield scenario, f"BAD: {wrong} messages lost, doubled, reordered, refused or unanswered", False
        if scenario in RATIOS:
            other, direction, bar = RATIOS[scenario]
            before = results.get(other, {}).get("ours")
            if before:
                value = middle(mine, figure(scenario)) / middle(before, figure(scenario))
                yield scenario, f"{text(value)} x {other}, bar {direction} {text(bar)}", value <= bar
        for peer, direction, bar in BARS.get(scenario, ()):
            if peer is None or peer in table:
                yield scenario, *verdict(mine, table.get(peer), figure(scenario), peer, direction, bar)


def verdict(mine, others, key, peer, direction, bar):
    """(text, held) of one bar, against a peer or by itself."""
    value = middle(mine, key)
    if peer is None:
        what = f"{number(value)} {FIGURES[key]}"
    elif not others:
        return f"no result of {peer} to compare with", False
    else:
        value /= middle(others, key)
        what = f"{text(value)} x {peer}"
    held = value <= bar if direction == "at most" else value >= bar
    return f"{what}, bar {direction} {text(bar)}", held


def number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def text(ratio):
    return f"1/{1 / ratio:.0f}" if ratio < 0.1 else f"{ratio:.2f}".rstrip("0").rstrip(".")


def print_verdicts(results):
    rows = list(verdicts(results))
    print("\nBars")
    for scenario, what, held in rows:
        print(f"  {'pass' if held else 'FAIL'}  {scenario:<18} {what}")
    missed = sum(not held for _, _, held in rows)
    print(f"{len(rows) - missed} held, {missed} missed")
    return 1 if missed else 0


def print_method(runs):
    with open("/proc/cpuinfo") as info:
        model = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), "?")
    pinned = (f"server on core {harness.CORES[0]}, load generator on core {harness.CORES[1]}"
              if harness.PIN else "nothing pinned")
    print(f"""How these figures are taken
  machine    {model}, {len(harness.CORES)} cores, Linux {os.uname().release}, load {os.getloadavg()[0]:.2f}
  placing    {pinned}; loopback TCP, no TLS, no compression, 128 B payload (appends 200 B)
  memory     {harness.warm_memory():.0f} GiB were used once before, so that none is the machine's first use of it
  ours       all processes under `sapphire up` together, without a configuration file
  runs       {runs} of each, interleaved, each against a fresh server; medians are compared
  CPU-s/M    CPU-seconds of all server processes per million deliveries or replies, from schedstat
  a message  carries publisher, sequence and time: loss, doubling and order are checked, BAD is no result
  appends    acknowledged after the sync; files under {harness.HOME}
  replays    of what was published through the front door, to one subscriber, from subscribing to the last event;
             the median of several in a run; count and order of all events are checked""")


def read_table(path):
    results = {}
    with open(path) as lines:
        for row in map(json.loads, lines):
            results.setdefault(row["scenario"], {}).setdefault(row["server"], []).append(row)
    return results


def servers_of(chosen):
    """Name -> doors. By name whoever is named; else the default ones that are installed."""
    if chosen:
        return dict.fromkeys(chosen.split(","))
    left_out = [name for name, file in OPTIONAL.items() if not os.path.exists(file)]
    if left_out:
        print(f"left out, not installed: {', '.join(left_out)} (infra/bench/peers/install.sh {' '.join(left_out)})")
    return {name: doors for name, doors in DEFAULT_SERVERS.items() if name not in left_out}


def missing(servers):
    if not os.path.exists(harness.WSLOAD):
        yield f"the tools are not built: make -C {os.path.relpath(harness.HERE)}"
    if "sqlite_replay" in servers and not os.path.exists(os.path.join(harness.BIN, "sqlite_replay")):
        yield f"the floor of replay is not built: make -C {os.path.relpath(harness.HERE)}"
    if "ours" in servers and not os.path.exists(os.path.join(RELEASE, "sapphire")):
        yield "no release build of ours: swift build -c release"
    if {"redis", "redis_aof"} & servers.keys() and not shutil.which("redis-server"):
        yield "redis-server is missing: apt-get install --no-install-recommends redis-server"
    if harness.PIN and not shutil.which("taskset"):
        yield "taskset is missing: apt-get install util-linux"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--servers", help=f"default: {','.join(DEFAULT_SERVERS)}")
    options.add_argument("--scenarios", default=",".join(DEFAULT_SCENARIOS))
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--out", help="JSON lines, one a run (default: a new file under .build/bench)")
    options.add_argument("--table")
    chosen = options.parse_args()
    if chosen.table:
        results = read_table(chosen.table)
        for scenario, table in results.items():
            print_scenario(scenario, table)
        return print_verdicts(results)
    servers, scenarios = servers_of(chosen.servers), chosen.scenarios.split(",")
    for name in [n for n in servers if n not in SERVERS] + [s for s in scenarios if s not in SCENARIOS]:
        options.error(f"unknown name {shlex.quote(name)}")
    problems = list(missing(servers))
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 2
    out = chosen.out or os.path.join(harness.HOME, time.strftime("run-%Y%m%d-%H%M%S.jsonl"))
    print_method(chosen.runs)
    results = run(scenarios, servers, chosen.runs, out)
    code = print_verdicts(results)
    print(f"every run: {os.path.relpath(out)}")
    return code if any(rows for table in results.values() for rows in table.values()) else 2


if __name__ == "__main__":
    sys.exit(main())
