"""The sample configurations of infra/proxy at work: what a client does goes through Debian's nginx and haproxy."""
import asyncio
import hashlib
import json
import os
import signal
import urllib.error
import urllib.request

import pytest
import websockets

from platform_under_test import eventually, freeze, next_json, next_of, within
from proxies import Haproxy, Nginx
from raw_http import Wire

BEHIND = """{ gateway: { trustedProxies: ['127.0.0.1'] }, limits: { pingInterval: '1s', pongTimeout: '900ms', requestsPerSecond: 5 },
  log: { format: 'json', subsystems: { 'gateway.access': 'info' } } }"""
# As it is where clients are not on this machine: haproxy and nginx add what they see.
ELSEWHERE = {Nginx: ("$proxy_add_x_forwarded_for", '"$proxy_add_x_forwarded_for, 203.0.113.9"'),
             Haproxy: ("    option forwardfor\n", "    http-request set-header X-Forwarded-For 203.0.113.9\n")}


@pytest.fixture(params=[Nginx, Haproxy], ids=["nginx", "haproxy"])
def proxy(request, sapphire):
    with request.param(sapphire) as running:
        yield running


def ask(proxy, path, data=None, method=None, **headers):
    headers = {"Host": proxy.gateway, **headers}
    request = urllib.request.Request(proxy.url + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def socket_of(proxy, path):
    """A socket whose Host is the gateway's, through the proxy's port."""
    host, port = proxy.url.removeprefix("http://").split(":")
    return websockets.connect(f"ws://{proxy.gateway}{path}", host=host, port=int(port), max_size=None, open_timeout=10)


@pytest.mark.configuration(BEHIND)
def test_sockets_the_api_and_uploads_go_through(sapphire, proxy):
    key = sapphire.key

    async def sockets():
        async with socket_of(proxy, "/ws/echo") as echo:
            await echo.send(b"x" * (1 << 20))
            assert await echo.recv() == b"x" * (1 << 20)
        async with socket_of(proxy, "/ws/events/log:proxied") as observer:
            await next_of(observer, "connection")
            for number in range(20):
                body = json.dumps({"channel": "log:proxied", "data": {"n": number}}).encode()
                status, headers, answer = await asyncio.to_thread(
                    ask, proxy, "/api/publish", body, **{"X-API-Key": key, "Content-Type": "application/json"})
                assert status == 200 and json.loads(answer)["result"]["offset"] == number + 1
            seen = []
            while len(seen) < 20:
                message = await next_json(observer)
                if "n" in message:
                    seen.append(message["n"])
            assert seen == list(range(20))
            # A ping and its answer go through as well: without one the gateway would have closed by now.
            await asyncio.sleep(1.2)
            assert observer.open
    within(40, sockets())

    content = os.urandom(8 << 20)
    sha = hashlib.sha256(content).hexdigest()
    status, _, answer = ask(proxy, f"/vault/{sha}", content, "PUT", **{"X-API-Key": key})
    assert status == 201, answer
    status, headers, answer = ask(proxy, f"/vault/{sha}", **{"X-API-Key": key})
    assert status == 200 and answer == content and headers["ETag"] == f'"{sha}"'
    status, headers, answer = ask(proxy, f"/vault/{sha}", **{"X-API-Key": key, "Range": "bytes=10-19"})
    assert status == 206 and answer == content[10:20]
    assert ask(proxy, f"/vault/{'0' * 64}", b"other", "PUT", **{"X-API-Key": key})[0] == 422
    # Refusals come through with their bodies.
    status, headers, answer = ask(proxy, "/nope")
    assert status == 404 and json.loads(answer)["error"]["code"] == 104 and headers["X-Request-Id"]


@pytest.mark.configuration(BEHIND)
@pytest.mark.parametrize("kind", [Nginx, Haproxy])
def test_the_gateway_sees_the_client_and_binds_it(sapphire, kind):
    with kind(sapphire, [ELSEWHERE[kind]]) as running:
        statuses = [ask(running, "/live", **{"X-Forwarded-For": "127.0.0.1", "X-Request-Id": f"bound-{n}"})[0]
                    for n in range(20)]
        assert statuses[:5] == [200] * 5 and 429 in statuses, statuses

    def clients():
        with open(sapphire.log, errors="replace") as log:
            entries = [json.loads(line) for line in log if '"bound-' in line]
        return {entry["client"] for entry in entries} if len(entries) >= 20 else None
    assert eventually(5, "the access log", clients) == {"203.0.113.9"}


@pytest.mark.parametrize("kind", [Nginx, Haproxy])
def test_the_logs_of_the_samples_hold_no_secret(sapphire, kind):
    """Row 98: a ticket is good for a moment, a session for as long as its client."""
    with kind(sapphire, logs_as_it_stands=True) as proxy:
        status, *_ = ask(proxy, "/poll?channel=a&ticket=CANARY-1&session=CANARY-2")
        assert status == 401

        def lines():
            with open(proxy.log) as log:
                return [line for line in log if "/poll" in line and " 401 " in line]
        line, = eventually(5, "the line in the log", lines)
        assert "CANARY" not in line and "?" not in line, line


@pytest.mark.configuration(BEHIND.replace("trustedProxies: ['127.0.0.1']", "trustedProxies: ['127.0.0.1'], proxyProtocol: true"))
def test_haproxy_names_clients_by_the_proxy_protocol(sapphire):
    sent = ("server gateway-1 ", "server gateway-1 "), ("default-server check", "default-server send-proxy-v2 check-send-proxy check")
    with Haproxy(sapphire, sent) as running:
        assert ask(running, "/live", **{"X-Request-Id": "spoken"})[0] == 200
    with Wire(sapphire) as wire:
        wire.send(wire.head("GET /live"))
        assert wire.closes(), "on connections of the proxy's address the header is needed"


@pytest.mark.configuration(BEHIND)
def test_haproxy_sends_nobody_to_a_gateway_that_is_not_ready(sapphire):
    with Haproxy(sapphire, [("check inter 2s", "check inter 200ms")]) as running:
        store = sapphire.pid("eventstore")
        freeze(store)
        try:
            eventually(30, "no gateway is left", lambda: ask(running, "/live")[0] == 503)
        finally:
            os.kill(store, signal.SIGCONT)
        eventually(30, "the gateway is back", lambda: ask(running, "/live")[0] == 200)
