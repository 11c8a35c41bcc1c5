"""Long polls: what there is after a position, or what comes first, each exactly once."""
import contextlib
import http.client
import json
import os
import signal
import threading
import time
import urllib.parse

import pytest

from platform_under_test import eventually, freeze
from raw_http import Wire
from test_sse import Writer, plain


def poll(sapphire, *channels, **options):
    query = [("channel", channel) for channel in channels] + [(name, str(value)) for name, value in options.items()]
    status, headers, body = sapphire.get(f"/poll?{urllib.parse.urlencode(query)}")
    return status, headers, json.loads(body)


def answered(sapphire, *channels, **options):
    status, _, answer = poll(sapphire, *channels, **options)
    assert status == 200, answer
    return answer


def test_says_at_once_where_it_stands_and_then_what_came_after(sapphire):
    place = sapphire.publish("log:a", 1)
    status, headers, answer = poll(sapphire, "log:a", "log:b")
    assert status == 200 and headers["Content-Type"] == "application/json" and headers["Cache-Control"] == "no-store"
    assert answer["publications"] == [] and "messages" not in answer
    first, second = plain(answer["position"]).split(";")
    assert first == f"log:a={place['epoch']}:1" and second.startswith("log:b=") and second.endswith(":0")
    for number in (2, 3):
        sapphire.publish("log:a", number)
    sapphire.publish("log:b", "first")
    names = ("log:a", "log:b")
    seen = []
    while len(seen) < 3:
        answer = answered(sapphire, *names, since=answer["position"])
        seen += answer["publications"]
    assert [p["data"] for p in seen if p["channel"] == "log:a"] == [2, 3]
    assert [p["data"] for p in seen if p["channel"] == "log:b"] == ["first"]
    assert [p["data"] for p in answered(sapphire, "log:a", since="start")["publications"]] == [1, 2, 3]
    assert [p["data"] for p in answered(sapphire, "log:a", since=f"{place['epoch']}:2")["publications"]] == [3]


def test_waits_for_what_comes_first_or_for_the_time(sapphire):
    position = answered(sapphire, "log:a")["position"]
    begun = time.monotonic()
    answer = answered(sapphire, "log:a", since=position, timeout=1)
    assert 0.9 < time.monotonic() - begun < 5 and answer == {"publications": [], "position": position}
    begun = time.monotonic()
    timer = threading.Timer(0.3, sapphire.publish, ("log:a", {"x": [1]}))
    timer.start()
    answer = answered(sapphire, "log:a", since=position, timeout=20)
    assert time.monotonic() - begun < 10 and [p["data"] for p in answer["publications"]] == [{"x": [1]}]
    assert answered(sapphire, "log:a", since=answer["position"], timeout=0)["publications"] == []


CHANNELS = """{ channels: [{ match: "free:*", history: "none" }, { match: "secret:*", subscribe: "role:staff" },
  { match: "*", history: { size: 3, ttl: "5m" } }] }"""


@pytest.mark.configuration(CHANNELS)
def test_a_channel_without_history_is_waited_for_and_not_asked_in_circles(sapphire):
    assert answered(sapphire, "free:a") == {"publications": [], "position": "now"}
    begun = time.monotonic()
    answered(sapphire, "free:a", since="now", timeout=1)
    assert time.monotonic() - begun > 0.9
    timer = threading.Timer(0.3, sapphire.publish, ("free:a", "x"))
    timer.start()
    answer = answered(sapphire, "free:a", since="now", timeout=20)
    assert [p["data"] for p in answer["publications"]] == ["x"] and answer["position"] == "now"
    # What can't be had is said, once and at once; what is refused does not keep the others.
    for number in range(9):
        sapphire.publish("a", number)
    answer = answered(sapphire, "a", "secret:x", since="a=empty")
    assert [m["type"] for m in answer["messages"]] == ["error", "unrecoverable"]
    assert answer["messages"][1]["reason"] == "trimmed" and [p["data"] for p in answer["publications"]] == [6, 7, 8]
    assert answered(sapphire, "a", since=answer["position"], timeout=0)["publications"] == []
    for channels, status, code in ((["secret:x"], 403, 103), (["no name"], 404, 102), ([], 400, 107)):
        found, _, answer = poll(sapphire, *channels)
        assert found == status and answer["error"]["code"] == code


def test_strange_questions_are_refused(sapphire):
    for options in ({"timeout": "soon"}, {"timeout": "-1"}, {"timeout": "1.5"}, {"timeout": "9" * 30}, {"since": "***"},
                    {"since": "a"}):
        status, _, answer = poll(sapphire, "log:a", **options)
        assert status == 400 and answer["error"]["code"] == 107, options


def test_a_connection_is_kept_and_its_polls_come_in_turn(sapphire):
    with Wire(sapphire) as wire:
        for path in ("/poll?channel=log:a", "/poll?channel=log:a&since=now&timeout=0"):
            assert wire.ask(f"GET {path}").status == 200
        wire.send(wire.head("GET /poll?channel=log:a&since=now&timeout=20") + wire.head("GET /live"))
        eventually(5, "the poll listens", lambda: "log:a" in json.loads(sapphire.get("/channels")[2])["channels"])
        sapphire.publish("log:a", 1)
        assert b'"data":1' in wire.answer().body and wire.answer().status == 200
        # One that asks and says that it will say no more is answered with what there is.
        wire.send(wire.head("GET /poll?channel=log:a&since=now&timeout=20"))
        wire.socket.shutdown(1)
        answer = wire.answer()
        assert answer.status == 200 and json.loads(answer.body)["publications"] == []
        assert wire.closes()
    with Wire(sapphire) as gone:
        gone.send(gone.head("GET /poll?channel=log:b&since=now&timeout=60"))
        eventually(5, "the poll listens", lambda: "log:b" in json.loads(sapphire.get("/channels")[2])["channels"])
    eventually(5, "nobody listens", lambda: "log:b" not in json.loads(sapphire.get("/channels")[2])["channels"])


def test_a_gateway_that_stops_answers_at_once(sapphire):
    # With a place of its own, so that there is an answer however far the channel is.
    position = answered(sapphire, "log:a")["position"]
    with Wire(sapphire) as wire:
        wire.send(wire.head(f"GET /poll?channel=log:a&since={position}&timeout=60"))
        eventually(5, "the poll listens", lambda: "log:a" in json.loads(sapphire.get("/channels")[2])["channels"])
        os.kill(sapphire.pid("gateway"), signal.SIGTERM)
        answer = wire.answer()
        body = json.loads(answer.body)
        assert answer.status == 200 and body["publications"] == [] and body["position"] == position
        told, = [message for message in body["messages"] if message["type"] == "reconnect"]
        assert 100 <= told["after_ms"] <= 5000, told


def test_a_chain_of_polls_misses_nothing_while_the_gateway_is_killed(sapphire):
    names = ["log:a", "log:b"]
    got = {name: [] for name in names}
    done, faults = threading.Event(), []

    begin = answered(sapphire, *names)["position"]

    def read():
        position = begin
        while not done.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                status, _, answer = poll(sapphire, *names, since=position, timeout=2)
                if status != 200:
                    time.sleep(0.05)
                    continue
                position = answer["position"]
                faults.extend(answer.get("messages", []))
                for publication in answer["publications"]:
                    got[publication["channel"]].append(publication["data"])

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    writer = Writer(sapphire, names)
    for _ in range(2):
        seen = len(got["log:a"])
        eventually(20, "publications flow", lambda: len(got["log:a"]) > seen + 50)
        sapphire.kill("gateway")
    counts = writer.finish()
    eventually(20, "all has come", lambda: all(len(got[name]) >= counts[name] for name in names))
    done.set()
    reader.join(10)
    assert faults == []
    for name in names:
        assert got[name] == list(range(counts[name])), name


def test_channels_that_can_not_be_opened_are_named_and_the_others_answered(sapphire):
    """While the hub stands still nobody knows where a fresh channel stands; where nothing is known there is no answer."""
    sapphire.publish("log:a", 1)
    known = answered(sapphire, "log:a")["position"]
    sapphire.publish("log:a", 2)
    hub = sapphire.pid("hub")
    freeze(hub)
    try:
        status, headers, answer = poll(sapphire, "log:fresh", since="now", timeout=1)
        assert status == 503 and int(headers["Retry-After"]) >= 1 and answer["error"]["name"] == "unavailable", answer
        status, _, answer = poll(sapphire, "log:a", "log:fresher", since=known, timeout=1)
        assert status == 200, answer
        errors = {message["channel"]: message for message in answer["messages"] if message["type"] == "error"}
        assert errors["log:fresher"]["code"] == 152 and errors["log:fresher"]["name"] == "unavailable", answer
        # A loop that had it open reads it from the store; one that hadn't says so, and nothing of it is lost.
        got = [event["data"] for event in answer["publications"]]
        assert got == ([] if "log:a" in errors else [2]), answer
        assert "log:a" not in errors or answer["position"] == known, answer
    finally:
        os.kill(hub, signal.SIGCONT)
    eventually(10, "the hub works again", lambda: sapphire.get("/ready")[0] == 200)
    got = eventually(10, "what waited", lambda: poll(sapphire, "log:a", "log:fresher", since=known, timeout=1)[2])
    assert [event["data"] for event in got["publications"]] == [2], got
