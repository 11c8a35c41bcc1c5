"""The HTTP doors, with nothing but Python's own client."""
import asyncio
import json
import os
import re
import signal

import pytest

from platform_under_test import eventually, freeze, next_json, running


def test_publishes_and_reads_history(sapphire):
    results = [sapphire.publish("universal-frequency", {"n": n}) for n in (1, 2, 3)]
    assert [r["offset"] for r in results] == [1, 2, 3]
    body = {"channel": "universal-frequency", "limit": 2, "since": {"epoch": results[0]["epoch"], "offset": 1}}
    status, _, answer = sapphire.post("/api/history", body, sapphire.key)
    assert status == 200
    assert [p["data"] for p in answer["result"]["publications"]] == [{"n": 2}, {"n": 3}]
    assert answer["result"]["epoch"] == results[0]["epoch"] and answer["result"]["offset"] == 3


def test_separates_logical_errors_from_refusals(sapphire):
    key = sapphire.key
    good = {"channel": "a", "data": 1}
    assert sapphire.post("/api/publish", good)[0] == 401
    assert sapphire.post("/api/publish", good, "wrong")[0] == 401
    assert sapphire.post("/api/publish", b"[1]", key)[0] == 400
    assert sapphire.post("/api/publish", b"{", key)[0] == 400
    for body in ({"channel": "a b", "data": 1}, {"channel": "a"}, {"channel": "x" * 256, "data": 1}, {"data": 1}):
        status, _, answer = sapphire.post("/api/publish", body, key)
        assert status == 200 and answer["error"]["message"] and answer["error"]["code"], (body, status, answer)
    assert "result" in sapphire.post("/api/publish", {"channel": "a", "data": None}, key)[2]
    assert sapphire.get("/no/such/route")[0] == 404


def test_takes_the_key_in_the_authorization_header_as_well(sapphire):
    status, _, answer = sapphire.post("/api/info", {}, Authorization=f"apikey {sapphire.key}")
    assert status == 200 and "result" in answer


def test_lists_channels_with_their_subscribers(sapphire):
    """S003-10."""
    import asyncio

    async def scenario():
        async with sapphire.socket("/ws/route"), sapphire.socket("/ws/route"):
            def listed():
                status, _, body = sapphire.get("/channels")
                answer = json.loads(body)
                assert status == 200 and "status" in answer and "message" in answer
                return answer if answer["channels"].get("route") == 2 else None
            answer = eventually(10, "two subscribers of route", listed)
            assert answer["total_channels"] == len(answer["channels"])
    asyncio.run(scenario())


def test_reports_health_and_metrics(sapphire):
    """S004-30."""
    status, _, body = sapphire.get("/health")
    health = json.loads(body)
    assert status == 200 and {"status", "timestamp", "checks"} <= health.keys()
    assert {"database", "sessions", "memory", "uptime"} <= health["checks"].keys()
    assert sapphire.get("/live")[0] == 200 and sapphire.get("/ready")[0] == 200
    status, headers, body = sapphire.get("/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain")
    assert b"# TYPE sapphire_" in body


def metrics_of(platform):
    """Samples by name and labels, of a text that is whole: each name is told of once, before its samples."""
    types, samples = {}, {}
    for line in platform.get("/metrics")[2].decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, f"{name} is told of twice"
            types[name] = kind
        elif not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            bare = re.sub(r"\{.*", "", name)
            owner = bare if bare in types else re.sub(r"_(bucket|sum|count)$", "", bare)
            assert types.get(owner) is not None, line
            assert (types[owner] == "counter") == bare.endswith("_total"), line
            assert name not in samples, line
            samples[name] = float(value)
    return samples


def test_one_page_has_the_metrics_of_all_services():
    """Rows 22, 131: what the store, the hub and presence count can be watched (reliability D23)."""
    with running() as platform:
        platform.publish("log:metrics", {"n": 1})
        found = metrics_of(platform)
        peers = {peer: f'sapphire_gateway_peer_up{{service="gateway",peer="{peer}"}}' for peer in ("hub", "eventstore", "presence")}
        assert all(found[name] == 1 for name in peers.values()), found
        assert found['sapphire_eventstore_appended_total{service="eventstore"}'] >= 1
        assert found['sapphire_eventstore_commit_seconds_count{service="eventstore"}'] >= 1
        assert found['sapphire_eventstore_commit_seconds_sum{service="eventstore"}'] > 0
        assert 'sapphire_eventstore_queue_bytes{service="eventstore",queue="appends"}' in found
        assert found['sapphire_hub_links{service="hub"}'] >= 2 and found['sapphire_presence_links{service="presence"}'] >= 1
        assert 'sapphire_gateway_unrecoverable_total{service="gateway",reason="trimmed"}' in found
        # What is told is no older than a second; who is away is left out, and the others are there.
        freeze(platform.pid("hub"))
        try:
            found = eventually(10, "the hub is missed", lambda: (
                lambda now: now if now[peers["hub"]] == 0 else None)(metrics_of(platform)))
            assert found[peers["eventstore"]] == 1 and not any(name.startswith("sapphire_hub_") for name in found)
        finally:
            os.kill(platform.pid("hub"), signal.SIGCONT)
        eventually(10, "the hub is back", lambda: metrics_of(platform)[peers["hub"]] == 1)


def test_carries_cli_and_api_on_one_flow(sapphire):
    """S000: `sapphire publish` and `observe --since start --json`."""
    import subprocess
    sapphire.run("publish", "universal-frequency", "Artifact #42 discovered")
    observer = sapphire.command("observe", "universal-frequency", "--since", "start", "--json",
                                stdout=subprocess.PIPE, text=True)
    first = json.loads(observer.stdout.readline())
    assert first["data"] == "Artifact #42 discovered" and first["offset"] == 1
    sapphire.publish("universal-frequency", {"n": 2})
    assert json.loads(observer.stdout.readline())["data"] == {"n": 2}


def test_the_command_line_has_a_history_forgotten_if_it_is_meant(sapphire):
    import subprocess
    first = sapphire.publish("room:forgotten", {"n": 1})
    assert sapphire.run("history", "room:forgotten") == '{"n":1}\n'
    asked = sapphire.command("history", "remove", "room:forgotten", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "--yes" in asked.communicate(timeout=10)[1] and asked.returncode == 64
    assert sapphire.run("history", "room:forgotten") == '{"n":1}\n'
    assert sapphire.run("history", "remove", "room:forgotten", "--yes") == ""
    assert sapphire.run("history", "room:forgotten") == ""
    # The channel goes on in its place.
    assert sapphire.publish("room:forgotten", {"n": 2}) == {"epoch": first["epoch"], "offset": 2}
    nowhere = sapphire.command("history", "remove", "no history", "--yes", stderr=subprocess.PIPE, text=True)
    assert nowhere.communicate(timeout=10)[1] and nowhere.returncode != 0


def test_lists_channels_by_patterns_of_any_length_but_takes_no_longer_one_than_a_name(sapphire):
    async def scenario():
        async with sapphire.socket("/ws/events/order:1") as socket:
            await next_json(socket)
            for length, found in ((255, True), (256, False), (65_535, False), (65_536, False), (1_000_000, False)):
                pattern = "order:" + "*" * (length - 6)
                status, _, answer = sapphire.post("/api/channels", {"pattern": pattern}, sapphire.key)
                assert status == 200, (length, answer)
                if found:
                    assert answer["result"]["channels"]["order:1"]["num_clients"] == 1
                else:
                    assert answer["error"]["name"] == "bad_request", length
            answer = sapphire.post("/api/batch", {"commands": [{"channels": {"pattern": "a" * 65_536}}]}, sapphire.key)[2]
            assert "error" in answer["replies"][0]
            assert "order:1" in sapphire.post("/api/channels", {}, sapphire.key)[2]["result"]["channels"]
    asyncio.run(scenario())


@pytest.mark.configuration("{ gateway: { trustedProxies: ['127.0.0.1'] } }")
def test_behind_a_proxy_strangers_see_no_names_of_channels(sapphire):
    """There everybody comes from loopback."""
    assert sapphire.get("/channels")[0] == 401
    assert sapphire.get("/channels", **{"X-API-Key": sapphire.key})[0] == 200
