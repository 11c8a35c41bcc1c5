"""The HTTP door by the letter of RFC 9110 and RFC 9112, and what operators see of it."""
import json
import re
import signal
import socket
import struct

import pytest

from platform_under_test import Sapphire, eventually, within
from raw_http import Wire

ACCESS = "log: { format: 'json', subsystems: { 'gateway.access': 'info', 'gateway.http': 'debug' } }"


def lines(sapphire, **wanted):
    """The access log's lines that have these fields."""
    found = []
    with open(sapphire.log, errors="replace") as log:
        for line in log:
            if line.startswith("{") and "gateway.access" in line:
                entry = json.loads(line)
                if all(entry.get(key) == value for key, value in wanted.items()):
                    found.append(entry)
    return found


def line(sapphire, **wanted):
    return eventually(5, f"a line with {wanted}", lambda: lines(sapphire, **wanted))[0]


# Every address, every method.

PLAIN = ("/", "/app.js", "/health", "/live", "/ready", "/metrics", "/channels")
SOCKETS = ("/ws", "/ws/route", "/ws/events/route", "/ws/echo")


def test_options_and_head_work_on_every_address(sapphire):
    with Wire(sapphire) as wire:
        for path in (*PLAIN, *SOCKETS, "/api/publish", f"/vault/{'0' * 64}"):
            answer = wire.ask(f"OPTIONS {path}")
            assert answer.status == 204 and "OPTIONS" in answer.fields["allow"], (path, answer)
            assert "content-length" not in answer.fields and answer.body == b"", (path, answer)
        everything = wire.ask("OPTIONS *")
        assert everything.status == 204
        assert everything.fields["allow"] == "GET, HEAD, POST, PUT, OPTIONS"
        for path in PLAIN:
            head, get = wire.ask(f"HEAD {path}"), wire.ask(f"GET {path}")
            assert head.status == get.status == 200, path
            assert head.fields["content-type"] == get.fields["content-type"], path
        assert wire.ask("OPTIONS /nothing/here").status == 404
    for path in SOCKETS:
        with Wire(sapphire) as wire:
            answer = wire.ask(f"HEAD {path}")
            assert answer.status == 426 and answer.fields["upgrade"] == "websocket", (path, answer)
            assert wire.closes()
    for method, status in (("TRACE /", 501), ("CONNECT a:1", 501), ("get /", 501), ("GET *", 400)):
        with Wire(sapphire) as wire:
            assert wire.ask(method).status == status, method
            assert wire.closes()


def test_answers_say_when_and_to_whom_but_not_what_is_running(sapphire):
    with Wire(sapphire) as wire:
        for line_ in ("GET /live", "GET /nope", "POST /api/info", "OPTIONS *", "GET /metrics"):
            fields = wire.ask(line_).fields
            assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", fields["date"])
            assert fields["vary"] == "Origin" and "server" not in fields and "x-powered-by" not in fields


def test_only_the_expectation_that_is_known_is_met(sapphire):
    with Wire(sapphire) as wire:
        wire.send(wire.head("POST /api/info", f"X-API-Key: {sapphire.key}", "Content-Length: 2", "Expect: 100-Continue"))
        assert wire.answer().status == 100
        wire.send(b"{}")
        assert wire.answer().status == 200
    for expectation in ("200-ok", "100-continue, x", "", "100-continue; q=1"):
        with Wire(sapphire) as wire:
            answer = wire.ask("POST /api/info", "Content-Length: 2", f"Expect: {expectation}")
            assert answer.status == 417 and json.loads(answer.body)["error"]["code"] == 107, (expectation, answer)
            assert wire.closes()
    with Wire(sapphire) as wire:
        # HTTP/1.0 has no 100: the answer comes when the body has.
        wire.send(wire.head("POST /api/info", f"X-API-Key: {sapphire.key}", "Content-Length: 2",
                            "Expect: 100-continue", version="1.0") + b"{}")
        assert wire.answer().status == 200


def test_chunks_and_their_trailers_are_a_body_and_no_fields(sapphire):
    with Wire(sapphire) as wire:
        for trailers in (b"", b"X-API-Key: other\r\nContent-Length: 999\r\nX: y\r\n"):
            wire.send(wire.head("POST /api/info", f"X-API-Key: {sapphire.key}", "Transfer-Encoding: chunked",
                                "Trailer: X-API-Key") + b'1;a="b"\r\n{\r\n01\r\n}\r\n000\r\n' + trailers + b"\r\n")
            assert "result" in json.loads(wire.answer().body)
        assert wire.ask("GET /live").status == 200


# Every refusal is JSON.

@pytest.mark.configuration("{ limits: { httpBodyBytes: 4096, publicationBytes: 1024, httpURLBytes: 300, httpFieldBytes: 600, wsMessageBytes: 1400 } }")
def test_every_refusal_is_json_with_a_code_and_a_message(sapphire):
    key = f"X-API-Key: {sapphire.key}"
    refused = [
        (b"GET / HTTP/1.1\r\n\r\n", 400), (b"rubbish\r\n\r\n", 400), (b"GET /../a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", 421), (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    ]
    for request, status in refused:
        with Wire(sapphire) as wire:
            wire.send(request)
            check(wire.answer(), status)
    for line_, fields, status in [
        ("POST /api/info", ("Content-Length: 2",), 401), ("GET /nope", (), 404), ("PATCH /live", (), 405),
        ("GET /live?" + "x" * 300, (), 414), ("GET /live", ("X: " + "x" * 600,), 431), ("BREW /", (), 501),
        ("GET /live", ("Origin: https://evil.example",), 403), ("GET /live", ("Expect: tea",), 417),
        ("POST /api/info", (key, "Content-Length: 5000"), 413), (f"PUT /vault/{'0' * 64}", (key,), 411),
        ("GET /ws", (), 426), ("GET /ws/a%20b", ("Upgrade: websocket", "Connection: upgrade", "Sec-WebSocket-Version: 13",
                                                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 404),
        ("GET /ws", ("Upgrade: websocket", "Connection: upgrade", "Sec-WebSocket-Version: 12",
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 426),
        ("GET /app.js", ("Range: bytes=99999999-",), 416), ("GET /app.js", ('If-Match: "x"',), 412),
        (f"GET /vault/{'0' * 64}", (), 404),
    ]:
        with Wire(sapphire) as wire:
            check(wire.ask(line_, *fields), status)
    # What can't be done as asked is 200 at the API.
    for method, body in (("publish", {"channel": "a b", "data": 1}), ("nope", {}), ("history", {"channel": "a"})):
        status, _, answer = sapphire.post(f"/api/{method}", body, sapphire.key)
        assert status == 200 and ("error" in answer) == (method != "history"), (method, answer)


def check(answer, status):
    assert answer.status == status and answer.fields["content-type"] == "application/json", answer
    error = json.loads(answer.body)["error"]
    assert error["code"] and error["name"] and error["message"], answer
    assert answer.fields["x-request-id"], answer


# Files.

def test_a_page_that_is_known_is_not_sent_again(sapphire):
    with Wire(sapphire) as wire:
        whole = wire.ask("GET /app.js")
        tag, date, size = whole.fields["etag"], whole.fields["last-modified"], len(whole.body)
        assert whole.fields["accept-ranges"] == "bytes"
        assert wire.ask("GET /").fields["etag"] != tag
        for fields in ([f"If-None-Match: {tag}"], [f'If-None-Match: "x", W/{tag}'], [f"If-Modified-Since: {date}"]):
            for method in ("GET", "HEAD"):
                answer = wire.ask(f"{method} /app.js", *fields)
                assert answer.status == 304 and answer.fields["etag"] == tag and not answer.body, (fields, answer)
                assert "content-length" not in answer.fields
        for fields in (['If-None-Match: "x"'], ["If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT"],
                       ['If-None-Match: "x"', f"If-Modified-Since: {date}"], [f"If-Match: {tag}"]):
            assert wire.ask("GET /app.js", *fields).body == whole.body, fields
        for range_, expected in (("0-0", whole.body[:1]), ("5-9", whole.body[5:10]), ("-3", whole.body[-3:]),
                                 (f"{size - 1}-", whole.body[-1:]), (f"0-{size * 2}", whole.body)):
            for extra in ((), (f"If-Range: {tag}",), (f"If-Range: {date}",)):
                part = wire.ask("GET /app.js", f"Range: bytes={range_}", *extra)
                assert part.status == 206 and part.body == expected, (range_, part)
                assert part.fields["content-range"].endswith(f"/{size}")
        # Several parts at once are not given: the whole is, as without the field.
        for fields in (["Range: bytes=0-1,4-5"], ["Range: lines=1-2"], ["Range: bytes=1-2", 'If-Range: "x"']):
            answer = wire.ask("GET /app.js", *fields)
            assert answer.status == 200 and answer.body == whole.body, fields
        beyond = wire.ask("GET /app.js", f"Range: bytes={size}-")
        assert beyond.status == 416 and beyond.fields["content-range"] == f"bytes */{size}"


# Pages of other origins.

@pytest.mark.configuration("{ gateway: { origins: ['https://app.example.org'] } }")
def test_a_page_of_a_listed_origin_may_ask_and_read(sapphire):
    origin = "https://app.example.org"
    with Wire(sapphire) as wire:
        before = wire.ask("OPTIONS /api/publish", f"Origin: {origin}", "Access-Control-Request-Method: POST",
                          "Access-Control-Request-Headers: x-api-key, content-type, last-event-id")
        assert before.status == 204 and before.fields["access-control-allow-origin"] == origin
        assert "POST" in before.fields["access-control-allow-methods"]
        allowed = {name.strip().lower() for name in before.fields["access-control-allow-headers"].split(",")}
        assert {"x-api-key", "content-type", "authorization", "last-event-id", "x-request-id"} <= allowed
        assert int(before.fields["access-control-max-age"]) > 0
        for line_ in ("GET /live", "GET /nope", "POST /api/info", "DELETE /live"):
            answer = wire.ask(line_, f"Origin: {origin}")
            assert answer.fields["access-control-allow-origin"] == origin and answer.fields["vary"] == "Origin"
            assert "X-Request-Id" in answer.fields["access-control-expose-headers"], (line_, answer)
            # Nothing here relies on what a browser sends by itself.
            assert "access-control-allow-credentials" not in answer.fields
        assert "access-control-allow-origin" not in wire.ask("GET /live").fields
        for other in ("https://app.example.org.evil.example", "https://evil.example", "null", "http://app.example.org",
                      "https://app.example.org:8443", "HTTPS://APP.EXAMPLE.ORG"):
            for line_ in ("GET /live", "OPTIONS /api/publish"):
                with Wire(sapphire) as other_wire:
                    answer = other_wire.ask(line_, f"Origin: {other}")
                assert answer.status == 403 and "access-control-allow-origin" not in answer.fields, (other, answer)


@pytest.mark.configuration("{ gateway: { hosts: ['chat.example.org'] } }")
def test_on_loopback_named_hosts_are_served_besides_its_own(sapphire):
    def status(host):
        with Wire(sapphire) as wire:
            wire.send(f"GET /live HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            answer = wire.answer()
        assert answer.status == 200 or "gateway.hosts" in json.loads(answer.body)["error"]["message"]
        return answer.status
    for host in ("chat.example.org", "CHAT.example.org:80", "localhost", "127.0.0.1:1"):
        assert status(host) == 200, host
    for host in ("example.org", "chat.example.org.evil.example", "x.chat.example.org", "192.168.1.2"):
        assert status(host) == 421, host


def test_where_others_reach_it_a_page_has_to_come_from_the_gateway_itself_by_its_scheme():
    """Rows 95 and 97, on an address that is not loopback, with a proxy at 127.0.0.2 that ends TLS."""
    platform = Sapphire()

    def status(host, origin=None, told=None, peer="127.0.0.1"):
        fields = [f"Host: {host}"] + [f"Origin: {origin}"] * bool(origin) + [f"X-Forwarded-Proto: {told}"] * bool(told)
        port = int(platform.url.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port), 10, (peer, 0)) as link:
            link.sendall("\r\n".join(["GET /live HTTP/1.1", *fields, "Connection: close", "", ""]).encode())
            return int(link.makefile("rb").readline().split()[1])
    try:
        platform.start("{ gateway: { hosts: ['chat.example.org'], trustedProxies: ['127.0.0.2'] } }", listen="0.0.0.0:0")
        assert [status(host) for host in ("chat.example.org", "chat.example.org:8443", "localhost", "127.0.0.1")] == [200] * 4
        assert [status(host) for host in ("evil.example", "chat.example.org.evil.example", "192.168.1.2")] == [421] * 3
        http, https = "http://chat.example.org", "https://chat.example.org"
        assert (status("chat.example.org", http), status("chat.example.org", https)) == (200, 403)
        assert status("chat.example.org", https, told="https") == 403, "not from a proxy"
        behind = {(origin, told): status("chat.example.org", origin, told, "127.0.0.2")
                  for origin in (http, https) for told in ("http", "https", None)}
        assert behind == {(http, "http"): 200, (http, "https"): 403, (http, None): 200,
                          (https, "http"): 403, (https, "https"): 200, (https, None): 200}
    finally:
        platform.stop()
        platform.remove()


@pytest.mark.parametrize("name", ["Origin", "Authorization", "X-API-Key"])
def test_who_says_twice_who_it_is_is_refused(sapphire, name):
    """A proxy may take the one field and the gateway the other."""
    good = {"Origin": sapphire.url, "Authorization": f"apikey {sapphire.key}", "X-API-Key": sapphire.key}[name]
    for line_ in ("GET /live", "POST /api/info", "GET /ws/route", "OPTIONS /api/info"):
        for second in (good, "other", ""):
            with Wire(sapphire) as wire:
                answer = wire.ask(line_, f"{name}: {good}", "Accept: a", f"{name.lower()}: {second}")
                assert answer.status == 400 and json.loads(answer.body)["error"]["code"] == 107, (line_, answer)
    with Wire(sapphire) as wire:
        assert wire.ask("POST /api/info", f"X-API-Key: {sapphire.key}", body=b"").status != 401


# Request ids and the access log.

@pytest.mark.configuration(f"{{ {ACCESS} }}")
def test_a_request_keeps_its_id_and_leaves_one_line(sapphire):
    agent = "Agent/1.0 \"quoted\" \x1b[31m" + "x" * 3000
    with Wire(sapphire) as wire:
        answer = wire.ask("GET /live?secret=hush-hush", "X-Request-Id: trace-1", f"User-Agent: {agent[:18]}")
        assert answer.fields["x-request-id"] == "trace-1"
        made = [wire.ask("GET /live").fields["x-request-id"] for _ in range(3)]
        assert len(set(made)) == 3 and all(re.fullmatch("[0-9a-f]{16}", one) for one in made)
        for bad in ("a b", "x" * 129, 'a"b', "<a>"):
            assert wire.ask("GET /live", f"X-Request-Id: {bad}").fields["x-request-id"] not in bad
        refused = wire.ask("POST /api/publish", "X-Request-Id: trace-2", "X-API-Key: topsecret", "Content-Length: 0")
        assert refused.status == 401 and refused.fields["x-request-id"] == "trace-2"
        wire.ask("GET /live", "X-Request-Id: trace-3", f"User-Agent: {'x' * 3000}")
        wire.ask("GET /vault/" + "0" * 64 + "?token=hush-hush", "X-Request-Id: trace-4")
    with Wire(sapphire) as wire:
        wire.send(b"topsecret nonsense\r\n\r\n")
        nonsense = wire.answer().fields["x-request-id"]
    one = line(sapphire, id="trace-1")
    assert (one["method"], one["route"], one["status"], one["client"]) == ("GET", "/live", 200, "127.0.0.1")
    assert one["sent"] > 15 and 0 <= one["seconds"] < 5 and one["agent"] == agent[:18]
    assert line(sapphire, id="trace-2")["status"] == 401
    assert len(line(sapphire, id="trace-3")["agent"]) == 200
    assert line(sapphire, id="trace-4")["route"] == "/vault/…"
    assert line(sapphire, id=nonsense)["status"] == 400 and line(sapphire, id=nonsense)["method"] == "-"
    assert all(len(lines(sapphire, id=one)) == 1 for one in made + ["trace-1"])
    with open(sapphire.log, errors="replace") as log:
        text = log.read()
    assert "secret" not in text and "hush" not in text, "no query, no field"


@pytest.mark.configuration(f"{{ {ACCESS} }}")
def test_a_socket_leaves_one_line_when_it_has_ended(sapphire):
    async def scenario():
        async with sapphire.socket("/ws/echo?token=hush-hush", compression=None,
                                   extra_headers={"X-Request-Id": "socket-1"}) as socket_:
            assert not lines(sapphire, id="socket-1")
            await socket_.send("x" * 1000)
            assert await socket_.recv() == "x" * 1000
    within(10, scenario())
    ended = line(sapphire, id="socket-1")
    assert ended["message"] == "socket" and ended["status"] == 101 and ended["route"] == "/ws/…"
    assert ended["received"] > 1000 and ended["end"]


@pytest.mark.configuration("{ log: { format: 'json' } }")
def test_levels_change_while_it_runs(sapphire):
    """S004-29."""
    path = f"{sapphire.folder}/sapphire.json5"

    def reload(text):
        with open(path, "w") as file:
            file.write(text)
        sapphire.process.send_signal(signal.SIGHUP)

    def asked(number):
        with Wire(sapphire) as wire:
            wire.ask("GET /live", f"X-Request-Id: level-{number}")
        return lines(sapphire, id=f"level-{number}")

    assert not asked(0), "off unless it is asked for"
    reload("{ log: { format: 'json', subsystems: { 'gateway.access': 'info' } } }")
    numbers = iter(range(1, 1000))
    eventually(10, "lines after SIGHUP", lambda: asked(next(numbers)))
    reload("{ log: { subsystems: { 'gateway.access': 'loud' } } }")
    eventually(10, "the file is refused", lambda: "can't be used" in sapphire.log_tail())
    eventually(10, "the old levels stand", lambda: asked(next(numbers)))
    reload("{ log: { format: 'json' } }")
    eventually(10, "no lines after SIGHUP", lambda: not asked(next(numbers)))


# Behind proxies of ours, and of others (row 101).

BEHIND = f"""{{ {ACCESS}, gateway: {{ trustedProxies: ['127.0.0.1'] }},
  limits: {{ requestsPerSecond: 3, burstWindow: '1s', connectionsPerAddress: 2 }} }}"""


def named(address):
    return f"X-Forwarded-For: {address}"


@pytest.mark.configuration(BEHIND)
def test_limits_bind_the_client_that_a_trusted_proxy_names(sapphire):
    upgrade = ("Upgrade: websocket", "Connection: upgrade", "Sec-WebSocket-Version: 13",
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    with Wire(sapphire) as wire:
        # One kept connection of the proxy carries many clients.
        statuses = [wire.ask("GET /live", named("203.0.113.9")).status for _ in range(8)]
        assert statuses[:3] == [200] * 3 and 429 in statuses
        assert wire.ask("GET /live", named("203.0.113.10"), "X-Request-Id: other").status == 200
        # What the limited one claims to be stands left of what the proxy saw.
        assert 429 in [wire.ask("GET /live", named("198.51.100.1, 203.0.113.9")).status for _ in range(6)]
        # The proxy itself is of this machine and asks for itself.
        assert [wire.ask("GET /live").status for _ in range(8)] == [200] * 8
    assert line(sapphire, id="other")["client"] == "203.0.113.10"
    wires = [Wire(sapphire) for _ in range(4)]
    try:
        assert [wire.ask("GET /ws/echo", *upgrade, named("192.0.2.1")).status for wire in wires[:2]] == [101, 101]
        answer = wires[2].ask("GET /ws/echo", *upgrade, named("192.0.2.1"))
        assert answer.status == 429 and json.loads(answer.body)["error"]["code"] == 106
        assert wires[3].ask("GET /ws/echo", *upgrade, named("192.0.2.2")).status == 101
        wires[0].socket.close()
        def again():
            with Wire(sapphire) as wire:
                return wire.ask("GET /ws/echo", *upgrade, named("192.0.2.1")).status == 101
        eventually(5, "room again", again)
    finally:
        for wire in wires:
            wire.socket.close()


@pytest.mark.configuration(BEHIND.replace("127.0.0.1", "10.9.9.9"))
def test_nobody_else_is_believed(sapphire):
    with Wire(sapphire) as wire:
        assert [wire.ask("GET /live", named("203.0.113.9"), "X-Request-Id: liar").status for _ in range(9)] == [200] * 9
    assert line(sapphire, id="liar")["client"] == "127.0.0.1"
    with Wire(sapphire) as wire:
        wire.send(b"PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n" + wire.head("GET /live"))
        assert wire.answer().status == 400


@pytest.mark.configuration(BEHIND.replace("['127.0.0.1']", "['127.0.0.1'], proxyProtocol: true"))
def test_the_proxy_protocol_names_the_client_of_a_connection(sapphire):
    one = b"PROXY TCP4 203.0.113.9 127.0.0.1 1234 80\r\n"
    two = (b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x21, 0x21]) + struct.pack("!H", 36)
           + socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(16) + bytes(4))
    for header, client in ((one, "203.0.113.9"), (two, "2001:db8::7"), (b"PROXY UNKNOWN\r\n", "127.0.0.1")):
        for pieces in (1, len(header)):
            with Wire(sapphire) as wire:
                for index in range(0, len(header), len(header) // pieces):
                    wire.send(header[index:index + len(header) // pieces])
                assert wire.ask("GET /live", f"X-Request-Id: proxy-{client}-{pieces}").status in (200, 429)
            assert line(sapphire, id=f"proxy-{client}-{pieces}")["client"] == client
    for bad in (b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n", b"PROXY TCP4 a b c d\r\n", b"\r\n\r\n\0\r\nQUIX\n"):
        with Wire(sapphire) as wire:
            wire.send(bad)
            assert wire.closes(), bad
    # Two connections of one address, and no third.
    wires = [Wire(sapphire) for _ in range(3)]
    try:
        header = b"PROXY TCP4 192.0.2.1 127.0.0.1 1234 80\r\n"
        for wire in wires[:2]:
            wire.send(header + wire.head("GET /live"))
            assert wire.answer().status == 200
        wires[2].send(header)
        assert wires[2].answer().status == 429 and wires[2].closes()
    finally:
        for wire in wires:
            wire.socket.close()
