"""Who is measured, and how: one table of servers, one of scenarios, one of bars."""
import os

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

# name -> command ({port}, {data}), the text that says it is ready (else its port does), environment,
# and for each door (fan, echo, conn, http, append, and the client protocols) how the load generator speaks to it.
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
    },
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
    "append64": ("reqrep", "append", f"--conns 64 --depth 1 --payload 200 {TIMED}"),
    # Not in the default run.
    "append1": ("reqrep", "append", f"--conns 1 --depth 1 --payload 200 {TIMED}"),
    "append8x128": ("reqrep", "append", f"--conns 8 --depth 128 --payload 200 {TIMED}"),
    "fan_r20": ("fanout", "fan", "--subs 1000 --rate 20 --settle 500 --drain 2 --warm 0.5 --dur 2.5"),
    "many_r5k": ("fanout", "fan", "--subs 1000 --channels 1000 --rate 5000 --settle 500 --warm 0.5 --dur 1.5"),
    # Ten more subscribers that never read must cost the others nothing.
    "slow0": ("fanout", "fan", "--subs 100 --payload 8192 --rate 400 --settle 500 --warm 0.5 --dur 3"),
    "slow10": ("fanout", "fan",
               "--subs 100 --slow 10 --payload 8192 --rate 400 --settle 500 --warm 0.5 --dur 3"),
}
DEFAULT_SCENARIOS = ["fan_w1", "fan_w16", "fan_w16_socketio", "fan_w16_centrifuge", "fan_w16_protobuf", "fan_w64",
                     "many_w", "echo64", "conn10k", "http64", "http64p", "append64", "slow0", "slow10"]
# Who is in the default run, and at which doors; None for all that it has.
DEFAULT_SERVERS = {"ours": None, "epoll": None, "redis": None, "redis_aof": None,
                   "socketio": {"socketio"}, "nchan": {"http"}}
# Those that are left out of it where they are not installed: a file that they come with.
OPTIONAL = {
    "socketio": os.path.join(HOME, "venv", "bin", "uvicorn"),
    "nchan": os.environ.get("NCHAN_MODULE", "/usr/share/nginx/modules/ngx_nchan_module.so"),
}

# What each scenario is about: the figure, how it reads, and whether less of it is better.
FIGURES = {
    "cpu_s_per_M": "CPU-s per million",
    "rss_per_conn": "bytes a connection",
    "p99_us": "us p99",
    "replies_per_s": "a second",
}
FIGURE_OF = {"conn10k": "rss_per_conn", "append1": "replies_per_s", "append64": "replies_per_s",
             "append8x128": "replies_per_s", "slow0": "p99_us", "slow10": "p99_us"}

# scenario -> (peer or None for an absolute bar, "at most" or "at least", value)
BARS = {
    "fan_w1": ("epoll", "at most", 1.25),
    "fan_w16": ("epoll", "at most", 1.6),
    "fan_w16_socketio": ("socketio", "at most", 1 / 60),
    "many_w": ("epoll", "at most", 2.5),
    "echo64": ("epoll", "at most", 1.5),
    "conn10k": (None, "at most", 4096),
    "http64": ("nchan", "at most", 1.2),
    "http64p": ("nchan", "at most", 1.2),
    "append64": ("redis_aof", "at least", 0.5),
}

# scenario -> (scenario of the same server, "at most", value): what it may be of the other's figure. The two
# are measured in turns.
RATIOS = {
    "fan_w16_socketio": ("fan_w16", "at most", 2),
    "fan_w16_centrifuge": ("fan_w16", "at most", 1.3),
    "fan_w16_protobuf": ("fan_w16", "at most", 1.3),
    "slow10": ("slow0", "at most", 1.3),
}
