"""`make run` as somebody has it who has just cloned the project; the programs are built already."""
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import urllib.request

import websockets

from platform_under_test import ROOT, end, eventually, executables, within


class Run:
    """`infra/run` of a copy of the project whose build is ours, as `make run` starts it."""

    def __init__(self, folder, **settings):
        self.data = os.path.join(folder, "data")
        os.makedirs(os.path.join(folder, "project", "infra"), exist_ok=True)
        os.makedirs(os.path.join(folder, "project", ".build"), exist_ok=True)
        release = os.path.join(folder, "project", ".build", "release")
        if not os.path.lexists(release):
            os.symlink(os.path.abspath(executables()), release)
            shutil.copy(os.path.join(ROOT, "infra", "run"), os.path.join(folder, "project", "infra", "run"))
        self.log = open(os.path.join(folder, "log"), "w+")
        self.process = subprocess.Popen(
            [os.path.join(folder, "project", "infra", "run")], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            text=True, start_new_session=True, env={**os.environ, "LISTEN": "127.0.0.1:0", "DATA": self.data, **settings})

    def __enter__(self):
        self.url = eventually(30, "its address", self._address)
        return self

    def _address(self):
        assert self.process.poll() is None, self.said()
        return next((line.split()[1] for line in self.said().splitlines() if line.startswith("ready http")), None)

    def said(self):
        with open(self.log.name) as log:
            return log.read()

    def __exit__(self, *_):
        end(self.process)
        self.log.close()


def test_tls_makes_a_certificate_once_and_serves_https_and_wss():
    with tempfile.TemporaryDirectory(prefix="sapphire-clients-") as folder:
        kept = []
        for _ in range(2):
            with Run(folder, TLS="1") as run:
                assert run.url.startswith("https://127.0.0.1:"), run.said()
                path = os.path.join(run.data, "tls", "certificate.pem")
                assert os.stat(path).st_mode & 0o077 == 0 and os.stat(os.path.join(run.data, "tls", "key.pem")).st_mode & 0o077 == 0
                with open(path) as file:
                    kept.append((file.read(), os.stat(path).st_mtime_ns))
                context = ssl.create_default_context(cafile=path)
                with urllib.request.urlopen(run.url + "/ready", timeout=10, context=context) as answer:
                    assert answer.status == 200

                async def echo():
                    async with websockets.connect(run.url.replace("https", "wss", 1) + "/ws/echo", ssl=context) as socket:
                        await socket.send("over TLS")
                        return await socket.recv()
                assert within(10, echo()) == "over TLS"
                run.process.send_signal(signal.SIGTERM)
                assert run.process.wait(25) == 0
        assert kept[0] == kept[1], "the certificate was made anew"


def test_make_hands_its_settings_to_it():
    said = subprocess.run(
        ["make", "-n", "run", "TLS=1", "LISTEN=127.0.0.1:9", "DATA=/d"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "LISTEN='127.0.0.1:9' DATA='/d' CONFIG='' TLS='1' WATCH='' infra/run" in said, said


def test_without_tls_it_is_plain_http():
    with tempfile.TemporaryDirectory(prefix="sapphire-clients-") as folder:
        with Run(folder) as run:
            assert run.url.startswith("http://127.0.0.1:") and not os.path.exists(os.path.join(run.data, "tls"))
