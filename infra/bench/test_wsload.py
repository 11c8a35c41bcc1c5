#!/usr/bin/env python3
"""The load generator must see exactly the faults that a server commits.

Five subscribers on each of two channels; the faulty server loses one message in a hundred, doubles
another and reorders a third. Needs python3-websockets of Debian and a built wsload.
"""
import asyncio
import contextlib
import json
import subprocess

import websockets

from harness import WSLOAD

LOAD = ["fanout", "--hello", '{"op":"hello"}', "--hello-acks", "1",
        "--sub", '{"op":"sub","ch":"c%c"}', "--sub-acks", "1", "--pub", '{"op":"pub","ch":"c%c","data":"%p"}',
        "--subs", "10", "--channels", "2", "--rate", "1000", "--dur", "1", "--warm", "0.2", "--drain", "0.5"]


class Relay:
    """A WebSocket relay that commits faults by the number of the message, or none."""

    def __init__(self, faulty):
        self.faulty, self.count, self.channels, self.held = faulty, 0, {}, {}

    async def serve(self, socket, _path=None):
        with contextlib.suppress(websockets.ConnectionClosed):
            async for text in socket:
                message = json.loads(text)
                if message["op"] == "pub":
                    await self.publish(message)
                    continue
                if message["op"] == "sub":
                    self.channels.setdefault(message["ch"], []).append(socket)
                await socket.send('{"ok":1}')

    async def publish(self, message):
        self.count += 1
        place = self.count % 100 if self.faulty else -1
        text = json.dumps({"n": self.count, "data": message["data"]})
        for socket in self.channels.get(message["ch"], ()):
            if place == 0:
                continue
            if place == 70:
                self.held[socket] = text
                continue
            await socket.send(text)
            if place == 50:
                await socket.send(text)
            if place == 72:
                await socket.send(self.held.pop(socket))


async def check(faulty, wanted):
    async with websockets.serve(Relay(faulty).serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        load = await asyncio.create_subprocess_exec(
            WSLOAD, *LOAD, "--port", str(port), stdout=subprocess.PIPE)
        out, _ = await asyncio.wait_for(load.communicate(), 60)
    row = json.loads(out)
    got = (row["lost"], row["dup"], row["out_of_order"])
    assert abs(row["expected"] - 6000) <= 10 and got == wanted, (faulty, row["expected"], got, wanted)
    print("faulty" if faulty else "sound", "ok", row["expected"], got)


asyncio.run(check(False, (0, 0, 0)))
asyncio.run(check(True, (60, 60, 60)))
