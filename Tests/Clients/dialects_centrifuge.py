"""The Centrifuge protocol as a client of the same words: JSON and Protobuf on sockets, and streams that are spoken back to."""
import asyncio
import base64
import json

import aiohttp

import protobuf
from dialects import Client, Lost, Refused, WebSocket, same
from dialects_http import Door


class Centrifuge(Client):
    """Commands and replies (docs/CENTRIFUGE.md). A transport brings `_connect`, `_send`, `_data` and what it heard."""
    keyed = tells_gaps = False
    wrong, expired, unsubscribed = 3500, 109, 2000
    # No protocol of these has a word for bytes in JSON; a publication without data is none.
    uncarried = object()

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self._known, self._subscribing = set(), {}

    # The token goes with `connect`.
    _head = {}

    async def _open(self):
        number, self._welcome = self._ask()
        await self._connect({"id": number, "connect": {"token": self.token} if self.token else {}})

    async def _settle(self):
        try:
            self._greeted(_result(await self._welcome)["connect"])
        except Lost as lost:
            raise Refused(self.end) if self.end and 3500 <= self.end < 4000 else lost
        for channel in self.channels:
            _result(await (await self._subscribe(channel)))
            if self.presence:
                present = _result(await self._request(presence={"channel": channel}))
                infos = present["presence"].get("presence", {}).values()
                self.members[channel] |= {info.get("user", "") for info in infos}

    def _greeted(self, told):
        """A stream learns here how it is spoken back to."""

    async def _subscribe(self, channel):
        """The answer's future: what it tells is taken where it is heard, before what follows it."""
        epoch, offset = self.places[channel]
        place = {"recover": True, "epoch": epoch, "offset": offset} if channel in self._known else {}
        number, answer = self._ask()
        self._subscribing[number] = channel
        await self._send({"id": number, "subscribe": {"channel": channel, "join_leave": self.presence, **place}})
        return answer

    async def _request(self, **request):
        number, answer = self._ask()
        await self._send({"id": number, **request})
        return await answer

    async def _say(self, channel, payload, key):
        data = {} if payload is self.uncarried else {"data": self._data(payload)}
        _result(await self._request(publish={"channel": channel, **data}))

    async def _heard_reply(self, reply):
        if not reply:
            await self._send({})
        elif "push" in reply:
            await self._pushed(reply["push"], reply["push"].get("channel"))
        else:
            channel = self._subscribing.pop(reply["id"], None)
            if "subscribe" in reply:
                self._subscribed(channel, reply["subscribe"])
            self._answer(reply["id"], reply)

    def _subscribed(self, channel, told):
        if channel not in self._known:
            self.places[channel] = (told.get("epoch", ""), told.get("offset", 0))
        elif not told.get("recovered"):
            self.told.append({"type": "unrecoverable", "channel": channel})
        self._known.add(channel)
        self.places[channel] = (told.get("epoch", ""), self.places[channel][1])
        for publication in told.get("publications", []):
            self._published(channel, publication)

    async def _pushed(self, push, channel):
        if "pub" in push:
            self._published(channel, push["pub"])
        elif "join" in push:
            self.members[channel].add(push["join"]["info"].get("user", ""))
        elif "leave" in push:
            self.members[channel].discard(push["leave"]["info"].get("user", ""))
        elif "disconnect" in push:
            self.end = push["disconnect"]["code"]
        elif push.get("unsubscribe", {}).get("code") == 2500:
            # Its history is another one now, or has begun: whoever has a place asks from there.
            await self._subscribe(channel)
        else:
            self.told.append({"type": "pushed", "channel": channel, **push})

    def _published(self, channel, publication):
        self._take(channel, self.places[channel][0], publication.get("offset"), self._payload(publication))


def _result(reply):
    if "error" in reply:
        raise Refused(reply["error"]["code"])
    return reply


class OnSocket(Centrifuge, WebSocket):
    """Frames of a WebSocket."""
    _settle = Centrifuge._settle

    async def _connect(self, command):
        await self._dial("/connection/websocket", **self._options)
        await self._send(command)

    async def _send(self, command):
        await WebSocket._send(self, self._frame([command]))

    async def _listen(self):
        try:
            async for frame in self._socket:
                for reply in self._unframe(frame):
                    await self._heard_reply(reply)
        finally:
            self.end = self.end or self._socket.close_code


class JSON:
    """Lines. Bytes come as base64 with a tag that says so."""
    _options = {}

    @staticmethod
    def _frame(commands):
        return "\n".join(json.dumps(command) for command in commands)

    @staticmethod
    def _unframe(text):
        return [json.loads(line) for line in text.split("\n") if line]

    @staticmethod
    def _payload(publication):
        if publication.get("tags", {}).get("encoding") == "base64":
            return base64.b64decode(publication["data"], validate=True)
        return publication["data"]

    @staticmethod
    def _data(payload):
        return payload

    def carries(self, payload):
        return not isinstance(payload, bytes)


class Protobuf:
    """Every payload is bytes: what they are is seen by looking."""
    _options = {"subprotocols": ["centrifuge-protobuf"]}

    @staticmethod
    def _frame(commands):
        return protobuf.frame(commands, protobuf.COMMAND)

    @staticmethod
    def _unframe(data):
        return protobuf.unframe(data, protobuf.REPLY)

    @staticmethod
    def _payload(publication):
        return publication.get("data", b"")

    @staticmethod
    def _data(payload):
        if isinstance(payload, (bytes, str)):
            return payload if isinstance(payload, bytes) else payload.encode()
        return json.dumps(payload).encode()

    def carries(self, payload):
        return isinstance(payload, (str, bytes, dict, list))

    def means(self, payload):
        """Text where it is UTF-8, and then JSON where it is an object or an array."""
        text = self._data(payload)
        try:
            text = text.decode()
            parsed = json.loads(text)
        except ValueError:
            return text
        return parsed if isinstance(parsed, (dict, list)) else text

    def shows(self, got, payload):
        if isinstance(payload, (str, bytes)):
            return got == self._data(payload)
        return same(json.loads(got), payload)


class JSONSocket(JSON, OnSocket):
    name = "centrifuge json"


class ProtobufSocket(Protobuf, OnSocket):
    name = "centrifuge protobuf"


class OnStream(Centrifuge, Door):
    """An answer without end, and requests to /emulation."""
    path = ""

    async def _connect(self, command):
        await Door._open(self)
        try:
            self._stream = await self._session.post(self.url + self.path, data=self._frame([command]))
        except (aiohttp.ClientError, RuntimeError) as broken:
            raise Lost(str(broken)) from broken

    def _greeted(self, told):
        self._way = {"node": told["node"], "session": told["session"]}

    async def _send(self, command):
        if not command and not hasattr(self, "_way"):
            return
        try:
            async with self._session.post(self.url + "/emulation", json={**self._way, "data": self._frame([command])}) as answer:
                if answer.status != 204:
                    raise Lost(f"/emulation answers {answer.status}")
        except (aiohttp.ClientError, RuntimeError) as broken:
            raise Lost(str(broken)) from broken


class EventStream(JSON, OnStream):
    name, path = "centrifuge event stream", "/connection/sse"

    async def _listen(self):
        async for line in self._stream.content:
            if line.startswith(b"data: "):
                for reply in self._unframe(line[6:].decode().rstrip("\n")):
                    await self._heard_reply(reply)


class Lines(JSON, OnStream):
    name, path = "centrifuge lines", "/connection/http_stream"

    async def _listen(self):
        async for line in self._stream.content:
            for reply in self._unframe(line.decode()):
                await self._heard_reply(reply)


DIALECTS = [JSONSocket, ProtobufSocket, EventStream, Lines]
