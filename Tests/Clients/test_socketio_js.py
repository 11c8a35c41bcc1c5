"""Socket.IO's own JavaScript client, in Chromium, in a page that comes from somewhere else."""
import json

import pytest

from elsewhere import serving
from platform_under_test import eventually
from socketio_bundle import bundle

PAGE = """<!doctype html><title>a front end</title><link rel="icon" href="data:,">
<script src="/socket.io.js"></script><script>
const seen = [], told = [];
// Bytes as their numbers, so that the test sees what kind it was.
const plain = data => data instanceof ArrayBuffer ? {bytes: [...new Uint8Array(data)]} : data;
function begin(url, options) {
  window.socket = io(url, {reconnectionDelay: 50, reconnectionDelayMax: 200, ...options});
  socket.io.engine.on("open", () => told.push("open: " + socket.io.engine.transport.name));
  socket.io.engine.on("upgrade", transport => told.push("upgrade: " + transport.name));
  socket.on("connect", () => told.push("connect"));
  socket.on("disconnect", reason => told.push("disconnect: " + reason));
  socket.on("connect_error", error => told.push("connect_error" + (error.data ? " " + error.data.code : "")));
  socket.on("publication", p => { seen.push({...p, data: plain(p.data)}); window.place = `${p.epoch}:${p.offset}`; });
  socket.on("map:cursor", data => seen.push({channel: "map:cursor", data: plain(data)}));
}
const ask = (event, argument) => socket.timeout(5000).emitWithAck(event, argument);
</script>"""

RULES = """{ socketio: { events: ["map:cursor"] },
  channels: [ { match: "log:*", history: { durable: true } }, { match: "*", history: { size: 100 } } ] }"""


@pytest.fixture(scope="module")
def front_end():
    """The address of the page; it stands on loopback, as a developer's does."""
    with serving({"/": ("text/html", PAGE.encode()), "/socket.io.js": ("text/javascript", bundle())}) as port:
        yield f"http://localhost:{port}/"


class Page:
    """The page, and what its client says and sees."""

    def __init__(self, browser, front_end, platform, **options):
        self.browser = browser
        browser.go(front_end)
        browser.ask(f"void begin({json.dumps(platform.url)}, {json.dumps(options)})")
        browser.until("socket.connected")

    def ask(self, event, argument):
        """Its acknowledgement; the argument is JavaScript."""
        return self.browser.ask(f"ask({json.dumps(event)}, {argument})")

    def seen(self, count):
        self.browser.until(f"seen.length >= {count}")
        return self.browser.ask("seen")


@pytest.mark.configuration(RULES)
def test_begins_with_polling_and_moves_to_a_websocket(sapphire, browser, front_end):
    page = Page(browser, front_end, sapphire)
    browser.until("told.length === 3 && socket.io.engine.transport.name === 'websocket'")
    assert sorted(browser.ask("told")) == ["connect", "open: polling", "upgrade: websocket"]
    assert page.ask("ping", "null")["type"] == "pong"


@pytest.mark.configuration(RULES)
@pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["polling", "websocket"]], ids="+".join)
def test_publishes_and_receives_what_javascript_has(sapphire, browser, front_end, transports):
    """S001-01, S001-03: text, JSON and bytes, published here and elsewhere, come once and as what they were."""
    page = Page(browser, front_end, sapphire, transports=transports)
    assert page.ask("subscribe", "{channel: 'log:js'}")["type"] == "ack"
    said = ["'žluťoučký 🎉'", "{a: [1, 2.5, null]}", "new Uint8Array([0, 255, 128])", "'x'.repeat(70000)",
            "new Uint8Array(70000).fill(7).buffer", "5"]
    answers = [page.ask("publish", f"{{channel: 'log:js', data: {data}}}") for data in said]
    assert [answer["offset"] for answer in answers] == list(range(1, 7))
    sapphire.publish("log:js", {"from": "elsewhere"})
    seen = page.seen(7)
    assert [item["data"] for item in seen] == ["žluťoučký 🎉", {"a": [1, 2.5, None]}, {"bytes": [0, 255, 128]}, "x" * 70_000,
                                               {"bytes": [7] * 70_000}, 5, {"from": "elsewhere"}]
    assert [item["offset"] for item in seen] == list(range(1, 8))
    # What others get of it.
    _, _, answer = sapphire.post("/api/history", {"channel": "log:js", "limit": 3}, sapphire.key)
    assert [item.get("b64data", item.get("data")) for item in answer["result"]["publications"]] == [
        "žluťoučký 🎉", {"a": [1, 2.5, None]}, "AP+A"]
    # S001-03, S001-04: a front end that knows events alone.
    assert page.ask("map:cursor", "{x: 1}")["type"] == "ack"
    sapphire.publish("map:cursor", {"x": 2})
    assert [item["data"] for item in page.seen(9)[7:]] == [{"x": 1}, {"x": 2}]
    refused = page.ask("publish", "{channel: 'log:js', data: {inside: new Uint8Array(1)}}")
    assert (refused["type"], refused["code"]) == ("error", 107)
    assert page.ask("whatever", "{}")["code"] == 104
    assert browser.complaints == []


@pytest.mark.configuration(RULES)
@pytest.mark.parametrize("transports", [["polling"], ["polling", "websocket"]], ids="+".join)
def test_comes_back_by_itself_to_its_place(sapphire, browser, front_end, transports):
    """The gateway is killed: the client reconnects as it always does, and asks from where it was."""
    page = Page(browser, front_end, sapphire, transports=transports)
    page.ask("subscribe", "{channel: 'log:js'}")
    for number in range(3):
        page.ask("publish", f"{{channel: 'log:js', data: {{n: {number}}}}}")
    page.seen(3)
    sapphire.kill("gateway")
    browser.until("told.some(what => what.startsWith('disconnect: transport'))")
    eventually(10, "the gateway answers", lambda: published(sapphire, {"n": 3}))
    browser.until("socket.connected && told.filter(what => what === 'connect').length === 2")
    assert page.ask("subscribe", "{channel: 'log:js', since: window.place}")["type"] == "ack"
    page.ask("publish", "{channel: 'log:js', data: new Uint8Array([4]).buffer}")
    seen = page.seen(5)
    assert [item["data"] for item in seen] == [*({"n": number} for number in range(4)), {"bytes": [4]}]
    assert [item["offset"] for item in seen] == [1, 2, 3, 4, 5]


@pytest.mark.configuration("""{ socketio: { namespaces: { "/kept": { plugin: "conformance", connectionStateRecovery: true } } } }""")
def test_a_plugins_answers_come_once_however_often_the_connection_breaks(sapphire, browser, front_end):
    browser.go(front_end)
    browser.ask(f"void begin({json.dumps(sapphire.url + '/kept')}, {{transports: ['websocket']}})")
    browser.until("socket.connected")
    browser.ask("""globalThis.back = []; globalThis.states = [];
      socket.on("connect", () => states.push(socket.recovered));
      socket.on("message-back", number => back.push(number)); 0""")
    for number in range(20):
        # What it says leaves before the connection does; the answer comes on this one or on the next.
        browser.ask(f"socket.emit('message', {number}); socket.io.engine.close(); 0")
        browser.until(f"states.length === {number + 1} && back.length >= {number + 1}")
    assert browser.ask("back") == list(range(20))
    assert browser.ask("states") == [True] * 20
    assert browser.complaints == []


def published(platform, data):
    try:
        return platform.publish("log:js", data)
    except (OSError, AssertionError):
        return None
