"""Who is measured, and how: one table of servers, one of scenarios, one of bars."""
import json
import os
from typing import NamedTuple

from harness import BIN, HOME, ROOT

RELEASE = os.environ.get("SAPPHIRE_BIN", os.path.join(ROOT, ".build", "release"))

# The peers that speak the plain convention: /cN subscribes to channel N, a frame "cN:text" publishes to it.
PLAIN = {
    "fan": "--path /c%c --pub-path /pub --pub c%c:%p",
    "echo": "--path /echo",
    "conn": "--path /c%c --channels 1000",
}
ENGINE_IO = "--path /socket.io/?EIO=4&transport=websocket --eio --hello 40 --hello-acks 1"
SOCKETIO_ROOM = ' --sub 421["sub","c%c"] --pub 42["pub","c%c","%p"]'
NATS = {"fan": "--path c%c --pub-path c%c --pub %p", "conn": "--sub x --path c%c --channels 1000"}
ENVELOPE = '{"channel":"c%c","data":"%p"}'
# A consumer that is pushed everything there is in one subject of the stream; what has blanks in it is a list.
CONSUMER = json.dumps({"stream_name": "S", "config": {
    "deliver_subject": "d", "filter_subject": "r.0", "ack_policy": "none", "deliver_policy": "all",
    "replay_policy": "instant"}}, separators=(",", ":"))
JETSTREAM = {"command": "peers/nats.sh", "port_offset": 1, "jetstream": True,
             "append": "--proto nats --channels 64 --path s.%c"}
OURS_REPLAY = '--path /ws --lockstep --sub {"type":"subscribe","id":1,"channel":"log:r%c","since":"start"}'

# name -> command ({port}, {data}), the text that says it is ready (else its port does), environment,
# and for each door (fan, echo, conn, http, append, fill and replay, and the client protocols) how the load
# generator speaks to it. `tool` in place of a command: a floor that measures itself.
SERVERS = {
    # All four of our processes under one parent, without a configuration file. Publishers use the
    # publish-only socket: a publisher on a channel's own socket would be one more subscriber.
    "ours": {
        "command": f"{RELEASE}/sapphire up --listen 127.0.0.1:{{port}} --data {{data}}",
        "ready": "ready http://",
        "fan": f"--path /ws/c%c --pub-path /ws --pub {ENVELOPE}",
        "echo": "--path /ws/echo",
        "conn": "--path /ws/c%c --channels 1000",
        "http": "--path /api/publish --channels 1000 --content-type application/json "
                f"--header X-API-Key:{{key}} --pub {ENVELOPE} --ack \"result\"",
        "socketio": "--dialect socketio",
        "centrifuge_json": "--dialect centrifuge-json",
        "centrifuge_protobuf": "--dialect centrifuge-protobuf",
        "append": '--path /ws --pub {"id":%s,"channel":"log:s%c","data":"%p"} --channels 64 '
                  '--ack "ack"',
        "fill": '--path /ws --pub {"id":%s,"channel":"log:r%c","data":"%p"} --ack "ack"',
        "replay": OURS_REPLAY,
        "restart": OURS_REPLAY,
    },
    "epoll": {"command": f"{BIN}/epoll_bcast {{port}}", **PLAIN},
    "redis": {
        "command": "peers/redis.sh",
        "fan": "--proto redis --path c%c --pub PUBLISH|c%c|%p",
        "conn": "--proto redis --sub x --path c%c --channels 1000",
    },
    "redis_aof": {
        "command": "peers/redis.sh", "env": {"SYNC": "always"},
        "append": "--proto redis --channels 64 --pub XADD|s%c|*|d|%p",
        "fill": "--proto redis --pub XADD|r%c|*|d|%p",
        "replay": ["--proto", "raw", "--sub", "XRANGE r%c - +"],
    },
    "sqlite_replay": {"tool": "sqlite_replay {data}/events.db {count} {payload}", "replay": ""},
    "jetstream": {
        **JETSTREAM,
        "fill": "--proto nats --path r.%c",
        "replay": ["--proto", "raw", "--sub", 'CONNECT {"verbose":false}%r', "--sub", "SUB d 1%r",
                   "--sub", f"PUB $JS.API.CONSUMER.CREATE.S _I.x {len(CONSUMER)}%r%n{CONSUMER}%r"],
    },
    "jetstream_always": {**JETSTREAM, "env": {"SYNC": "always"}},
    # The rest are not needed for the bars; peers/install.sh installs them.
    "epoll_nobatch": {"command": f"{BIN}/epoll_bcast {{port}} nobatch", "fan": PLAIN["fan"]},
    "uring": {"command": f"{BIN}/uring_bcast {{port}}", **PLAIN},
    "uws": {"command": os.environ.get("BENCH_UWS", "uws_server") + " {port}", **PLAIN},
    "socketify": {"command": "peers/socketify.sh", **PLAIN},
    "picows": {"command": "peers/picows.sh", **PLAIN},
    "nats_ws": {"command": "peers/nats.sh", **{k: f"--proto natsws {v}" for k, v in NATS.items()}},
    "nats_tcp": {
        "command": "peers/nats.sh", "port_offset": 1,
        **{k: f"--proto nats {v}" for k, v in NATS.items()},
    },
    "mosquitto_ws": {
        "command": "peers/mosquitto.sh",
        "fan": "--proto mqttws --path c%c --pub-path c%c --pub %p",
        "conn": "--proto mqttws --sub x --path c%c --channels 1000",
    },
    "nchan": {
        "command": "peers/nchan.sh",
        "fan": "--path /sub/c%c --pub-proto http --pub-path /pub/c%c --pub %p --pub-depth 64",
        "conn": "--path /sub/c%c --channels 1000",
        "http": "--path /pub/c%c --channels 1000",
    },
    "socketio": {
        "command": "peers/socketio.sh",
        "fan": ENGINE_IO + SOCKETIO_ROOM,
        "socketio": ENGINE_IO + SOCKETIO_ROOM,
        "echo": ENGINE_IO + ' --pub 42["echo","%p"]',
        "conn": ENGINE_IO + ' --sub 42["sub","c%c"] --channels 1000',
    },
    "fastapi_redis": {
        "command": "peers/fastapi_redis.sh",
        "fan": "--path /ws/c%c --pub-path /ws/pub --pub c%c:%p",
        "echo": "--path /echo",
        "conn": "--path /ws/c%c --channels 1000",
        "http": "--path /publish/c%c --channels 1000",
    },
}



class Filling(NamedTuple):
    """What a server holds before it is measured: so many events in each of so many streams, written in turns."""
    events: int
    streams: int = 1
    restart: bool = False


TIMED = "--settle 500 --drain 2 --warm 0.3 --dur 1.2"
# name -> mode of the load generator, door of the server, options
SCENARIOS = {
    "fan_w1": ("fanout", "fan", f"--subs 1000 --window 1 {TIMED}"),
    "fan_w16": ("fanout", "fan", f"--subs 1000 --window 16 {TIMED}"),
    # The same by the protocols of clients that people have already.
    "fan_w16_socketio": ("fanout", "socketio", f"--subs 1000 --window 16 {TIMED}"),
    "fan_w16_centrifuge": ("fanout", "centrifuge_json", f"--subs 1000 --window 16 {TIMED}"),
    "fan_w16_protobuf": ("fanout", "centrifuge_protobuf", f"--subs 1000 --window 16 {TIMED}"),
    "fan_w64": ("fanout", "fan", f"--subs 1000 --window 64 {TIMED}"),
    "many_w": ("fanout", "fan", f"--subs 1000 --channels 1000 --window 256 {TIMED}"),
    "echo64": ("echo", "echo", f"--conns 64 {TIMED}"),
    "conn10k": ("connect", "conn", "--conns 10000 --hold 10 --settle 200"),
    "http64": ("publish-http", "http", f"--conns 64 {TIMED}"),
    "http64p": ("publish-http", "http", f"--conns 64 --depth 16 {TIMED}"),
    "append1": ("reqrep", "append", f"--conns 1 --depth 1 --payload 200 {TIMED}"),
    "append64": ("reqrep", "append", f"--conns 64 --depth 1 --payload 200 {TIMED}"),
    "append8x128": ("reqrep", "append", f"--conns 8 --depth 128 --payload 200 {TIMED}"),
    # The same as append64 while something else goes on: see BESIDE.
    "interference_replay": ("reqrep", "append", f"--conns 64 --depth 1 --payload 200 {TIMED}"),
    "replay1000": ("replay", "replay", "--payload 200 --count 1000 --repeat 21"),
    "replay100k": ("replay", "replay", "--payload 200 --count 100000 --repeat 5"),
    # Not in the default run.
    "replay100k_mixed": ("replay", "replay", "--payload 200 --count 100000 --repeat 5"),
    "replay100k_restart": ("replay", "restart", "--payload 200 --count 100000 --repeat 1"),
    "fan_r20": ("fanout", "fan", "--subs 1000 --rate 20 --settle 500 --drain 2 --warm 0.5 --dur 2.5"),
    "many_r5k": ("fanout", "fan", "--subs 1000 --channels 1000 --rate 5000 --settle 500 --warm 0.5 --dur 1.5"),
    # Ten more subscribers that never read must cost the others nothing.
    "slow0": ("fanout", "fan", "--subs 100 --payload 8192 --rate 400 --settle 500 --warm 0.5 --dur 3"),
    "slow10": ("fanout", "fan",
               "--subs 100 --slow 10 --payload 8192 --rate 400 --settle 500 --warm 0.5 --dur 3"),
}
DEFAULT_SCENARIOS = ["fan_w1", "fan_w16", "fan_w16_socketio", "fan_w16_centrifuge", "fan_w16_protobuf", "fan_w64",
                     "many_w", "echo64", "conn10k", "http64", "http64p", "append1", "append64",
                     "interference_replay", "append8x128", "replay1000", "replay100k", "slow0", "slow10"]
# scenario -> what is filled in first, through the front door (`fill`), once for each start of a server.
FILLINGS = {
    "replay1000": Filling(1000),
    "replay100k": Filling(100_000),
    "replay100k_mixed": Filling(100_000, streams=64),
    "replay100k_restart": Filling(100_000, restart=True),
    "interference_replay": Filling(100_000),
}
# scenario -> what goes on meanwhile, again and again: "replay", one client that is given everything that was filled
# in, or a command line ({port}, {data}), such as one that takes a backup.
BESIDE = {"interference_replay": "replay"}
# Who is in the default run, and at which doors; None for all that it has.
DEFAULT_SERVERS = {"ours": None, "epoll": None, "redis": None, "redis_aof": None,
                   "sqlite_replay": None, "jetstream": {"replay"}, "socketio": {"socketio"}, "nchan": {"http"}}
# Those that are left out of it where they are not installed: a file that they come with.
OPTIONAL = {
    "jetstream": os.path.join(HOME, "venv", "bin", "nats-server"),
    "socketio": os.path.join(HOME, "venv", "bin", "uvicorn"),
    "nchan": os.environ.get("NCHAN_MODULE", "/usr/share/nginx/modules/ngx_nchan_module.so"),
}

# What each scenario is about: the figure, how it reads, and whether less of it is better.
FIGURES = {
    "cpu_s_per_M": "CPU-s per million",
    "rss_per_conn": "bytes a connection",
    "p50_us": "us p50",
    "p99_us": "us p99",
    "ms": "ms to the last event",
    "replies_per_s": "a second",
}
FIGURE_OF = {"conn10k": "rss_per_conn", "append1": "p50_us", "append64": "replies_per_s",
             "append8x128": "replies_per_s", "interference_replay": "p99_us", "replay1000": "ms", "replay100k": "ms",
             "replay100k_mixed": "ms", "replay100k_restart": "ms", "slow0": "p99_us", "slow10": "p99_us"}

# scenario -> bars: (peer or None for an absolute bar, "at most" or "at least", value)
BARS = {
    "fan_w1": [("epoll", "at most", 1.25)],
    "fan_w16": [("epoll", "at most", 1.6)],
    "fan_w16_socketio": [("socketio", "at most", 1 / 60)],
    "many_w": [("epoll", "at most", 2.5)],
    "echo64": [("epoll", "at most", 1.5)],
    "conn10k": [(None, "at most", 4096)],
    "http64": [("nchan", "at most", 1.2)],
    "http64p": [("nchan", "at most", 1.2)],
    "append1": [("redis_aof", "at most", 1)],
    "append64": [("redis_aof", "at least", 0.8), ("jetstream_always", "at least", 12)],
    "append8x128": [("redis_aof", "at least", 0.35), ("jetstream_always", "at least", 25)],
    "replay1000": [(None, "at most", 3), ("jetstream", "at most", 0.5)],
    "replay100k": [("sqlite_replay", "at most", 2), ("jetstream", "at most", 0.5)],
    "replay100k_mixed": [("sqlite_replay", "at most", 2)],
}

# scenario -> (scenario of the same server, "at most", value): what its figure may be of what that is in the other
# scenario. The two are measured in turns.
RATIOS = {
    "fan_w16_socketio": ("fan_w16", "at most", 2),
    "fan_w16_centrifuge": ("fan_w16", "at most", 1.3),
    "fan_w16_protobuf": ("fan_w16", "at most", 1.3),
    "slow10": ("slow0", "at most", 1.3),
    "interference_replay": ("append64", "at most", 1.5),
}
