"""The one budget of memory for all clients (`limits.clientMemoryBytes`): who holds most is a user, or an address where
nobody has signed in, however many connections it is spread over, and whatever waits for it or of it.

That there is such a bound, for each kind of thing that is held, is the row's own case in test_limits.py.
"""
import asyncio
import contextlib
import json
import os
import select
import signal

import pytest

from platform_under_test import Sapphire, eventually, freeze, next_json, within
from raw_http import Wire
from signing import key_file, token
from test_limits import Bound, close_code, counted, frame, held, next_frame, upgraded

MIB = 1 << 20


@pytest.fixture(scope="module")
def crowded():
    platform = Sapphire()
    platform.start("""{ gateway: { loops: 2, anonymous: "on" }, identity: { keyFiles: "%s" },
      channels: [ { match: "board:*", type: "board", history: { durable: true } }, { match: "*", history: { size: 10 } } ],
      limits: { loopbackExempt: false, clientMemoryBytes: "4MiB", wsMessageBytes: "2MiB", httpBodyBytes: "1MiB",
                requestsPerSecond: 100000, publicationsPerSecond: 100000, framesPerSecond: 100000, bulkRate: "none" } }"""
                   % key_file(platform.folder))
    try:
        yield platform
    finally:
        platform.stop()
        platform.remove()


@pytest.fixture(autouse=True)
def empty(crowded):
    """Nothing is held when a test begins, nor by what came before it."""
    eventually(10, "all of it is gone", lambda: held(crowded) < 10_000)


def gone(wires):
    """Those of them to which the gateway has said something."""
    ready = set(select.select([wire.socket for wire in wires], [], [], 0)[0])
    return [wire for wire in wires if wire.socket in ready]


def half(wire, size, begun=b""):
    """Sends the first half of a message of `size` bytes."""
    with contextlib.suppress(OSError):
        wire.send(begun + frame(0x82, claimed=size) + bytes(size // 2))


def ends(wire, size):
    """Whether the message's second half is still taken, and comes back whole."""
    wire.send(bytes(size - size // 2))
    return next_frame(wire) == (0x82, bytes(size))


def test_an_address_that_spreads_what_it_holds_over_many_connections_goes_first(crowded):
    with contextlib.ExitStack() as stack:
        large, small = (stack.enter_context(upgraded(crowded, "/ws/echo", Bound(crowded, f"127.2.0.{n}"))) for n in (1, 2))
        half(large, 3 * MIB // 2)
        half(small, 200_000)
        eventually(5, "both are counted", lambda: held(crowded) >= 850_000)
        before = counted(crowded, "clientMemoryBytes")
        # Each holds less than either of the two; all together they hold most.
        many = [stack.enter_context(upgraded(crowded, "/ws/echo", Bound(crowded, "127.2.0.3"))) for _ in range(280)]
        for wire in many:
            half(wire, 30_000)
        def settled():
            told = gone(many)
            return told and held(crowded) <= 4 * MIB and counted(crowded, "clientMemoryBytes") - before == len(told) and told
        went = eventually(10, "some of them were let go, and told", settled)
        assert gone([large, small]) == [], "who holds less than the address is let alone, however large its one is"
        assert len(went) < len(many)
        assert {close_code(wire) for wire in went} == {1009}
        stays = next(wire for wire in many if wire not in went)
        # What its neighbours hold is not to be too much again once it says more.
        for wire in many:
            if wire is not stays:
                wire.socket.close()
        eventually(10, "theirs is given back", lambda: held(crowded) < 2 * MIB)
        assert ends(large, 3 * MIB // 2) and ends(small, 200_000) and ends(stays, 30_000)


def test_a_user_is_one_from_however_many_addresses(crowded):
    def signed_in(source, user):
        wire = upgraded(crowded, "/ws", Bound(crowded, source))
        connect = json.dumps({"type": "connect", "id": 1, "token": token(user)}).encode()
        wire.send(frame(0x81, connect))
        while b'"connected"' not in next_frame(wire)[1]:
            pass
        return wire
    with contextlib.ExitStack() as stack:
        ada = [stack.enter_context(signed_in(f"127.3.0.{n}", "ada")) for n in range(1, 9)]
        # Two of one address, and each holds more than any of ada's.
        others = [stack.enter_context(wire) for wire in (
            signed_in("127.3.1.1", "bob"), upgraded(crowded, "/ws/echo", Bound(crowded, "127.3.1.1")))]
        for wire in others:
            half(wire, 3 * MIB // 2)
        eventually(5, "both are counted", lambda: held(crowded) >= 1_500_000)
        for wire in ada:
            half(wire, 800_000)
        went = eventually(10, "some of hers were let go", lambda: held(crowded) <= 4 * MIB and gone(ada))
        assert gone(others) == [] and len(went) < len(ada)
        assert {close_code(wire) for wire in went} == {1009}
        assert ends(others[1], 3 * MIB // 2)


@pytest.mark.parametrize("kind", ["until their channel is open", "until it is their turn to be decided"])
def test_publications_that_wait_are_counted_with_who_sent_them(crowded, kind):
    """The hub stands still, so that no channel can be opened: what is published in one waits here."""
    name = "new" if kind.endswith("open") else "board"
    size, count = 50_000, 50

    def message(number, channel):
        data = "x" * size if name == "new" else {"op": "add", "text": "x", "data": "x" * size}
        return json.dumps({"id": number, "channel": channel, "data": data})

    async def answers(socket, all_of, kept):
        """Collects what becomes of its messages."""
        while len(kept) < all_of:
            answer = await next_json(socket, 20)
            if "id" in answer:
                assert answer["id"] not in kept
                kept[answer["id"]] = answer

    async def scenario():
        async with crowded.socket("/ws", local_addr=("127.4.0.1", 0)) as little, \
                crowded.socket("/ws", local_addr=("127.4.0.2", 0)) as much:
            for socket in (little, much):
                await next_json(socket)
            of_little, of_much = {}, {}
            before = counted(crowded, "clientMemoryBytes")
            hub = crowded.pid("hub")
            freeze(hub)
            try:
                for number in range(5):
                    await little.send(message(number, f"{name}:little-{number}"))
                reading = [asyncio.ensure_future(answers(little, 5, of_little)),
                           asyncio.ensure_future(answers(much, 2 * count, of_much))]
                for number in range(2 * count):
                    await much.send(message(number, f"{name}:much-{number % 2}"))
                await asyncio.to_thread(eventually, 2.5, "some are refused", lambda: of_much)
                assert held(crowded) > 0
                refused = list(of_much.values())
                assert of_little == {}, "who holds little waits on"
            finally:
                os.kill(hub, signal.SIGCONT)
            assert {(answer["type"], answer["name"]) for answer in refused} == {("error", "overloaded")}
            assert counted(crowded, "clientMemoryBytes") > before
            await asyncio.gather(*reading)
            # Those that stayed were published, or judged, once the hub went on; nobody is left without an answer.
            later = [answer for answer in [*of_little.values(), *of_much.values()] if answer not in refused]
            assert len(of_little) == 5 and len(of_much) == 2 * count
            assert any(answer["type"] == "ack" for answer in later) if name == "new" else later
            assert all(answer.get("name") != "overloaded" for answer in of_little.values())
    within(60, scenario())
    eventually(10, "nothing waits any more", lambda: held(crowded) < 10_000)
