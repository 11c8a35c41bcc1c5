"""What could be read in two ways is refused, alone and behind proxies (rows 77 to 79).

Behind a proxy the question is whether both see the same requests: the gateway's access log may hold no request that
the proxy's does not, and whoever comes next on the proxy's kept connections gets its own answer.
"""
import contextlib
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import smuggling
from platform_under_test import eventually
from proxies import Haproxy, Nginx
from raw_http import Wire

LOGGED = "{ log: { format: 'json', subsystems: { 'gateway.access': 'info' } } }"


def logged(sapphire):
    """The ids of the requests that the gateway saw, and each one's status."""
    seen = []
    with open(sapphire.log, errors="replace") as log:
        for line in log:
            if line.startswith("{") and "gateway.access" in line:
                entry = json.loads(line)
                seen.append((entry["id"], entry["status"]))
    return seen


def settle(sapphire, marker):
    """Waits until the log holds `marker`, the last request of all."""
    return eventually(10, "the last request in the log", lambda: (
        lambda seen: seen if any(name == marker for name, _ in seen) else None)(logged(sapphire)))


def exchange(address, data, seconds):
    """Sends `data`, and all that came back until the other end closed or said nothing for a while."""
    answer = b""
    with socket.create_connection(address, 10) as connection:
        connection.settimeout(seconds)
        try:
            connection.sendall(data)
        except OSError:
            pass
        try:
            while chunk := connection.recv(1 << 16):
                answer += chunk
        except TimeoutError:
            return answer, False
        except OSError:
            pass
    return answer, True


def place(url):
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)


def statuses(answer):
    return [int(line.split(b" ")[1]) for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


def test_the_corpus_is_large_enough():
    assert len(smuggling.BAD) + len(smuggling.GOOD) >= 300, (len(smuggling.BAD), len(smuggling.GOOD))


@pytest.mark.configuration(LOGGED)
def test_every_ambiguous_request_is_refused_once_and_the_connection_closed(sapphire):
    address, host = place(sapphire.url), sapphire.url.removeprefix("http://")

    def run(item):
        number, (name, text) = item
        data = smuggling.request(text, host, sapphire.key, f"own-{number}", f"HIDDEN-{number}")
        began = time.monotonic()
        answer, closed = exchange(address, data, 3)
        return name, statuses(answer), closed, time.monotonic() - began, answer[:300]

    with ThreadPoolExecutor(32) as pool:
        for name, codes, closed, seconds, answer in pool.map(run, enumerate(smuggling.BAD.items())):
            # A reset may overtake the answer where the client was still sending a megabyte.
            assert closed and (len(codes) == 1 or not codes and "MB" in name), (name, codes, closed, answer)
            assert all(code in (400, 404, 408, 413, 414, 421, 426, 431, 501, 505) for code in codes), (name, codes, answer)
            assert seconds < 2.9, (name, seconds)
    with Wire(sapphire) as wire:
        assert wire.ask("GET /live", "X-Request-Id: last").status == 200
    seen = settle(sapphire, "last")
    assert not [name for name, _ in seen if "HIDDEN" in name]


@pytest.mark.configuration(LOGGED)
def test_odd_but_right_requests_are_one_each_and_what_follows_is_the_next(sapphire):
    with Wire(sapphire) as wire:
        for number, (name, text) in enumerate(smuggling.GOOD.items()):
            # Refused by its head; the body is never read as a request.
            with Wire(sapphire) as refused:
                plain = text.replace("/api/info", "/live")
                refused.send(smuggling.request(plain, wire.host, sapphire.key, f"own-{number}", f"HIDDEN-{number}"))
                assert refused.answer().status == 405 and refused.closes(), name
        for number, (name, text) in enumerate(smuggling.GOOD.items()):
            wire.send(smuggling.request(text, wire.host, sapphire.key, f"read-{number}", f"HIDDEN-{number}"))
            answer = wire.answer()
            assert answer.status == 400 and answer.fields["x-request-id"] == f"read-{number}", (name, answer)
            # The body was no JSON, but a whole body: the connection goes on.
            assert wire.ask("GET /live", f"X-Request-Id: next-{number}").fields["x-request-id"] == f"next-{number}", name
        assert wire.ask("GET /live", "X-Request-Id: last").status == 200
    assert not [name for name, _ in settle(sapphire, "last") if "HIDDEN" in name]


@pytest.mark.parametrize("kind", [Nginx, Haproxy])
@pytest.mark.configuration(LOGGED)
def test_behind_a_proxy_both_see_the_same_requests(sapphire, kind):
    with kind(sapphire) as proxy:
        address, host = place(proxy.url), sapphire.url.removeprefix("http://")
        corpus = list({**smuggling.BAD, **smuggling.GOOD}.items())

        def run(item):
            number, (_, text) = item
            hostile, _ = exchange(address, smuggling.request(text, host, sapphire.key, f"own-{number}", f"HIDDEN-{number}"), 0.4)
            # The next on the proxy's kept connections.
            victim = f"GET /live HTTP/1.1\r\nHost: {host}\r\nX-Request-Id: victim-{number}\r\nConnection: close\r\n\r\n"
            answer, _ = exchange(address, victim.encode(), 5)
            return number, hostile, answer

        with ThreadPoolExecutor(16) as pool:
            results = list(pool.map(run, enumerate(corpus)))
        for number, _, answer in results:
            own = f"x-request-id: victim-{number}\r\n".encode()
            assert answer.startswith(b"HTTP/1.1 200") and own in answer.lower(), (corpus[number][0], answer[:300])
            assert answer.count(b"HTTP/1.1 ") == 1, (corpus[number][0], answer)
        exchange(address, f"GET /live HTTP/1.1\r\nHost: {host}\r\nX-Request-Id: last\r\nConnection: close\r\n\r\n".encode(), 5)
        seen = settle(sapphire, "last")
        # Every request that the gateway saw is one that the proxy passed on, as often at most.
        names = [name for name, _ in seen if name.startswith(("own-", "HIDDEN-", "victim-"))]

        def unknown():
            """What the proxy has not told of: of a request that it upgraded it tells when that ends."""
            passed = proxy.ids()
            return "last" in passed and sorted({name for name in names if names.count(name) > passed.count(name)})
        with contextlib.suppress(AssertionError):
            eventually(5, "the proxy's log", lambda: unknown() == [])
        left = unknown()
        assert left == [], [(name, corpus[int(name.split("-")[1])]) for name in left]
    assert len([name for name, _ in seen if name.startswith("victim-")]) == len(corpus)
