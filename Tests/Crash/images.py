#!/usr/bin/env python3
"""Crash images: rebuilds the disk as a power failure could have left it and has the store verify it.

    images.py LOG VERIFIER SCRATCH COUNT SEED [--expect-loss | --flips]

LOG is what rec.c wrote while the workload ran in one directory. At a random point of it the machine
"stops"; of what was written since the last sync of each file, and of directory entries since the
last sync of the directory, an image keeps
    none  nothing
    all   everything (the process was killed, the machine lives)
    rand  each write or entry with probability 1/2
    torn  each 512-byte sector of each write with probability 1/2, entries likewise
VERIFIER is sapphire-eventstore: `--verify -` checks each image. An image is good when the store opens
(no false alarm of the head mark) and holds what truth.py asks for. Prints one line of JSON.

--expect-loss  the workload was one that loses on power failure: it is an error if that isn't found.
--flips        nothing is lost, but one bit of one file is flipped: the store must refuse to verify, or
               be whole.
"""
import json
import os
import random
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
from truth import Truth

RECORD = struct.Struct("<cQII")
VARIANTS = ("none", "all", "rand", "torn")


def read_log(path):
    data, at, ops = open(path, "rb").read(), 0, []
    while at < len(data):
        op, offset, path_bytes, data_bytes = RECORD.unpack_from(data, at)
        at += RECORD.size
        name = data[at : at + path_bytes].decode()
        at += path_bytes
        ops.append((op.decode(), name, offset, data[at : at + data_bytes]))
        at += data_bytes
    return ops


class File:
    """One inode: what is on disk for sure, and what was done to it since."""

    def __init__(self):
        self.synced, self.pending = bytearray(), []

    def sync(self):
        self.synced = self.content(lambda: True)
        self.pending = []

    def content(self, keeps, torn=False):
        out = bytearray(self.synced)
        for kind, offset, data in self.pending:
            if kind == "T":
                if keeps():
                    del out[offset:]
                    out.extend(bytes(offset - len(out)))
                continue
            sectors = [(offset, data)]
            if torn:
                sectors, at = [], 0
                while at < len(data):
                    step = 512 - (offset + at) % 512
                    sectors.append((offset + at, data[at : at + step]))
                    at += step
            for start, piece in sectors:
                if keeps():
                    out.extend(bytes(max(0, start - len(out))))
                    out[start : start + len(piece)] = piece
        return out


class Disk:
    def __init__(self):
        self.synced, self.now, self.entries = {}, {}, []

    def apply(self, op, path, offset, data):
        name = os.path.basename(path)
        if op == "C":
            self.now[name] = File()
            self.entries.append(("+", name, self.now[name]))
        elif op in "WT":
            if name in self.now:
                self.now[name].pending.append((op, offset, data))
        elif op == "S":
            if name in self.now:
                self.now[name].sync()
        elif op == "D":
            self.synced, self.entries = dict(self.now), []
        elif op == "R":
            to = os.path.basename(data.decode())
            file = self.now.pop(name)
            self.now[to] = file
            self.entries.append(("R", (name, to), file))
        elif op == "U":
            self.now.pop(name, None)
            self.entries.append(("-", name, None))

    def names(self, keeps):
        names = dict(self.synced)
        for kind, name, file in self.entries:
            if not keeps():
                continue
            if kind == "+":
                names[name] = file
            elif kind == "-":
                names.pop(name, None)
            elif name[0] in names:
                # A rename is one step of the file system: both names change or neither.
                names.pop(name[0])
                names[name[1]] = file
        return names

    def write(self, directory, variant, rng):
        keeps = {
            "none": lambda: False,
            "all": lambda: True,
        }.get(variant, lambda: rng.random() < 0.5)
        for name, file in self.names(keeps).items():
            with open(f"{directory}/{name}", "wb") as out:
                out.write(file.content(keeps, variant == "torn"))


class Verifier:
    def __init__(self, binary, scratch):
        env = dict(os.environ, TMPDIR=scratch)
        self.process = subprocess.Popen(
            [binary, "--verify", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True)

    def send(self, directory):
        self.process.stdin.write(directory + "\n")
        self.process.stdin.flush()

    def answer(self):
        lines = []
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise SystemExit(f"the verifier ended with {self.process.wait()}")
            lines.append(json.loads(line))
            if "ok" in lines[-1]:
                return lines

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def flip(directory, rng):
    """Flips one bit of one file of an image."""
    sizes = {name: os.path.getsize(f"{directory}/{name}") for name in sorted(os.listdir(directory))}
    sizes = {name: size for name, size in sizes.items() if size and name != "store.lock"}
    if not sizes:
        return
    name = rng.choice(list(sizes))
    with open(f"{directory}/{name}", "r+b") as file:
        at = rng.randrange(sizes[name])
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << rng.randrange(8)]))


def clear(directory):
    for name in os.listdir(directory):
        os.remove(f"{directory}/{name}")


def main():
    log, binary, scratch, count, seed = sys.argv[1:6]
    count, rng = int(count), random.Random(int(seed))
    ops = read_log(log)
    flips = "--flips" in sys.argv
    variants = ("all",) if flips else VARIANTS
    cuts = sorted((rng.randrange(len(ops) + 1), rng.choice(variants), n) for n in range(count))
    slots = [f"{scratch}/image{n}" for n in range(8)]
    for slot in slots:
        os.makedirs(slot, exist_ok=True)
    verifier, disk, truth = Verifier(binary, scratch), Disk(), Truth()
    done, waiting, found, at, refused = 0, [], {}, 0, 0

    def collect():
        nonlocal refused
        slot, cut, variant, problem = waiting.pop(0)
        bad = problem(verifier.answer())
        if flips and bad and bad[0] == "refused":
            refused, bad = refused + 1, None
        clear(slot)
        slots.append(slot)
        if bad:
            kind, text = bad
            if kind not in found and "--expect-loss" not in sys.argv:
                print(f"seed {seed}, cut {cut} of {len(ops)}, {variant}: {kind}: {text}", file=sys.stderr)
            found[kind] = found.get(kind, 0) + 1

    for cut, variant, number in cuts:
        while at < cut:
            op, path, offset, data = ops[at]
            if op == "A":
                truth.apply(data.decode())
            elif not path.endswith("/acks"):
                disk.apply(op, path, offset, data)
            at += 1
        if not slots:
            collect()
        slot = slots.pop()
        own = random.Random(f"{seed}/{number}")
        disk.write(slot, variant, own)
        if flips:
            flip(slot, own)
        waiting.append((slot, cut, variant, truth.copy().judge))
        verifier.send(slot)
        done += 1
    while waiting:
        collect()
    verifier.close()
    for slot in slots:
        os.rmdir(slot)
    line = {"seed": int(seed), "calls": len(ops), "images": done, "bad": sum(found.values()), **found}
    if flips:
        line["refused"] = refused
    print(json.dumps(line))
    sys.exit(bool(found) != ("--expect-loss" in sys.argv))


main()
