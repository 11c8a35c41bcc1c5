"""Headless Chromium over the DevTools protocol: go somewhere, ask the page, wait for it, look at it."""
import asyncio
import base64
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request

import websockets

from platform_under_test import KEPT

OPTIONS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
           "--disable-background-networking", "--disable-extensions", "--mute-audio",
           "--remote-debugging-port=0"]


class Browser:
    """One page of one browser. Everything that the page complains about is kept in `complaints`."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="sapphire-chromium-")
        self.complaints = []
        self._number = 0
        program = os.environ.get("CHROMIUM", "chromium")
        self._process = subprocess.Popen(
            [program, *OPTIONS, f"--user-data-dir={self.profile}", "about:blank"], text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        self._said = []
        threading.Thread(target=self._listen, daemon=True).start()
        self._loop, self._socket = asyncio.new_event_loop(), None
        try:
            self._socket = self._loop.run_until_complete(self._attach())
            for domain in ("Page", "Runtime", "Log"):
                self._call(f"{domain}.enable")
            self.size(1280, 800)
        except BaseException:
            self.close()
            raise

    def _listen(self):
        for line in self._process.stderr:
            self._said.append(line)

    async def _attach(self):
        deadline = time.monotonic() + 30
        found = None
        while not found:
            assert time.monotonic() < deadline, f"Chromium did not start: {''.join(self._said)[-800:]}"
            assert self._process.poll() is None, f"Chromium ended: {''.join(self._said)[-800:]}"
            found = re.search(r"DevTools listening on ws://([^/]+)/", "".join(self._said))
            await asyncio.sleep(0.05)
        pages = []
        while not pages:
            assert time.monotonic() < deadline, "Chromium shows no page"
            with urllib.request.urlopen(f"http://{found[1]}/json", timeout=10) as answer:
                pages = [target for target in json.load(answer) if target["type"] == "page"]
        return await websockets.connect(pages[0]["webSocketDebuggerUrl"], max_size=None, ping_interval=None)

    def close(self):
        if self._socket:
            with contextlib.suppress(Exception):
                self._loop.run_until_complete(asyncio.wait_for(self._socket.close(), 3))
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
        self._loop.close()
        shutil.rmtree(self.profile, ignore_errors=True)

    def _call(self, method, **parameters):
        async def exchange():
            self._number += 1
            await self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
            while True:
                message = json.loads(await asyncio.wait_for(self._socket.recv(), 60))
                if message.get("id") == self._number:
                    assert "error" not in message, (method, message["error"])
                    return message["result"]
                self._event(message)
        return self._loop.run_until_complete(exchange())

    def _event(self, message):
        method, what = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(what["exceptionDetails"].get("exception", {}).get("description", str(what)))
        elif method == "Log.entryAdded" and what["entry"]["level"] in ("error", "warning"):
            # A refused connection is what the tests of recovery cause.
            if "net::ERR_" not in what["entry"]["text"] and "WebSocket" not in what["entry"]["text"]:
                self.complaints.append(what["entry"]["text"])

    # What a test says.

    def size(self, width, height, scheme="light"):
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                   mobile=width < 600)
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def go(self, address):
        self._call("Page.navigate", url="about:blank")
        answer = self._call("Page.navigate", url=address)
        assert "errorText" not in answer, (address, answer)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def ask(self, expression):
        """The value of a JavaScript expression; a promise is awaited."""
        answer = self._call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, (expression, answer["exceptionDetails"])
        return answer["result"].get("value")

    def until(self, expression, seconds=20):
        deadline = time.monotonic() + seconds
        while True:
            value = self.ask(expression)
            if value:
                return value
            assert time.monotonic() < deadline, f"not within {seconds} s: {expression}; last {value!r}"
            time.sleep(0.05)

    def text(self, selector):
        return self.ask(f"document.querySelector({json.dumps(selector)}).textContent")

    def type(self, selector, text):
        """Types into a field and presses Enter, as a person does."""
        self.ask(f"document.querySelector({json.dumps(selector)}).focus()")
        self._call("Input.insertText", text=text)
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13,
                       text="\r" if kind == "keyDown" else "")

    def press(self, key, code, virtual):
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, code=code, windowsVirtualKeyCode=virtual)

    def screenshot(self, name):
        os.makedirs(KEPT, exist_ok=True)
        path = os.path.join(KEPT, f"{name}.png")
        with open(path, "wb") as out:
            out.write(base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"]))
        return path
