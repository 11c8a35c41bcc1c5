"""Events of many streams in the order of their commits, and producers that publish each event once."""
import collections
import hashlib
import json
import os
import subprocess
import threading
import time

import pytest

from platform_under_test import eventually, executables, running

CONFIGURATION = """{ channels: [
  { match: "log:*", type: "relay", history: { durable: true } },
  { match: "board:*", type: "board", history: { durable: true } },
  { match: "*", type: "relay" },
] }"""


@pytest.fixture(scope="module")
def platform():
    with running(CONFIGURATION) as platform:
        yield platform


def api(platform, method, **parameters):
    status, _, answer = platform.post(f"/api/{method}", parameters, platform.key)
    assert status == 200, (method, status, answer)
    return answer


def done(platform, method, **parameters):
    answer = api(platform, method, **parameters)
    assert "result" in answer, (method, parameters, answer)
    return answer["result"]


def refused(platform, method, **parameters):
    return api(platform, method, **parameters)["error"]


def places(page):
    return [(event["channel"], event["offset"], event.get("data")) for event in page["events"]]


def head(platform):
    return done(platform, "events", reverse=True, limit=1)["head"]


def test_events_of_all_streams_come_in_the_order_of_their_commits(platform):
    before = head(platform)
    for number in range(3):
        for name in ["a", "b"]:
            platform.publish(f"log:order:{name}", number)
    done(platform, "stream_fork", channel="log:order:a", fork="log:order:a@f", at=2)
    platform.publish("log:order:a@f", "forked")
    platform.publish("log:elsewhere", "not asked for")
    page = done(platform, "events", after=before, prefix="log:order:")
    assert places(page) == [(f"log:order:{name}", n + 1, n) for n in range(3) for name in "ab"] + [
        ("log:order:a@f", 3, "forked")]
    positions = [event["position"] for event in page["events"]]
    assert positions == sorted(set(positions)) and positions[0] > before
    assert page["position"] == page["head"] == head(platform) and page["more"] is False
    assert places(done(platform, "events", after=before, channel="log:order:a")) == [
        ("log:order:a", n + 1, n) for n in range(3)]
    newest = done(platform, "events", prefix="log:order:", reverse=True, limit=2)
    assert places(newest) == [("log:order:a@f", 3, "forked"), ("log:order:b", 3, 2)] and newest["more"]
    # Page by page it is the same.
    seen, after = [], before
    while True:
        page = done(platform, "events", after=after, prefix="log:order:", limit=2)
        seen += [event["position"] for event in page["events"]]
        after = page["position"]
        if not page["more"]:
            break
    assert seen == positions


def test_what_was_trimmed_or_deleted_is_passed_over(platform):
    before = head(platform)
    for number in range(4):
        platform.publish("log:kept", number)
        platform.publish("log:gone", number)
    done(platform, "stream_trim", channel="log:kept", through=2)
    done(platform, "stream_delete", channel="log:gone")
    page = done(platform, "events", after=before)
    assert places(page) == [("log:kept", 3, 2), ("log:kept", 4, 3)]


def test_events_are_chosen_by_type_and_time_and_show_where_they_come_from(platform):
    before = head(platform)
    for number, kind in enumerate(["paid", "sent", "paid"]):
        done(platform, "publish", channel="log:shop", data=number, type=kind,
             correlation_id="order-7", causation_id=f"e-{number}", tags={"shop": "x"})
    paid = done(platform, "events", after=before, type="paid")["events"]
    assert [event["data"] for event in paid] == [0, 2]
    assert (paid[1]["type"], paid[1]["correlation_id"], paid[1]["causation_id"], paid[1]["tags"]) == (
        "paid", "order-7", "e-2", {"shop": "x"})
    listed = done(platform, "history", channel="log:shop", limit=-1)["publications"]
    assert [(e["type"], e["correlation_id"], e["causation_id"], e["tags"]) for e in listed] == [
        (kind, "order-7", f"e-{n}", {"shop": "x"}) for n, kind in enumerate(["paid", "sent", "paid"])]
    at = paid[1]["time"]
    assert done(platform, "events", after=before, **{"from": at + 1})["events"] == []
    assert len(done(platform, "events", after=before, **{"from": 1, "to": at})["events"]) == 3
    assert done(platform, "events", after=before, to="1999-12-31T23:59:59Z")["events"] == []
    # Where they are not kept on disk, too.
    assert "type" not in done(platform, "history", channel="log:order:a", limit=1)["publications"][0]


def test_a_call_waits_for_what_it_asks_for(platform):
    before = head(platform)
    answers = []

    def wait():
        answers.append(done(platform, "events", after=before, prefix="log:waited", type="go", wait=20))
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    for number in range(20):
        platform.publish("log:other", number)
        platform.publish("log:waited", number)
    assert not answers
    done(platform, "publish", channel="log:waited", data="now", type="go")
    thread.join(15)
    assert [places(answer) for answer in answers] == [[("log:waited", 21, "now")]]
    # Without one it is answered when its time is over, and knows how far all was looked at.
    began = time.monotonic()
    page = done(platform, "events", after=answers[0]["position"], prefix="log:waited", wait=1)
    assert page["events"] == [] and page["position"] == head(platform)
    assert time.monotonic() - began >= 0.9


def test_a_position_of_another_store_is_refused(platform):
    page = done(platform, "events", reverse=True, limit=1)
    assert refused(platform, "events", after=page["head"] + 1)["code"] == 112
    assert refused(platform, "events", after=0, store="0123456789abcdef")["code"] == 112
    assert done(platform, "events", after=page["head"], store=page["store"])["events"] == []
    assert refused(platform, "events", after=-1)["code"] == 107


def test_a_key_is_shown_what_it_may_read():
    with running("""{ channels: [ { match: "*", type: "relay", history: { durable: true } } ],
      apiKeys: [ { name: "some", sha256: "SOME", scopes: ["history"], channels: ["a:*"] },
                 { name: "none", sha256: "NONE", scopes: ["publish"] } ] }"""
                 .replace("SOME", hashlib.sha256(b"s" * 32).hexdigest())
                 .replace("NONE", hashlib.sha256(b"n" * 32).hexdigest())) as other:
        other.publish("a:1", 1)
        other.publish("b:1", 1)
        other.publish("a:2", 1)
        status, _, answer = other.post("/api/events", {}, "s" * 32)
        assert status == 200 and [e["channel"] for e in answer["result"]["events"]] == ["a:1", "a:2"]
        assert answer["result"]["position"] == 3
        assert other.post("/api/events", {"channel": "b:1"}, "s" * 32)[0] == 403
        assert other.post("/api/events", {}, "n" * 32)[0] == 403


# MARK: producers


def publish(platform, channel, epoch, seq, data="x", **more):
    return api(platform, "publish", channel=channel, data=data,
               producer={"id": "billing", "epoch": epoch, "seq": seq}, **more)


def test_a_producer_publishes_each_event_once_and_in_order(platform):
    name = "log:produced"
    error = publish(platform, name, 1, 3)["error"]
    assert (error["code"], error["name"], error["expected_seq"]) == (167, "producer_begins_at_zero", 0)
    assert publish(platform, name, 1, 0)["result"]["offset"] == 1
    assert publish(platform, name, 1, 1)["result"]["offset"] == 2
    again = publish(platform, name, 1, 0)["result"]
    assert (again["offset"], again["duplicate"]) == (2, True)
    error = publish(platform, name, 1, 4)["error"]
    assert (error["code"], error["expected_seq"]) == (166, 2)
    assert publish(platform, name, 2, 1)["error"]["code"] == 167
    assert publish(platform, name, 2, 0)["result"]["offset"] == 3
    error = publish(platform, name, 1, 2)["error"]
    assert (error["code"], error["producer_epoch"]) == (165, 2)
    # It is another producer in each channel, forks with them.
    done(platform, "stream_fork", channel=name, fork=f"{name}@f")
    assert publish(platform, f"{name}@f", 0, 0)["result"]["offset"] == 4


def test_producers_are_known_to_a_store_that_was_killed():
    with running(CONFIGURATION) as platform:
        assert publish(platform, "log:p", 2, 0)["result"]["offset"] == 1
        platform.kill("eventstore")

        def answered(epoch, seq):
            # Each loop of the gateway has its own link to the store.
            body = {"channel": "log:p", "data": "x", "producer": {"id": "billing", "epoch": epoch, "seq": seq}}
            status, _, answer = platform.post("/api/publish", body, platform.key)
            return answer if status == 200 else None
        older = eventually(20, "an answer", lambda: answered(1, 1))
        assert older["error"]["code"] == 165
        assert eventually(20, "an answer", lambda: answered(2, 1))["result"]["offset"] == 2
        assert eventually(20, "an answer", lambda: answered(2, 3))["error"]["expected_seq"] == 2


@pytest.mark.parametrize("parameters, code", [
    ({"channel": "chat"}, 108),
    ({"channel": "log:p", "skip_history": True}, 108),
    ({"channel": "log:p", "idempotency_key": "k"}, 107),
    ({"channel": "log:p", "producer": {"id": "", "epoch": 0, "seq": 0}}, 107),
    ({"channel": "log:p", "producer": {"id": "p", "epoch": 0}}, 107),
    ({"channel": "log:p", "type": "artifact"}, 107),
    ({"channel": "log:p", "correlation_id": "x" * 256}, 107),
])
def test_what_no_producer_may_say_is_refused(platform, parameters, code):
    parameters = {"data": 1, "producer": {"id": "p", "epoch": 0, "seq": 0}, **parameters}
    assert refused(platform, "publish", **parameters)["code"] == code


def test_what_a_type_would_refuse_the_second_time_is_known_again(platform):
    added = publish(platform, "board:p", 0, 0, data={"text": "one"})["result"]
    item = added["data"]["id"]
    assert publish(platform, "board:p", 0, 1, data={"op": "remove", "id": item})["result"]["offset"] == 2
    # There is nothing to remove any more, and yet it is what was done.
    again = publish(platform, "board:p", 0, 1, data={"op": "remove", "id": item})
    assert again["result"]["duplicate"] is True, again
    assert "error" in publish(platform, "board:p", 0, 2, data={"op": "remove", "id": item})
    assert publish(platform, "board:p", 0, 2, data={"text": "two"})["result"]["offset"] == 3


# MARK: the tail


class Tail:
    def __init__(self, platform, *words):
        self.lines = []
        self.process = subprocess.Popen(
            [os.path.join(executables(), "sapphire"), "stream", "tail", *words, "--url", platform.url,
             "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "SAPPHIRE_API_KEY": platform.key})
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def end(self):
        self.process.kill()
        self.process.wait(5)


def test_a_tail_shows_every_event_once_whatever_is_killed():
    with running(CONFIGURATION) as platform:
        tail = Tail(platform, "log:w", "--since", "start")
        acknowledged, stop = collections.defaultdict(list), threading.Event()

        def write(number):
            seq = 0
            while not stop.is_set():
                body = {"channel": f"log:w{number % 3}", "data": [number, seq],
                        "producer": {"id": f"w{number}", "epoch": 0, "seq": seq}}
                try:
                    status, _, answer = platform.post("/api/publish", body, platform.key)
                except OSError:
                    time.sleep(0.01)
                    continue
                if status == 200 and "result" in answer:
                    acknowledged[number].append(seq)
                    seq += 1
                else:
                    time.sleep(0.01)

        writers = [threading.Thread(target=write, args=(n,), daemon=True) for n in range(8)]
        for writer in writers:
            writer.start()
        try:
            for victim in ["eventstore", "gateway", "eventstore"]:
                many = sum(map(len, acknowledged.values())) + 200
                eventually(30, "publications", lambda: sum(map(len, acknowledged.values())) >= many)
                platform.kill(victim)
            many = sum(map(len, acknowledged.values())) + 200
            eventually(30, "publications", lambda: sum(map(len, acknowledged.values())) >= many)
        finally:
            stop.set()
            for writer in writers:
                writer.join(15)
        wanted = {(n, seq) for n, list_ in acknowledged.items() for seq in list_}
        assert len(acknowledged) == 8
        eventually(40, "the tail has all of them",
                   lambda: wanted <= {tuple(event["data"]) for event in list(tail.lines)})
        lines = list(tail.lines)
        tail.end()
        positions = [event["position"] for event in lines]
        assert all(a < b for a, b in zip(positions, positions[1:]))
        counts = collections.Counter(tuple(event["data"]) for event in lines)
        assert set(counts.values()) == {1}, counts.most_common(3)
        for number in range(8):
            mine = [event["data"][1] for event in lines if event["data"][0] == number]
            assert mine == list(range(len(mine)))


def test_a_tail_begins_where_it_is_told(platform):
    before = head(platform)
    done(platform, "publish", channel="log:tailed", data="one", type="t")
    done(platform, "publish", channel="log:tailed", data="two", type="u")
    tail = Tail(platform, "log:tailed", "--since", str(before), "--type", "t")
    now = Tail(platform, "log:tailed")
    try:
        eventually(10, "what came before", lambda: [e["data"] for e in tail.lines] == ["one"])
        eventually(10, "what comes", lambda: done(
            platform, "publish", channel="log:tailed", data="three", type="t") and now.lines)
        assert {event["data"] for event in now.lines} == {"three"}
        eventually(10, "it goes on", lambda: "three" in [e["data"] for e in tail.lines])
        assert "two" not in [event["data"] for event in tail.lines]
    finally:
        tail.end()
        now.end()
    for words in (["--since", "soon"], ["a", "b"]):
        assert platform.command("stream", "tail", *words, stderr=subprocess.DEVNULL).wait(10) == 64


def test_a_stream_is_read_by_type_and_backwards(platform):
    commands = [{"publish": {"channel": "log:long", "data": n, "type": "even" if n % 2 == 0 else "odd"}}
                for n in range(320)]
    for start in range(0, 320, 40):
        assert len(api(platform, "batch", commands=commands[start:start + 40])["replies"]) == 40

    def read(*words):
        return [int(line.split("\t")[1]) for line in platform.run("stream", "read", "log:long", *words).splitlines()]
    assert read("--reverse") == list(range(319, -1, -1))
    assert read("--reverse", "--from", "3", "--to", "6") == [5, 4, 3, 2]
    assert read("--reverse", "--limit", "3", "--type", "even") == [318, 316, 314]
    assert read("--type", "odd", "--limit", "2", "--from", "300") == [299, 301]
    done(platform, "stream_trim", channel="log:long", through=310)
    assert read("--reverse") == list(range(319, 309, -1))
