"""The JavaScript client of docs/CENTRIFUGE.md, as it stands there, in Chromium, over a gateway that is killed.

centrifuge-js is in no package of Debian or PyPI by itself. PyPI's django-instant carries it inside a script of its own for
browsers, in a version of 2022: what that script makes a client of is the library's class."""
import os
import re

import pytest

from elsewhere import serving
from platform_under_test import eventually
from socketio_bundle import packaged

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "CENTRIFUGE.md")
COUNT = 30
FRONT_END = """<!doctype html><title>a front end</title><link rel="icon" href="data:,"><script src="/instant.js"></script>
<script type="importmap">{"imports":{"centrifuge":"/library.js"}}</script>
<script type="module">import { follow } from "/page.js"; window.follow = follow;</script>"""
# It asks its server for a token before it makes a client, which is not connected.
LIBRARY = """const fetch = window.fetch, instant = window.$instant.useInstant();
window.fetch = async () => ({ ok: true, json: async () => ({ ws_token: "", csrf_token: "", channels: [] }) });
await instant.init("", "ws://127.0.0.1:9");
window.fetch = fetch;
export const Centrifuge = instant.getClient().constructor;"""


def program():
    with open(PAGE) as page:
        text, = re.findall(r"```js\n(.*?)```", page.read(), re.DOTALL)
    return text


@pytest.fixture(scope="module")
def front_end():
    script = packaged("django-instant==4.2.0", "instant/static/instant/index.min.js")
    files = {
        "/": ("text/html", FRONT_END.encode()), "/instant.js": ("text/javascript", script),
        "/library.js": ("text/javascript", LIBRARY.encode()), "/page.js": ("text/javascript", program().encode()),
    }
    with serving(files) as port:
        yield f"http://localhost:{port}/"


@pytest.mark.configuration("{ gateway: { loops: 1 }, channels: [ { match: 'log:*', history: { durable: true } } ] }")
def test_the_javascript_client_of_centrifuge_loses_and_doubles_nothing(sapphire, browser, front_end):
    browser.go(front_end)
    eventually(10, "the page's module", lambda: browser.ask("typeof follow") == "function")
    address = sapphire.url.replace("http", "ws", 1)
    browser.ask(f"""globalThis.seen = []; globalThis.acks = 0;
      globalThis.client = follow("{address}", "log:script", data => seen.push(data.number));
      globalThis.publish = async (from, to) => {{
        for (let n = from; n < to;) try {{ await client.publish({{ number: n }}); n++; acks++; }}
          catch {{ await new Promise(done => setTimeout(done, 50)); }}
      }}; publish(0, {COUNT // 2}); 0""")
    eventually(20, "the first half", lambda: browser.ask("acks") == COUNT // 2)
    sapphire.kill("gateway")
    browser.ask(f"publish({COUNT // 2}, {COUNT}); 0")
    eventually(30, "the second half", lambda: browser.ask("acks") == COUNT)
    eventually(20, "all of them", lambda: browser.ask("new Set(seen).size") == COUNT)
    seen = [int(number) for number in browser.ask("seen.join()").split(",")]
    # One whose answer was lost was published again.
    assert sorted(set(seen)) == list(range(COUNT)) and seen == sorted(seen) and len(seen) <= COUNT + 2, seen
    browser.ask("client.close(); 0")
