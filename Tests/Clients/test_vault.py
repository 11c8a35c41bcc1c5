"""Real input: a thousand real files, three observers nobody tuned to each other, a gateway killed half-way."""
import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import threading
import urllib.error
import urllib.request

import pytest
import websockets

from platform_under_test import eventually
from raw_http import Wire

COUNT = 1000
CHANNEL = "log:vault"


def real_files():
    """A thousand files that Debian packages have put on this machine, largest 256 KiB, in a fixed order."""
    found = []
    for top in ("/usr/share/doc", "/usr/include", "/usr/share"):
        for folder, names, files in os.walk(top):
            names[:] = sorted(name for name in names if not name.startswith("."))
            for name in sorted(files):
                path = os.path.join(folder, name)
                if name.startswith(".") or os.path.islink(path) or not path.isascii():
                    continue
                if os.path.getsize(path) <= 262_144:
                    found.append(path)
                if len(found) == COUNT:
                    return found
    raise AssertionError(f"this machine has only {len(found)} suitable files")


def place(source, vault, staging, number):
    """One in three is moved in whole; the rest are written in place, piece by piece."""
    target = os.path.join(vault, source.lstrip("/"))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if number % 3 == 0:
        copy = os.path.join(staging, str(number))
        shutil.copyfile(source, copy)
        os.rename(copy, target)
        return
    with open(source, "rb") as data, open(target, "wb") as out:
        while piece := data.read(4096):
            out.write(piece)
            out.flush()


class PythonObserver(threading.Thread):
    """A WebSocket client that comes back with the position it reached."""

    def __init__(self, sapphire):
        super().__init__(daemon=True)
        self.sapphire, self.envelopes, self.surprises = sapphire, [], []

    def run(self):
        asyncio.run(self.observe())

    async def observe(self):
        since = "start"
        while len(self.envelopes) < COUNT:
            try:
                async with self.sapphire.socket(f"/ws?channel={CHANNEL}&since={since}") as socket:
                    while len(self.envelopes) < COUNT:
                        message = json.loads(await socket.recv())
                        if "type" in message:
                            if message["type"] in ("gap", "unrecoverable", "error"):
                                self.surprises.append(message)
                            continue
                        self.envelopes.append(message)
                        since = f"{message['epoch']}:{message['offset']}"
            except (OSError, asyncio.TimeoutError, websockets.WebSocketException):
                await asyncio.sleep(0.1)


class CommandObserver(threading.Thread):
    """`sapphire observe --since start --json`, one envelope a line."""

    def __init__(self, sapphire):
        super().__init__(daemon=True)
        self.envelopes = []
        self.process = sapphire.command(
            "observe", CHANNEL, "--since", "start", "--json", stdout=subprocess.PIPE, text=True)

    def run(self):
        for line in self.process.stdout:
            message = json.loads(line)
            if "type" not in message:
                self.envelopes.append(message)


WATCH_PAGE = """
  window.offsets = [];
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes) {
      const offset = node.querySelector && node.querySelector('.offset');
      if (offset) offsets.push(Number(offset.textContent.slice(1)));
    }
  }).observe(document.getElementById('rows'), { childList: true }); 1
"""


def test_a_thousand_files_reach_three_observers_in_order(sapphire, browser):
    files = real_files()
    vault, staging = os.path.join(sapphire.folder, "vault"), os.path.join(sapphire.folder, "staging")
    os.makedirs(vault)
    os.makedirs(staging)
    browser.go(f"{sapphire.url}/#channel={CHANNEL}")
    browser.until("document.body.dataset.phase === 'live'")
    browser.ask(WATCH_PAGE)
    python, command = PythonObserver(sapphire), CommandObserver(sapphire)
    python.start()
    command.start()

    # What lies there before the watcher starts counts as well; so does a dot file, as nothing.
    for number, source in enumerate(files[:200]):
        place(source, vault, staging, number)
    with open(os.path.join(vault, ".hidden"), "w") as hidden:
        hidden.write("no artifact")
    watcher = sapphire.command("vault", "watch", vault, CHANNEL, stdout=subprocess.DEVNULL)
    for number, source in enumerate(files[200:600], 200):
        place(source, vault, staging, number)
    eventually(60, "half of the artifacts announced", lambda: len(python.envelopes) >= COUNT // 2)
    sapphire.kill("gateway")
    for number, source in enumerate(files[600:], 600):
        place(source, vault, staging, number)

    eventually(120, "1000 at the Python observer", lambda: len(python.envelopes) >= COUNT)
    eventually(60, "1000 at the command line", lambda: len(command.envelopes) >= COUNT)
    browser.until(f"offsets.length >= {COUNT}", 60)
    assert watcher.poll() is None, "the watcher ended"

    for name, envelopes in (("Python", python.envelopes), ("command", command.envelopes)):
        assert [e["offset"] for e in envelopes] == list(range(1, COUNT + 1)), name
    assert browser.ask("JSON.stringify(offsets)") == json.dumps(list(range(1, COUNT + 1)), separators=(",", ":"))
    assert browser.text("#fact-missed") == "0"
    assert python.surprises == []
    browser.screenshot("vault-1000")

    announced = {e["data"]["name"]: e["data"] for e in python.envelopes}
    assert announced == {e["data"]["name"]: e["data"] for e in command.envelopes}
    assert announced.keys() == {source.lstrip("/") for source in files}
    for source in files:
        with open(source, "rb") as data:
            content = data.read()
        artifact = announced[source.lstrip("/")]
        assert artifact["type"] == "artifact" and artifact["bytes"] == len(content)
        assert artifact["sha256"] == hashlib.sha256(content).hexdigest(), source
    for source in files[::100]:
        status, _, body = sapphire.get(f"/vault/{announced[source.lstrip('/')]['sha256']}")
        with open(source, "rb") as data:
            assert status == 200 and body == data.read(), source


def test_a_watcher_that_starts_again_announces_nothing_twice(sapphire):
    vault = os.path.join(sapphire.folder, "vault")
    os.makedirs(vault)

    def head():
        answer = sapphire.post("/api/history", {"channel": CHANNEL, "limit": 0}, sapphire.key)[2]
        return answer.get("result", {}).get("offset", 0)

    def write(name):
        with open(os.path.join(vault, name), "w") as out:
            out.write(name)

    first = sapphire.command("vault", "watch", vault, CHANNEL, stdout=subprocess.DEVNULL)
    write("one")
    eventually(20, "the first artifact", lambda: head() == 1)
    first.kill()
    first.wait(5)
    write("two")
    sapphire.command("vault", "watch", vault, CHANNEL, stdout=subprocess.DEVNULL)
    eventually(20, "what was added meanwhile", lambda: head() >= 2)
    write("three")
    eventually(20, "what was added after", lambda: head() >= 3)
    assert head() == 3


def test_a_file_that_is_linked_into_the_directory_is_announced(sapphire):
    vault, outside = os.path.join(sapphire.folder, "vault"), os.path.join(sapphire.folder, "outside")
    os.makedirs(vault)
    with open(outside, "w") as out:
        out.write("whole before it is here")
    sapphire.command("vault", "watch", vault, CHANNEL, stdout=subprocess.DEVNULL)
    # Found by the watch or by the first look round, and announced once either way.
    os.link(outside, os.path.join(vault, "linked"))
    with open(os.path.join(vault, "written"), "w") as out:
        out.write("the watch is there")

    def names():
        answer = sapphire.post("/api/history", {"channel": CHANNEL, "limit": -1}, sapphire.key)[2]
        return sorted(event["data"]["name"] for event in answer.get("result", {}).get("publications", []))

    eventually(20, "both files", lambda: names() == ["linked", "written"])
    # The watch is there for certain now.
    os.link(outside, os.path.join(vault, "linked again"))
    eventually(20, "the second link", lambda: names() == ["linked", "linked again", "written"])


def test_a_watched_directory_that_is_moved_away_ends_the_watch_with_a_word(sapphire):
    vault = os.path.join(sapphire.folder, "vault")
    os.makedirs(vault)
    watcher = sapphire.command(
        "vault", "watch", vault, CHANNEL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with open(os.path.join(vault, "one"), "w") as out:
        out.write("one")
    eventually(20, "the watch", lambda: "one" in watcher.stdout.readline())
    os.rename(vault, vault + ".elsewhere")
    _, errors = watcher.communicate(timeout=10)
    assert watcher.returncode == 1 and "was moved away" in errors, (watcher.returncode, errors)


@pytest.mark.configuration("{ gateway: { loops: 1 } }")
def test_uploads_that_stand_still_make_room_for_others(sapphire):
    """A loop takes 256 uploads at once; who sends nothing for 3 s loses the place when another needs it."""
    content = b"what somebody really sends"
    place = f"/vault/{hashlib.sha256(content).hexdigest()}"

    def put():
        request = urllib.request.Request(
            sapphire.url + place, content, {"X-API-Key": sapphire.key, "Connection": "close"}, method="PUT")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    with contextlib.ExitStack() as idlers:
        for number in range(256 + 16):
            wire = idlers.enter_context(Wire(sapphire))
            name = hashlib.sha256(str(number).encode()).hexdigest()
            wire.send(wire.head(f"PUT /vault/{name}", f"X-API-Key: {sapphire.key}", "Content-Length: 1000") + b"x")
        eventually(10, "a loop that is full", lambda: put() == 503)
        eventually(10, "a place for who sends", lambda: put() in (200, 201))


def test_a_dot_file_is_dropped_only_under_another_name(sapphire):
    path = os.path.join(sapphire.folder, ".secrets")
    with open(path, "w", encoding="utf-8") as file:
        file.write("dropped by mistake")

    def drop(*words):
        return sapphire.command("vault", "drop", "log:dots", path, *words, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
    refused = drop()
    _, errors = refused.communicate(timeout=30)
    assert refused.returncode == 64 and "--name" in errors, errors
    taken = drop("--name", "secrets")
    output, _ = taken.communicate(timeout=30)
    assert taken.returncode == 0 and output.startswith("secrets "), output
    answer = sapphire.post("/api/history", {"channel": "log:dots", "limit": 10}, sapphire.key)[2]
    assert [p["data"]["name"] for p in answer["result"]["publications"]] == ["secrets"]
