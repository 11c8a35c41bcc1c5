"""Streams that are spoken back to by /emulation, behind a balancer that sends every request where it likes."""
import contextlib
import json
import os
import urllib.error
import urllib.request

import pytest

from platform_under_test import Gateway, eventually
from proxies import Haproxy
from test_streams import LINES, SSE, stream


class Place:
    """One gateway's door, or the balancer's, for `stream` and `speak`."""

    def __init__(self, url, host=None):
        self.url, self.host = url, host

    def post(self, path, body, **headers):
        headers = {"Content-Type": "application/json", **({"Host": self.host} if self.host else {}), **headers}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=10) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()


@contextlib.contextmanager
def second(sapphire):
    with Gateway(sapphire, configuration=os.path.join(sapphire.folder, "sapphire.json5")) as gateway:
        yield gateway


@pytest.mark.parametrize("door", [SSE, LINES])
def test_commands_find_their_stream_behind_round_robin(sapphire, door):
    """In order and without loss: each command is said once the one before it was taken."""
    channel, count = "kept:round" + door.rsplit("/", 1)[1], 30
    with second(sapphire) as other:
        first = sapphire.url.split("://")[1]
        more = (f"    server gateway-1 {first}\n", f"    server gateway-1 {first}\n    server gateway-2 {other.address}\n")
        with Haproxy(sapphire, [more, ("balance leastconn", "balance roundrobin"), ("slowstart 5s", "")]) as proxy:
            behind = Place(proxy.url, proxy.gateway)
            with stream(behind, door, Host=proxy.gateway) as answer:
                connected = answer.until("connect")["connect"]
                assert answer.speak(connected, {"id": 2, "publish": {"channel": channel, "data": {"n": 0}}}) == 204
                answer.until("publish")
                assert answer.speak(connected, {"id": 3, "subscribe": {"channel": channel}}) == 204
                answer.until("subscribe")
                for number in range(1, count):
                    assert answer.speak(connected, {"id": 10 + number, "publish": {
                        "channel": channel, "data": {"n": number}}}) == 204
                seen, ids = [], []
                while len(seen) < count - 1 or len(ids) < count - 1:
                    reply = answer.next()
                    if "publish" in reply:
                        ids.append(reply["id"])
                    elif "pub" in reply.get("push", {}):
                        seen.append((reply["push"]["pub"]["offset"], reply["push"]["pub"]["data"]["n"]))
                assert seen == [(number + 1, number) for number in range(1, count)]
                assert sorted(ids) == [10 + number for number in range(1, count)]


def test_a_stream_is_spoken_to_through_another_gateway_only_while_it_is_there(sapphire):
    with second(sapphire) as other:
        here, there = Place(sapphire.url), Place(other.url)
        with stream(here, LINES) as answer:
            connected = answer.until("connect")["connect"]
            said = {"node": connected["node"], "session": connected["session"],
                    "data": json.dumps({"id": 3, "presence_stats": {"channel": "plain:x"}})}
            assert there.post("/emulation", said)[0] == 204
            assert answer.until("presence_stats")["id"] == 3
            # Who guesses a gateway, a stream of it, or writes either otherwise finds nothing.
            for forged in ({"node": "0" * 16}, {"node": connected["node"].upper() + " "}, {"session": "A" * 22}, {"session": ""}):
                assert there.post("/emulation", {**said, **forged})[0] == 404, forged
        eventually(10, "it is forgotten", lambda: there.post("/emulation", said)[0] == 404)


def test_a_stream_of_a_gateway_that_died_is_none(sapphire):
    with second(sapphire) as other:
        here = Place(sapphire.url)
        with stream(Place(other.url), SSE) as answer:
            connected = answer.until("connect")["connect"]
            said = {"node": connected["node"], "session": connected["session"], "data": "{}"}
            assert here.post("/emulation", said)[0] == 204
            other.kill()
            status, _, body = eventually(10, "it is not found", lambda: (lambda got: got if got[0] == 404 else None)(
                here.post("/emulation", said)))
            assert json.loads(body)["error"]["code"] == 104
