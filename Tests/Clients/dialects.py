"""One client with the same few words for every protocol and transport: come, publish, leave.

A payload is what it is in Python: text is `str`, binary is `bytes`, all else is JSON. A client that comes again goes on
where it was, in every channel. What it gets stands in `got`, how its connection ended in `end`.
"""
import asyncio
import base64
import contextlib
import itertools
import json
import urllib.parse

import aiohttp
import websockets

PATIENCE = 15


class Refused(Exception):
    """The server said no: the code of its answer."""

    def __init__(self, code):
        super().__init__(f"refused with {code}")
        self.code = code


class Lost(ConnectionError):
    """The connection is gone; whether what was asked for was done is not known."""


def vector(places):
    """The place in each channel as one word (docs/SSE.md); `empty` is before the first publication."""
    return ";".join(f"{channel}={epoch}:{offset}" if offset else f"{channel}=empty"
                    for channel, (epoch, offset) in places.items())


def enveloped(envelope):
    """The payload of an envelope, or of what the HTTP API says of a publication."""
    return envelope["data"] if "data" in envelope else base64.b64decode(envelope["b64data"], validate=True)


def packed(payload):
    """The member of an envelope, or of a request to publish, that holds a payload."""
    return {"b64data": base64.b64encode(payload).decode()} if isinstance(payload, bytes) else {"data": payload}


def same(one, other):
    """JSON has one number type; Python's equality would take True for 1 and bytes for nothing else."""
    return type(one) is type(other) and json.dumps(one, default=repr, sort_keys=True) == json.dumps(
        other, default=repr, sort_keys=True)


class Client:
    """What all dialects share. A dialect brings `_open`, `_listen` and, if it speaks, `_say`."""
    name = "no dialect"
    # It publishes; it subscribes; to many channels; others see it; it is told of others, and of gaps; what was not
    # acknowledged can be said again.
    speaks = listens = many = seen = tells = tells_gaps = keyed = True
    # Codes that docs/ promise: a wrong or revoked token, one that has ended, a channel that is not for this client,
    # and a subscription that ends because of that.
    wrong, expired, forbidden, unsubscribed = 101, 109, 103, 103
    # What this dialect would have to say to publish what it can't carry, and how that is refused.
    uncarried, uncarried_code = None, 107

    def __init__(self, url, *channels, token=None, presence=False, key=None):
        self.url, self.channels, self.token, self.presence, self.key = url, channels, token, presence, key
        self.got = {channel: [] for channel in channels}
        self.places = {channel: ("", 0) for channel in channels}
        self.members = {channel: set() for channel in channels}
        self.told, self.end, self.over, self.sent = [], None, None, False
        self.is_there = self.has_left = False
        self._asks, self._ids, self._task = {}, itertools.count(1), None

    # What a test says.

    async def come(self):
        """Connects, and subscribes from its places on."""
        await self._tidy()
        self.end, self.over = None, asyncio.Event()
        try:
            await asyncio.wait_for(self._open(), PATIENCE)
            self._task = asyncio.create_task(self._run())
            await asyncio.wait_for(self._settle(), PATIENCE)
            self.is_there = not self.over.is_set()
        except BaseException:
            await self._break()
            raise
        return self

    async def stay(self):
        """Comes back whenever the connection is lost, as clients do, until it leaves."""
        while True:
            await self.over.wait()
            if self.has_left:
                return
            try:
                await self.come()
            except (OSError, asyncio.TimeoutError):
                self.over.set()
                await asyncio.sleep(0.03)

    async def publish(self, channel, payload, key=None):
        """Returns once it is acknowledged; raises `Refused`, or `Lost`, and then `sent` says if it may have been done."""
        self.sent = False
        if not self.is_there:
            raise Lost(self.end)
        self.sent = True
        await asyncio.wait_for(self._say(channel, payload, key), PATIENCE)

    async def leave(self):
        self.has_left = True
        await self._break()

    async def _break(self):
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._tidy()

    async def __aenter__(self):
        return await self.come()

    async def __aexit__(self, *_):
        await self.leave()

    def carries(self, payload):
        """Whether this publisher can say such a one as what it is."""
        return True

    def means(self, payload):
        """What others get of a payload of this publisher."""
        return payload

    def shows(self, got, payload):
        """Whether that is what this subscriber gets of a payload."""
        return same(got, payload)

    @property
    def dropped(self):
        return sum(message["dropped"] for message in self.told if message.get("type") == "gap")

    @property
    def faults(self):
        return [message for message in self.told if message.get("type") in ("gap", "unrecoverable")]

    # What dialects need.

    async def _tidy(self):
        """Closes what is open."""

    async def _settle(self):
        """Waits until all subscriptions are confirmed."""

    async def _run(self):
        try:
            await self._listen()
        except (OSError, EOFError, aiohttp.ClientError, websockets.WebSocketException):
            pass
        finally:
            self.is_there = False
            self.over.set()
            for waiting in self._asks.values():
                if not waiting.done():
                    waiting.set_exception(Lost(self.end))
                    waiting.exception()
            self._asks.clear()

    def _ask(self, number=None):
        """A number for a request, and what will hold its answer."""
        number = number or next(self._ids)
        self._asks[number] = asyncio.get_running_loop().create_future()
        return number, self._asks[number]

    def _answer(self, number, answer):
        waiting = self._asks.pop(number, None)
        if waiting and not waiting.done():
            waiting.set_result(answer)

    def _take(self, channel, epoch, offset, payload):
        self.got[channel].append((offset, payload))
        if offset:
            self.places[channel] = (epoch, offset)

    def _notice(self, message):
        """A message with a type (docs/WEBSOCKET.md)."""
        kind, channel = message.get("type"), message.get("channel")
        if kind == "presence":
            self.members[channel] = {member["user"] for member in message["members"]}
        elif kind == "join":
            self.members[channel].add(message["user"])
        elif kind == "leave":
            self.members[channel].discard(message["user"])
        else:
            self.told.append(message)
        if kind == "error" and "channel" not in message:
            self.end = message["code"]

    def _envelope(self, message):
        if "type" in message:
            self._notice(message)
        else:
            self._take(message["channel"], message.get("epoch"), message.get("offset"), enveloped(message))

    def _stands(self, place):
        """Where a channel stands that this client comes to for the first time."""
        if "channel" in place and self.places[place["channel"]] == ("", 0):
            self.places[place["channel"]] = (place.get("epoch", ""), place.get("offset", 0))

    @property
    def _head(self):
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def _query(self, **more):
        words = [("channel", channel) for channel in self.channels]
        words += [("presence", "1")] if self.presence else []
        return urllib.parse.urlencode(words + [(name, str(value)) for name, value in more.items()])


class WebSocket(Client):
    """/ws: envelopes of many channels, requests with ids."""
    name = "websocket"
    uncarried = {"b64data": "?"}
    # The library keeps the body of a refused handshake to itself; its status is that of 101 (docs/HTTP.md).
    expired = 101
    _socket = None

    async def _open(self):
        known = any(epoch for epoch, _ in self.places.values())
        await self._dial("/ws?" + self._query(**({"since": vector(self.places)} if known else {})))

    async def _dial(self, path, **options):
        _, self._connected = self._ask("connection")
        try:
            self._socket = await websockets.connect(self.url.replace("http", "ws", 1) + path, max_size=None,
                                                    extra_headers=self._head, **options)
        except websockets.InvalidStatusCode as refusal:
            raise Refused({401: 101, 403: 103}.get(refusal.status_code, refusal.status_code)) from refusal
        except (websockets.WebSocketException, EOFError) as broken:
            raise Lost(str(broken)) from broken

    async def _settle(self):
        if self.channels:
            await self._connected

    async def _listen(self):
        try:
            async for message in self._socket:
                self._heard(message)
        finally:
            self.end = self.end or self._socket.close_code

    def _heard(self, text):
        message = json.loads(text)
        if message.get("type") == "connection":
            self._answer("connection", message)
            for place in message.get("channels", [message]):
                self._stands(place)
        elif "id" in message:
            self._answer(message["id"], message)
        else:
            self._envelope(message)

    async def _say(self, channel, payload, key):
        member = payload if payload is self.uncarried else packed(payload)
        number, answer = self._ask()
        await self._send(json.dumps({"id": number, "channel": channel, **member,
                                     **({"idempotency_key": key} if key else {})}))
        self._judge(await answer)

    async def _send(self, message):
        try:
            await self._socket.send(message)
        except websockets.ConnectionClosed as closed:
            raise Lost(str(closed)) from closed

    @staticmethod
    def _judge(answer):
        if answer["type"] == "error":
            raise Refused(answer["code"])

    async def _tidy(self):
        if self._socket:
            await self._socket.close()


class RawSocket(WebSocket):
    """/ws/events/{channel}: payloads as they are. Its reader counts them, and so knows where it is."""
    name = "raw socket"
    many = keyed = tells = False
    # Nothing: every payload is a message.
    uncarried = None

    async def _open(self):
        epoch, offset = self.places[self.channels[0]]
        # A history that was empty has no name yet: then it is read from its start, and what was seen passed over.
        self._passed = 0 if epoch else offset
        since = f"&since={epoch}:{offset}" if epoch else "&since=start" if offset else ""
        self._sent = itertools.count(1)
        await self._dial(f"/ws/events/{self.channels[0]}?ack=1{since}")

    def _heard(self, message):
        if isinstance(message, str) and message.startswith('{"type":"'):
            super()._heard(message)
        elif self._passed:
            self._passed -= 1
        else:
            epoch, offset = self.places[self.channels[0]]
            self._take(self.channels[0], epoch, offset + 1, message)

    async def _say(self, channel, payload, key):
        number, answer = self._ask(next(self._sent))
        await self._send(payload if isinstance(payload, (str, bytes)) else json.dumps(payload))
        self._judge(await answer)

    def carries(self, payload):
        return isinstance(payload, (str, bytes, dict, list))

    def means(self, payload):
        """A text that is an object or an array is JSON for whoever reads JSON."""
        with contextlib.suppress(ValueError, TypeError):
            if isinstance(payload, str) and isinstance(parsed := json.loads(payload), (dict, list)):
                return parsed
        return payload

    def shows(self, got, payload):
        if isinstance(payload, (str, bytes)):
            return same(got, payload)
        return isinstance(got, str) and same(json.loads(got), payload)
