"""Socket.IO as a client of the same words: PyPI's python-socketio, over either of its transports."""
import asyncio

import socketio

from dialects import PATIENCE, Client, Lost, Refused


class SocketIO(Client):
    """Events and acknowledgements (docs/SOCKETIO.md)."""
    transport = ""
    uncarried = {"bytes inside": b"\x01"}
    _io = None

    async def _open(self):
        self._io = io = socketio.AsyncClient(reconnection=False)
        io.on("publication", self._published)
        io.on("connect", lambda: self._answer("connect", None))
        io.on("connect_error", lambda told=None: self._answer("connect", told or {}))
        io.on("disconnect", self._left)
        for event in ("gap", "unrecoverable", "error", "presence", "join", "leave", "reconnect"):
            io.on(event, self._notice)
        self._gone = asyncio.Event()
        _, answer = self._ask("connect")
        try:
            await io.connect(self.url + ("/?presence=1" if self.presence else ""), transports=[self.transport],
                             auth={"token": self.token} if self.token else None, wait=False)
        except socketio.exceptions.ConnectionError as broken:
            raise Lost(str(broken)) from broken
        told = await answer
        if told is not None:
            raise Refused(told["data"]["code"]) if "data" in told else Lost(str(told))

    def _published(self, publication, *_):
        # What may follow is the offset that the JavaScript client keeps for its recovery.
        self._take(publication["channel"], publication.get("epoch"), publication.get("offset"), publication["data"])

    def _left(self):
        self._answer("connect", {})
        self._gone.set()

    async def _settle(self):
        for channel in self.channels:
            epoch, offset = self.places[channel]
            answer = await self._call("subscribe", {"channel": channel, **({"since": f"{epoch}:{offset}"} if epoch else {})})
            if not epoch:
                self.places[channel] = (answer.get("epoch", ""), answer.get("offset", 0))

    async def _call(self, event, request):
        """Its acknowledgement, or `Lost` as soon as the connection is: the library would wait on."""
        number, answer = self._ask()
        try:
            await self._io.emit(event, request, callback=lambda told: self._answer(number, told))
        except socketio.exceptions.SocketIOError as broken:
            raise Lost(str(broken)) from broken
        told = await answer
        if told["type"] == "error":
            raise Refused(told["code"])
        return told

    async def _listen(self):
        await self._gone.wait()

    async def _say(self, channel, payload, key):
        await self._call("publish", {"channel": channel, "data": payload, **({"idempotency_key": key} if key else {})})

    async def _tidy(self):
        if self._io:
            await self._io.disconnect()
            if self._io.eio.http:
                await self._io.eio.http.close()


class Polling(SocketIO):
    name, transport = "socket.io polling", "polling"


class Socket(SocketIO):
    name, transport = "socket.io websocket", "websocket"
