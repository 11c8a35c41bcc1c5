# Sourced by every peer script: RUN is scratch space, VENV holds the PyPI packages, PORT is where to listen.
cd "$(dirname "$0")" || exit 1
: "${BENCH_HOME:=$(cd ../../.. && pwd)/.build/bench}" "${RUN:=$BENCH_HOME/run}" "${VENV:=$BENCH_HOME/venv}"
mkdir -p "$RUN"; ulimit -n 1000000 2>/dev/null || ulimit -n "$(ulimit -Hn)"
