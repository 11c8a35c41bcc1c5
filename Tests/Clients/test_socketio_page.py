"""The clients of docs/SOCKETIO.md, as they stand there, over a gateway that is killed."""
import os
import re

import pytest

from elsewhere import serving
from platform_under_test import eventually
from socketio_bundle import bundle

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "SOCKETIO.md")
COUNT = 30
# The library's name leads to the bundle that browsers load.
FRONT_END = """<!doctype html><title>a front end</title><link rel="icon" href="data:,"><script src="/socket.io.js"></script>
<script type="importmap">{"imports":{"socket.io-client":"/library.js"}}</script>
<script type="module">import { follow } from "/page.js"; window.follow = follow;</script>"""

RULES = """{ gateway: { loops: 1 }, channels: [ { match: "log:*", history: { durable: true } } ] }"""


def programs(language):
    with open(PAGE) as page:
        return re.findall(rf"```{language}\n(.*?)```", page.read(), re.DOTALL)


def program(language, beginning):
    found, = (text for text in programs(language) if text.startswith(beginning))
    return found


@pytest.fixture(scope="module")
def front_end():
    files = {
        "/": ("text/html", FRONT_END.encode()), "/socket.io.js": ("text/javascript", bundle()),
        "/library.js": ("text/javascript", b"export const io = window.io;"),
        "/page.js": ("text/javascript", program("js", "import { io }").encode()),
    }
    with serving(files) as port:
        yield f"http://localhost:{port}/"


def exact(seen):
    """Each number once and in order; one whose answer was lost was published again, and stands there twice in a row."""
    assert sorted(set(seen)) == list(range(COUNT)) and seen == sorted(seen) and len(seen) <= COUNT + 2, seen


@pytest.mark.configuration(RULES)
def test_the_python_client_loses_and_doubles_nothing(sapphire):
    names = {}
    exec(program("python", "import socketio\n\n\nclass Follower"), names)
    seen = []
    follower = names["Follower"](sapphire.url, "log:page", seen.append)
    try:
        def published(number):
            try:
                return follower.publish(number)["type"] == "ack"
            except Exception:  # noqa: BLE001: whatever it raises while nobody is there
                return False
        for number in range(COUNT):
            if number == COUNT // 2:
                sapphire.kill("gateway")
            eventually(20, f"an answer to {number}", lambda: published(number))
        eventually(20, "all of them", lambda: len(set(seen)) == COUNT)
        exact(seen)
    finally:
        follower.socket.disconnect()


@pytest.mark.configuration(RULES)
def test_the_javascript_client_loses_and_doubles_nothing(sapphire, browser, front_end):
    browser.go(front_end)
    eventually(10, "the page's module", lambda: browser.ask("typeof follow") == "function")
    browser.ask(f"""globalThis.seen = []; globalThis.acks = 0;
      globalThis.client = follow("{sapphire.url}", "log:script", data => seen.push(data));
      globalThis.publish = async (from, to) => {{
        for (let n = from; n < to;) try {{ if ((await client.publish(n)).type === "ack") {{ n++; acks++; }} }} catch {{}}
      }}; publish(0, {COUNT // 2}); 0""")
    eventually(20, "the first half", lambda: browser.ask("acks") == COUNT // 2)
    sapphire.kill("gateway")
    browser.ask(f"publish({COUNT // 2}, {COUNT}); 0")
    eventually(30, "the second half", lambda: browser.ask("acks") == COUNT)
    eventually(20, "all of them", lambda: browser.ask("new Set(seen).size") == COUNT)
    exact([int(number) for number in browser.ask("seen.join()").split(",")])
    browser.ask("client.close(); 0")
