#!/usr/bin/env python3
"""I/O error sweep: makes system call number k of a workload fail, for k = 1, 2, 3 … to its end.

    sweep.py SHIM WORKLOAD VERIFIER SCRATCH STEPS SEED

For each k and each of eio, enospc and short (half a read or write): the workload runs until it ends
or the store stops it; then, with no more errors, a client tries again what was not acknowledged; then
the store is verified, as truth.py says. Nothing acknowledged may be missing, nothing that was refused may
be there, nothing appended, forked or deleted twice, no read wrong, and the store must open. eio+kill and enospc+kill kill the
process as soon as it was told anything after the error. Prints one line of JSON.
"""
import json
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
from truth import Truth

# What a workload may end with: done, data refused, can't create, input or output failed, killed by us.
ENDINGS = (0, 65, 73, 74, -9)


def problem(store, verifier, scratch):
    answer = subprocess.run(
        [verifier, "--verify", store], capture_output=True, text=True, env=dict(os.environ, TMPDIR=scratch))
    truth = Truth()
    with open(f"{store}/acks") as journal:
        truth.apply(journal.read())
    flaw = truth.judge([json.loads(line) for line in answer.stdout.splitlines()])
    return flaw and flaw[1]


def run(shim, workload, verifier, scratch, steps, seed, kind, at):
    """One run; gives whether the fault came, how the workload ended, and what is wrong."""
    store, mark = f"{scratch}/sweep", f"{scratch}/fault"
    shutil.rmtree(store, ignore_errors=True)
    os.makedirs(store)
    if os.path.exists(mark):
        os.remove(mark)
    kind, _, kill = kind.partition("+")
    env = dict(
        os.environ, LD_PRELOAD=shim, REC_ROOT=store, FAULT_AT=str(at), FAULT_KIND=kind, FAULT_MARK=mark)
    if kill:
        env["FAULT_KILL"] = "1"
    first = subprocess.run([workload, "record", store, seed, steps], env=env, capture_output=True, text=True)
    came = os.path.exists(mark)
    if first.returncode not in ENDINGS:
        return came, first.returncode, f"the workload ended with {first.returncode}: {first.stdout.strip()}"
    second = subprocess.run([workload, "resume", store], capture_output=True, text=True)
    if second.returncode:
        return came, first.returncode, f"the retry ended with {second.returncode}: {second.stdout.strip()}"
    return came, first.returncode, problem(store, verifier, scratch)


def main():
    shim, workload, verifier, scratch, steps, seed = sys.argv[1:7]
    runs, bad, endings = 0, 0, {}
    for kind in ("eio", "enospc", "short", "eio+kill", "enospc+kill"):
        at, came = 1, True
        while came:
            came, ending, wrong = run(shim, workload, verifier, scratch, steps, seed, kind, at)
            if wrong:
                bad += 1
                if bad <= 10:
                    print(f"{kind} at call {at}, seed {seed}: {wrong}", file=sys.stderr)
            runs += 1
            endings[ending] = endings.get(ending, 0) + 1
            at += 1
    shutil.rmtree(f"{scratch}/sweep", ignore_errors=True)
    print(json.dumps({"sweep": runs, "bad": bad, "endings": endings}))
    sys.exit(1 if bad else 0)


main()
