#!/usr/bin/env python3
"""The load generator must see exactly the faults that a server commits, in each dialect that it speaks.

Five subscribers on each of two channels; the faulty server loses one message in a hundred, doubles
another and reorders a third. Needs python3-websockets of Debian and a built wsload.
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


async def load(dialect, relay):
    async with websockets.serve(relay.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            WSLOAD, "fanout", *dialect.OPTIONS, *LOAD, "--port", str(port), stdout=subprocess.PIPE)
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    return json.loads(out)


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


for spoken in (Plain(), SocketIO(), CentrifugeJSON(), CentrifugeProtobuf()):
    asyncio.run(check(spoken, False, (0, 0, 0)))
    asyncio.run(check(spoken, True, (60, 60, 60)))
    if "--dialect" in spoken.OPTIONS:
        asyncio.run(check_form(spoken))
