"""The observer page in headless Chromium (S000-05, S002-22, S002-23)."""
import base64
import json
import re
import urllib.parse

import pytest

LIVE = "document.body.dataset.phase === 'live'"
PAYLOADS = "[...document.querySelectorAll('.row .payload')].map(n => n.textContent)"


def page(sapphire, channel, start=False):
    parameters = {"channel": channel, **({"from": "start"} if start else {})}
    return f"{sapphire.url}/#{urllib.parse.urlencode(parameters)}"


def shows(text):
    return f"{PAYLOADS}.some(t => t.includes({json.dumps(text)}))"


def test_tunes_in_publishes_and_sees_it_arrive(sapphire, browser):
    browser.size(1280, 800)
    browser.go(sapphire.url + "/")
    assert browser.ask("document.body.dataset.phase") == "idle"
    browser.type("#channel", "universal-frequency")
    browser.until(LIVE)
    assert browser.ask("location.hash") == "#channel=universal-frequency"
    browser.type("#message", "Artifact #42 discovered")
    browser.until(shows("Artifact #42 discovered"))
    browser.until("/^Published at offset 1 in/.test(document.getElementById('outcome').textContent)")
    sapphire.publish("universal-frequency", {"event": "camera.move", "target": "Proxima Centauri"})
    browser.until(shows("Proxima Centauri"))
    assert browser.ask(PAYLOADS + ".length") == 2
    browser.until("/^[\\d.]+ ms$/.test(document.getElementById('latency').textContent)")
    # S002-05, S002-22, S002-23: what the gateway says of the connection.
    browser.until("/^\\d+ %$/.test(document.getElementById('quality').textContent)")
    assert browser.ask("document.getElementById('bars').dataset.level") == "4"
    assert re.fullmatch(r"[\d.]+ ms", browser.text("#fact-jitter")) and browser.text("#fact-loss") == "0 %"
    browser.until("document.getElementById('present-count').textContent === '1'")
    assert browser.ask("document.querySelector('.people .own') !== null")
    browser.screenshot("page-1280")
    browser.size(390, 844, "dark")
    assert browser.ask("document.documentElement.scrollWidth") == 390
    browser.screenshot("page-390-dark")
    browser.size(360, 640)
    assert browser.ask("document.documentElement.scrollWidth") == 360
    assert browser.complaints == []


def test_shows_json_binary_and_text_as_what_they_are(sapphire, browser):
    sapphire.publish("universal-frequency", "plain")
    sapphire.publish("universal-frequency", {"tick": 142})
    status, _, answer = sapphire.post(
        "/api/publish", {"channel": "universal-frequency", "b64data": "AAECAw=="}, sapphire.key)
    assert status == 200 and "result" in answer, answer
    browser.go(page(sapphire, "universal-frequency", start=True))
    browser.until("document.querySelectorAll('.row').length === 3")
    assert browser.ask("[...document.querySelectorAll('.kind')].map(n => n.textContent)") == [
        "text", "JSON", "binary"]
    assert browser.ask(PAYLOADS + "[2]").startswith("4 B")
    assert browser.ask("[...document.querySelectorAll('.offset')].map(n => n.textContent)") == ["@1", "@2", "@3"]


def test_shows_hostile_payloads_as_text(sapphire, browser):
    hostile = "<img src=x onerror='window.hit=1'><script>window.hit=2</script>"
    sapphire.publish("universal-frequency", hostile)
    sapphire.publish("universal-frequency", {"<b>": hostile, "__proto__": {"x": 1}})
    sapphire.publish("universal-frequency", {
        "type": "artifact", "name": "javascript:window.hit=3//" + hostile, "bytes": 1, "sha256": "0" * 64,
        "modified": 1})
    browser.go(page(sapphire, "universal-frequency", start=True))
    browser.until("document.querySelectorAll('.row').length === 3")
    assert browser.ask("document.querySelectorAll('#rows img, #rows script, #rows b').length") == 0
    assert browser.ask("window.hit === undefined")
    assert browser.ask("document.querySelector('.artifact a').protocol") == "http:"
    assert browser.ask(PAYLOADS + "[0]") == hostile


def test_is_served_whole_and_clean_under_a_strict_policy(sapphire, browser):
    status, headers, body = sapphire.get("/")
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    policy = headers["Content-Security-Policy"]
    assert "unsafe-inline" not in policy and "unsafe-eval" not in policy and "default-src" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    for name in re.findall(r'(?:src|href)="([\w.-]+)"', body.decode()):
        status, headers, _ = sapphire.get(f"/{name}")
        assert status == 200, name
    assert not re.search(rb"\son\w+=|style=|<script>|https?://(?!www\.w3\.org)", body)
    browser.go(page(sapphire, "route"))
    browser.until(LIVE)
    assert browser.complaints == []


def test_recovers_from_a_killed_gateway_without_a_gap(sapphire, browser):
    browser.go(page(sapphire, "universal-frequency"))
    browser.until(LIVE)
    sapphire.publish("universal-frequency", "before")
    browser.until(shows("before"))
    browser.ask("window.phases = []; new MutationObserver(() => phases.push(document.body.dataset.phase))"
                ".observe(document.body, { attributes: true, attributeFilter: ['data-phase'] }); 1")
    sapphire.kill("gateway")
    browser.until(f"phases.includes('recovering') && {LIVE}", 40)
    browser.type("#message", "after")
    browser.until(shows("after"))
    assert browser.ask(PAYLOADS) == ["before", "after"]
    assert browser.text("#fact-missed") == "0"
    browser.until("[...document.querySelectorAll('.notice')].some(n => n.textContent.startsWith('Back after'))")
    browser.screenshot("page-recovered")


def test_says_lost_while_nothing_answers(sapphire, browser):
    browser.go(page(sapphire, "universal-frequency"))
    browser.until(LIVE)
    sapphire.stop()
    browser.until("document.body.dataset.phase === 'recovering'")
    assert browser.ask("!document.getElementById('banner').hidden")
    # Pressing the button is a try: the ladder is climbed without waiting for it.
    browser.until("document.body.dataset.phase === 'lost' || (document.getElementById('retry').click(), false)", 60)
    assert browser.text("#phase") == "Lost"
    browser.screenshot("page-lost")


def test_says_why_a_channel_cannot_be_observed(sapphire, browser):
    browser.go(f"{sapphire.url}/#channel=no%20spaces")
    browser.until("document.body.dataset.phase === 'lost'")
    assert "channel" in browser.text("#banner"), browser.text("#banner")
    browser.ask("document.getElementById('channel').value = ''")
    browser.type("#channel", "route")
    browser.until(LIVE)


def test_keeps_the_list_bounded(sapphire, browser):
    for first in range(0, 700, 100):
        commands = [{"publish": {"channel": "universal-frequency", "data": f"n{n}"}}
                    for n in range(first, first + 100)]
        status, _, answer = sapphire.post("/api/batch", {"commands": commands}, sapphire.key)
        assert status == 200, answer
    browser.go(page(sapphire, "universal-frequency", start=True))
    browser.until("document.getElementById('fact-received').textContent === '700'")
    browser.until(shows("n699"))
    assert browser.ask("document.querySelectorAll('.row').length") <= 500
    assert "no longer shown" in browser.text("#trimmed")


def test_can_be_used_with_the_keyboard_alone(sapphire, browser):
    browser.go(sapphire.url + "/")
    seen = []
    for _ in range(8):
        browser.press("Tab", "Tab", 9)
        seen.append(browser.ask("document.activeElement.id || document.activeElement.className"))
    assert seen[0] == "skip" and "channel" in seen and "from-start" in seen, seen


# Signing in. The page has nobody's token but the one that is typed; `secret` is looked for wherever it must not be.

def sign_in(browser, secret):
    browser.until("document.getElementById('sign-in').open || (document.getElementById('identity').click(), false)")
    browser.type("#credential", secret)


def traces(browser, secret):
    """Where the page or the browser shows or keeps a secret."""
    places = {
        "address": "location.href", "storage": "JSON.stringify([{...localStorage}, {...sessionStorage}])",
        "cookies": "document.cookie", "history": "JSON.stringify(history.state)",
        "markup": "document.documentElement.outerHTML",
        "fields": "[...document.querySelectorAll('input,textarea')].map(n => n.value).join()",
        "requests": "performance.getEntriesByType('resource').map(e => e.name).join()",
    }
    return [name for name, expression in places.items() if secret in str(browser.ask(expression))]


@pytest.mark.parametrize("guarded", [False, True], indirect=True, ids=["by rule", "required"])
def test_signs_in_with_a_token_that_it_keeps_to_itself(guarded, browser):
    browser.go(f"{guarded.url}/#channel=members:room")
    # Nobody may listen here: the page asks who it is.
    browser.until("document.getElementById('sign-in').open")
    assert browser.text("#sign-in-reason") != ""
    browser.screenshot("page-sign-in")
    secret = guarded.token("ada")
    sign_in(browser, secret)
    browser.until(LIVE)
    assert browser.text("#identity") == "ada"
    browser.type("#message", "from ada")
    browser.until(shows("from ada"))
    browser.until("[...document.querySelectorAll('.people .name')].some(n => n.textContent === 'ada')")
    assert traces(browser, secret) == []
    # A connection that was lost comes back as the same user, by itself.
    guarded.kill("gateway")
    browser.until("document.body.dataset.phase !== 'live'", 10)
    browser.until(LIVE, 40)
    assert browser.text("#identity") == "ada"
    assert secret not in guarded.log_tail() and traces(browser, secret) == []
    # A page that is loaded again has forgotten it.
    browser.ask("location.reload()")
    browser.until("document.getElementById('sign-in')?.open")
    assert browser.text("#identity") == "Sign in"
    assert [c for c in browser.complaints if "401" not in c] == []


def test_signs_in_with_a_ticket_and_out_again(guarded, browser):
    _, _, answer = guarded.post("/api/ticket", {"sub": "bob"}, guarded.key)
    browser.go(f"{guarded.url}/#channel=route")
    browser.until(LIVE)
    sign_in(browser, answer["result"]["ticket"])
    browser.until(f"document.getElementById('identity').textContent === 'bob' && {LIVE}")
    browser.ask("document.getElementById('identity').click()")
    browser.ask("document.getElementById('sign-out').click()")
    browser.until(f"document.getElementById('identity').textContent === 'Sign in' && {LIVE}")
    # A ticket is good once: the second time the page says so and asks again.
    sign_in(browser, answer["result"]["ticket"])
    browser.until("document.getElementById('sign-in').open")
    assert "ticket" in browser.text("#sign-in-reason")


def end_of(token):
    claims = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"]


RENEWAL = "!document.getElementById('renewal').hidden"


def test_asks_for_a_newer_token_and_keeps_its_place(guarded, browser):
    """Before the end one of the same user changes nothing else; after it the page goes on where it was."""
    short = [guarded.token("ada", "--expires", "4s")]
    browser.go(f"{guarded.url}/#channel=members:room")
    browser.until("document.getElementById('sign-in').open")
    browser.ask("window.opened = 0; window.WebSocket = class extends WebSocket {"
                " constructor(...of) { super(...of); opened += 1; } }; 1")
    sign_in(browser, short[0])
    browser.until(f"{LIVE} && {RENEWAL}")
    assert browser.text("#renewal-text").startswith("Signed in until ")
    browser.screenshot("page-renewal")
    guarded.publish("members:room", "first")
    browser.until(shows("first"))
    # One that is no good is refused, and nothing else happens.
    browser.type("#renewed", "not.a.token")
    browser.until("document.getElementById('renewal-text').textContent.startsWith('Not taken: ')")
    assert browser.text("#identity") == "ada" and browser.ask(LIVE)
    # A newer one is asked for again before its own end, which comes after that of the first.
    short.append(guarded.token("ada", "--expires", "7s"))
    browser.type("#renewed", short[1])
    browser.until(f"{RENEWAL} && /^Signed in until/.test(document.getElementById('renewal-text').textContent)")
    browser.until(f"Date.now() > {1000 * end_of(short[0]) + 1200}")
    assert browser.ask(LIVE) and browser.ask("opened") == 1
    guarded.publish("members:room", "second")
    browser.until(shows("second"))
    # Nobody gives one: the page is not told anything more, and waits where it is.
    browser.until(f"document.body.dataset.phase === 'lost' && {RENEWAL}", 10)
    assert "has ended" in browser.text("#renewal-text") and not browser.ask("document.getElementById('sign-in').open")
    assert browser.text("#identity") == "Sign in"
    browser.screenshot("page-renewal-ended")
    guarded.publish("members:room", "third")
    long = guarded.token("ada")
    browser.type("#renewed", long)
    browser.until(LIVE)
    browser.until(shows("third"))
    guarded.publish("members:room", "fourth")
    browser.until(shows("fourth"))
    assert browser.ask(PAYLOADS) == ["first", "second", "third", "fourth"]
    assert browser.text("#fact-missed") == "0" and browser.text("#identity") == "ada"
    assert browser.ask("opened") == 2 and not browser.ask(RENEWAL)
    assert browser.ask("[...document.querySelectorAll('.notice')].some(n => n.textContent.startsWith('Back after'))")
    # Another user's is another connection, behind the same position.
    sign_in(browser, guarded.token("bob"))
    browser.until(f"document.getElementById('identity').textContent === 'bob' && {LIVE}")
    assert browser.ask("opened") == 3
    guarded.publish("members:room", "fifth")
    browser.until(shows("fifth"))
    assert browser.ask(PAYLOADS) == ["first", "second", "third", "fourth", "fifth"]
    for secret in [*short, long]:
        assert traces(browser, secret) == []
    assert browser.complaints == []
