"""SIGHUP over real programs: which limits and settings of compression are in force at once, for newcomers, or not before
a restart, and what the log says of it. What every row is said to be, Tests/ConfigTests and Tests/GatewayTests hold."""
import asyncio
import hashlib
import json
import os
import re
import signal
import subprocess

import pytest

from platform_under_test import Sapphire, eventually, executables, next_json, next_of, within
from raw_http import Wire

BEFORE = """channels: [ { match: "kept:*", history: { size: 10 } }, { match: "*" } ], gateway: { loops: 2 }"""


class Running(Sapphire):
    def reload(self, text, *words, services=("gateway",)):
        """Writes the configuration, sends SIGHUP, and waits until each of the services has said `words`."""
        path = os.path.join(self.folder, "sapphire.json5")
        with open(path, "w") as file:
            file.write(text)
        size = os.path.getsize(self.log)
        self.process.send_signal(signal.SIGHUP)

        def said():
            with open(self.log, errors="replace") as log:
                log.seek(size)
                lines = log.read().splitlines()
            return all(any(f" {service}: " in line and all(word in line for word in words) for line in lines)
                       for service in services)
        eventually(15, f"{words} of {services}", said)


@pytest.fixture(scope="module")
def platform():
    running = Running()
    running.start(f"{{ {BEFORE} }}")
    try:
        yield running
    finally:
        running.stop()
        print(running.log_tail())
        running.remove()


@pytest.fixture(autouse=True)
def as_before(platform):
    yield
    platform.reload(f"{{ {BEFORE} }}", "the configuration was read again")


def with_limits(text):
    return f"{{ {BEFORE}, limits: {{ {text} }} }}"


async def answer_to(socket, message):
    await socket.send(json.dumps({**message, "id": "q"}))
    while True:
        answer = await next_json(socket)
        if answer.get("id") == "q":
            return answer


def test_what_is_in_force_at_once_binds_who_is_there(platform):
    async def inside():
        async with platform.socket("/ws?channel=a") as socket:
            await next_of(socket, "connection")
            publish = {"channel": "kept:a", "data": "x" * 100}
            assert (await answer_to(socket, publish))["type"] == "ack"
            platform.reload(with_limits("publicationBytes: 64, channelsPerConnection: 1, historyPage: 2"),
                            "in force: limits.historyPage, limits.channelsPerConnection, limits.publicationBytes")
            for _ in range(4):  # On whichever loop: the mail is there before the next message.
                assert (await answer_to(socket, publish))["code"] == 155
            assert (await answer_to(socket, {"type": "subscribe", "channel": "b"}))["code"] == 106
            platform.reload(f"{{ {BEFORE} }}", "in force: limits.historyPage")
            assert (await answer_to(socket, publish))["type"] == "ack"
            assert (await answer_to(socket, {"type": "subscribe", "channel": "b"}))["type"] == "ack"
    within(60, inside())


def test_rates_are_in_force_at_once_and_what_was_taken_weighs_no_more_than_a_burst(platform):
    async def inside():
        # Whom limits bind is found when somebody connects.
        platform.reload(with_limits("loopbackExempt: false"), "for newcomers: limits.loopbackExempt")
        async with platform.socket("/ws") as socket:
            await next_of(socket, "connection")
            publish = {"channel": "kept:r", "data": 1}
            for _ in range(5):
                assert (await answer_to(socket, publish))["type"] == "ack"
            platform.reload(with_limits('loopbackExempt: false, stateRate: "2/h"'), "in force: limits.stateRate")
            assert [(await answer_to(socket, publish)).get("code") for _ in range(3)] == [None, None, 111]
            assert (await answer_to(socket, publish))["retry_after_ms"] > 1_000_000
            platform.reload(with_limits('loopbackExempt: false, stateRate: "50/s"'), "in force: limits.stateRate")
            refused = await answer_to(socket, publish)
            if refused["type"] == "error":
                assert refused["retry_after_ms"] <= 21, refused
                await asyncio.sleep(0.03)
                refused = await answer_to(socket, publish)
            assert refused["type"] == "ack", "an hour's debt is forgotten"
    within(60, inside())


def test_what_is_for_newcomers_binds_them_alone(platform):
    async def inside():
        async with platform.socket("/ws/a") as before:
            assert before.extensions, "compression is on"
            changed = f"""{{ {BEFORE}, compression: {{ enabled: false }},
                             limits: {{ wsMessageBytes: 2048, httpHeadBytes: 2048, httpURLBytes: 1024,
                                        httpFieldBytes: 1024 }} }}"""
            with Wire(platform) as kept:
                assert kept.ask("GET /live").status == 200
                platform.reload(
                    changed, "for newcomers: ", "compression.enabled", "limits.wsMessageBytes", "limits.httpHeadBytes")
                await before.send("x" * 4000)
                assert await before.recv() == "x" * 4000
                assert kept.ask("GET /live", "X-Long: " + "x" * 1500).status == 200
            with Wire(platform) as wire:
                assert wire.ask("GET /live", "X-Long: " + "x" * 1500).status == 431
            async with platform.socket("/ws/a") as after:
                assert not after.extensions
                await after.send("x" * 4000)
                await asyncio.wait_for(after.wait_closed(), 10)
                assert after.close_code == 1009
    within(60, inside())


def test_the_threshold_of_compression_is_in_force_at_once(platform):
    def compressions():
        body = platform.get("/metrics")[2].decode()
        return int(re.search(r"^sapphire_gateway_compressions_total\S* (\d+)", body, re.MULTILINE).group(1))

    async def inside():
        async with platform.socket("/ws/small") as socket:
            async def sends(text):
                before = compressions()
                await socket.send(text)
                assert await socket.recv() == text
                return compressions() - before
            assert await sends("y" * 500) == 0
            platform.reload(f"{{ {BEFORE}, compression: {{ threshold: 100, level: 9 }} }}",
                            "in force: compression.threshold, compression.level")
            assert await sends("y" * 500) == 1 and await sends("z" * 99) == 0
    within(60, inside())


def test_listed_api_keys_come_and_go(platform):
    key, other = "spk_" + "k" * 43, "spk_" + "o" * 43
    def status(which):
        return platform.post("/api/info", {}, which)[0]
    def listed(which):
        digest = hashlib.sha256(which.encode()).hexdigest()
        return f'{{ {BEFORE}, apiKeys: [ {{ name: "listed", sha256: "{digest}", scopes: ["presence"] }} ] }}'
    assert status(key) == 401
    platform.reload(listed(key), "in force: apiKeys")
    assert status(key) == 200 and status(platform.key) == 200
    platform.reload(listed(other), "in force: apiKeys")
    assert (status(key), status(other)) == (401, 200)


def test_the_other_services_take_their_limits_over(platform):
    def publish(name):
        _, _, answer = platform.post(
            "/api/publish", {"channel": "kept:keys", "data": 1, "idempotency_key": name}, platform.key)
        return answer["result"].get("duplicate", False)
    for name in ("one", "two"):
        assert not publish(name)
    assert publish("one")
    platform.reload(with_limits("idempotencyKeys: 1"), "in force: limits.idempotencyKeys", services=("hub",))
    assert not publish("three") and not publish("one") and publish("one"), "one key is remembered"

    async def members(count, listed):
        sockets = [await platform.socket("/ws/crowd") for _ in range(count)]
        def present():
            return len(platform.post("/api/presence", {"channel": "crowd"}, platform.key)[2]["result"]["presence"])
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, lambda: eventually(10, f"{listed} listed", lambda: present() == listed))
        for socket in sockets:
            await socket.close()
        await loop.run_in_executor(None, lambda: eventually(20, "nobody listed", lambda: present() == 0))
    platform.reload(with_limits("presenceMembers: 1"), "in force: limits.presenceMembers", services=("presence",))
    within(40, members(3, 1))
    platform.reload(f"{{ {BEFORE} }}", "in force: limits.presenceMembers", services=("presence",))
    within(40, members(3, 3))
    platform.reload(with_limits('appendQueueBytes: "2MiB", drainTimeout: "19s"'),
                    "in force: limits.appendQueueBytes, limits.drainTimeout", services=("eventstore",))


def test_rules_that_are_not_taken_over_are_not_said_to_be():
    """What channels keep may change so often and not more: then the old rules stand, and the line says so, each time."""
    running = Running()
    try:
        running.start(f"{{ {BEFORE} }}")
        gateway = running.pid("gateway")

        def reload(size, *words):
            path, begin = os.path.join(running.folder, "sapphire.json5"), os.path.getsize(running.log)
            with open(path, "w") as file:
                file.write(f'{{ channels: [ {{ match: "kept:*", history: {{ size: {size} }} }}, {{ match: "*" }} ], gateway: {{ loops: 2 }} }}')
            os.kill(gateway, signal.SIGHUP)

            def line():
                with open(running.log, errors="replace") as log:
                    log.seek(begin)
                    return next((line for line in log if "the configuration was read again" in line), None)
            said = eventually(10, "the configuration was read again", line)
            assert all(word in said for word in words), (size, said)
            return said
        for size in range(11, 11 + 63):
            reload(size, "in force: channels;")
        for size in (100, 101, 101):
            assert "in force" not in reload(size, "; as before: channels")
        reload(73, "again; needs a restart: channels")
    finally:
        running.stop()
        running.remove()


def test_what_needs_a_restart_is_named_each_time(platform):
    changed = f"""{{ {BEFORE.replace("loops: 2", "loops: 1")}, diagnostics: {{ echo: "off" }},
                     limits: {{ durableIdempotencyWindow: "2d", pingInterval: "20s" }} }}"""
    platform.reload(changed, "in force: limits.pingInterval; needs a restart: gateway.loops, diagnostics.echo")
    platform.reload(changed, "again; needs a restart: gateway.loops, diagnostics.echo")
    platform.reload(changed, "again; needs a restart: limits.durableIdempotencyWindow", services=("eventstore",))
    platform.reload(changed, "and is the same", services=("hub", "presence"))
    platform.reload(f"{{ {BEFORE} }}", "again; in force: limits.pingInterval")


def test_a_bad_file_changes_nothing_and_is_named_with_its_line(platform):
    platform.reload(with_limits("publicationBytes: 64"), "in force: limits.publicationBytes")
    everyone = ("gateway", "hub", "eventstore", "presence")
    platform.reload(f'{{ {BEFORE},\nlimits: {{ publicationBytes: 128,\nstateRate: "quick" }} }}',
                    "can't be used; the old one stays", services=everyone)
    assert "sapphire.json5:3: limits.stateRate: write a rate such as" in platform.log_tail()
    status, _, _ = platform.post("/api/publish", {"channel": "a", "data": "x" * 100}, platform.key)
    assert status == 413, "64 bytes are still the limit"
    platform.reload(with_limits("publicationBytes: 64"), "and is the same")


def test_what_the_gateway_would_refuse_is_refused_beforehand(tmp_path):
    """The PROXY protocol and TLS exclude each other; so `config check` says."""
    file = tmp_path / "both.json5"
    file.write_text('{ gateway: { trustedProxies: "10.0.0.1", proxyProtocol: true },\n'
                    '  tls: { key: "k.pem",\n certificate: "c.pem" } }')
    for program in ["sapphire", "config", "check", file], ["sapphire-gateway", "--listen", "127.0.0.1:0", "--config", file]:
        done = subprocess.run([os.path.join(executables(), program[0]), *program[1:]], capture_output=True, text=True,
                              timeout=20)
        assert done.returncode != 0
        assert "both.json5:3: tls.certificate: leave out tls or gateway.proxyProtocol" in done.stdout + done.stderr
