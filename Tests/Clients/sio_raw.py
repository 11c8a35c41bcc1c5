"""Socket.IO over a WebSocket, packet by packet, with the connection state recovery of the JavaScript client."""
import asyncio
import json

import websockets

import platform_under_test


def within(seconds, scenario):
    """The same as elsewhere; what it has left open is closed."""
    async def whole():
        try:
            await scenario
        finally:
            for client in Recoverer.all:
                await client.leave()
            Recoverer.all.clear()
    platform_under_test.within(seconds, whole())


def fill(value, parts):
    """JSON with its attachments in place of what stands for them."""
    if isinstance(value, dict):
        if value.get("_placeholder"):
            return parts[value["num"]]
        return {key: fill(each, parts) for key, each in value.items()}
    return [fill(each, parts) for each in value] if isinstance(value, list) else value


class Recoverer:
    """One client over many connections: it keeps `pid` and the last string that an event ended in, as the JavaScript
    client does, and nothing else."""
    all = []

    def __init__(self, namespace="", **auth):
        # As it stands in packets: empty for the main one, else with its comma.
        self.namespace = namespace and namespace + ","
        self.auth, self.pid, self.offset, self.sid, self.recovered = auth, None, None, None, None
        self.socket, self.seen, self.wire, self.asked = None, [], [], 0
        Recoverer.all.append(self)

    async def connect(self, url, query=""):
        """Until the CONNECT has its answer: whether that is where the client was."""
        await self.leave()
        address = url.replace("http", "ws", 1) + f"/socket.io/?EIO=4&transport=websocket{query}"
        self.socket = await websockets.connect(address, max_size=None, open_timeout=10)
        assert (await self.receive())[0] == "0"
        auth = dict(self.auth)
        if self.pid:
            auth["pid"] = self.pid
            if self.offset is not None:
                auth["offset"] = self.offset
        self.wire = []
        await self.socket.send("40" + self.namespace + json.dumps(auth))
        while True:
            kind, value = await self.packet()
            if kind == "refused":
                return value
            if kind == "connected":
                self.recovered = "pid" in value and value["pid"] == self.pid
                self.pid, self.sid = value.get("pid"), value["sid"]
                return self.recovered

    async def leave(self):
        if self.socket:
            await self.socket.close()
        self.socket = None

    async def receive(self, seconds=10):
        message = await asyncio.wait_for(self.socket.recv(), seconds)
        if message == "2":
            await self.socket.send("3")
            return await self.receive(seconds)
        return message

    async def packet(self, seconds=10):
        message = await self.receive(seconds)
        kind, body = message[1], message[2:]
        parts = []
        if kind in "56":
            count, _, body = body.partition("-")
            parts = [await self.receive(seconds) for _ in range(int(count))]
        assert body.startswith(self.namespace), message
        body = body[len(self.namespace):]
        digits = len(body) - len(body.lstrip("0123456789"))
        number, body = body[:digits], body[digits:]
        value = fill(json.loads(body), parts) if body else None
        if kind == "0":
            self.wire.append("connected")
            return "connected", value
        if kind == "4":
            return "refused", value
        if kind == "1":
            return "put out", None
        if kind in "36":
            return "ack", (int(number), value)
        self.wire.append(value[0])
        if isinstance(value[-1], str) and self.pid and not number:
            self.offset = value[-1]
        if value[0] != "recovery":
            self.seen.append(value)
        return "event", value

    async def ask(self, event, *arguments):
        self.asked += 1
        await self.socket.send(f"42{self.namespace}{self.asked}" + json.dumps([event, *arguments]))
        while True:
            kind, value = await self.packet()
            if kind == "ack" and value[0] == self.asked:
                return value[1][0]

    async def until(self, count, seconds=10):
        """What the client has seen, once it is that much. Taken away."""
        async def gather():
            while len(self.seen) < count:
                await self.packet(seconds)
        await asyncio.wait_for(gather(), seconds)
        taken, self.seen = self.seen[:count], self.seen[count:]
        return taken

    async def ends(self, seconds=10):
        """What comes last on the connection."""
        last = None
        try:
            while True:
                last = (await self.packet(seconds))[0]
        except websockets.ConnectionClosed:
            return last
