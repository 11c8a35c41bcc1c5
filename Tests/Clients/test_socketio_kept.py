"""What plugins sent comes again in namespaces that ask for connection state recovery."""
import asyncio
import json
import os
import signal
import time

import pytest

from platform_under_test import Gateway, eventually, freeze, running
from sio_raw import Recoverer, within
from test_socketio_recovery import is_ready, kill

KEPT = """{ gateway: { loops: 2 }, socketio: { namespaces: {
    "/kept": { plugin: "conformance", connectionStateRecovery: true },
    "/short": { plugin: "conformance", connectionStateRecovery: { maxDisconnectionDuration: "1s" } },
    "/plain": { plugin: "conformance", connectionStateRecovery: false } } } }"""


@pytest.fixture(scope="module")
def kept():
    with running(KEPT) as platform:
        yield platform


async def say(client, *arguments):
    """A call of the plugin, which sends `message-back` with the same."""
    parts, numbered = [], []
    for argument in arguments:
        numbered.append({"_placeholder": True, "num": len(parts)} if isinstance(argument, bytes) else argument)
        parts += [argument] if isinstance(argument, bytes) else []
    kind = f"5{len(parts)}-" if parts else "2"
    await client.socket.send(f"4{kind}{client.namespace}" + json.dumps(["message", *numbered]))
    for part in parts:
        await client.socket.send(part)


async def unheard(client, *saying):
    """What the plugin has sent while nothing of it came to the client, whose connection then breaks."""
    for arguments in saying:
        await say(client, *arguments)
    # An acknowledgement stands behind all of it, and is read past the client.
    await client.socket.send(f"42{client.namespace}99" + json.dumps(["message-with-ack", "heard"]))
    while not (isinstance(message := await client.receive(), str) and message.startswith(f"43{client.namespace}99")):
        pass
    await client.leave()


def test_a_plugins_events_come_again_where_its_namespace_asks_for_that(kept):
    """On another gateway and behind a killed one, repeatedly, with bytes; the old connection ends."""
    async def scenario(other):
        client = Recoverer("/kept")
        assert await client.connect(kept.url) is False and client.pid
        pid, sid = client.pid, client.sid
        # Where nothing was missed, and nothing said yet.
        assert (await client.until(1))[0][0] == "auth"
        assert await client.connect(other.url) is True and (client.pid, client.sid) == (pid, sid)
        assert client.wire == ["connected"] and (await client.until(1))[0][0] == "auth"
        for round, url in enumerate((other.url, kept.url, None, other.url)):
            await unheard(client, ("text", round), (b"\x00\xff", {"a": 1}), ("last",))
            if url is None:
                await kill(kept)
            assert await client.connect(url or kept.url) is True and (client.pid, client.sid) == (pid, sid)
            assert client.wire == ["message-back"] * 3 + ["connected"]
            got = [event[1:-1] for event in await client.until(3)]
            assert got == [["text", round], [b"\x00\xff", {"a": 1}], ["last"]]
            # The plugin greets whoever comes, and what it says now comes once.
            await say(client, "live")
            assert [event[0] for event in await client.until(2)] == ["auth", "message-back"]
        # A connection that nobody has closed ends at once on the same gateway, and on another when it wants to go on.
        for url in (other.url, kept.url):
            old = Recoverer("/kept")
            old.socket, client.socket = client.socket, None
            assert await client.connect(url) is True
            if url != other.url:
                await say(old, "stale")
            assert await old.ends(10) == "put out"
            assert [event[0] for event in await client.until(1)] == ["auth"]
        await say(client, "mine")
        assert (await client.until(1))[0][:2] == ["message-back", "mine"]
    with Gateway(kept, configuration=os.path.join(kept.folder, "sapphire.json5")) as other:
        within(60, scenario(other))


def test_a_plugins_events_are_not_brought_where_one_is_missing(kept):
    async def scenario():
        async def comer(namespace="/kept"):
            made = Recoverer(namespace)
            await made.connect(kept.url)
            await made.until(1)
            return made

        async def is_new(client):
            pid = client.pid
            assert await client.connect(kept.url) is False and client.pid != pid
            # The string that it kept is nothing to the new secret.
            assert client.wire[:1] == ["connected"]
        # More than is kept, and something too large to be kept.
        client = await comer()
        await unheard(client, *((n,) for n in range(257)))
        await is_new(client)
        client = await comer()
        await unheard(client, ("x" * 300_000,))
        await is_new(client)
        # Bytes that came are no hole any more.
        client = await comer()
        await say(client, "x" * 300_000)
        await client.until(1)
        assert await client.connect(kept.url) is True
        # Another's place, none, and one of nowhere.
        for offset in ((await comer()).offset, None, "2;nowhere:1", "1;log:a=k9vW6IyRNDLOu03CtjsnPQ:1", "2!"):
            client = await comer()
            client.offset = offset
            await is_new(client)
        # What is too old.
        client = await comer("/short")
        await unheard(client, ("old",))
        said = time.monotonic()
        await asyncio.to_thread(eventually, 10, "the end of a second", lambda: time.monotonic() > said + 2.5)
        await is_new(client)
        # The hub has the log: with it the log is gone.
        client = await comer()
        await asyncio.to_thread(kept.kill, "hub")
        await asyncio.to_thread(eventually, 20, "an answer", lambda: is_ready(kept))
        await is_new(client)
        # Who does not ask for it has none of it.
        plain, without = Recoverer("/plain"), Recoverer("/kept")
        await plain.connect(kept.url)
        await without.connect(kept.url, query="&recovery=0")
        assert plain.pid is None and without.pid is None
        for one in (plain, without):
            assert (await one.until(1))[0] == ["auth", {}]
    within(60, scenario())


def test_a_plugin_goes_on_without_the_hub(kept):
    """Nothing can be kept then: who is there comes back once, and who comes has no secret."""
    async def scenario():
        # The hub may have been started again for another test: each loop of the gateway finds it in its own time.
        deadline = time.monotonic() + 20
        while True:
            client = Recoverer("/kept")
            await client.connect(kept.url)
            if client.pid:
                break
            assert time.monotonic() < deadline, "nothing can be kept"
            await client.leave()
        await client.until(1)
        hub = kept.pid("hub")
        freeze(hub)
        try:
            await say(client, "unkept")
            # What could not be kept may have come; the connection ends either way.
            assert await client.ends(40) in ("event", None)
            other = Recoverer("/kept")
            await asyncio.wait_for(other.connect(kept.url), 30)
            assert other.pid is None
            await say(other, "here")
            assert [event[0] for event in await other.until(2)] == ["auth", "message-back"]
        finally:
            os.kill(hub, signal.SIGCONT)
    within(90, scenario())
