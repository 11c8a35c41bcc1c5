"""The HTTP door against clients that pipeline, stall, lie about lengths or never read (RFC 9110, RFC 9112)."""
import asyncio
import hashlib
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from platform_under_test import eventually, freeze, next_json, next_of, within
from raw_http import Wire


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def keyed(sapphire):
    return f"X-API-Key: {sapphire.key}"


def store(sapphire, content):
    """Puts a content into the vault and announces it where everybody may read; returns its hash."""
    sha = hashlib.sha256(content).hexdigest()
    def stored():
        with Wire(sapphire, seconds=30) as wire:
            answer = wire.ask(f"PUT /vault/{sha}", keyed(sapphire), f"Content-Length: {len(content)}", body=content)
            # A loop of a gateway that has just started may not have its link to the store yet.
            assert answer.status in (200, 201, 503), answer
            return answer.status != 503
    eventually(10, "the content is stored", stored)
    sapphire.publish("log:vault", {"type": "artifact", "name": "a", "bytes": len(content), "sha256": sha})
    eventually(10, "the content may be read", lambda: sapphire.get(f"/vault/{sha}")[0] == 200)
    return sha


def standing(measure, seconds=10):
    """What is measured, once it has been the same ten times in a row."""
    deadline = time.monotonic() + seconds
    last, same = measure(), 0
    while same < 10:
        assert time.monotonic() < deadline, f"still moving after {seconds} s: {last}"
        time.sleep(0.02)
        now = measure()
        same = same + 1 if now == last else 0
        last = now
    return last


# What waits for a client is bounded.

def test_a_client_that_asks_and_never_reads_costs_a_bounded_amount(sapphire):
    gateway = sapphire.pid("gateway")
    with Wire(sapphire, receive_buffer=4096) as wire:
        request = wire.head("GET /")
        wire.send(request)
        wire.answer()
        before = resident_bytes(gateway)
        wire.socket.settimeout(1)
        sent = 0
        try:
            while sent < 2 << 20:
                sent += wire.socket.send(request * 500)
        except TimeoutError:
            pass
        grown = standing(lambda: resident_bytes(gateway)) - before
        print(f"sent {sent} bytes, grew {grown}")
        assert grown < 16 << 20, (sent, grown)


def test_pipelined_pages_all_arrive_though_more_than_the_queue_holds(sapphire):
    count = 4000
    with Wire(sapphire, seconds=60) as wire:
        sender = threading.Thread(target=wire.send, args=(wire.head("GET /") * count,), daemon=True)
        sender.start()
        first = wire.answer()
        for number in range(1, count):
            answer = wire.answer()
            assert answer.status == 200 and answer.body == first.body, number
        sender.join(5)


# Answers come in the order of the requests.

def test_pipelined_answers_keep_their_order(sapphire):
    with Wire(sapphire) as wire:
        wire.send(wire.head("GET /health") + wire.head("GET /live") + wire.head("GET /nope/at/all")
                  + wire.head("HEAD /live") + wire.head("GET /channels"))
        assert "checks" in json.loads(wire.answer().body)
        assert json.loads(wire.answer().body) == {"status": "ok"}
        assert json.loads(wire.answer().body)["error"]["code"] == 104
        assert wire.answer(is_head=True).fields["content-length"] == "15"
        assert "total_channels" in json.loads(wire.answer().body)


def test_pipelined_downloads_do_not_mix(sapphire):
    one, two = bytes([1]) * 3_000_000, bytes([2]) * 2_000_000
    first, second = store(sapphire, one), store(sapphire, two)
    with Wire(sapphire, seconds=30) as wire:
        wire.send(wire.head("GET /live") + wire.head(f"GET /vault/{first}") + wire.head(f"GET /vault/{second}")
                  + wire.head("GET /live") + wire.head(f"GET /vault/{first}") + wire.head(f"HEAD /vault/{second}"))
        assert wire.answer().status == 200
        assert wire.answer().body == one
        assert wire.answer().body == two
        assert wire.answer().body == b'{"status":"ok"}'
        assert wire.answer().body == one
        assert wire.answer(is_head=True).fields["content-length"] == str(len(two))


# A body that fails is answered, and the connection closed.

def test_a_malformed_chunk_is_400(sapphire):
    with Wire(sapphire) as wire:
        answer = wire.ask("POST /api/publish", keyed(sapphire), "Transfer-Encoding: chunked", body=b"ZZ\r\n")
        assert answer.status == 400 and answer.fields["connection"] == "close", answer
        assert json.loads(answer.body)["error"]["message"] == "malformed chunk"
        assert wire.closes()


@pytest.mark.configuration("{ limits: { httpBodyBytes: '2MiB', publicationBytes: '1MiB' } }")
def test_a_chunked_body_over_the_limit_is_413(sapphire):
    with Wire(sapphire) as wire:
        wire.send(wire.head("POST /api/publish", keyed(sapphire), "Transfer-Encoding: chunked"))
        for _ in range(2):
            wire.send(b"100000\r\n" + b"x" * 0x100000 + b"\r\n")
        wire.send(b"1\r\nx\r\n")
        answer = wire.answer()
        assert answer.status == 413 and answer.fields["connection"] == "close", answer
        assert wire.closes()


@pytest.mark.configuration("{ limits: { httpBodyTimeout: '1s', httpHeadTimeout: '1s' } }")
def test_a_body_that_stalls_is_408_once(sapphire):
    gateway = sapphire.pid("gateway")
    with Wire(sapphire) as wire:
        answer = wire.ask("POST /api/publish", keyed(sapphire), "Content-Length: 100", body=b"{ ")
        assert answer.status == 408 and answer.fields["connection"] == "close", answer
        assert wire.closes()
    with Wire(sapphire) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHo")
        assert wire.answer().status == 408
        assert wire.closes()
    content = b"x" * 1000
    with Wire(sapphire) as wire:
        sha = hashlib.sha256(content).hexdigest()
        before = descriptors(sapphire.pid("eventstore"))
        answer = wire.ask(f"PUT /vault/{sha}", keyed(sapphire), "Content-Length: 1000", body=content[:10])
        assert answer.status == 408, answer
        assert wire.closes()
        eventually(5, "the store has dropped it", lambda: descriptors(sapphire.pid("eventstore")) <= before)
    assert sapphire.pid("gateway") == gateway


def test_a_failed_body_behind_unanswered_requests_is_answered_in_its_turn(sapphire):
    with Wire(sapphire) as wire:
        wire.send(wire.head("GET /health") + wire.head(
            "POST /api/publish", keyed(sapphire), "Transfer-Encoding: chunked") + b"5;\x01")
        assert wire.answer().status == 200
        assert wire.answer().status == 400
        assert wire.closes()


# What the head decides is decided before the body.

def test_a_body_is_not_asked_for_without_the_key(sapphire):
    for line, status in (("POST /api/publish", 401), ("GET /api/publish", 405), ("POST /health", 405),
                         ("POST /a/b", 404), ("DELETE /nope", 404), (f"PUT /vault/{'0' * 64}", 401)):
        for fields in (("Content-Length: 1000000",), ("Content-Length: 1000000", "X-API-Key: wrong"),
                       ("Content-Length: 1000000", "Expect: 100-continue"), ("Transfer-Encoding: chunked",)):
            with Wire(sapphire) as wire:
                answer = wire.ask(line, *fields)
                assert answer.status == status, (line, fields, answer)
                assert answer.fields["connection"] == "close" and "error" in json.loads(answer.body)
                assert status != 401 or "www-authenticate" in answer.fields
                assert wire.closes(), (line, fields)


def test_a_body_that_is_wanted_is_asked_for(sapphire):
    body = b'{"channel":"a","data":1}'
    with Wire(sapphire) as wire:
        fields = (keyed(sapphire), f"Content-Length: {len(body)}", "Expect: 100-continue")
        assert wire.ask("POST /api/publish", *fields).status == 100
        wire.send(body)
        assert "result" in json.loads(wire.answer().body)
        sha = hashlib.sha256(body).hexdigest()
        # Asked for only when its turn has come: the answer before it is not cut in two.
        wire.send(wire.head("GET /health") + wire.head(f"PUT /vault/{sha}", *fields))
        assert "checks" in json.loads(wire.answer().body)
        assert wire.answer().status == 100
        wire.send(body)
        assert wire.answer().status == 201


@pytest.mark.configuration("{ limits: { vaultFileBytes: '1KiB' } }")
def test_uploads_that_are_too_large_leak_nothing(sapphire):
    gateway = sapphire.pid("gateway")
    for _ in range(300):
        with Wire(sapphire) as wire:
            answer = wire.ask(f"PUT /vault/{'0' * 64}", keyed(sapphire), "Content-Length: 2000")
            assert answer.status == 413, answer
    content = b"small"
    assert store(sapphire, content) == hashlib.sha256(content).hexdigest()
    assert sapphire.pid("gateway") == gateway


# The vault's addresses.

def test_head_of_a_content_tells_what_get_would(sapphire):
    content = bytes(range(256)) * 40
    sha = store(sapphire, content)
    with Wire(sapphire) as wire:
        head, get = wire.ask(f"HEAD /vault/{sha}"), wire.ask(f"GET /vault/{sha}")
        assert head.status == get.status == 200 and get.body == content
        for name in ("content-length", "content-type", "etag", "accept-ranges", "x-content-type-options"):
            assert head.fields[name] == get.fields[name], name
        assert head.fields["etag"] == f'"{sha}"' and head.fields["content-length"] == "10240"
        for method in ("HEAD", "GET"):
            assert wire.ask(f"{method} /vault/{'0' * 64}").status == 404
            assert wire.ask(f"{method} /vault/{'0' * 64}", keyed(sapphire)).status == 404
            assert wire.ask(f"{method} /vault/short").status == 404
        assert wire.ask(f"OPTIONS /vault/{sha}").status == 204


def test_an_empty_content_exists_too(sapphire):
    sha = store(sapphire, b"")
    with Wire(sapphire) as wire:
        assert wire.ask(f"HEAD /vault/{sha}").fields["content-length"] == "0"
        answer = wire.ask(f"GET /vault/{sha}", "Range: bytes=0-")
        assert answer.status == 416 and answer.fields["content-range"] == "bytes */0"
        assert wire.ask(f"GET /vault/{sha}").body == b""


def test_a_content_is_given_in_part_and_not_twice(sapphire):
    content = bytes(range(256)) * 4000
    sha = store(sapphire, content)
    size = len(content)
    with Wire(sapphire) as wire:
        for asked, part in (("bytes=0-99", (0, 100)), ("bytes=1000-", (1000, size)), ("bytes=-10", (size - 10, size)),
                            ("bytes=5-99999999999999999999", (5, size)), ("bytes=700000-700000", (700_000, 700_001))):
            answer = wire.ask(f"GET /vault/{sha}", f"Range: {asked}")
            assert answer.status == 206 and answer.body == content[part[0]:part[1]], (asked, answer)
            assert answer.fields["content-range"] == f"bytes {part[0]}-{part[1] - 1}/{size}"
        for ignored in ("bytes=0-1,5-6", "lines=1-2", "bytes=9-3", "bytes=x"):
            assert wire.ask(f"GET /vault/{sha}", f"Range: {ignored}").status == 200, ignored
        assert wire.ask(f"GET /vault/{sha}", f"Range: bytes={size}-").status == 416
        assert wire.ask(f"GET /vault/{sha}", "Range: bytes=0-1", 'If-Range: "other"').status == 200
        for tag in (f'"{sha}"', "*", f'"x", W/"{sha}"'):
            answer = wire.ask(f"GET /vault/{sha}", f"If-None-Match: {tag}")
            assert answer.status == 304 and answer.fields["etag"] == f'"{sha}"', (tag, answer)
        assert wire.ask(f"GET /vault/{sha}", 'If-None-Match: "x"').status == 200


# What every HTTP client counts on.

def test_methods_and_addresses_that_are_not_there(sapphire):
    with Wire(sapphire) as wire:
        for line, allowed in (("POST /", "GET, HEAD, OPTIONS"), ("DELETE /health", "GET, HEAD, OPTIONS"),
                              ("GET /api/publish", "POST, OPTIONS"), ("HEAD /api/publish", "POST, OPTIONS"),
                              (f"PATCH /vault/{'0' * 64}", "GET, HEAD, PUT, OPTIONS")):
            answer = wire.ask(line)
            assert answer.status == 405 and answer.fields["allow"] == allowed, (line, answer)
        for line in ("/", "/health", "/metrics", "/app.js", "/api/publish", "/channels"):
            answer = wire.ask(f"OPTIONS {line}")
            assert answer.status == 204 and "OPTIONS" in answer.fields["allow"], (line, answer)
        for line in ("GET /nope", "GET /a/b/c", "POST /nope", "GET /vault", "GET /api"):
            answer = wire.ask(line)
            assert answer.status == 404 and answer.fields["content-type"] == "application/json", (line, answer)
            assert json.loads(answer.body)["error"]["code"] == 104
        for line in ("/", "/app.js", "/live", "/nope"):
            head, get = wire.ask(f"HEAD {line}"), wire.ask(f"GET {line}")
            assert head.status == get.status and int(head.fields["content-length"]) == len(get.body), line
        assert wire.ask("OPTIONS *").status == 204
    with Wire(sapphire) as wire:
        assert wire.ask("BREW /").status == 501 and wire.closes()
    with Wire(sapphire) as wire:
        assert wire.ask("GET /ws").status == 426


def test_an_unknown_api_method_is_a_logical_error_with_the_key_alone(sapphire):
    status, _, answer = sapphire.post("/api/nope", {}, sapphire.key)
    assert status == 200 and answer["error"]["code"] == 104
    assert sapphire.post("/api/nope", {})[0] == 401


def test_connections_are_kept_or_closed_as_asked(sapphire):
    with Wire(sapphire) as wire:
        for _ in range(3):
            assert "connection" not in wire.ask("GET /live").fields
        assert wire.ask("GET /live", "Connection: close").fields["connection"] == "close"
        assert wire.closes()
    for fields in ((), ("Connection: keep-alive",)):
        with Wire(sapphire) as wire:
            answer = wire.ask("GET /live", *fields, version="1.0")
            assert answer.status == 200 and answer.fields["connection"] == "close"
            assert wire.closes()


def test_a_request_after_the_last_one_is_not_carried_out(sapphire):
    body = b'{"channel":"after","data":1}'
    late = (keyed(sapphire), f"Content-Length: {len(body)}")
    with Wire(sapphire) as wire:
        wire.send(wire.head("GET /health", "Connection: close") + wire.head("POST /api/publish", *late) + body)
        assert wire.answer().status == 200
        assert wire.closes()
    assert sapphire.publish("after", 2)["offset"] == 1


def test_the_body_of_a_refused_request_is_never_read_as_a_request(sapphire):
    hidden = b'{"channel":"hidden","data":1}'
    with Wire(sapphire) as wire:
        inner = wire.head("POST /api/publish", keyed(sapphire), f"Content-Length: {len(hidden)}") + hidden
        for refused in (("Origin: http://elsewhere.example",), ()):
            with Wire(sapphire) as outer:
                outer.send(wire.head("GET /health") + wire.head(
                    "POST /api/publish", *refused, f"Content-Length: {len(inner)}") + inner)
                assert outer.answer().status == 200
                assert outer.answer().status == (403 if refused else 401)
                assert outer.closes()
    assert sapphire.publish("hidden", 2)["offset"] == 1


def test_a_service_that_is_away_is_503_with_a_time_to_come_back(sapphire):
    store_pid = sapphire.pid("eventstore")
    freeze(store_pid)
    try:
        def unavailable():
            status, headers, _ = sapphire.get("/health")
            return headers.get("Retry-After") if status == 503 else None
        assert int(eventually(20, "503 with Retry-After", unavailable)) >= 1

        def reasons(**headers):
            checks = json.loads(sapphire.get("/health", **headers)[2])["checks"]
            return checks["database"].get("reason", "")
        # Where it was looked for is nothing for strangers (P25).
        eventually(20, "a link that is lost", lambda: reasons() == "can't be reached")
        assert reasons(**{"X-API-Key": sapphire.key}) not in ("", "can't be reached")
    finally:
        os.kill(store_pid, signal.SIGCONT)


# A client that has said all may still listen.

def test_a_half_closed_client_gets_its_answers(sapphire):
    for lines in (["GET /health"], ["GET /live", "GET /channels", "GET /health", "GET /live"]):
        with Wire(sapphire) as wire:
            wire.send(b"".join(wire.head(line) for line in lines))
            wire.socket.shutdown(socket.SHUT_WR)
            assert [wire.answer().status for _ in lines] == [200] * len(lines), lines
            assert wire.closes(3), "nothing more can come of it"
    with Wire(sapphire) as wire:
        # Half a request is none.
        wire.send(wire.head("POST /api/info", keyed(sapphire), "Content-Length: 10") + b"{")
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.closes(3)


def test_channels_asked_for_in_advance_are_answered_one_after_the_other(sapphire):
    with Wire(sapphire) as wire:
        wire.send(wire.head("GET /channels") * 200)
        assert all("total_channels" in json.loads(wire.answer().body) for _ in range(200))


@pytest.mark.configuration("{ limits: { httpIdleTimeout: '4s', transferRate: 50000000 } }")
def test_a_download_that_is_taken_too_slowly_is_cut_off(sapphire):
    sha = store(sapphire, os.urandom(64 << 20))
    with Wire(sapphire) as wire:
        wire.send(wire.head(f"GET /vault/{sha}"))
        taken, began = 0, time.monotonic()
        with pytest.raises((ConnectionResetError, AssertionError)):
            while time.monotonic() - began < 20:
                # It moves all the time, so only its pace gives it away.
                data = wire.socket.recv(50_000)
                assert data, "closed"
                taken += len(data)
                time.sleep(0.01)
        assert taken < 64 << 20
    def cut_off():
        found = [line for line in sapphire.get("/metrics")[2].decode().splitlines()
                 if line.startswith("sapphire_limit_reached_total") and 'limit="transferRate"' in line]
        return found and found[0].split()[-1] != "0"
    eventually(5, "the pace was counted", cut_off)


# What the API leaves to the store.

def test_what_skips_the_history_of_a_durable_channel_is_live_only(sapphire):
    async def both():
        async with sapphire.socket("/ws?channel=log:live") as socket:
            await next_of(socket, "connection")
            publish = lambda body: sapphire.post("/api/publish", body, sapphire.key)[2]["result"]  # noqa: E731
            loop = asyncio.get_running_loop()
            kept = await loop.run_in_executor(None, publish, {"channel": "log:live", "data": 1})
            live = await loop.run_in_executor(None, publish, {"channel": "log:live", "data": 2, "skip_history": True})
            after = await loop.run_in_executor(None, publish, {"channel": "log:live", "data": 3})
            return kept, live, after, [await next_json(socket) for _ in range(3)]
    kept, live, after, envelopes = within(10, both())
    assert kept["offset"] == 1 and "offset" not in live and after["offset"] == 2
    assert sorted(envelope["data"] for envelope in envelopes) == [1, 2, 3]
    assert all(("offset" in envelope) == (envelope["data"] != 2) for envelope in envelopes)
    history = sapphire.post("/api/history", {"channel": "log:live", "limit": -1}, sapphire.key)[2]["result"]
    assert [event["data"] for event in history["publications"]] == [1, 3]


def test_a_removal_from_a_board_that_is_repeated_with_its_key_is_the_same_removal(sapphire):
    def publish(data, key):
        body = {"channel": "map:annotation", "data": data, "idempotency_key": key}
        return sapphire.post("/api/publish", body, sapphire.key)[2]
    item = publish({"text": "home"}, "add")["result"]["data"]["id"]
    removal = {"op": "remove", "id": item}
    first = publish(removal, "remove")["result"]
    again = publish(removal, "remove")["result"]
    assert again["duplicate"] and again["offset"] == first["offset"], again
    assert publish(removal, "another")["error"]["name"] == "not_found"
    assert publish({"op": "remove", "id": "other"}, "remove")["error"]["code"] == 151
    history = sapphire.post("/api/history", {"channel": "map:annotation", "limit": -1}, sapphire.key)[2]["result"]
    assert len(history["publications"]) == 2, "nothing was stored for the repetitions"


def test_a_batch_that_asks_for_more_than_fits_is_told_what_was_left_out(sapphire):
    for number in range(4):
        sapphire.publish("log:large", str(number) * 900_000)
    command = {"history": {"channel": "log:large", "limit": -1}}
    for parallel in (True, False):
        status, _, answer = sapphire.post(
            "/api/batch", {"commands": [command] * 60, "parallel": parallel}, sapphire.key)
        assert status == 200
        replies = answer["replies"]
        done = [reply for reply in replies if "history" in reply]
        size = len(json.dumps(done))
        assert len(replies) == 60 and 16 << 20 <= size <= 21 << 20, (len(done), size)
        assert replies[:len(done)] == done, "those asked for first are answered"
        assert all(reply["history"]["publications"] for reply in done)
        assert {reply["error"]["code"] for reply in replies[len(done):]} == {106}
    assert sapphire.get("/ready")[0] == 200, "the loop has kept its links"


def test_keys_that_only_look_alike_are_two(sapphire):
    def publish(key):
        return sapphire.post("/api/publish", {"channel": "route", "data": 1, "idempotency_key": key}, sapphire.key)[2]
    first, other, again = publish("caf\u00e9"), publish("cafe\u0301"), publish("caf\u00e9")
    assert other["result"]["offset"] == first["result"]["offset"] + 1 and "duplicate" not in other["result"]
    assert again["result"]["duplicate"] and again["result"]["offset"] == first["result"]["offset"]


def test_commands_say_within_seconds_that_the_server_is_frozen(sapphire, tmp_path):
    (tmp_path / "file").write_text("x")
    gateway = sapphire.pid("gateway")
    freeze(gateway)
    try:
        began = time.monotonic()
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        commands = [
            sapphire.command(*words, **quiet) for words in (
                ("publish", "route", "x"), ("channels",), ("health",), ("history", "route"), ("presence", "route"),
                ("vault", "drop", "log:x", str(tmp_path / "file")))]
        for command in commands:
            _, errors = command.communicate(timeout=20)
            assert command.returncode == 69 and "did not answer in time" in errors, (command.args, errors)
        assert time.monotonic() - began < 14
    finally:
        os.kill(gateway, signal.SIGCONT)
