"""The page of two timelines in headless Chromium (S001-22, S001-23, S001-24)."""
import json

VERDICT = "document.getElementById('verdict').textContent"
LIVE = "['left', 'right'].every(id => document.getElementById(id).dataset.phase === 'live')"


def fact(browser, name, expected):
    browser.until(f"document.getElementById('{name}').textContent === {json.dumps(expected)}")


def done(sapphire, method, **parameters):
    status, _, answer = sapphire.post(f"/api/{method}", parameters, sapphire.key)
    assert status == 200 and "result" in answer, (method, status, answer)
    return answer["result"]


def run(sapphire, channel, start, end):
    sapphire.publish(channel, {"event": "simulation.tick.batch", "from": start, "to": end})


def events(sapphire, channel):
    """By tick, as the API tells it."""
    page = done(sapphire, "history", channel=channel, limit=-1)
    return {e["data"]["tick"]: e["data"]["events"] for e in page["publications"] if "events" in e["data"]}


def diverge(sapphire):
    """Two worlds that are one for 60 ticks; returns the first tick at which they differ."""
    sapphire.publish("sim:run7", {"event": "simulation.create", "seed": 11})
    run(sapphire, "sim:run7", 0, 60)
    done(sapphire, "stream_fork", channel="sim:run7", fork="sim:run7@what-if")
    sapphire.publish("sim:run7@what-if", {"event": "simulation.reseed", "seed": 12})
    for channel in ("sim:run7", "sim:run7@what-if"):
        run(sapphire, channel, 60, 120)
    left, right = events(sapphire, "sim:run7"), events(sapphire, "sim:run7@what-if")
    assert len(left) == len(right) == 120
    return next(tick for tick in left if left[tick] != right[tick])


def go(sapphire, browser, left, right=""):
    browser.go(f"{sapphire.url}/timelines?left={left}" + (f"&right={right}" if right else ""))


def test_shows_where_two_timelines_part_and_goes_on_live(sapphire, browser):
    first = diverge(sapphire)
    browser.size(1280, 900)
    go(sapphire, browser, "sim:run7", "sim:run7@what-if")
    browser.until(LIVE)
    for side in ("left", "right"):
        fact(browser, f"ticks-{side}", "120")
    fact(browser, "fork-point", "tick 60, offset 62")
    fact(browser, "first-difference", f"tick {first}")
    browser.until(f"{VERDICT} === 'They are one up to tick 60, where they fork. "
                  f"The first tick with different events is {first}.'")
    for side in ("left", "right"):
        assert browser.ask(f"[...document.querySelectorAll('#{side} text.mark')].map(n => n.textContent)") == [
            "fork 60", f"differs {first}"]
        assert browser.ask(f"document.querySelectorAll('#{side} rect.different').length") > 0
        assert browser.ask(f"document.querySelector('#{side} .chart').getAttribute('aria-label')").startswith("Timeline sim:run7")
    assert browser.ask("[...document.querySelectorAll('#right .command')].map(n => n.textContent)") == [
        "tick 60reseeded with 12 by apionly here", "tick 0created with seed 11 by api"]
    assert browser.ask(f"[...document.querySelectorAll('.different .when')].some(n => n.textContent === 'tick {first}')")
    # What is published from now on arrives by itself; the other side is not there yet.
    run(sapphire, "sim:run7", 120, 180)
    fact(browser, "ticks-left", "180")
    browser.until("document.querySelectorAll('#left rect.alone').length === 1")
    assert browser.text("#ticks-right") == "120"
    run(sapphire, "sim:run7@what-if", 120, 180)
    fact(browser, "ticks-right", "180")
    browser.until("document.querySelectorAll('rect.alone').length === 0")
    browser.screenshot("timelines-1280")
    browser.size(390, 844, "dark")
    assert browser.ask("document.documentElement.scrollWidth") == 390
    browser.screenshot("timelines-390-dark")
    browser.size(360, 640)
    assert browser.ask("document.documentElement.scrollWidth") == 360
    assert browser.complaints == []


def test_a_world_is_made_forked_and_reseeded_on_the_page(sapphire, browser):
    go(sapphire, browser, "sim:own")
    browser.until("document.getElementById('left').dataset.phase === 'live'")
    browser.until("document.querySelector('#left .sum').textContent === 'There is no world here yet.'")

    def press(side, button):
        selector = f"document.querySelector('#{side} {button}')"
        browser.until(f"!{selector}.hidden && !{selector}.disabled && ({selector}.click(), true)")
    press("left", ".create")
    press("left", ".run")
    fact(browser, "ticks-left", "100")
    browser.ask("document.getElementById('forking').open = true")
    # A key that is none is refused in words, and asked for again.
    browser.type("#fork [name=key]", "no key")
    browser.until("document.getElementById('fork-outcome').textContent === 'Not forked: the key is not known here.'")
    browser.type("#fork [name=key]", sapphire.key)
    browser.until(f"location.search === '?left=sim:own&right=sim:own@what-if' && {LIVE}")
    fact(browser, "ticks-right", "100")
    browser.until(f"{VERDICT} === 'They are the same so far, up to tick 100.'")
    press("right", ".reseed")
    browser.until("document.querySelector('#right .done').textContent === 'Reseeded.'")
    press("right", ".run")
    fact(browser, "ticks-right", "200")
    fact(browser, "fork-point", "tick 100, offset 102")
    browser.ask("document.querySelector('#right [name=order]').value = 'expand'")
    browser.ask("document.querySelector('#right [name=target]').value = 'Nowhere'")
    press("right", ".order button")
    browser.until("document.querySelector('#right .done').textContent === "
                  "'Not done: there is no system of this name (1004).'")
    browser.ask("document.querySelector('#right [name=target]').value = 'Wolf 359'")
    press("right", ".order button")
    browser.until("document.querySelector('#right .done').textContent === 'Order given.'")
    browser.until("document.querySelector('#right .story').textContent.includes('UNE ordered to expand Wolf 359')")
    places = ["location.href", "JSON.stringify([{...localStorage}, {...sessionStorage}])", "document.cookie",
              "document.documentElement.outerHTML", "JSON.stringify(history.state)",
              "[...document.querySelectorAll('input')].map(n => n.value).join()"]
    assert [place for place in places if sapphire.key in browser.ask(place)] == []
    assert [c for c in browser.complaints if "401" not in c] == []


def test_says_what_is_not_there_and_looks_again_when_asked(sapphire, browser):
    sapphire.publish("sim:run7", {"event": "simulation.create", "seed": 11})
    run(sapphire, "sim:run7", 0, 60)
    go(sapphire, browser, "sim:run7", "sim:run7@nobody")
    browser.until("document.querySelector('#right .state').textContent === "
                  "'Not shown: there is no fork sim:run7@nobody (156).'")
    browser.until(f"{VERDICT} === 'sim:run7@nobody is not there to compare.'")
    fact(browser, "ticks-left", "60")
    done(sapphire, "stream_fork", channel="sim:run7", fork="sim:run7@nobody")
    browser.ask("document.querySelector('#right .again').click()")
    fact(browser, "ticks-right", "60")
    browser.until(LIVE)


def test_comes_back_after_a_lost_connection(sapphire, browser):
    diverge(sapphire)
    go(sapphire, browser, "sim:run7", "sim:run7@what-if")
    fact(browser, "ticks-right", "120")
    browser.ask("window.said = []; new MutationObserver(() => said.push(document.querySelector('#left .state').textContent))"
                ".observe(document.querySelector('#left .state'), { childList: true }); 1")
    sapphire.kill("gateway")
    browser.until("said.some(text => text.startsWith('Connection lost'))")
    browser.until(LIVE, 40)
    run(sapphire, "sim:run7", 120, 180)
    fact(browser, "ticks-left", "180")
    fact(browser, "fork-point", "tick 60, offset 62")


def test_is_served_under_the_same_policy_and_linked(sapphire, browser):
    status, headers, body = sapphire.get("/timelines")
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    assert headers["Content-Security-Policy"] == sapphire.get("/")[1]["Content-Security-Policy"]
    assert b"style=" not in body and b"<script>" not in body
    browser.go(sapphire.url + "/")
    browser.until("document.querySelector('a[href=timelines]') !== null")
    browser.ask("document.querySelector('a[href=timelines]').click()")
    browser.until("location.pathname === '/timelines' && document.readyState === 'complete'")
    browser.until(f"{VERDICT} === 'Choose two timelines of a simulation.'")
    assert browser.complaints == []
