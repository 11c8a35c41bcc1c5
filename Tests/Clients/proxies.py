"""Debian's nginx and haproxy with the sample configurations, as processes of the test on ports of its own."""
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from urllib.parse import urlsplit

from platform_under_test import ROOT, eventually

SAMPLES = os.path.join(ROOT, "infra", "proxy")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Proxy:
    """One proxy before one gateway. The sample is used as it stands, but for addresses and where it logs."""

    def __init__(self, sapphire, changes=(), logs_as_it_stands=False):
        self.logs_as_it_stands = logs_as_it_stands
        self.gateway = urlsplit(sapphire.url).netloc
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # nginx's worker becomes another user where it was started by root.
        self.folder = tempfile.mkdtemp(prefix="sapphire-proxy-")
        os.chmod(self.folder, 0o755)
        self.log = os.path.join(self.folder, "requests")
        self.process = None
        self.changes = changes

    def __enter__(self):
        try:
            check, command = self.prepare()
            done = subprocess.run(check, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            with open(os.path.join(self.folder, "errors"), "wb") as errors, open(self.log, "ab") as log:
                self.process = subprocess.Popen(command, stdout=log, stderr=errors, start_new_session=True)
            eventually(10, "the proxy answers", self._answers)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _answers(self):
        assert self.process.poll() is None, open(os.path.join(self.folder, "errors")).read()
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as wire:
                host = self.gateway
                wire.sendall(f"GET /live HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                return wire.recv(100).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def __exit__(self, *_):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                # Its workers are of its own group.
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(5)
        shutil.rmtree(self.folder, ignore_errors=True)

    def text(self, name):
        with open(os.path.join(SAMPLES, name)) as file:
            return file.read()

    def sample(self, name, replacements):
        text = self.text(name)
        for old, new in (*replacements, *self.changes):
            assert old in text, f"{name} has no {old!r} any more"
            text = text.replace(old, new)
        return text

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def ids(self):
        """The X-Request-Id of every request that the proxy took for one, in its own log."""
        with open(self.log, errors="replace") as log:
            return re.findall(r"request-id=(\S*)", log.read())


class Nginx(Proxy):
    def prepare(self):
        site = self.sample("nginx.conf", [
            ("listen 80;", f"listen 127.0.0.1:{self.port};"), ("    listen [::]:80;\n", ""),
            ("server 127.0.0.1:8000 max_fails=1 fail_timeout=5s;", f"server {self.gateway} max_fails=0;"),
            ("access_log /var/log/nginx/access.log sapphire;",
             f"access_log {self.log} {'sapphire' if self.logs_as_it_stands else 'ids'};")])
        self.write("site.conf", site)
        temporary = "".join(f"  {name}_temp_path {self.folder}/{name};\n" for name in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        main = self.write("nginx.conf", (
            f"daemon off;\nworker_processes 1;\npid {self.folder}/pid;\nerror_log {self.folder}/errors;\n"
            + ("user root;\n" if os.getuid() == 0 else "") + "events { worker_connections 4096; }\nhttp {\n" + temporary
            + "  log_format ids 'request-id=$http_x_request_id status=$status';\n"
            + f"  access_log {self.log} ids;\n  include {self.folder}/site.conf;\n}}\n"))
        nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        assert nginx, "nginx is missing: make deps"
        return [nginx, "-t", "-c", main, "-p", self.folder], [nginx, "-c", main, "-p", self.folder]


class Haproxy(Proxy):
    def prepare(self):
        path = self.write("haproxy.cfg", self.sample("haproxy.cfg", [
            ("bind :80\n", f"bind 127.0.0.1:{self.port}\n"),
            ("server gateway-1 127.0.0.1:8000\n", f"server gateway-1 {self.gateway}\n"),
            *([] if self.logs_as_it_stands else [(re.search('log-format ".*"', self.text("haproxy.cfg"))[0],
                                                  'log-format "request-id=%[capture.req.hdr(0)] status=%ST"')]),
            ("    option dontlognull\n", ""), ("maxconn 20000\n", "maxconn 2000\n"),
            ("    option forwardfor\n", "    option forwardfor\n    http-request capture req.hdr(X-Request-Id) len 200\n")]))
        haproxy = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin")
        assert haproxy, "haproxy is missing: make deps"
        return [haproxy, "-c", "-f", path], [haproxy, "-db", "-f", path]
