#!/usr/bin/env python3
"""Floors and peers of durable append and replay: this disk, SQLite, Redis Streams, JetStream, PostgreSQL.

  durable.py --only disk,sqlite,replay,redis      what the bars and targets are derived from
  durable.py --only nats,postgres                 peers that peers/install.sh installs

Our own appends and replays are measured by run.py (append1, append64, append8x128, replay1000, replay100k), beside the
floor of replay, Redis and JetStream in the same run.
"""
import argparse
import glob
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

import harness
from harness import HOME, Failed, Server, append_line

APPEND = "--payload 200 --warm 0.3 --dur 1.2 --settle 100"
DEPTHS = ((1, 1), (64, 1), (8, 128))   # connections, in flight on each
APPEND_FIGURES = ["replies_per_s", "cpu_s_per_M", "p50", "p99"]


def emit(name, rows, keys):
    rows = [row for row in rows if row]
    if not rows:
        print(f"{name}: no result", file=sys.stderr)
        return
    for row in rows:
        append_line(chosen.out, dict(row, name=name))
    cells = []
    for key in keys:
        values = [row["lat_us"][key] if key in ("p50", "p99") and "lat_us" in row else row[key] for row in rows]
        cells.append(f"{key} {statistics.median(values):,.4g} ({min(values):,.4g}-{max(values):,.4g})")
    print(f"{name}: {'  '.join(cells)}", flush=True)


def tool(*words):
    """One run of a C floor; nothing where it failed."""
    with harness.machine():
        try:
            return harness.tool(*words)
        except Failed as problem:
            print(f"{words[0]}: {problem}", file=sys.stderr)
            return None


def disk():
    path = f"{scratch}/file"
    figures = ["per_s", "p50_us", "p99_us", "max_us"]
    for size in (256, 4096, 65536, 1048576):
        count = "500" if size < 1048576 else "100"
        emit(f"fdatasync append {size} B", [tool("fsync_lat", path, str(size), count) for _ in runs], figures)
    emit("fdatasync overwrite 4096 B, preallocated",
         [tool("fsync_lat", path, "4096", "500", "pre") for _ in runs], figures)


def sqlite():
    figures = ["events_per_s", "commits_per_s", "cpu_s_per_M", "p50", "p99"]
    path = f"{scratch}/events.db"
    for sync in ("full", "normal"):
        for batch in (1, 10, 100, 1000):
            emit(f"SQLite WAL {sync.upper()} batch {batch}",
                 [tool("sqlite_append", path, sync, str(batch), "1.5") for _ in runs], figures)
    # What the (stream, offset) index costs: one hot stream, and no index at all.
    for batch in (100, 1000):
        for label, rest in (("one stream", ["200", "1"]), ("no index", ["200", "100", "noindex"])):
            emit(f"SQLite WAL FULL batch {batch}, {label}",
                 [tool("sqlite_append", path, "full", str(batch), "1.5", *rest) for _ in runs], figures)


def replay():
    for count in (1000, 10000, 100000):
        path = f"{scratch}/replay-{count}.db"
        tool("sqlite_replay", path, str(count))   # the first call fills the file
        emit(f"SQLite replay of {count} rows of 200 B",
             [tool("sqlite_replay", path, str(count)) for _ in runs],
             ["ms", "events_per_s", "mb_per_s", "cpu_s_per_M"])


def appends(name, command, env, options, port_offset=0, prepare=None):
    for connections, depth in DEPTHS:
        rows = []
        for _ in runs:
            with harness.machine():
                try:
                    with Server("durable", command, env=env) as server:
                        if prepare:
                            prepare(server.port)
                        load = f"--conns {connections} --depth {depth} {APPEND} {options}".split()
                        rows.append(harness.load("reqrep", server, load, name, port_offset))
                except Failed as problem:
                    print(f"{name}: {problem}", file=sys.stderr)
        emit(f"{name}, {connections} x {depth}", rows, APPEND_FIGURES)


def redis():
    for sync in ("always", "everysec"):
        appends(f"Redis XADD appendfsync {sync}", "peers/redis.sh", {"SYNC": sync},
                "--proto redis --channels 100 --pub XADD|s%c|*|d|%p")


def nats():
    for sync, label in (("", "default sync interval"), ("always", "sync always")):
        appends(f"JetStream file, {label}", "peers/nats.sh", {"SYNC": sync},
                "--proto nats --channels 100 --path s.%c", port_offset=1, prepare=harness.make_jetstream)


def postgres():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not found:
        print("postgresql is not installed: peers/install.sh", file=sys.stderr)
        return
    programs = found[-1]
    data, port = f"{scratch}/postgres", str(harness.free_port())
    os.makedirs(data)
    os.chmod(scratch, 0o755)
    shutil.chown(data, "postgres")

    def as_postgres(*words):
        lead = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        return subprocess.run(lead + list(words), capture_output=True, text=True, cwd=data)

    def batch(sync, size, clients):
        script = f"{scratch}/insert.sql"
        with open(script, "w") as out:
            out.write("insert into event(stream,seq,body) select 1, nextval('q'), repeat('x',200)::bytea "
                      f"from generate_series(1,{size});\n")
        words = f"pgbench -h {data} -p {port} -U postgres -n -M prepared -f {script} -c {clients} -j 1 -T 2 postgres"
        with harness.machine():
            done = subprocess.run(words.split(), capture_output=True, text=True, timeout=60,
                                  env=dict(os.environ, PGOPTIONS=f"-c synchronous_commit={sync}"))
        rate = re.search(r"tps = ([\d.]+)", done.stdout)
        latency = re.search(r"latency average = ([\d.]+)", done.stdout)
        if not rate or not latency:
            print(done.stderr[-200:], file=sys.stderr)
            return None
        return {"events_per_s": float(rate[1]) * size, "commits_per_s": float(rate[1]),
                "latency_avg_ms": float(latency[1])}

    as_postgres(f"{programs}/initdb", "-D", data, "-A", "trust", "-N")
    settings = f"-p {port} -k {data} -c listen_addresses='' -c shared_buffers=256MB -c max_wal_size=4GB"
    as_postgres(f"{programs}/pg_ctl", "-D", data, "-w", "-l", f"{data}/log", "-o", settings, "start")
    try:
        for statement in ("create table event(pos bigint generated always as identity primary key, stream int "
                          "not null, seq bigint not null, ts timestamptz not null default now(), body bytea "
                          "not null, unique(stream,seq))", "create sequence q"):
            subprocess.run(["psql", "-h", data, "-p", port, "-U", "postgres", "-c", statement], capture_output=True)
        for sync in ("on", "off"):
            for size, clients in ((1, 1), (1, 16), (1, 64), (10, 1), (100, 1), (1000, 1)):
                emit(f"PostgreSQL synchronous_commit={sync} batch {size} clients {clients}",
                     [batch(sync, size, clients) for _ in runs],
                     ["events_per_s", "commits_per_s", "latency_avg_ms"])
    finally:
        as_postgres(f"{programs}/pg_ctl", "-D", data, "-m", "fast", "-w", "stop")


PARTS = {"disk": disk, "sqlite": sqlite, "replay": replay, "redis": redis, "nats": nats, "postgres": postgres}

if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--only", default="disk,sqlite,replay,redis")
    options.add_argument("--out", default=os.path.join(HOME, "durable.jsonl"))
    chosen = options.parse_args()
    runs = range(chosen.runs)
    with tempfile.TemporaryDirectory(prefix="durable-", dir=HOME) as scratch:
        for part in chosen.only.split(","):
            PARTS[part]()
