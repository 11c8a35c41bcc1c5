"""Real input: a thousand real files, three observers nobody tuned to each other, a gateway killed half-way."""
import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import threading

import websockets

from platform_under_test import eventually

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
