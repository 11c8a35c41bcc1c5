"""What every benchmark here shares: where things are, starting and stopping a server, one timed run.

A server is pinned to core 0 and the load generator to core 1 (`BENCH_PIN=0` lets go), and only one
benchmark runs at a time on a machine: the others wait for a lock.
"""
import contextlib
import fcntl
import json
import mmap
import os
import shlex
import signal
import socket
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
HOME = os.environ.get("BENCH_HOME", os.path.join(ROOT, ".build", "bench"))
BIN = os.environ.get("BENCH_BIN", os.path.join(HOME, "bin"))
LOCK = os.environ.get("BENCH_LOCK", os.path.join(tempfile.gettempdir(), "sapphire-bench.lock"))
CORES = sorted(os.sched_getaffinity(0))
PIN = os.environ.get("BENCH_PIN", "1") == "1" and len(CORES) >= 2
WSLOAD = os.path.join(BIN, "wsload")
os.makedirs(HOME, exist_ok=True)


class Failed(Exception):
    """A server did not start or a run gave no figures; the text says why."""


def warm_memory():
    """Touches a part of the free memory once, and gives it back; the GiB that were touched.

    A virtual machine is given memory by its host when it first uses it, which is slow: whoever was measured first would
    pay for that.
    """
    with open("/proc/meminfo") as info:
        free = next(int(line.split()[1]) << 10 for line in info if line.startswith("MemFree:"))
    size = min(free // 2, 4 << 30) // mmap.PAGESIZE * mmap.PAGESIZE
    with mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE):
        return size / (1 << 30)


def free_port():
    """A port that nobody listens on, nor on the one after it (some peers take two)."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            with contextlib.suppress(OSError):
                second.bind(("127.0.0.1", port + 1))
                return port


def process_tree(pid):
    """The process and all its descendants, parents first."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, IndexError):
                with open(f"/proc/{entry}/stat") as stat:
                    parent = int(stat.read().rsplit(")", 1)[1].split()[1])
                children.setdefault(parent, []).append(int(entry))
    found = [pid]
    for member in found:
        found += children.get(member, [])
    return found


def on_core(number):
    """The words in front of a command that keep it on one core: 0 for servers, 1 for the load generator."""
    return ["taskset", "-c", str(CORES[number])] if PIN else []


class Server:
    """One running server, a peer or ours; a context manager that always stops what it started.

    `command` is split like a shell line after `{port}` and `{data}` are filled in. It is ready when
    `ready` (a text) appears on its output, or without that text when its port accepts.
    """

    def __init__(self, name, command, ready=None, env=None):
        self.port = free_port()
        self.data = tempfile.mkdtemp(prefix=f"{name}-", dir=HOME)
        self.log = os.path.join(HOME, f"{name}.log")
        self.words = on_core(0) + shlex.split(command.format(port=self.port, data=self.data))
        self.ready = ready
        self.env = dict(os.environ, PORT=str(self.port), RUN=self.data, BENCH_HOME=HOME, **(env or {}))
        self._start()

    def _start(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(self.words, cwd=HERE, stdout=log, stderr=subprocess.STDOUT,
                                            start_new_session=True, env=self.env)
        self.pid = self.process.pid
        try:
            self._wait(self.ready)
        except Failed:
            self.stop()
            raise

    def restart(self):
        """Ends it in order and starts it again with what it has stored."""
        self._end()
        self._start()

    def _wait(self, ready):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Failed(f"exited with {self.process.returncode}: {self.tail()}")
            if ready:
                with open(self.log, errors="replace") as log:
                    if ready in log.read():
                        return
            else:
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                    return
            time.sleep(0.05)
        raise Failed(f"not ready after 30 s: {self.tail()}")

    def tail(self):
        with open(self.log, errors="replace") as log:
            return log.read()[-400:].strip()

    def stop(self):
        self._end()
        subprocess.run(["rm", "-rf", self.data], check=False)

    def _end(self):
        members = process_tree(self.pid)
        with contextlib.suppress(OSError):
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(25)
        except subprocess.TimeoutExpired:
            pass
        for member in members:
            if os.path.exists(f"/proc/{member}") and self._is_ours(member):
                with contextlib.suppress(OSError):
                    os.kill(member, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)

    def _is_ours(self, member):
        """A process id may have been used again: what we started has our BENCH_HOME and port."""
        try:
            with open(f"/proc/{member}/environ", "rb") as environ:
                return f"\0PORT={self.port}\0".encode() in b"\0" + environ.read() + b"\0"
        except OSError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


@contextlib.contextmanager
def machine():
    """The machine to oneself, as far as other benchmarks of this kind go."""
    with open(LOCK, "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def load_words(mode, server, options, label="", port_offset=0):
    """The command line of the load generator."""
    return [WSLOAD, mode, "--port", str(server.port + port_offset), "--pids", str(server.pid), "--label", label,
            *(["--cpu", str(CORES[1])] if PIN else []), *options]


def load(mode, server, options, label="", port_offset=0, timeout=120):
    """Runs the load generator once against `server`; returns its figures, or raises Failed."""
    words = load_words(mode, server, options, label, port_offset)
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise Failed(f"wsload {mode} took over {timeout} s") from None
    if not done.stdout.strip():
        raise Failed(done.stderr.strip()[-300:] or f"wsload {mode} exited with {done.returncode}")
    return json.loads(done.stdout)


def tool(*words):
    """Runs one of the C floors where a server would run, and reads the JSON line it prints."""
    done = subprocess.run([*on_core(0), os.path.join(BIN, words[0]), *words[1:]],
                          capture_output=True, text=True, timeout=120)
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise Failed(done.stderr.strip()[-300:] or f"{words[0]} exited with {done.returncode}") from None


def make_jetstream(port):
    """Creates a file-backed stream over the subjects s.* and r.* with two lines of the NATS protocol."""
    body = json.dumps({"name": "S", "subjects": ["s.*", "r.*"], "storage": "file", "retention": "limits"}).encode()
    with socket.create_connection(("127.0.0.1", port + 1), 3) as link:
        link.recv(4096)
        link.sendall(b'CONNECT {"verbose":false}\r\nSUB _INBOX.a 1\r\n'
                     b"PUB $JS.API.STREAM.CREATE.S _INBOX.a %d\r\n%s\r\n" % (len(body), body))
        answer = b""
        while b"MSG" not in answer or b"\r\n" not in answer[answer.find(b"MSG"):]:
            answer += link.recv(65536)
    if b'"error"' in answer:
        raise Failed(f"JetStream refused the stream: {answer[:200]!r}")


def append_line(path, record):
    with open(path, "a") as out:
        out.write(json.dumps(record) + "\n")
