"""What goes on beside a scenario while it is measured, again and again, so that it is seen what that costs others.

Nothing has to end with the scenario: a replay that is under way then is cut off and not counted, a command is waited for.
"""
import contextlib
import json
import shlex
import subprocess
import threading
import time

import harness
from harness import Failed


@contextlib.contextmanager
def going_on(what, server, facts, filling):
    """Yields a dictionary that has, when this is left, how many `times` it was done, and its faults."""
    told = {}
    if what is None:
        yield told
        return
    ending = replays(server, facts, filling) if what == "replay" else commands(what, server)
    try:
        yield told
    finally:
        told.update(ending())
    if not told["times"]:
        raise Failed(f"{what} was not done once meanwhile")


def replays(server, facts, filling):
    """One client that is given all that was filled in, over and over. It shares the core of the load generator and
    steps back there, so that it is the server that the two meet in."""
    door = facts["replay"]
    words = door if isinstance(door, list) else door.split()
    words = words + f"--payload 200 --count {filling.events} --repeat 0 --settle 0".split()
    line = harness.load_words("replay", server, words, "beside", facts.get("port_offset", 0))
    process = subprocess.Popen(["nice", "-n", "19", *line], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ending():
        process.terminate()
        out, problem = process.communicate(timeout=30)
        if not out:
            raise Failed(f"the replay beside it: {problem.strip()[-300:]}")
        row = json.loads(out)
        return {"times": row.pop("replays"), **row}
    return ending


def commands(line, server):
    """A command, over and over, where the server runs."""
    words = harness.on_core(0) + shlex.split(line.format(port=server.port, data=server.data))
    done = {"times": 0, "errors": 0, "seconds": []}
    leave = threading.Event()

    def loop():
        while not leave.is_set():
            begun = time.monotonic()
            code = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode
            done["times"] += 1
            done["errors"] += code != 0
            done["seconds"].append(round(time.monotonic() - begun, 4))
            if code:
                leave.wait(0.05)

    thread = threading.Thread(target=loop)
    thread.start()

    def ending():
        leave.set()
        thread.join()
        return done
    return ending
