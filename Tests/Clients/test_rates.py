"""Rates by class of message, by connection, user and address, and the connections of one user (S002-19, row 102).

Each row of the table alone is overrun in test_limits.py; here they are set together, and users come and go.
"""
import asyncio
import contextlib
import json
import os
import signal
import socket
import struct
import time

import pytest
import websockets

from platform_under_test import Sapphire, eventually, next_json, next_of, within
from raw_http import Wire
from signing import bearer, key_file, token

CHANNELS = """[ { match: "cursor:*", type: "cursor", class: "ephemeral" }, { match: "chat:*", history: { size: 10 } },
  { match: "*" } ]"""


def started(limits, **identity):
    platform = Sapphire()
    keys = json.dumps({"keyFiles": [key_file(platform.folder)], "leeway": "0s", **identity})
    platform.start(f"""{{ gateway: {{ loops: 2, anonymous: "on" }}, channels: {CHANNELS}, identity: {keys},
                          limits: {{ loopbackExempt: false, {limits} }} }}""")
    return platform


@pytest.fixture(scope="module")
def users():
    platform = started("connectionsPerUser: 3, connectionsPerAddress: 100000, connections: 100000")
    try:
        yield platform
    finally:
        platform.stop()
        platform.remove()


def counted(platform, limit):
    _, _, body = platform.get("/metrics", **{"X-API-Key": platform.key})
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in body.decode().splitlines()
               if line.startswith("sapphire_limit_reached_total") and f'limit="{limit}"' in line)


# Rates.

def test_cursors_at_60_hertz_and_a_hundred_messages_a_minute_at_once():
    """One user, two connections on different loops and addresses."""
    platform = started('ephemeralRate: "60/s", stateRatePerUser: "100/m"')
    frames = 150

    async def device(source):
        cursors, chats = [], []
        async with platform.socket("/ws", local_addr=(source, 0), extra_headers=bearer(token("ann"))) as socket:
            await next_of(socket, "connection")

            async def read():
                while True:
                    answer = await next_json(socket)
                    if "id" in answer:
                        (cursors if answer["id"] < 10000 else chats).append(answer)
            reading = asyncio.ensure_future(read())
            begun = time.monotonic()
            for frame in range(frames):
                await asyncio.sleep(max(0, begun + frame / 60 - time.monotonic()))
                await socket.send(json.dumps({"id": frame, "channel": "cursor:map", "data": {"x": frame, "y": 0}}))
                if frame % 2 == 0:
                    await socket.send(json.dumps({"id": 10000 + frame, "channel": "chat:room", "data": frame}))
            while len(cursors) < frames or len(chats) < frames // 2:
                await asyncio.sleep(0.01)
                assert not reading.done(), reading.result()
            elapsed = time.monotonic() - begun
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading
            # And cursors have a bound of their own.
            for number in range(200):
                await socket.send(json.dumps({"id": number, "channel": "cursor:map", "data": {"x": number, "y": 0}}))
            flood = []
            while len(flood) < 200:
                answer = await next_json(socket)
                if "id" in answer:
                    flood.append(answer)
            return cursors, chats, elapsed, flood

    async def both():
        return await asyncio.gather(device("127.0.0.2"), device("127.0.0.3"))

    async def answer_to(socket, number):
        while True:
            answer = await next_json(socket)
            if answer.get("id") == number:
                return answer
    try:
        devices = within(60, both())
        for cursors, _, _, flood in devices:
            assert [answer for answer in cursors if answer["type"] != "ack"] == [], "no cursor for a message too many"
            refused = [answer for answer in flood if answer["type"] == "error"]
            assert 20 <= len(flood) - len(refused) <= 140, len(refused)
            assert all(answer["code"] == 111 and "of this connection" in answer["message"] for answer in refused)
        chats = [answer for _, answers, _, _ in devices for answer in answers]
        taken = sum(answer["type"] == "ack" for answer in chats)
        longest = max(elapsed for _, _, elapsed, _ in devices)
        assert 100 <= taken <= 100 + longest / 0.6 + 1, taken
        for answer in chats:
            if answer["type"] == "error":
                assert answer["code"] == 111 and answer["name"] == "rate_limited", answer
                assert 0 < answer["retry_after_ms"] <= 601 and "of this user" in answer["message"], answer
        assert counted(platform, "stateRatePerUser") == len(chats) - taken

        # What is refused says when to try again, and that is so.
        async def patient():
            async with platform.socket("/ws", extra_headers=bearer(token("ann"))) as socket:
                await next_of(socket, "connection")
                await socket.send('{"id":1,"channel":"chat:room","data":1}')
                answer = await answer_to(socket, 1)
                if answer["type"] == "error":
                    await asyncio.sleep(answer["retry_after_ms"] / 1000)
                    await socket.send('{"id":2,"channel":"chat:room","data":1}')
                    answer = await answer_to(socket, 2)
                return answer
        assert within(10, patient())["type"] == "ack"
    finally:
        platform.stop()
        platform.remove()


def test_polls_count_for_their_user_and_keys_for_nobody():
    """A poll asks for its channels anew, as a `subscribe` does; a back end answers for its own users."""
    platform = started('controlRatePerUser: "3/h", stateRatePerUser: "1/h", stateRatePerAddress: "1/h", stateRate: "1/h"')
    try:
        def poll(user):
            status, head, body = platform.get("/poll?channel=chat:room", Authorization=f"Bearer {token(user)}")
            return status, head, json.loads(body)

        assert [poll("ann")[0] for _ in range(3)] == [200] * 3
        status, head, body = poll("ann")
        assert status == 429 and body["error"]["code"] == 111 and "control messages of this user" in body["error"]["message"]
        assert 0 < int(head["Retry-After"]) <= 1201, head["Retry-After"]
        assert poll("bob")[0] == 200 and platform.get("/poll?channel=chat:room")[0] == 200, "it is ann's rate"
        assert counted(platform, "controlRatePerUser") == 1
        for number in range(20):
            platform.publish("chat:room", number)
    finally:
        platform.stop()
        platform.remove()


# Subscribers of one channel (S003-25).

@pytest.mark.configuration('{ channels: [{ match: "full", maxSubscribers: 2 }, { match: "*" }] }')
def test_a_channel_that_is_full_says_when_to_try_again(sapphire):
    def subscribers(count):
        eventually(10, f"{count} subscribers", lambda: json.loads(
            sapphire.get("/channels")[2])["channels"].get("full") == count)

    async def fill():
        async with sapphire.socket("/ws/full"), sapphire.socket("/ws?channel=full") as second:
            await asyncio.get_running_loop().run_in_executor(None, subscribers, 2)
            async with sapphire.socket("/ws?channel=other") as late:
                await late.send('{"type":"subscribe","id":1,"channel":"full"}')
                error = await next_of(late, "error")
                assert error["code"] == 106 and error["retry_after_ms"] == 1000 and "subscribers" in error["message"]
                status, head, _ = sapphire.get("/poll?channel=full&since=now")
                assert status == 429 and head["Retry-After"] == "1"
                await second.close()
                await asyncio.get_running_loop().run_in_executor(None, subscribers, 1)
                await late.send('{"type":"subscribe","id":2,"channel":"full"}')
                assert (await next_of(late, "ack"))["id"] == 2
    within(30, fill())


# Connections of one user.

def open_wire(platform, path, text, kind):
    """A connection that `kind` of door carries, past its head."""
    wire = Wire(platform)
    fields = [f"Authorization: Bearer {text}"]
    if kind == "socket":
        fields += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                   "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=="]
    wire.send(wire.head(f"GET {path}", *fields))
    return wire


def ticket(platform, user):
    _, _, answer = platform.post("/api/ticket", {}, **bearer(token(user)))
    return answer["result"]["ticket"]


async def by_head(platform, user):
    return await platform.socket("/ws", extra_headers=bearer(token(user)))


async def by_ticket(platform, user):
    return await platform.socket(f"/ws/a?envelope=1&ticket={ticket(platform, user)}")


async def by_message(platform, user, text=None):
    socket = await platform.socket("/ws")
    await socket.send(json.dumps({"type": "connect", "id": 1, "token": text or token(user)}))
    return socket


async def refusal(socket):
    """The close code and the error before it; None where the socket stays open."""
    with contextlib.suppress(websockets.ConnectionClosed):
        error = await next_of(socket, "error", 5)
        await asyncio.wait_for(socket.wait_closed(), 5)
        return socket.close_code, error


async def is_in(platform, user):
    """Whether one more of the user's connections is let in; it is closed again."""
    socket = await by_message(platform, user)
    try:
        return await outcome(socket)
    finally:
        await socket.close()


async def settled(platform, user, room):
    """Waits until the user has room for so many more connections, and checks that there is none beyond."""
    deadline = time.monotonic() + 15
    while True:
        sockets = [await by_message(platform, user) for _ in range(room)]
        outcomes = [await outcome(socket) for socket in sockets]
        beyond = all(outcomes) and await is_in(platform, user)
        for socket in sockets:
            await socket.close()
        if all(outcomes):
            assert not beyond, f"{user} has more than {room} seats"
            return
        assert time.monotonic() < deadline, f"{user} never had {room} seats again: {outcomes}"
        await asyncio.sleep(0.1)


async def outcome(socket):
    with contextlib.suppress(websockets.ConnectionClosed):
        while True:
            message = await next_json(socket, 5)
            if message["type"] in ("connected", "error"):
                return message["type"] == "connected"
    return False


@pytest.mark.parametrize("way", [by_head, by_ticket, by_message])
def test_a_socket_too_many_is_told_why_and_closed(users, way):
    user = f"{way.__name__}-user"

    async def fill():
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(3):
                socket = await way(users, user)
                stack.push_async_callback(socket.close)
                assert (await next_json(socket))["type"] != "error"
            before = counted(users, "connectionsPerUser")
            code, error = await refusal(await way(users, user))
            assert code == 4429 and error["code"] == 106 and error["name"] == "limit_exceeded", (code, error)
            assert error["retry_after_ms"] > 0 and "user" in error["message"], error
            assert counted(users, "connectionsPerUser") == before + 1
            assert await is_in(users, user + "-other"), "another user is another"
        await settled(users, user, 3)
    within(60, fill())


@pytest.mark.parametrize("path", ["/sse?channel=a", "/stream?channel=a", "/poll?channel=a&since=now&timeout=30"])
def test_a_stream_too_many_is_told_why(users, path):
    user = channel = path[1:4]
    path = path.replace("channel=a", f"channel={channel}")
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(open_wire(users, path, token(user), "stream")) for _ in range(3)]
        # A poll answers nothing until there is something: that all three wait, the channel shows.
        eventually(5, "three subscribers", lambda: json.loads(users.get("/channels")[2])["channels"].get(channel) == 3)
        with open_wire(users, path, token(user), "stream") as late:
            if "sse" in path:
                # An event source comes back by itself only after an answer that has begun.
                told = b""
                while part := late.socket.recv(1 << 16):
                    told += part
                assert b" 200 " in told and b"event: error" in told and b'"limit_exceeded"' in told, told
                assert b"\nretry: " in told
                answer = None
            else:
                answer = late.answer()
        assert answer is None or answer.status == 429 and answer.fields["retry-after"] == "1", answer
        assert answer is None or json.loads(answer.body)["error"]["code"] == 106
        for wire in held:
            wire.socket.close()
    within(30, settled(users, user, 3))


def test_a_seat_is_free_again_however_its_connection_ends(users):
    """Closed in both orders, reset, out of time, revoked, disconnected, refreshed before it ends, answered, and never
    upgraded: after each round there are three seats, no more and no less."""
    user = "leaver"
    reset = struct.pack("ii", 1, 0)

    def api(method, body):
        status, _, answer = users.post(f"/api/{method}", body, users.key)
        assert status == 200 and "result" in answer, answer

    async def closed():
        for socket in [await by_message(users, user) for _ in range(3)]:
            assert await outcome(socket)
            await socket.close()

    async def dropped():
        for kind, path in ("socket", "/ws"), ("socket", "/ws/a"), ("stream", "/sse?channel=a"):
            wire = open_wire(users, path, token(user), kind)
            wire._until(b"\r\n\r\n")
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            wire.socket.close()

    async def run_out():
        for one in [await by_message(users, user, token(user, life=2)) for _ in range(3)]:
            assert await outcome(one)
            await asyncio.wait_for(one.wait_closed(), 10)
            assert one.close_code == 4401

    async def revoked():
        sockets = [await by_message(users, user, token(user, sid="leaving")) for _ in range(3)]
        assert all([await outcome(one) for one in sockets])
        api("revoke", {"session": "leaving"})
        for one in sockets:
            await asyncio.wait_for(one.wait_closed(), 10)

    async def disconnected():
        sockets = [await by_head(users, user) for _ in range(3)]
        api("disconnect", {"user": user})
        for one in sockets:
            await asyncio.wait_for(one.wait_closed(), 10)
            assert one.close_code == 4403

    async def refreshed():
        sockets = [await by_message(users, user) for _ in range(3)]
        for one in sockets:
            assert await outcome(one)
            await one.send(json.dumps({"type": "refresh", "id": 2, "token": token(user)}))
            assert await outcome(one)
            # Another user's token changes nothing.
            await one.send(json.dumps({"type": "refresh", "id": 3, "token": token("bob")}))
            assert not await outcome(one)
        assert not await is_in(users, user), "refreshed connections are three still"
        for one in sockets:
            await one.close()

    async def answered():
        for _ in range(2):
            wires = [open_wire(users, "/poll?channel=a&since=now&timeout=1", token(user), "poll") for _ in range(3)]
            for wire in wires:
                assert wire.answer().status == 200
                # The connection stays; the poll is over.
            for wire in wires:
                wire.socket.close()
            await settled(users, user, 3)

    async def refused():
        for path in "/ws?since=nonsense", "/ws/%00", "/sse?channel=", "/stream?channel=a&since=?":
            with open_wire(users, path, token(user), "socket" if "ws" in path else "stream") as wire:
                assert wire.answer().status >= 400

    async def everything():
        for end in closed, dropped, run_out, revoked, disconnected, refreshed, answered, refused:
            await end()
            await settled(users, user, 3)
        assert await is_in(users, "bob")
    within(120, everything())


def test_a_lower_limit_lets_those_stay_who_are_in(users):
    """SIGHUP while the seats are taken: nobody is cut off, and newcomers are held to what is in force."""
    path = os.path.join(users.folder, "sapphire.json5")
    with open(path) as file:
        before = file.read()

    def reload(text):
        with open(path, "w") as file:
            file.write(text)
        os.kill(users.pid("gateway"), signal.SIGHUP)

    async def change():
        sockets = [await by_message(users, "stayer") for _ in range(3)]
        assert all([await outcome(one) for one in sockets])
        reload(before.replace("connectionsPerUser: 3", "connectionsPerUser: 2"))
        deadline = time.monotonic() + 10
        while not await fewer():
            assert time.monotonic() < deadline
        for one in sockets:
            await one.send('{"type":"ping","id":"still"}')
            assert (await next_of(one, "pong"))["id"] == "still"
        await sockets.pop().close()
        await asyncio.sleep(0.2)
        assert not await is_in(users, "stayer"), "two are in"
        reload(before.replace("connectionsPerUser: 3", "connectionsPerUser: 4"))
        await settled(users, "stayer", 2)
        for one in sockets:
            await one.close()

    async def fewer():
        sockets = [await by_message(users, "prober") for _ in range(3)]
        outcomes = [await outcome(one) for one in sockets]
        for one in sockets:
            await one.close()
        return not all(outcomes)
    try:
        within(60, change())
    finally:
        reload(before)
