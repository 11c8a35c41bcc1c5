"""Clients of centrifuge-python that remember all that they were told."""
import asyncio
import contextlib
import json

from centrifuge import Client
from centrifuge.fossil import apply_delta


class Listener:
    """A subscription, and all that its client was told of it."""

    def __init__(self, client, channel, **options):
        self.publications, self.told, self.joined, self.left = [], [], [], []
        self.subscription = client.new_subscription(channel, **options)
        events = self.subscription.events

        async def on_publication(context):
            self.publications.append(context.pub)

        async def on_subscribed(context):
            self.told.append(("subscribed", context))

        async def on_subscribing(context):
            self.told.append(("subscribing", context))

        async def on_unsubscribed(context):
            self.told.append(("unsubscribed", context))

        async def on_error(context):
            self.told.append(("error", context))

        async def on_join(context):
            self.joined.append(context.info)

        async def on_leave(context):
            self.left.append(context.info)

        events.on_publication, events.on_error = on_publication, on_error
        events.on_subscribed, events.on_subscribing, events.on_unsubscribed = on_subscribed, on_subscribing, on_unsubscribed
        events.on_join, events.on_leave = on_join, on_leave

    def all_of(self, kind):
        return [context for name, context in self.told if name == kind]

    @property
    def data(self):
        return [of(publication.data) for publication in self.publications]

    @property
    def offsets(self):
        return [publication.offset for publication in self.publications]


def of(data):
    """What was published, whichever codec brought it."""
    if isinstance(data, bytes):
        with contextlib.suppress(ValueError):
            return json.loads(data)
    return data


class Person(Client):
    """A client that remembers what it was told of its connection."""

    def __init__(self, platform, codec, **options):
        super().__init__(platform.url.replace("http", "ws", 1) + "/connection/websocket", use_protobuf=codec == "protobuf",
                         min_reconnect_delay=0.05, max_reconnect_delay=0.5, **options)
        self.codec, self.told = codec, []
        self.server_publications, self.server_told = [], []

        async def on_connected(context):
            self.told.append(("connected", context))

        async def on_connecting(context):
            self.told.append(("connecting", context))

        async def on_disconnected(context):
            self.told.append(("disconnected", context))

        async def on_subscribed(context):
            self.server_told.append(("subscribed", context))

        async def on_unsubscribed(context):
            self.server_told.append(("unsubscribed", context))

        async def on_publication(context):
            self.server_publications.append((context.channel, of(context.pub.data)))

        self.events.on_connected, self.events.on_connecting = on_connected, on_connecting
        self.events.on_disconnected, self.events.on_publication = on_disconnected, on_publication
        self.events.on_subscribed, self.events.on_unsubscribed = on_subscribed, on_unsubscribed

    def said(self, value):
        """A payload as this client's codec wants it."""
        return json.dumps(value).encode() if self.codec == "protobuf" else value

    def all_of(self, kind):
        return [context for name, context in self.told if name == kind]

    async def come(self):
        await self.connect()
        await asyncio.wait_for(self.ready(), 10)
        return self

    async def listen(self, channel, **options):
        listener = Listener(self, channel, **options)
        await listener.subscription.subscribe()
        await asyncio.wait_for(listener.subscription.ready(), 10)
        return listener


class Reader:
    """A client by hand: reads publications as the subscription was agreed on, and applies deltas."""

    def __init__(self, reply):
        self.is_delta, self.before, self.read, self.deltas = reply.get("delta", False), None, [], 0
        for publication in reply.get("publications", []):
            self.take(publication)

    def take(self, publication):
        data = publication["data"]
        if self.is_delta:
            if publication.get("delta"):
                self.deltas += 1
                self.before = bytes(apply_delta(self.before, data.encode()))
            else:
                self.before = data.encode()
            data = json.loads(self.before)
        self.read.append((publication.get("offset"), data, publication.get("tags")))

    async def reads(self, client, count):
        while len(self.read) < count:
            self.take((await client.next("pub"))["push"]["pub"])
        return self.read


async def until(what, probe, seconds=10):
    """Waits until `probe` gives something true; fails with what it saw last."""
    for _ in range(int(seconds / 0.02)):
        seen = probe()
        if seen:
            return seen
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}; last seen {probe()!r}")
