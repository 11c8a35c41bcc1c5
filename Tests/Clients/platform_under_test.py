"""The platform as an operator has it: `sapphire up`, its pid files, its key, its command line."""
import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

import websockets

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KEPT = os.path.join(ROOT, ".build", "screenshots")


def executables():
    chosen = os.environ.get("SAPPHIRE_BIN")
    candidates = [chosen] if chosen else [os.path.join(ROOT, ".build", kind) for kind in ("release", "debug")]
    for folder in candidates:
        if os.access(os.path.join(folder, "sapphire"), os.X_OK):
            return folder
    raise RuntimeError(f"no sapphire executable in {' or '.join(candidates)}: run swift build -c release")


def within(seconds, coroutine):
    """Runs a coroutine to its end, or fails the test after `seconds`."""
    async def bounded():
        return await asyncio.wait_for(coroutine, seconds)
    return asyncio.run(bounded())


def eventually(seconds, what, probe):
    """Waits until `probe` gives something true and returns it; fails with the last value seen."""
    deadline = time.monotonic() + seconds
    seen = None
    while time.monotonic() < deadline:
        seen = probe()
        if seen:
            return seen
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}; last seen {seen!r}")


class Sapphire:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="sapphire-clients-")
        self.data = os.path.join(self.folder, "data")
        self.log = os.path.join(self.folder, "log")
        self.process = None
        self.lines = []
        self.url = ""
        # Whom clients believe where the platform speaks https.
        self.context = None
        self._helpers = []

    # Starting and stopping.

    def start(self, configuration=None, environment=None, options=(), listen="127.0.0.1:0", **process):
        """`process` is for subprocess.Popen: such as the user that it all runs as."""
        options = list(options)
        if configuration:
            file_name = os.path.join(self.folder, "sapphire.json5")
            options += ["--config", file_name]
            with open(file_name, "w") as file:
                file.write(configuration)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(executables(), "sapphire"), "up", "--listen", listen, "--data", self.data,
                 *options],
                stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
                env={**os.environ, **(environment or {})}, **process)
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()
        self.url = eventually(30, "a ready line on stdout", self._ready)

    def _read(self, stdout):
        for line in stdout:
            self.lines.append(line.rstrip("\n"))

    def _ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"sapphire up ended with {self.process.returncode}\n{self.log_tail()}")
        return next((line.split()[1] for line in self.lines if line.startswith("ready http")), None)

    def stop(self):
        """Drains the platform; returns the exit code of `sapphire up`, or None where it had to be killed."""
        for helper in self._helpers:
            end(helper)
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(25)
        except subprocess.TimeoutExpired:
            # The services die with `up`: the kernel sees to that.
            self.process.kill()
            self.process.wait(5)
            return None

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_tail(self):
        with contextlib.suppress(OSError), open(self.log, errors="replace") as log:
            return log.read()[-4000:]
        return ""

    # Its parts.

    def pid(self, service):
        with open(os.path.join(self.data, "run", f"{service}.pid")) as file:
            return int(file.read())

    def kill(self, service):
        """Kills one service for good and returns once another process has taken its place."""
        victim = self.pid(service)
        with open(f"/proc/{victim}/stat") as stat:
            parent = int(stat.read().rsplit(")", 1)[1].split()[1])
        assert parent == self.process.pid, f"{service}.pid names {victim}, which is no child of this platform"
        os.kill(victim, signal.SIGKILL)
        eventually(10, f"{service} started again", lambda: self._pid_other_than(service, victim))

    def _pid_other_than(self, service, victim):
        with contextlib.suppress(OSError, ValueError):
            found = self.pid(service)
            return found if found != victim else None
        return None

    @property
    def key(self):
        with open(os.path.join(self.data, "api.key")) as file:
            return file.read().strip()

    # Its doors.

    def socket(self, path, **options):
        address = self.url.replace("http", "ws", 1) + path
        if self.context and "ssl" not in options:
            options["ssl"] = self.context
        return websockets.connect(address, max_size=None, open_timeout=10, **options)

    def get(self, path, **headers):
        """(status, headers, body bytes); a status of 400 and over is an answer too."""
        return self._request(urllib.request.Request(self.url + path, headers=headers))

    def post(self, path, body, key=None, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **headers}
        if key is not None:
            headers["X-API-Key"] = key
        status, head, answer = self._request(urllib.request.Request(self.url + path, data, headers))
        return status, head, json.loads(answer) if answer else None

    def publish(self, channel, data):
        status, _, answer = self.post("/api/publish", {"channel": channel, "data": data}, self.key)
        assert status == 200 and "result" in answer, (status, answer)
        return answer["result"]

    def _request(self, request):
        try:
            with urllib.request.urlopen(request, timeout=10, context=self.context) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    # Its command line.

    def command(self, *words, **options):
        """Starts `sapphire …` against this platform; it is ended with the platform at the latest."""
        helper = subprocess.Popen(
            [os.path.join(executables(), "sapphire"), *words], start_new_session=True,
            env=dict(os.environ, SAPPHIRE_DATA=self.data, SAPPHIRE_URL=self.url), **options)
        self._helpers.append(helper)
        return helper

    def run(self, *words):
        done = subprocess.run(
            [os.path.join(executables(), "sapphire"), *words], capture_output=True, text=True, timeout=60,
            env=dict(os.environ, SAPPHIRE_DATA=self.data, SAPPHIRE_URL=self.url))
        assert done.returncode == 0, (words, done.returncode, done.stderr[-2000:])
        return done.stdout


class Gateway:
    """One more gateway on a platform, which nobody starts again. A context manager: it is ended on every path."""

    def __init__(self, platform, listen="127.0.0.1:0", configuration=None, environment=None):
        self.platform = platform
        words = [os.path.join(executables(), "sapphire-gateway"), "--listen", listen, "--data", platform.data,
                 "--run", os.path.join(platform.data, "run"), "--api-key-file", os.path.join(platform.data, "api.key")]
        if configuration:
            words += ["--config", configuration]
        with open(platform.log, "ab") as log:
            self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, text=True,
                                            start_new_session=True, env={**os.environ, **(environment or {})})
        try:
            self.url = self._url()
        except BaseException:
            self.__exit__()
            raise
        self.address = self.url.split("://")[1]
        self.port = int(self.address.rsplit(":", 1)[1])

    def _url(self):
        """Of the ready line; the process ends or says it within its patience."""
        for line in self.process.stdout:
            if line.startswith("ready http"):
                return line.split()[1]
        raise AssertionError(f"a gateway ended with {self.process.wait(5)}\n{self.platform.log_tail()}")

    def kill(self):
        self.process.kill()
        self.process.wait(5)

    def drain(self):
        """SIGTERM: (exit code, seconds it took)."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30), time.monotonic() - began

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.process)
        self.process.stdout.close()


@contextlib.contextmanager
def running(configuration=None, **options):
    """A platform for all tests of a file, or for one that starts it in its own way."""
    platform = Sapphire()
    try:
        platform.start(configuration, **options)
        yield platform
    finally:
        platform.stop()
        platform.remove()


def freeze(process):
    """Stops a process by number. The signal is sent before it stands still: it may yet do what it was about to."""
    def states():
        for task in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{task}/stat") as stat:
                yield stat.read().rsplit(")", 1)[1].split()[0]
    os.kill(process, signal.SIGSTOP)
    eventually(10, f"{process} stands still", lambda: set(states()) == {"T"})


def end(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


# Reading one socket.

async def next_message(socket, seconds=10):
    return await asyncio.wait_for(socket.recv(), seconds)


async def next_json(socket, seconds=10):
    message = await next_message(socket, seconds)
    assert isinstance(message, str), f"binary where JSON was due: {message[:40]!r}"
    return json.loads(message)


async def next_of(socket, kind, seconds=10):
    """The next message of one kind: a control message's `type`, or `envelope`. Others are passed over."""
    async def search():
        while True:
            message = await next_json(socket, seconds)
            if message.get("type", "envelope") == kind:
                return message
    return await asyncio.wait_for(search(), seconds)
