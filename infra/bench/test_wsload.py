#!/usr/bin/env python3
"""The load generator must see exactly the faults that a server commits, in each dialect that it speaks.

Five subscribers on each of two channels; the faulty server loses one message in a hundred, doubles
another and reorders a third. An archive does the same to what it replays. Needs python3-websockets of Debian and a built wsload.
"""
import asyncio
import contextlib
import json
import os
import subprocess
import sys

import websockets

from harness import ROOT, WSLOAD

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "Tests", "Clients"))

import protobuf  # noqa: E402

LOAD = ["--subs", "10", "--channels", "2", "--rate", "1000", "--dur", "1", "--warm", "0.2", "--drain", "0.5"]


class Plain:
    """What is said is in the options; a relay's own words."""
    OPTIONS = ["--hello", '{"op":"hello"}', "--hello-acks", "1", "--sub", '{"op":"sub","ch":"c%c"}', "--sub-acks", "1",
               "--pub", '{"op":"pub","ch":"c%c","data":"%p"}']
    GREETING = None

    def hear(self, frame):
        """(what, channel, data, answer) for each thing said."""
        message = json.loads(frame)
        answer = None if message["op"] == "pub" else '{"ok":1}'
        yield message["op"], message.get("ch"), message.get("data"), answer

    def publication(self, channel, number, data):
        return json.dumps({"n": number, "data": data})


class SocketIO(Plain):
    OPTIONS = ["--dialect", "socketio"]
    GREETING = '0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'

    def hear(self, frame):
        if frame == "40":
            yield "hello", None, None, '40{"sid":"y"}'
            return
        id, arguments = frame[2:].split("[", 1)
        event, request = json.loads("[" + arguments)
        answer = f'43{id}[{{"type":"ack"}}]' if id else None
        yield {"subscribe": "sub", "publish": "pub"}[event], request["channel"], request.get("data"), answer

    def publication(self, channel, number, data):
        return f'42["publication",{{"channel":"{channel}","offset":{number},"data":"{data}"}}]'


class CentrifugeJSON(Plain):
    OPTIONS = ["--dialect", "centrifuge-json"]

    def hear(self, frame):
        for line in frame.splitlines():
            command = json.loads(line)
            yield self.said(command, json.dumps({"id": command["id"], **{
                kind: {} for kind in ("connect", "subscribe", "publish") if kind in command}}, separators=(",", ":")))

    @staticmethod
    def said(command, answer):
        for kind, what in (("subscribe", "sub"), ("publish", "pub")):
            if kind in command:
                return what, command[kind]["channel"], command[kind].get("data"), answer
        return "hello", None, None, answer

    def publication(self, channel, number, data):
        return f'{{"push":{{"channel":"{channel}","pub":{{"data":"{data}","offset":{number}}}}}}}'


class CentrifugeProtobuf(CentrifugeJSON):
    OPTIONS = ["--dialect", "centrifuge-protobuf"]

    def hear(self, frame):
        at = 0
        while at < len(frame):
            length, at = protobuf.read_varint(frame, at)
            command = protobuf.decode(frame[at:at + length], protobuf.COMMAND)
            at += length
            answer = {"id": command["id"], **{kind: {} for kind in ("connect", "subscribe", "publish") if kind in command}}
            yield self.said(command, self.framed(answer))

    @staticmethod
    def framed(reply):
        data = protobuf.encode(reply, protobuf.REPLY)
        return protobuf.varint(len(data)) + data

    def publication(self, channel, number, data):
        return self.framed({"push": {"channel": channel, "pub": {"data": data, "offset": number}}})


class Relay:
    """A WebSocket relay that commits faults by the number of the message, or none."""

    def __init__(self, dialect, faulty):
        self.dialect, self.faulty, self.count, self.channels, self.held = dialect, faulty, 0, {}, {}

    async def serve(self, socket, _path=None):
        with contextlib.suppress(websockets.ConnectionClosed):
            if self.dialect.GREETING:
                await socket.send(self.dialect.GREETING)
            async for frame in socket:
                for what, channel, data, answer in self.dialect.hear(frame):
                    if what == "sub":
                        self.channels.setdefault(channel, []).append(socket)
                    if answer:
                        await socket.send(answer)
                    if what == "pub":
                        await self.publish(channel, data)

    async def publish(self, channel, data):
        self.count += 1
        place = self.count % 100 if self.faulty else -1
        frame = self.dialect.publication(channel, self.count, data)
        for socket in self.channels.get(channel, ()):
            if place == 5:
                continue
            if place == 70:
                self.held[socket] = frame
                continue
            await socket.send(frame)
            if place == 50:
                await socket.send(frame)
            if place == 72:
                await socket.send(self.held.pop(socket))


async def wsload(serve, *options):
    """(exit code, figures) of the load generator against a server."""
    async with websockets.serve(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        process = await asyncio.create_subprocess_exec(WSLOAD, *options, "--port", str(port), stdout=subprocess.PIPE)
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, json.loads(out)


async def load(dialect, relay):
    return (await wsload(relay.serve, "fanout", *dialect.OPTIONS, *LOAD))[1]


async def check(dialect, faulty, wanted):
    row = await load(dialect, Relay(dialect, faulty))
    got = (row["lost"], row["dup"], row["out_of_order"])
    name = type(dialect).__name__
    assert 5900 <= row["expected"] <= 6010 and got == wanted, (name, faulty, row["expected"], got, wanted)
    assert row["bad"] == 0 and row["pub_errors"] == 0, (name, row)
    print(f"{name:<18} {'faulty' if faulty else 'sound '} ok {row['expected']} {got}")


class Babbling(Relay):
    """Says something else instead of each tenth message: what holds no publication of its dialect's form."""

    async def publish(self, channel, data):
        self.count += 1
        frame = self.dialect.publication(channel, self.count, data)
        if self.count % 10 == 0:
            binary = isinstance(frame, bytes)
            frame = b"\x08\x22" + frame if binary else frame.replace('"channel"', '"room"')
        for socket in self.channels.get(channel, ()):
            await socket.send(frame)


async def check_form(dialect):
    row = await load(dialect, Babbling(dialect, False))
    assert row["bad"] >= row["expected"] // 10, (type(dialect).__name__, row["bad"], row["expected"])
    print(f"{type(dialect).__name__:<18} another form is BAD {row['bad']}")


def payloads(count):
    return [f"ts={10 ** 15 + number};p=0;s={number};".ljust(200, "x") for number in range(1, count + 1)]


class Archive:
    """Gives a subscriber the payloads that it holds, after a greeting, several of them in a frame or not."""

    def __init__(self, held, joined=1):
        self.held, self.joined, self.subscribed = held, joined, 0

    async def serve(self, socket, _path=None):
        with contextlib.suppress(websockets.ConnectionClosed):
            await socket.send('{"type":"connection"}')
            async for frame in socket:
                assert json.loads(frame) == {"subscribe": "c0"}, frame
                self.subscribed += 1
                for at in range(0, len(self.held), self.joined):
                    await socket.send(json.dumps(self.held[at:at + self.joined]))


REPLAY = ["replay", "--lockstep", "--sub", '{"subscribe":"c%c"}', "--payload", "200", "--count", "500", "--dur", "1"]


async def check_replay(name, held, wanted, joined=1):
    """`wanted`: lost, doubled, out of order and bad, of three replays."""
    archive = Archive(held, joined)
    code, row = await wsload(archive.serve, *REPLAY, "--repeat", "3")
    got = [row[key] for key in ("lost", "dup", "out_of_order", "bad")]
    assert got == [3 * fault for fault in wanted] and archive.subscribed == row["replays"] == 3, (name, row)
    assert bool(code) == any(wanted) and row["expected"] == 1500, (name, code, row)
    assert 0 < row["ms_least"] <= row["ms"] <= row["ms_most"], (name, row)
    print(f"replay {name:<24} ok {got}")


async def check_replays():
    held = payloads(501)
    sound, more = held[:500], held[500:]
    await check_replay("sound", sound, (0, 0, 0, 0))
    await check_replay("sound, 64 in a frame", sound, (0, 0, 0, 0), joined=64)
    await check_replay("one lost", sound[:70] + sound[71:], (1, 0, 0, 0))
    await check_replay("one doubled", sound[:70] + sound[69:], (0, 1, 0, 0))
    await check_replay("the last doubled", sound + sound[-1:], (0, 1, 0, 0))
    await check_replay("two in the wrong order", sound[:70] + [sound[71], sound[70]] + sound[72:], (0, 0, 1, 0))
    await check_replay("one too many", sound + more, (0, 0, 0, 1))


async def check_endless():
    """Without an end until it is told to: what is under way then is no loss."""
    async with websockets.serve(Archive(payloads(500)).serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            WSLOAD, *REPLAY, "--repeat", "0", "--settle", "0", "--port", str(port), stdout=subprocess.PIPE)
        await asyncio.sleep(1)
        process.terminate()
        out, _ = await asyncio.wait_for(process.communicate(), 20)
    row = json.loads(out)
    assert process.returncode == 0 and row["replays"] > 1 and row["lost"] == row["bad"] == 0, row
    print(f"replay until it is ended         ok {row['replays']} times")


async def check_fill(refuse):
    """Every event once, channel by channel in turns; a server that refuses some is no filled one."""
    seen = []

    async def serve(socket, _path=None):
        with contextlib.suppress(websockets.ConnectionClosed):
            async for frame in socket:
                message = json.loads(frame)
                seen.append((message["ch"], message["data"]))
                if not (refuse and len(seen) == 30):
                    await socket.send('{"type":"ack"}')

    code, row = await wsload(serve, "fill", "--count", "20", "--channels", "3", "--depth", "7", "--payload", "200",
                             "--pub", '{"ch":"c%c","data":"%p"}', "--ack", '"ack"')
    wanted = [(f"c{channel}", number) for number in range(1, 21) for channel in range(3)]
    assert [(channel, int(data.split(";s=")[1].split(";")[0])) for channel, data in seen] == wanted, seen
    assert all(len(data) == 200 for _, data in seen)
    assert (code, row["unanswered"], row["errors"]) == ((1, 1, 0) if refuse else (0, 0, 0)), (code, row)
    print(f"fill {'with one unanswered' if refuse else 'in turns':<27} ok {len(seen)}")


for spoken in (Plain(), SocketIO(), CentrifugeJSON(), CentrifugeProtobuf()):
    asyncio.run(check(spoken, False, (0, 0, 0)))
    asyncio.run(check(spoken, True, (60, 60, 60)))
    if "--dialect" in spoken.OPTIONS:
        asyncio.run(check_form(spoken))
asyncio.run(check_replays())
asyncio.run(check_endless())
asyncio.run(check_fill(False))
asyncio.run(check_fill(True))
