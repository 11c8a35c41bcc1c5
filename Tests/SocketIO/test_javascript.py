"""The JavaScript client as a front end has it: what it says of itself is what is believed here."""
import os

import pytest

from browser import Browser
from platform_under_test import eventually, running

CONFIGURATION = """{ gateway: { loops: 2 }, socketio: { events: ["news", "map:cursor"], namespaces: { "/plugin": "conformance" } },
  channels: [ { match: "log:*", history: { durable: true } }, { match: "map:cursor", history: "none" },
              { match: "short", history: { size: 2 } }, { match: "*", history: { size: 100 } } ] }"""

START = """
window.log = [];
window.socket = io({ reconnectionDelay: 50, reconnectionDelayMax: 200, transports: %s });
socket.on("connect", async () => {
  log.push({ id: socket.id, recovered: socket.recovered });
  if (socket.recovered) return;
  for (const channel of %s) await socket.emitWithAck("subscribe", { channel });
  log.push({ ready: true });
});
socket.on("publication", ({ channel, offset, data }) =>
  log.push({ channel, offset, data: data instanceof ArrayBuffer ? [...new Uint8Array(data)] : data }));
for (const name of ["news", "map:cursor"]) socket.on(name, data => log.push({ channel: name, data }));
0
"""


@pytest.fixture(scope="module")
def browser():
    chromium = Browser()
    try:
        yield chromium
    finally:
        chromium.close()


@pytest.fixture
def platform():
    with running(CONFIGURATION) as platform:
        yield platform


def start(browser, platform, channels, transports=("polling", "websocket")):
    # A page of the gateway's own origin, with nothing on it.
    browser.go(platform.url + "/live")
    with open(os.environ["SOCKETIO_CLIENT"]) as file:
        browser.ask(file.read() + "\n;0")
    browser.ask(START % (list(transports), list(channels)))
    browser.until("log.some(entry => entry.ready)")


def publish(platform, channel, data):
    """As soon as there is a gateway to publish at."""
    def attempt():
        try:
            return platform.publish(channel, data)
        except OSError:
            return None
    return eventually(20, "a gateway to publish at", attempt)


def got(browser, count, channel=None):
    of = f"entry.channel === '{channel}'" if channel else "entry.channel"
    browser.until(f"log.filter(entry => {of}).length >= {count}")
    return browser.ask(f"log.filter(entry => {of})")


@pytest.mark.parametrize("transports", [["polling", "websocket"], ["websocket"], ["polling"]], ids="+".join)
def test_comes_back_behind_killed_gateways(browser, platform, transports):
    channels, count = ["log:one", "log:two"], 0
    start(browser, platform, channels, transports)
    for kill in range(3):
        for number in range(3):
            for channel in channels:
                publish(platform, channel, {"n": number})
        publish(platform, "news", "text")
        count += 7
        got(browser, count)
        platform.kill("gateway")
        for channel in channels:
            publish(platform, channel, f"missed {kill}")
        publish(platform, "news", "missed too")
        count += 3
        got(browser, count)
        browser.until(f"log.filter(entry => entry.id).length === {kill + 2}")
    met = browser.ask("log.filter(entry => entry.id)")
    assert [one["recovered"] for one in met] == [False, True, True, True] and len({one["id"] for one in met}) == 1
    for channel in channels:
        assert [entry["offset"] for entry in got(browser, 12, channel)] == list(range(1, 13))
    assert [entry["data"] for entry in got(browser, 6, "news")] == ["text", "missed too"] * 3
    # The page has no icon.
    assert [said for said in browser.complaints if "404" not in said] == []


def test_comes_back_to_bytes_and_acknowledges_what_it_is_asked(browser, platform):
    start(browser, platform, ["log:bytes"])
    browser.ask("socket.emitWithAck('publish', { channel: 'log:bytes', data: new Uint8Array([1, 2]) })")
    assert got(browser, 1)[0]["data"] == [1, 2]
    browser.ask("socket.io.engine.close(); 0")
    assert browser.until("log.filter(entry => entry.recovered).length") == 1
    browser.ask("socket.emitWithAck('publish', { channel: 'log:bytes', data: new Uint8Array([3]) })")
    assert [entry["data"] for entry in got(browser, 2)] == [[1, 2], [3]]
    browser.ask("""window.other = io("/plugin"); window.asked = [];
      other.on("question", (value, answer) => answer(value + 1));
      other.on("asked-and", (...told) => asked.push(told)); other.emit("ask-me", 41); 0""")
    assert browser.until("asked[0]") == ["answered", 42]


def test_is_told_when_something_is_gone(browser, platform):
    start(browser, platform, ["short"])
    publish(platform, "short", 0)
    got(browser, 1)
    browser.ask("socket.io.reconnection(false); socket.io.engine.close(); 0")
    browser.until("!socket.connected")
    for number in range(4):
        publish(platform, "short", number + 1)
    browser.ask("socket.io.reconnection(true); socket.connect(); 0")
    browser.until("log.filter(entry => entry.ready).length === 2")
    assert browser.ask("log.filter(entry => entry.id).map(entry => entry.recovered)") == [False, False]
    # It has subscribed anew, and goes on from there.
    publish(platform, "short", "after")
    assert [entry["data"] for entry in got(browser, 2)] == [0, "after"]
