"""One table: the same scenarios over every protocol and transport, each publisher paired with each subscriber."""
import asyncio
import contextlib
import inspect
import json
import os
import re
import secrets

import pytest

import signing
from dialects import PATIENCE, RawSocket, Refused, WebSocket, enveloped
from dialects_centrifuge import EventStream, JSONSocket, Lines, ProtobufSocket
from dialects_http import API, Events, Poll, Stream
from dialects_socketio import Polling, Socket
from platform_under_test import running, within
from valve import Valve

DIALECTS = [WebSocket, RawSocket, Events, Stream, Poll, Polling, Socket, JSONSocket, ProtobufSocket, EventStream, Lines, API]
PUBLISHERS = [dialect for dialect in DIALECTS if dialect.speaks]
SUBSCRIBERS = [dialect for dialect in DIALECTS if dialect.listens]

RULES = """{ identity: { keyFiles: "%s", leeway: "0s" }, gateway: { loops: 2 }, presence: { grace: "200ms" },
  limits: { clientQueueBytes: "256KiB", publicationBytes: "128KiB" },
  channels: [
    { match: "kept:*", history: { durable: true }, subscribe: "anonymous", publish: "anonymous" },
    { match: "bulk:*", history: { durable: true }, priority: "bulk", subscribe: "anonymous", publish: "anonymous" },
    { match: "gone:*", priority: "bulk", subscribe: "anonymous", publish: "anonymous" },
    { match: "members:*", history: { size: 100 }, subscribe: "user:*", publish: "user:*" },
    { match: "follow:*", type: "follow", history: { size: 100 }, subscribe: "user:*", publish: "user:*" },
    { match: "closed:*", subscribe: "anonymous", publish: "none" },
    { match: "*", history: { size: 100 }, subscribe: "anonymous", publish: "anonymous" } ] }"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    with running(RULES % signing.key_file(str(tmp_path_factory.mktemp("keys")))) as platform:
        yield platform


def scenario(seconds):
    """A test that is a coroutine, with a deadline and something to keep its clients in."""
    def decorate(body):
        def test(platform, **parameters):
            async def run():
                faults = []
                asyncio.get_running_loop().set_exception_handler(lambda loop, told: faults.append(told))
                async with contextlib.AsyncExitStack() as stack:
                    await body(Table(platform, stack), **parameters)
                # What a library could make nothing of.
                assert not [told for told in faults if isinstance(told.get("exception"), ValueError)], faults
            within(seconds, run())
        test.__name__, test.__doc__ = body.__name__, body.__doc__
        first, *others = inspect.signature(body).parameters.values()
        test.__signature__ = inspect.Signature([first.replace(name="platform"), *others])
        return test
    return decorate


class Table:
    """The clients of one scenario, which end with it."""

    def __init__(self, platform, stack):
        self.platform, self.stack = platform, stack

    def client(self, dialect, *channels, url=None, **options):
        made = dialect(url or self.platform.url, *channels, key=self.platform.key, **options)
        self.stack.push_async_callback(made.leave)
        return made

    async def all(self, dialects, *channels, **options):
        """One client of each dialect, all there."""
        return await asyncio.gather(*(self.client(dialect, *channels, **options).come() for dialect in dialects))

    async def history(self, channel):
        """All there is of a channel: what every subscriber is to have seen."""
        found, since = [], {}
        api = await self.client(API).come()
        while True:
            page = await api.ask("history", channel=channel, limit=-1, **since)
            found += [(item["offset"], enveloped(item)) for item in page["publications"]]
            if len(found) >= page["offset"]:
                return found
            since = {"since": {"epoch": page["epoch"], "offset": found[-1][0]}}


async def until(what, probe, seconds=PATIENCE):
    deadline = asyncio.get_running_loop().time() + seconds
    while not probe():
        assert asyncio.get_running_loop().time() < deadline, f"not within {seconds} s: {what()}"
        await asyncio.sleep(0.01)


def compare(client, channel, due):
    """All of it, in its order and place, each once and as what it was."""
    got = client.got[channel]
    assert [offset for offset, _ in got] == [offset for offset, _ in due], (client.name, channel)
    for (offset, payload), (_, meant) in zip(got, due):
        assert client.shows(payload, meant), (client.name, channel, offset, payload, meant)
    assert client.faults == [], client.name


def payloads(who):
    """What can be told apart by whom it is from, and the edges of each kind."""
    return [{"from": who, "deep": [1, 2.5, None, {"ž": "🎉\n"}]}, [who, True], f"{who}: žluťoučký 🎉 \" \\ \n\t\u2028",
            '{"parsed": "no, of %s"}' % who, "[1, of " + who, b"\x00\xff\x80" + who.encode(), b"letters of " + who.encode(),
            bytes(range(256)), 5, -0.5, None, True, "5", '"quoted"', [], {}, {"b64data": "AA=="}, "x" * 70_000,
            b"\xfe" * 70_000]


@pytest.mark.parametrize("publisher", PUBLISHERS, ids=lambda dialect: dialect.name)
@scenario(40)
async def test_what_three_publish_arrives_once_as_what_it_was(table, publisher):
    channel = "kept:kinds:" + publisher.name.replace(" ", "-")
    readers = await table.all(SUBSCRIBERS, channel)
    writers = await table.all([publisher] * 3, *([] if publisher.many else [channel]))
    said = {writer: [p for p in payloads(f"{publisher.name} {number}") if writer.carries(p)]
            for number, writer in enumerate(writers)}

    async def write(writer):
        for payload in said[writer]:
            await writer.publish(channel, payload)
    await asyncio.gather(*(write(writer) for writer in writers))
    due = await table.history(channel)
    meant = [writer.means(payload) for writer, some in said.items() for payload in some]
    assert sorted(map(canonical, meant)) == sorted(canonical(payload) for _, payload in due)
    for reader in readers:
        await until(lambda: f"{len(due)} for {reader.name}: {len(reader.got[channel])}, {reader.told}",
                    lambda: len(reader.got[channel]) >= len(due))
        compare(reader, channel, due)


def canonical(payload):
    return repr((type(payload).__name__, payload))


@pytest.mark.parametrize("publisher", [dialect for dialect in PUBLISHERS if dialect.uncarried is not None],
                         ids=lambda dialect: dialect.name)
@scenario(20)
async def test_what_a_protocol_cannot_carry_is_refused_and_said_so(table, publisher):
    channel = "room:uncarried"
    reader, writer = await table.all([WebSocket, publisher], channel)
    with pytest.raises(Refused) as refused:
        await writer.publish(channel, writer.uncarried)
    assert refused.value.code == publisher.uncarried_code
    # And the connection goes on.
    await writer.publish(channel, publisher.name)
    await until(lambda: reader.got, lambda: reader.got[channel])
    assert [payload for _, payload in reader.got[channel]] == [publisher.name]


ROUNDS = 10 if os.environ.get("LONG") == "1" else 1
SAID = 40


@scenario(90 * ROUNDS)
async def test_nothing_is_lost_or_doubled_over_a_killed_gateway(table):
    """Three clients of each protocol publish, clients of each protocol listen to all of them, and the gateway dies."""
    channels = [f"kept:death:{publisher.name.replace(' ', '-')}" for publisher in PUBLISHERS]
    readers = []
    for dialect in SUBSCRIBERS:
        readers += [table.client(dialect, *some) for some in ([channels] if dialect.many else [[name] for name in channels])]
    writers = {}
    for channel, publisher in zip(channels, PUBLISHERS):
        for number in range(3):
            writers[table.client(publisher, *([] if publisher.many else [channel]))] = channel, f"{publisher.name} {number}"
    everybody = [*readers, *writers]
    await asyncio.gather(*(client.come() for client in everybody))
    staying = asyncio.gather(*(client.stay() for client in everybody))
    acknowledged, unknown = {channel: [] for channel in channels}, {channel: [] for channel in channels}

    async def write(writer, channel, who):
        for number in range(SAID * ROUNDS):
            kinds = [payload for payload in flowing(who, number) if writer.carries(payload)]
            payload = kinds[number % len(kinds)]
            while True:
                try:
                    await writer.publish(channel, payload, f"{who} {number}")
                    acknowledged[channel].append(writer.means(payload))
                    break
                except (OSError, asyncio.TimeoutError):
                    if not writer.keyed and writer.sent:
                        unknown[channel].append(writer.means(payload))
                        break
                    await asyncio.sleep(0.01)
    writing = asyncio.gather(*(write(writer, *what) for writer, what in writers.items()))
    for round in range(ROUNDS):
        due = (round + 0.3) * SAID * 3 * len(PUBLISHERS)
        await until(lambda: f"{due} publications: {sum(map(len, acknowledged.values()))}",
                    lambda: sum(map(len, acknowledged.values())) >= due or writing.done(), 60)
        assert not writing.done(), "all was said before the gateway died"
        await asyncio.to_thread(table.platform.kill, "gateway")
    await asyncio.wait([writing, staying], return_when=asyncio.FIRST_COMPLETED)
    assert not staying.done(), staying.exception()
    await writing
    for channel in channels:
        due = await table.history(channel)
        stored = sorted(canonical(payload) for _, payload in due)
        surely, perhaps = sorted(map(canonical, acknowledged[channel])), list(map(canonical, unknown[channel]))
        extra = list(stored)
        for payload in surely:
            extra.remove(payload)
        assert len(extra) == len(set(extra)) and set(extra) <= set(perhaps), (channel, extra)
        for reader in readers:
            if channel in reader.channels:
                await until(lambda: f"{len(due)} for {reader.name} in {channel}: {len(reader.got[channel])}, {reader.told}",
                            lambda: len(reader.got[channel]) >= len(due))
                compare(reader, channel, due)
    staying.cancel()


def flowing(who, number):
    return [{"who": who, "n": number}, f"{who} says {number}", b"\xff%s %d" % (who.encode(), number), [who, number, None]]


@scenario(40)
async def test_each_sees_who_comes_and_who_goes(table):
    """Members are told over every door that has presence; clients of polls are nobody's members."""
    channel = "room:presence"
    observers = await asyncio.gather(*(
        table.client(dialect, channel, presence=True, token=signing.token(f"observer {dialect.name}")).come()
        for dialect in SUBSCRIBERS if dialect.tells))
    visitors = await asyncio.gather(*(
        table.client(dialect, channel, token=signing.token(dialect.name)).come() for dialect in SUBSCRIBERS))
    api = await table.client(API).come()
    due = {client.name for client in visitors if client.seen} | {f"observer {client.name}" for client in observers}
    for observer in observers:
        await until(lambda: f"{observer.name} sees {observer.members[channel] ^ due} wrongly",
                    lambda: observer.members[channel] == due)
    present = await api.ask("presence", channel=channel)
    assert {member["user"] for member in present["presence"].values()} == due
    # Who says good-bye is gone at once, who is only cut off after the grace.
    await asyncio.gather(*(client.leave() for client in visitors))
    due = {user for user in due if user.startswith("observer ")}
    for observer in observers:
        await until(lambda: f"{observer.name} sees {observer.members[channel] ^ due} wrongly",
                    lambda: observer.members[channel] == due)


@pytest.mark.parametrize("channel", ["bulk:slow", "gone:slow"], ids=["durable", "without history"])
@scenario(60)
async def test_who_reads_slowly_gets_all_or_is_told_what_not(table, channel):
    """Beside each slow client there is one that reads, which notices nothing."""
    is_kept, api = channel.startswith("bulk"), await table.client(API).come()
    valve = await table.stack.enter_async_context(Valve(table.platform.url))
    slow, quick = await asyncio.gather(table.all(SUBSCRIBERS, channel, url=valve.url), table.all(SUBSCRIBERS, channel))

    def numbers(reader):
        return [json.loads(got)["n"] if isinstance(got, (str, bytes)) else got["n"] for _, got in reader.got[channel]]

    async def publish(number):
        # What no compression makes small.
        await api.publish(channel, {"n": number, "filling": secrets.token_hex(25_000)})
    await publish(0)
    for reader in [*slow, *quick]:
        await until(lambda: f"the first for {reader.name}", lambda: numbers(reader))
    stepped = steps(table.platform)
    valve.shut()
    # What a channel without a history has between two polls is lost.
    slow, quick = [[reader for reader in some if is_kept or reader.name != "poll"] for some in (slow, quick)]
    try:
        for number in range(1, COUNT):
            await publish(number)
            for reader in quick:
                # A client that polls may lag so far behind that some are left out for it.
                await until(lambda: f"{number} for {reader.name}: {numbers(reader)}",
                            lambda: len(numbers(reader)) + reader.dropped > number)
        assert steps(table.platform) - stepped >= len([reader for reader in slow if reader.name != "poll"])
    finally:
        valve.flows.set()
    await publish(COUNT)
    for reader in [*slow, *quick]:
        await until(lambda: f"the last for {reader.name}: {numbers(reader)[-3:]}, {reader.faults}",
                    lambda: numbers(reader)[-1] == COUNT)
        seen = numbers(reader)
        if is_kept:
            assert seen == list(range(COUNT + 1)) and reader.faults == [], reader.name
        else:
            assert seen == sorted(set(seen)), reader.name
            assert not reader.tells_gaps or len(seen) + reader.dropped == COUNT + 1, (reader.name, reader.told)


COUNT = 40


def steps(platform):
    """How often a channel began to be left to its history, or to be left out, for a client that had kept up."""
    found = re.findall(r'sapphire_gateway_slow_clients_total\{.*step="(?:park|skip)"\} (\d+)', platform.get("/metrics")[2].decode())
    return sum(map(int, found))


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@scenario(20)
async def test_a_token_that_is_none_is_refused_with_its_code(table, dialect):
    good = signing.token("ann")
    if dialect is API:
        client = await table.client(API).come()
        client.key = "no key"
        with pytest.raises(Refused) as refused:
            await client.publish("room:x", 1)
        assert refused.value.code == 101
        return
    for token, code in ((good[:-2] + "AA", dialect.wrong), (signing.token("ann", life=-5), dialect.expired)):
        with pytest.raises(Refused) as refused:
            await table.client(dialect, "members:x", token=token).come()
        assert refused.value.code == code
    if dialect.speaks:
        # Signed in, and still nobody who may write here.
        with pytest.raises(Refused) as refused:
            client = await table.client(dialect, *([] if dialect.many else ["closed:x"]), token=good).come()
            await client.publish("closed:x", 1)
        assert refused.value.code == dialect.forbidden


@scenario(40)
async def test_a_right_that_is_taken_away_ends_what_it_opened(table):
    """One subscription first, then all tokens of a user. Another user's clients notice nothing."""
    channels = "members:one", "members:two"
    dialects = [dialect for dialect in SUBSCRIBERS if dialect.many]
    eves = await table.all(dialects, *channels, token=signing.token("eve"))
    others = await table.all(dialects, *channels, token=signing.token("ann"))
    api = await table.client(API).come()
    await api.ask("unsubscribe", user="eve", channel="members:one")
    for client in eves:
        await until(lambda: f"{client.name} is told: {client.told}",
                    lambda: any(code_of_end(message) == client.unsubscribed for message in client.told))
    for channel in channels:
        await api.publish(channel, channel)
    for client in [*eves, *others]:
        await until(lambda: f"what {client.name} gets", lambda: client.got["members:two"])
    for client in others:
        await until(lambda: f"what {client.name} gets", lambda: client.got["members:one"])
    # A poll that is told of it subscribes anew by asking on.
    assert not any(client.got["members:one"] for client in eves if client.name != "poll")
    await api.ask("revoke", user="eve")
    for client in eves:
        await asyncio.wait_for(client.over.wait(), PATIENCE)
        assert client.end == client.wrong, client.name
        with pytest.raises(Refused) as refused:
            await client.come()
        assert refused.value.code == client.wrong, client.name
    await api.publish("members:two", "after")
    for client in others:
        await until(lambda: f"what {client.name} gets", lambda: len(client.got["members:two"]) == 2)


def code_of_end(message):
    return message.get("channel") == "members:one" and (message.get("code") or message.get("unsubscribe", {}).get("code"))


@scenario(30)
async def test_a_camera_is_followed_over_every_protocol(table):
    """S001-31: from each publisher to each who asked for it, until the leader ends it."""
    channel, ada = "follow:alpha:ada", signing.token("ada")
    leaders = await asyncio.gather(*(table.client(dialect, *([] if dialect.many else [channel]), token=ada).come()
                                     for dialect in PUBLISHERS))
    dialects = [dialect for dialect in SUBSCRIBERS if dialect.seen]
    followers = await asyncio.gather(*(table.client(dialect, channel, token=signing.token(dialect.name)).come()
                                       for dialect in dialects))
    with pytest.raises(Refused) as refused:
        await leaders[0].publish(channel, {"action": "camera.move", "target": "too early"})
    assert refused.value.code == 1003
    await leaders[0].publish(channel, {"action": "follow.start"})
    moves = [{"action": "camera.move", "target": leader.name} for leader in leaders]
    for leader, move in zip(leaders, moves):
        while True:
            # Another loop knows of the start a moment later.
            try:
                await leader.publish(channel, move)
                break
            except Refused as early:
                assert early.code == 1003
                await asyncio.sleep(0.01)

    def targets(client):
        parsed = [json.loads(got) if isinstance(got, (str, bytes)) else got for _, got in client.got[channel]]
        return [message["target"] for message in parsed if message["action"] == "camera.move"]
    for client in followers:
        await until(lambda: f"what {client.name} sees: {targets(client)}", lambda: len(targets(client)) == len(moves))
        assert targets(client) == [move["target"] for move in moves], client.name
    api = await table.client(API).come()
    shown = (await api.ask("presence", channel=channel))["presence"].values()
    assert {member["user"] for member in shown if member.get("chan_info") == {"follows": "ada"}} == {d.name for d in dialects}
    await leaders[-1].publish(channel, {"action": "follow.stop"})
    for client in followers:
        await until(lambda: f"the end of {client.name}: {client.told}, {client.end}", lambda: client.over.is_set() or any(
            message.get("code") == 1003 or "unsubscribe" in message for message in client.told))
