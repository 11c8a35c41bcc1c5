"""Hooks: what back ends are asked and told, over every kind of door, and what becomes of clients whose back end is away, slow
or says nothing that can be used. The back end is a process of its own."""
import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest
import websockets

import signing
import sio_raw
from platform_under_test import ROOT, Sapphire, end, eventually, within
from test_sse import Feed

KEY = "the key of this test's hooks"
RULES = """[
  { match: "asked:*", history: { size: 100 }, hooks: ["subscribe", "publish"] },
  { match: "kept:*", history: { size: 100 }, hooks: ["subscribe", "subRefresh"] },
  { match: "limited:*", subscribe: "user:*", publish: "user:ada", hooks: ["subscribe", "publish"] },
  { match: "told:*", history: { size: 100 }, hooks: ["occupied", "vacated", "join", "leave"] },
  { match: "*", history: { size: 100 } } ]"""


class BackEnd:
    def __init__(self, port, key_file):
        self.key_file = key_file
        self.start(port)

    def start(self, port):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "back_end.py")
        self.process = subprocess.Popen([sys.executable, "-B", script, str(port), self.key_file], stdout=subprocess.PIPE,
                                        text=True)
        self.port = int(self.process.stdout.readline().split()[1])

    def kill(self):
        self.process.kill()
        self.process.wait(5)
        self.process.stdout.close()

    def again(self):
        self.start(self.port)

    def url(self, path):
        return f"http://127.0.0.1:{self.port}/{path}"

    def mode(self, hook, mode="ok", **more):
        body = json.dumps({"hook": hook, "mode": mode, **more}).encode()
        urllib.request.urlopen(urllib.request.Request(self.url("test/mode"), body), timeout=5).read()

    def seen(self, hook):
        asks = json.loads(urllib.request.urlopen(self.url("test/seen"), timeout=5).read())
        return [ask for ask in asks if ask["hook"] == hook]

    def asked(self, hook):
        return [one["ask"] for one in self.seen(hook)]

    def events(self, channel):
        """What it was told of a channel, each once, in the order of the numbers."""
        found = {event["id"]: event for ask in self.asked("events") for event in ask["events"] if event["channel"] == channel}
        return sorted(found.values(), key=lambda event: int(event["id"].rsplit("-", 1)[1]))


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hooks")
    key_file = folder / "hooks.key"
    key_file.write_text(KEY + "\n")
    key_file.chmod(0o600)
    back_end = BackEnd(0, str(key_file))
    tokens = signing.key_file(str(folder))
    urls = ", ".join(f'{hook}: "{back_end.url("hooks/" + hook)}"'
                     for hook in ("connect", "refresh", "subscribe", "subRefresh", "publish", "rpc", "events"))
    platform = Sapphire()
    try:
        platform.start(f"""{{ identity: {{ keyFiles: "{tokens}", leeway: "0s" }}, gateway: {{ loops: 2 }},
          presence: {{ grace: "0s" }}, hooks: {{ {urls}, keyFile: "{key_file}", timeout: "1s", headers: ["Cookie"] }},
          channels: {RULES} }}""")
        yield platform, back_end
    finally:
        platform.stop()
        print(f"--- log of sapphire up\n{platform.log_tail()}", file=sys.stderr)
        platform.remove()
        end(back_end.process)


@pytest.fixture
def sapphire(places):
    return places[0]


@pytest.fixture
def back_end(places):
    """As it was at first."""
    for hook in ("connect", "refresh", "subscribe", "subRefresh", "publish", "rpc"):
        places[1].mode(hook, forget=True)
    places[1].mode("events")
    return places[1]


class Talker:
    """The Centrifuge protocol by hand."""

    def __init__(self, socket):
        self.socket, self.ids, self.heard = socket, 0, []

    async def say(self, *requests):
        commands = []
        for request in requests:
            self.ids += 1
            commands.append({"id": self.ids, **request})
        await self.socket.send("\n".join(json.dumps(command) for command in commands))
        return [command["id"] for command in commands]

    async def until(self, wanted):
        while True:
            for reply in self.heard:
                if wanted(reply):
                    self.heard.remove(reply)
                    return reply
            for line in (await self.socket.recv()).split("\n"):
                reply = json.loads(line)
                if reply == {}:
                    await self.socket.send("{}")
                else:
                    self.heard.append(reply)

    async def ask(self, **request):
        [number] = await self.say(request)
        return await self.until(lambda reply: reply.get("id") == number)

    async def publication(self):
        return (await self.until(lambda reply: "pub" in reply.get("push", {})))["push"]["pub"]


@contextlib.asynccontextmanager
async def centrifuge(platform, **connect):
    """A socket whose `connect` has been answered, with what."""
    async with platform.socket("/connection/websocket", **connect.pop("options", {})) as socket:
        client = Talker(socket)
        client.reply = await client.ask(connect=connect)
        yield client


def metric(platform, name):
    text = platform.get("/metrics")[2].decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.split("\n") if line.startswith(name))


# Coming in.

def test_a_back_end_says_who_comes_and_sees_what_it_was_meant_to_see(sapphire, back_end):
    async def scenario():
        options = {"extra_headers": {"Cookie": "user=ada; a=b", "X-Other": "secret"}}
        async with centrifuge(sapphire, name="py", version="1", data={"n": 1}, options=options) as client:
            assert client.reply["connect"]["client"]
            [seen] = back_end.seen("connect")
            assert seen["ask"] == {"client": client.reply["connect"]["client"], "transport": "websocket", "protocol": "json",
                                   "encoding": "json", "name": "py", "version": "1", "data": {"n": 1}}
            assert seen["signed"] and seen["cookie"] == "user=ada; a=b" and seen["type"] == "application/json"
            reply = await client.ask(rpc={"method": "who"})
            assert reply["rpc"]["data"] == {"method": "who", "asked": None, "by": "ada"}
            # The cookie goes with every question.
            assert back_end.seen("rpc")[0]["cookie"] == "user=ada; a=b"
    within(10, scenario())


def test_what_a_back_end_says_of_a_client_holds(sapphire, back_end):
    async def scenario():
        result = {"user": "eve", "info": {"name": "Eve"}, "data": {"hello": "eve"}, "channels": ["room:own"],
                  "caps": [{"channels": ["hidden:*"], "allow": ["pub"]}], "expire_at": int(time.time()) + 600}
        async with centrifuge(sapphire, data={"answer": {"result": result}}) as client:
            reply = client.reply["connect"]
            assert reply["data"] == {"hello": "eve"} and "room:own" in reply["subs"]
            # The refresh hook sees to it, and not the client.
            assert "expires" not in reply
            sapphire.publish("room:own", {"a": 1})
            assert (await client.publication())["data"] == {"a": 1}
    within(10, scenario())


def test_whoever_has_a_token_needs_no_asking(sapphire, back_end):
    async def scenario():
        async with centrifuge(sapphire, token=signing.token("bob")) as client:
            assert (await client.ask(rpc={"method": "who"}))["rpc"]["data"]["by"] == "bob"
        assert back_end.seen("connect") == []
    within(10, scenario())


def test_a_back_end_may_refuse_a_client_or_send_it_away(sapphire, back_end):
    async def scenario():
        async with centrifuge(sapphire, data={"answer": {"error": {"code": 1401, "message": "not you"}}}) as client:
            assert client.reply["error"] == {"code": 1401, "message": "not you"}
        async with sapphire.socket("/connection/websocket") as socket:
            await Talker(socket).say({"connect": {"data": {"answer": {"disconnect": {"code": 4501, "reason": "never"}}}}})
            with pytest.raises(websockets.ConnectionClosed):
                while True:
                    await socket.recv()
            assert (socket.close_code, socket.close_reason) == (4501, "never")
    within(10, scenario())


def test_clients_of_every_door_are_asked_about(sapphire, back_end):
    cookie = {"Cookie": "user=ada"}

    async def scenario():
        async with sapphire.socket("/ws?channel=limited:1", extra_headers=cookie) as socket:
            assert json.loads(await socket.recv())["type"] == "connection"
            await socket.send(json.dumps({"type": "publish", "channel": "limited:1", "data": {"a": 1}, "id": 1}))
            got = [json.loads(await socket.recv()) for _ in range(2)]
            assert any(one.get("data") == {"a": 1} for one in got), got
        async with sapphire.socket("/ws/limited:1?envelope=1", extra_headers=cookie) as socket:
            assert json.loads(await socket.recv())["type"] == "connection"
            sapphire.publish("limited:1", {"b": 1})
            assert json.loads(await socket.recv())["data"] == {"b": 1}
        client = sio_raw.Recoverer(**{"as": "ada"})
        await client.connect(sapphire.url)
        assert back_end.asked("connect")[-1] == {
            "transport": "websocket", "protocol": "socketio", "encoding": "binary", "data": {"as": "ada"}}
        await client.leave()
        refused = sio_raw.Recoverer(answer={"error": {"code": 1401, "message": "not you"}})
        assert (await refused.connect(sapphire.url))["message"] == "not you"
        await refused.leave()
    sio_raw.within(15, scenario())
    with Feed(sapphire, "/sse?channel=limited:1", Cookie="user=ada") as feed:
        assert feed.status == 200
    status, _, body = sapphire.get("/poll?channel=limited:1&timeout=0", **cookie)
    assert status == 200 and b"error" not in body
    # Nobody may not.
    assert sapphire.get("/sse?channel=limited:1")[0] == 403
    transports = [ask["transport"] for ask in back_end.asked("connect")]
    assert transports == ["websocket"] * 4 + ["sse", "poll", "sse"]


# Subscribing and publishing.

def test_a_back_end_lets_clients_into_channels(sapphire, back_end):
    async def scenario():
        async with centrifuge(sapphire, data={"as": "ada"}) as client:
            answer = {"result": {"info": {"role": "x"}, "data": {"for": "ada"}}}
            reply = await client.ask(subscribe={"channel": "asked:1", "data": {"answer": answer}})
            assert reply["subscribe"]["data"] == {"for": "ada"}
            [ask] = back_end.asked("subscribe")
            assert ask["user"] == "ada" and ask["channel"] == "asked:1" and ask["data"] == {"answer": answer}
            people = await client.ask(presence={"channel": "asked:1"})
            assert [one["chan_info"] for one in people["presence"]["presence"].values()] == [{"role": "x"}]
            assert (await client.ask(subscribe={"channel": "asked:closed"}))["error"] == {"code": 1403, "message": "closed"}
            await client.say({"subscribe": {"channel": "asked:away"}})
            with pytest.raises(websockets.ConnectionClosed):
                while True:
                    await client.socket.recv()
            assert client.socket.close_code == 4501
    within(10, scenario())


def test_what_a_rule_refuses_is_refused_unasked(sapphire, back_end):
    async def scenario():
        async with centrifuge(sapphire) as nobody:
            assert (await nobody.ask(subscribe={"channel": "limited:1"}))["error"]["code"] == 103
        async with centrifuge(sapphire, data={"as": "bob"}) as bob:
            assert "subscribe" in await bob.ask(subscribe={"channel": "limited:1"})
            assert (await bob.ask(publish={"channel": "limited:1", "data": 1}))["error"]["code"] == 103
    within(10, scenario())
    assert len(back_end.asked("subscribe")) == 1 and back_end.asked("publish") == []


def test_many_subscriptions_of_one_frame_are_asked_for_together(sapphire, back_end):
    """The back end answers none of them before it has been asked all."""
    back_end.mode("subscribe", "meet", count=8)

    async def scenario():
        async with centrifuge(sapphire) as client:
            numbers = await client.say(*({"subscribe": {"channel": f"asked:m{index}"}} for index in range(8)))
            for number in numbers:
                assert "subscribe" in await client.until(lambda reply, number=number: reply.get("id") == number)
    within(10, scenario())


def test_a_back_end_may_change_what_is_published(sapphire, back_end):
    async def scenario():
        async with centrifuge(sapphire, data={"as": "ada"}) as client:
            await client.ask(subscribe={"channel": "asked:p"})
            changed = {"answer": {"result": {"data": {"clean": True}}}}
            assert "error" not in await client.ask(publish={"channel": "asked:p", "data": changed})
            publication = await client.publication()
            assert publication["data"] == {"clean": True} and publication["info"]["user"] == "ada"
            refused = {"answer": {"error": {"code": 1400, "message": "rude"}}}
            assert (await client.ask(publish={"channel": "asked:p", "data": refused}))["error"]["code"] == 1400
            fleeting = {"answer": {"result": {"skip_history": True}}}
            await client.ask(publish={"channel": "asked:p", "data": fleeting})
            assert "offset" not in await client.publication()
            asks = back_end.asked("publish")
            assert [ask["data"] for ask in asks] == [changed, refused, fleeting]
            assert asks[0]["channel"] == "asked:p" and asks[0]["user"] == "ada"
            # Bytes go as base64.
        async with sapphire.socket("/ws/asked:p") as socket:
            await socket.send(b"\x00\xff")
            assert await socket.recv() == b"\x00\xff"
        assert back_end.asked("publish")[-1]["b64data"] == "AP8="
    within(10, scenario())


@pytest.mark.parametrize("door", ["centrifuge", "ws", "raw", "socketio"])
def test_a_clients_messages_keep_their_order(sapphire, back_end, door):
    """Without waiting for answers: half of them in channels that nobody is asked about."""
    back_end.mode("publish", "random", seconds=0.01)
    count = 40
    channels = ["asked:order", "free:order"]

    async def scenario():
        async with sapphire.socket("/ws?channel=asked:order&channel=free:order") as listener:
            assert json.loads(await listener.recv())["type"] == "connection"
            expected = list(range(count))
            if door == "centrifuge":
                async with centrifuge(sapphire) as client:
                    await client.say(*({"publish": {"channel": channels[n % 2], "data": {"n": n}}} for n in expected))
                    await client.ask(ping={})
                    got = await arrivals(listener, count)
            elif door == "ws":
                async with sapphire.socket("/ws") as socket:
                    for n in expected:
                        await socket.send(json.dumps({"type": "publish", "channel": channels[n % 2], "data": {"n": n}}))
                    got = await arrivals(listener, count)
            elif door == "raw":
                async with sapphire.socket("/ws/asked:order", max_queue=None) as socket:
                    for n in expected:
                        await socket.send(json.dumps({"n": n}))
                    got = await arrivals(listener, count)
            else:
                client = sio_raw.Recoverer()
                await client.connect(sapphire.url)
                for n in expected:
                    await client.socket.send("42" + json.dumps(["publish", {"channel": channels[n % 2], "data": {"n": n}}]))
                got = await arrivals(listener, count)
                await client.leave()
            for channel in channels:
                numbers = [n for name, n in got if name == channel]
                assert numbers == sorted(numbers), got
            assert sorted(n for _, n in got) == expected
            # The back end has been asked in the same order.
            asked = [ask["data"]["n"] for ask in back_end.asked("publish")]
            assert asked == sorted(asked)
    sio_raw.within(20, scenario())


async def arrivals(listener, count):
    got = []
    while len(got) < count:
        message = json.loads(await listener.recv())
        if "data" in message:
            got.append((message["channel"], message["data"]["n"]))
    return got


def test_a_message_behind_a_subscription_is_in_it(sapphire, back_end):
    back_end.mode("subscribe", "slow", seconds=0.1)

    async def scenario():
        async with centrifuge(sapphire) as client:
            await client.say({"subscribe": {"channel": "asked:own"}}, {"publish": {"channel": "asked:own", "data": 7}})
            assert (await client.publication())["data"] == 7
            numbers = await client.say({"unsubscribe": {"channel": "asked:own"}}, {"subscribe": {"channel": "asked:own"}},
                                       {"unsubscribe": {"channel": "asked:own"}}, {"presence": {"channel": "asked:own"}})
            replies = [await client.until(lambda reply, number=number: reply.get("id") == number) for number in numbers]
            assert ["unsubscribe" in replies[0], "subscribe" in replies[1], "unsubscribe" in replies[2]] == [True] * 3
            assert replies[3]["presence"].get("presence", {}) == {}
    within(10, scenario())


# Calling.

def test_calls_are_answered_by_the_back_end_and_hold_up_nobody(sapphire, back_end):
    async def scenario():
        async with centrifuge(sapphire, data={"as": "ada"}) as client:
            back_end.mode("rpc", "slow", seconds=0.25)
            [call, ping] = await client.say({"rpc": {"method": "slow", "data": {"a": [1]}}}, {"ping": {}})
            first = await client.until(lambda reply: reply.get("id") in (call, ping))
            assert first["id"] == ping
            reply = await client.until(lambda reply: reply.get("id") == call)
            assert reply["rpc"]["data"] == {"method": "slow", "asked": {"a": [1]}, "by": "ada"}
            refused = {"answer": {"error": {"code": 1404, "message": "no such thing", "temporary": True}}}
            reply = await client.ask(rpc={"method": "x", "data": refused})
            assert reply["error"] == {"code": 1404, "message": "no such thing", "temporary": True}
    within(10, scenario())


# What goes wrong.

WRONG = [("status", {"status": 500}), ("garbage", {}), ("nothing", {}), ("long", {}), ("close", {}), ("half", {}),
         ("slow", {"seconds": 3}), ("answer", {"answer": {"error": {"code": 7}}})]


@pytest.mark.parametrize("mode,more", WRONG, ids=[mode for mode, _ in WRONG])
def test_without_an_answer_that_can_be_used_nothing_is_done(sapphire, back_end, mode, more):
    async def scenario():
        async with sapphire.socket("/ws?channel=free:1") as raw, centrifuge(sapphire) as client:
            await raw.recv()
            for hook in ("subscribe", "publish", "rpc", "connect"):
                back_end.mode(hook, mode, **more)
            began = time.monotonic()
            requests = [{"publish": {"channel": "asked:w", "data": 1}}, {"subscribe": {"channel": "asked:w"}},
                        {"rpc": {"method": "w"}}]
            for request in requests[:1] if mode in ("slow", "half") else requests:
                reply = await client.ask(**request)
                assert "error" in reply, (request, reply)
                error = reply["error"]
                assert (error["code"], error["temporary"]) == (100, True), (request, error)
            await raw.send(json.dumps({"type": "subscribe", "channel": "asked:w", "id": 1}))
            refusal = json.loads(await raw.recv())
            assert (refusal["code"], refusal["name"]) == (163, "hook_unavailable"), refusal
            # At most two questions that are given up after a second.
            assert time.monotonic() - began < 5
            async with centrifuge(sapphire) as other:
                assert other.reply["error"]["code"] == 100
            back_end.mode("connect")
            async with sapphire.socket("/ws/asked:w") as only:
                assert json.loads(await only.recv())["code"] == 163
                with pytest.raises(websockets.ConnectionClosed):
                    await only.recv()
                assert only.close_code == 1013
            for hook in ("subscribe", "publish", "rpc", "connect"):
                back_end.mode(hook)
            assert "subscribe" in await client.ask(subscribe={"channel": "asked:w"})
            history = await client.ask(history={"channel": "asked:w", "limit": 10})
            assert history["history"]["publications"] == []
    within(15, scenario())


def test_a_back_end_that_is_killed_is_found_again(sapphire, back_end):
    async def scenario():
        async with centrifuge(sapphire) as client:
            back_end.kill()
            try:
                error = (await client.ask(publish={"channel": "asked:k", "data": 1}))["error"]
                assert (error["code"], error["temporary"]) == (100, True)
                assert sapphire.get("/poll?channel=free:1")[0] == 503
            finally:
                back_end.again()
            assert "error" not in await client.ask(publish={"channel": "asked:k", "data": 2})
    within(10, scenario())


def test_a_client_that_leaves_while_it_is_asked_about_leaves_nothing(sapphire, back_end):
    for hook in ("connect", "subscribe", "publish", "rpc"):
        back_end.mode(hook, "slow", seconds=0.15)

    async def leave(first, request):
        async with sapphire.socket("/connection/websocket") as socket:
            client = Talker(socket)
            if first:
                await client.ask(connect={"token": signing.token("ada")})
            await client.say(*[request] * 3)

    async def scenario():
        await asyncio.gather(*(
            leave(first, request) for _ in range(5) for first, request in (
                (False, {"connect": {}}), (True, {"subscribe": {"channel": "asked:gone"}}),
                (True, {"publish": {"channel": "asked:gone", "data": 1}}), (True, {"rpc": {"method": "x"}}))))
        for _ in range(2):
            async with sapphire.socket("/ws?channel=asked:gone", extra_headers={"Cookie": "user=ada"}):
                pass
            async with sapphire.socket("/ws/asked:gone") as socket:
                await socket.send("x")
    within(10, scenario())
    eventually(10, "no question under way", lambda: metric(sapphire, "sapphire_gateway_hooks") == 0)
    eventually(10, "no connection", lambda: metric(sapphire, "sapphire_gateway_connections") <= 1)


# Staying.

def test_a_back_end_says_how_long_a_client_stays(sapphire, back_end):
    end_at = int(time.time()) + 2
    back_end.mode("refresh", "answer", answer={"result": {"expire_at": int(time.time()) + 600}})

    async def scenario():
        async with centrifuge(sapphire, data={"answer": {"result": {"user": "ada", "expire_at": end_at}}}) as client:
            await asyncio.to_thread(eventually, 5, "a question", lambda: back_end.asked("refresh"))
            assert back_end.asked("refresh")[0]["user"] == "ada"
            back_end.mode("refresh", "answer", answer={"result": {"expired": True}})
            other = {"answer": {"result": {"user": "bob", "expire_at": int(time.time()) + 3}}}
            async with centrifuge(sapphire, data=other) as gone:
                with pytest.raises(websockets.ConnectionClosed):
                    while True:
                        await gone.socket.recv()
                assert gone.socket.close_code == 3005
            # The first one is still there, past its first end.
            assert time.time() >= end_at - 1
            assert (await client.ask(rpc={"method": "who"}))["rpc"]["data"]["by"] == "ada"
    within(15, scenario())


def test_a_right_that_nobody_prolongs_ends(sapphire, back_end):
    back_end.mode("refresh", "status", status=503)

    async def scenario():
        answer = {"result": {"user": "ada", "expire_at": int(time.time()) + 2}}
        async with centrifuge(sapphire, data={"answer": answer}) as client:
            with pytest.raises(websockets.ConnectionClosed):
                while True:
                    await client.socket.recv()
            assert client.socket.close_code == 3005
    within(10, scenario())


def test_a_back_end_says_how_long_a_client_stays_in_a_channel(sapphire, back_end):
    """Over every kind of door; a right that it does not prolong ends."""
    end_at = int(time.time()) + 3
    back_end.mode("subscribe", "answer", answer={"result": {"expire_at": end_at}})
    back_end.mode("subRefresh", "answer", answer={"result": {"expire_at": int(time.time()) + 600}})

    async def scenario():
        async with centrifuge(sapphire, data={"as": "ada"}) as client, sapphire.socket("/ws?channel=kept:1") as other:
            reply = (await client.ask(subscribe={"channel": "kept:1"}))["subscribe"]
            # The hook sees to it, and not the client.
            assert "expires" not in reply and "ttl" not in reply
            assert json.loads(await other.recv())["type"] == "connection"
            await asyncio.to_thread(eventually, 5, "questions", lambda: len(back_end.asked("subRefresh")) >= 2)
            number = client.reply["connect"]["client"]
            [ask] = [ask for ask in back_end.asked("subRefresh") if ask["client"] == number]
            assert ask == {"client": number, "transport": "websocket", "protocol": "json", "encoding": "json",
                           "user": "ada", "channel": "kept:1"}
            back_end.mode("subRefresh", "answer", answer={"result": {"expired": True}})
            assert "subscribe" in await client.ask(subscribe={"channel": "kept:2"})
            ended = await client.until(lambda reply: "unsubscribe" in reply.get("push", {}))
            assert ended["push"]["channel"] == "kept:2" and ended["push"]["unsubscribe"]["code"] == 2501
            # Past their first end both are there still; so is a right that is asked for in vain, until it ends.
            back_end.mode("subscribe", "answer", answer={"result": {"expire_at": int(time.time()) + 2}})
            back_end.mode("subRefresh", "status", status=503)
            assert "subscribe" in await client.ask(subscribe={"channel": "kept:3"})
            ended = await client.until(lambda reply: "unsubscribe" in reply.get("push", {}))
            assert ended["push"]["channel"] == "kept:3" and time.time() > end_at
            sapphire.publish("kept:1", {"n": 1})
            assert (await client.publication())["data"] == {"n": 1}
            assert json.loads(await other.recv())["data"] == {"n": 1}
    within(20, scenario())


def test_a_back_end_has_something_for_a_client_in_each_channel(sapphire, back_end):
    """`subs` of `connect`: info, data and override of each channel, and `meta` of the connection."""
    subs = {"asked:a": {"info": {"role": "host"}, "data": {"seat": 1}},
            "room:hidden": {"override": {"presence": {"value": False}, "force_push_join_leave": {"value": False}}},
            "room:now": {"override": {"force_recovery": {"value": False}, "force_positioning": {"value": False}}}}
    meta = {"plan": "gold"}

    def person(**more):
        return {"answer": {"result": {"user": "eve", "subs": subs, "meta": meta, **more}}}

    async def scenario():
        sapphire.publish("room:now", {"n": 0})
        async with centrifuge(sapphire, data={"as": "bob"}) as bob:
            assert "subscribe" in await bob.ask(subscribe={"channel": "room:hidden", "join_leave": True})
            async with centrifuge(sapphire, data=person()) as eve:
                got = eve.reply["connect"]["subs"]
                assert got["asked:a"]["data"] == {"seat": 1} and got["asked:a"]["recoverable"]
                assert "recoverable" not in got["room:now"] and "positioned" not in got["room:now"]
                # Nobody was asked about a channel that it is put into.
                assert back_end.asked("subscribe") == []
                number = eve.reply["connect"]["client"]
                people = (await eve.ask(presence={"channel": "asked:a"}))["presence"]["presence"]
                assert people[number]["chan_info"] == {"role": "host"}
                people = (await bob.ask(presence={"channel": "room:hidden"}))["presence"]["presence"]
                assert [one["user"] for one in people.values()] == ["bob"]
                # It is back there as it was.
                await eve.ask(unsubscribe={"channel": "asked:a"})
                assert (await eve.ask(subscribe={"channel": "asked:a"}))["subscribe"]["data"] == {"seat": 1}
                assert (await eve.ask(rpc={"method": "who"}))["rpc"]["data"]["by"] == "eve"
                assert back_end.asked("rpc")[-1]["meta"] == meta
                sapphire.publish("room:hidden", {"n": 1})
                assert (await eve.publication())["data"] == {"n": 1}
            assert not [reply for reply in bob.heard if {"join", "leave"} & reply.get("push", {}).keys()
                        and reply["push"].get("join", reply["push"].get("leave"))["info"]["user"] == "eve"]
        # A client that comes back begins where it is, and is told so.
        position = sapphire.publish("room:now", {"n": 1})
        sapphire.publish("room:now", {"n": 2})
        places = {"room:now": {"recover": True, "epoch": position["epoch"], "offset": position["offset"]}}
        async with centrifuge(sapphire, data=person(), subs=places) as eve:
            got = eve.reply["connect"]["subs"]["room:now"]
            assert got["was_recovering"] and "recovered" not in got and "publications" not in got
        client = sio_raw.Recoverer(**person())
        await client.connect(sapphire.url)
        assert (await client.ask("subscribe", {"channel": "asked:other"}))["type"] == "ack"
        assert back_end.asked("subscribe")[-1]["meta"] == meta
        found = (await client.ask("presence", {"channel": "asked:a"}))["members"]
        assert [one["info"] for one in found] == [{"role": "host"}]
        await client.leave()
    sio_raw.within(15, scenario())


# Events.

def test_a_back_end_is_told_who_comes_and_goes(sapphire, back_end):
    async def scenario():
        async with centrifuge(sapphire, data={"as": "ada"}) as ada:
            await ada.ask(subscribe={"channel": "told:1"})
            async with sapphire.socket("/ws?channel=told:1", extra_headers={"Cookie": "user=bob"}) as bob:
                await bob.recv()
                await asyncio.to_thread(eventually, 5, "both", lambda: len(back_end.events("told:1")) == 3)
        return ada.reply["connect"]["client"]
    client = None

    async def whole():
        nonlocal client
        client = await scenario()
    within(10, whole())
    events = eventually(10, "all events", lambda: (back_end.events("told:1"), len(back_end.events("told:1")) == 6)[1]
                        and back_end.events("told:1"))
    assert [event["type"] for event in events[:3]] == ["occupied", "join", "join"]
    assert [event["type"] for event in events[3:]] == ["leave", "leave", "vacated"]
    assert {event["user"] for event in events if event["type"] == "leave"} == {"ada", "bob"}
    assert events[1]["user"] == "ada" and events[1]["client"] == client
    assert all(one["signed"] for one in back_end.seen("events"))


def test_events_wait_for_a_back_end_that_is_away(sapphire, back_end):
    async def come(user):
        async with centrifuge(sapphire, data={"as": user}) as client:
            await client.ask(subscribe={"channel": "told:2"})
            # Who is gone before anybody was told is not told of.
            await asyncio.to_thread(eventually, 5, "a first try", lambda: back_end.events("told:2"))
    back_end.mode("events", "status", status=503)
    within(10, come("ada"))
    back_end.kill()
    back_end.again()
    events = eventually(15, "all events", lambda: len(back_end.events("told:2")) == 4 and back_end.events("told:2"))
    assert [event["type"] for event in events] == ["occupied", "join", "leave", "vacated"]
    numbers = [int(event["id"].rsplit("-", 1)[1]) for event in events]
    assert numbers == list(range(numbers[0], numbers[0] + 4))


def test_presence_that_begins_anew_tells_who_is_there(sapphire, back_end):
    async def scenario():
        async with centrifuge(sapphire, data={"as": "ada"}) as client:
            await client.ask(subscribe={"channel": "told:3"})
            first = await asyncio.to_thread(eventually, 5, "a join", lambda: len(back_end.events("told:3")) == 2
                                            and back_end.asked("events")[-1]["run"])
            await asyncio.to_thread(sapphire.kill, "presence")
            told = await asyncio.to_thread(eventually, 10, "another run", lambda: [
                (event["type"], event.get("user")) for ask in back_end.asked("events") if ask["run"] != first
                for event in ask["events"] if event["channel"] == "told:3"])
            assert told == [("occupied", None), ("join", "ada")]
    within(20, scenario())


# The page.

def test_the_back_end_of_the_page_works(tmp_path):
    """docs/HOOKS.md shows a whole back end: it is taken from there, started, and asked."""
    with open(os.path.join(ROOT, "docs", "HOOKS.md")) as page:
        [program] = re.findall(r"```python\n(.*?)```", page.read(), re.S)
    (tmp_path / "back_end.py").write_text(program)
    key_file = tmp_path / "hooks.key"
    key_file.write_text(KEY + "\n")
    key_file.chmod(0o600)
    process = subprocess.Popen([sys.executable, "-B", str(tmp_path / "back_end.py"), "0", str(key_file)], text=True,
                               stdout=subprocess.PIPE)
    platform = Sapphire()
    told = []
    try:
        base = process.stdout.readline().split()[-1]
        threading.Thread(target=lambda: told.extend(line.strip() for line in process.stdout), daemon=True).start()
        hooks = ", ".join(f'{hook}: "{base}/{hook}"' for hook in ("connect", "subscribe", "publish", "rpc", "events"))
        platform.start(f"""{{ hooks: {{ {hooks}, keyFile: "{key_file}", headers: ["Cookie"] }}, presence: {{ grace: "0s" }},
          channels: [ {{ match: "room:*", history: {{ size: 10 }},
                        hooks: ["subscribe", "publish", "occupied", "vacated", "join", "leave"] }} ] }}""")

        async def scenario():
            options = {"extra_headers": {"Cookie": "session=ada-7"}}
            async with centrifuge(platform, options=options) as client:
                assert "subscribe" in await client.ask(subscribe={"channel": "room:1"})
                assert (await client.ask(subscribe={"channel": "room:secret"}))["error"]["code"] == 1403
                await client.ask(publish={"channel": "room:1", "data": {"text": "hello  "}})
                assert (await client.publication())["data"] == {"text": "hello", "by": "ada"}
                assert (await client.ask(rpc={"method": "time"}))["rpc"]["data"]["now"] > 0
            async with centrifuge(platform) as stranger:
                assert stranger.reply["error"]["code"] == 1401
        within(10, scenario())
        eventually(5, "what it was told", lambda: "room:1 vacated" in told)
        assert [line for line in told if line.startswith("room:1")] == [
            "room:1 occupied", "room:1 join ada", "room:1 leave ada", "room:1 vacated"]
        # Nobody else can speak for the server.
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(base + "/rpc", b"{}"), timeout=5)
        assert caught.value.code == 403
    finally:
        platform.stop()
        platform.remove()
        end(process)
