"""The doors of plain HTTP as clients of the same words: event stream, lines, polls, and the API as a publisher."""
import asyncio
import json

import aiohttp

from dialects import Client, Lost, Refused, packed, vector


class Door(Client):
    """A client of HTTP with one session of connections."""
    _session = None

    async def _open(self):
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_connect=5), headers=self._head,
                                              read_bufsize=1 << 20)

    async def _begin(self, path, **headers):
        """An answer whose body is still to be read; raises `Refused`."""
        try:
            answer = await self._session.get(self.url + path, headers=headers)
        except (aiohttp.ClientError, RuntimeError) as broken:
            raise Lost(str(broken)) from broken
        if answer.status != 200:
            refusal = await answer.json()
            answer.close()
            if answer.status == 503:
                raise Lost(str(refusal))
            raise Refused(refusal["error"]["code"])
        return answer

    async def _tidy(self):
        if self._session:
            await self._session.close()


class Stream(Door):
    """/stream: a JSON value a line. Where it is, the envelopes say."""
    name = "lines"
    speaks = False
    path = "/stream"

    async def _open(self):
        await super()._open()
        known = any(epoch for epoch, _ in self.places.values())
        _, self._connected = self._ask("connection")
        self._body = await self._begin(f"{self.path}?" + self._query(
            **({"since": vector(self.places)} if known else {})))

    async def _settle(self):
        await self._connected

    async def _listen(self):
        async for line in self._body.content:
            if line.strip():
                self._told(json.loads(line))

    def _told(self, message):
        if message.get("type") == "connection":
            self._answer("connection", message)
            for place in message.get("channels", [message]):
                self._stands(place)
        else:
            self._envelope(message)


class Events(Stream):
    """/sse: what a browser's EventSource does. Where it is, the last id says."""
    name = "event stream"
    _last = None

    async def _open(self):
        await Door._open(self)
        _, self._connected = self._ask("connection")
        self._body = await self._begin(f"/sse?{self._query()}", **({"Last-Event-ID": self._last} if self._last else {}))

    async def _listen(self):
        fields = {}
        async for line in self._body.content:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name in ("id", "data", "event"):
                fields[name] = value
            elif not name:
                self._last = fields.get("id", self._last)
                if "data" in fields:
                    self._told(json.loads(fields["data"]))
                fields = {}


class Poll(Door):
    """/poll: one question after the other, each from the position that the last answer gave."""
    name = "poll"
    speaks = seen = tells = tells_gaps = False
    _position = None

    async def _open(self):
        await super()._open()
        await self._poll(**({"since": self._position, "timeout": 0} if self._position else {}))

    async def _poll(self, **more):
        async with await self._begin("/poll?" + self._query(**more)) as response:
            answer = await response.json()
        for publication in answer["publications"]:
            self._envelope(publication)
        for message in answer.get("messages", []):
            self._notice(message)
        self._position = answer["position"]

    async def _listen(self):
        try:
            while True:
                # Longer than a test, so that what is new ends it.
                await self._poll(since=self._position, timeout=25)
        except Refused as refusal:
            self.end = refusal.code


class API(Door):
    """/api/publish, with a key."""
    name = "api"
    listens = False
    uncarried = {}

    async def _listen(self):
        await asyncio.Event().wait()

    async def ask(self, method, **request):
        try:
            async with self._session.post(f"{self.url}/api/{method}", json=request, headers={"X-API-Key": self.key}) as answer:
                told = await answer.json()
        except (aiohttp.ClientError, RuntimeError) as broken:
            raise Lost(str(broken)) from broken
        if "error" in told:
            raise Refused(told["error"]["code"])
        return told["result"]

    async def _say(self, channel, payload, key):
        member = payload if payload is self.uncarried else packed(payload)
        await self.ask("publish", channel=channel, **member, **({"idempotency_key": key} if key else {}))
