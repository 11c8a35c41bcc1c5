"""HTTP byte by byte: requests that no well-behaved library would send, and answers as they came."""
import socket
import time
from urllib.parse import urlsplit


class Answer:
    def __init__(self, status, fields, body, version):
        self.status, self.fields, self.body, self.version = status, fields, body, version

    def __repr__(self):
        return f"{self.status} {self.fields} {self.body[:200]!r}"


class Wire:
    """One connection to the platform's HTTP door."""

    def __init__(self, sapphire, seconds=10, receive_buffer=None):
        place = urlsplit(sapphire.url)
        self.host = place.netloc
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(seconds)
        self.socket.connect((place.hostname, place.port))
        self.waiting = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def head(self, line, *fields, version="1.1"):
        return "\r\n".join([f"{line} HTTP/{version}", f"Host: {self.host}", *fields, "", ""]).encode()

    def send(self, data):
        self.socket.sendall(data)

    def ask(self, line, *fields, body=b"", version="1.1"):
        """Sends one request and reads its answer."""
        self.send(self.head(line, *fields, version=version) + body)
        return self.answer(is_head=line.startswith("HEAD "))

    def answer(self, is_head=False):
        head = self._until(b"\r\n\r\n").decode()
        first, *lines = head.rstrip("\r\n").split("\r\n")
        version, status = first.split(" ")[:2]
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = int(status)
        empty = is_head or status < 200 or status in (204, 304)
        body = b"" if empty else self.take(int(fields["content-length"]))
        return Answer(status, fields, body, version)

    def take(self, count):
        while len(self.waiting) < count:
            self._more()
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return taken

    def _until(self, mark):
        while mark not in self.waiting:
            self._more()
        end = self.waiting.index(mark) + len(mark)
        taken, self.waiting = self.waiting[:end], self.waiting[end:]
        return taken

    def _more(self):
        data = self.socket.recv(1 << 16)
        assert data, f"closed after {self.waiting[:200]!r}"
        self.waiting += data

    def closes(self, seconds=10):
        """Whether the platform ends the connection in time, sending nothing more."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                data = self.socket.recv(1 << 16)
            except TimeoutError:
                return False
            except ConnectionResetError:
                return True
            assert not data, f"unasked: {data[:200]!r}"
            return not self.waiting
        return False
