"""The protocol by hand: batches, pings, codes of every end, and frames that no library sends (row 83)."""
import asyncio
import contextlib
import json
import os
import signal
import time

import pytest
import websockets
from websockets.asyncio.client import connect

import signing
from platform_under_test import freeze, running

URL = "/connection/websocket"


def talk(platform, body, path=URL, seconds=15, **options):
    """Runs `body(client)` with a socket; returns what it returns."""
    async def bounded():
        async with connect(platform.url.replace("http", "ws", 1) + path, proxy=None, **options) as socket:
            return await body(Talker(socket))
    return asyncio.run(asyncio.wait_for(bounded(), seconds))


class Talker:
    def __init__(self, socket):
        self.socket, self.ids, self.waiting = socket, 0, []

    async def say(self, *commands):
        await self.socket.send("\n".join(json.dumps(command) for command in commands))

    async def frame(self):
        return [json.loads(line) for line in (await self.socket.recv()).split("\n")]

    async def next(self, what):
        """The next reply that has such a member; pings are answered on the way."""
        while True:
            while self.waiting:
                reply = self.waiting.pop(0)
                if reply == {}:
                    await self.say({})
                elif what in reply or what in reply.get("push", {}):
                    return reply
            self.waiting = await self.frame()

    async def ask(self, **request):
        self.ids += 1
        await self.say({"id": self.ids, **request})
        while True:
            reply = await self.next("id")
            if reply["id"] == self.ids:
                return reply

    async def come(self, **request):
        return (await self.ask(connect=request))["connect"]

    async def end(self):
        """(code, reason) of the close, whatever comes before it."""
        try:
            while True:
                await self.socket.recv()
        except websockets.ConnectionClosed:
            return self.socket.close_code, self.socket.close_reason


def test_the_answer_to_connect_says_what_to_expect(sapphire):
    async def body(client):
        reply = await client.come(name="raw", version="1", data={"any": 1})
        assert len(reply["client"]) == 16 and reply["version"].startswith("sapphire ")
        assert reply["ping"] == 1 and reply["pong"] is True
        assert "expires" not in reply and "subs" not in reply
    talk(sapphire, body)


def test_commands_come_as_one_frame_and_are_answered_as_one(sapphire):
    async def body(client):
        await client.say({"id": 1, "connect": {}}, {"id": 2, "subscribe": {"channel": "room:batch"}},
                         {"id": 3, "ping": {}}, {"id": 4, "rpc": {"method": "x"}}, {}, {"send": {"data": 1}},
                         {"id": 5, "subscribe": {"channel": "room:batch"}})
        found, frames = {}, 0
        while len(found) < 5:
            replies = await client.frame()
            frames += 1
            for reply in replies:
                if "id" in reply:
                    found[reply["id"]] = reply
        assert list(found)[0] == 1, "nothing comes before the answer to connect"
        assert found[3] == {"id": 3, "ping": {}}
        assert found[4]["error"] == {"code": 104, "message": "method not found"}
        assert found[5]["error"]["code"] == 105
        assert found[2]["subscribe"]["recoverable"] is True and frames <= 4
        await client.say(*({"id": 10 + number, "rpc": {"method": "x"}} for number in range(50)))
        replies = [reply for reply in await client.frame() if reply]
        assert [reply["id"] for reply in replies] == list(range(10, 60)), "one frame for one frame"
    talk(sapphire, body)


def test_who_comes_while_a_client_asks_who_is_there_is_in_the_answer_or_told(sapphire):
    """Presence stands still until all of it waits there: the watch, the question, and those who come."""
    channel, presence = "members:asked", sapphire.pid("presence")
    users = [f"visitor-{number}" for number in range(6)]

    async def body(client):
        await client.come(token=signing.token("first"))
        async with contextlib.AsyncExitStack() as visits:
            freeze(presence)
            try:
                assert "subscribe" in await client.ask(subscribe={"channel": channel, "join_leave": True})
                await client.say({"id": 100, "presence": {"channel": channel}})
                for user in users:
                    visitor = Talker(await visits.enter_async_context(
                        connect(sapphire.url.replace("http", "ws", 1) + URL, proxy=None)))
                    await visitor.come(token=signing.token(user))
                    assert "subscribe" in await visitor.ask(subscribe={"channel": channel})
            finally:
                os.kill(presence, signal.SIGCONT)
            seen, is_answered = set(), False
            while not (is_answered and seen == {"first", *users}):
                for reply in await client.frame():
                    if reply == {}:
                        await client.say({})
                    elif reply.get("id") == 100:
                        is_answered = True
                        seen |= {info["user"] for info in reply["presence"]["presence"].values()}
                    elif "join" in reply.get("push", {}):
                        seen.add(reply["push"]["join"]["info"]["user"])
    talk(sapphire, body)


def test_whoever_answers_no_ping_is_let_go(sapphire):
    async def body(client):
        began = time.monotonic()
        await client.come()
        assert await client.end() == (3012, "no pong")
        assert 1 < time.monotonic() - began < 6
    talk(sapphire, body)


def test_whoever_does_not_connect_is_let_go(sapphire):
    async def body(client):
        assert await client.end() == (3502, "stale")
    talk(sapphire, body)


@pytest.mark.parametrize("frames, code", [
    (['{"id":1,"subscribe":{"channel":"a"}}'], 3501),
    (['{"id":1,"connect":{}}', '{"id":2,"connect":{}}'], 3501),
    (['{"id":1,"connect":{}}', '{"connect":{}}'], 3501),
    (['{"id":1,"connect":{}}', '{"id":2}'], 3501),
    (['{"id":1,"connect":{},"publish":{"channel":"a","data":1}}'], 3501),
    (['{"id":-1,"connect":{}}'], 3501), (['{"id":1e99,"connect":{}}'], 3501), (['{"id":"1","connect":{}}'], 3501),
    (['{"id":1,"connect":{"token":5}}'], 3501), (['{"id":1,"connect":'], 3501), (['{' * 100_000], 3501),
    (['{"a":' * 50_000], 3501), (['{"id":1,"connect":{"data":' + '[' * 50_000 + ']' * 50_000 + '}}'], 3501),
    (['{"id":1,"connect":{"data":"\\ud800"}}'], 3501),
    (["hello"], 3506), ([b"\x00\xff"], 3506), (["[]"], 3506),
    (['{"id":1,"connect":{"token":"no.such.token"}}'], 3500),
], ids=range(18))
def test_what_breaks_the_protocol_ends_with_its_code(sapphire, frames, code):
    async def body(client):
        for frame in frames:
            await client.socket.send(frame)
        assert (await client.end())[0] == code
    talk(sapphire, body)
    talk(sapphire, lambda client: client.come())


@pytest.mark.parametrize("bytes_", [b"\x05", b"\xff" * 11, b"\x02\x08", b"\x03\x0a\x01\x01", b"\x02\xff\xff"], ids=range(5))
def test_what_is_no_protobuf_ends_with_its_code(sapphire, bytes_):
    async def body(client):
        await client.socket.send(bytes_)
        assert (await client.end())[0] == 3501
    talk(sapphire, body, URL + "?format=protobuf")


def test_a_text_frame_is_no_protobuf(sapphire):
    async def body(client):
        await client.socket.send("{}")
        assert (await client.end())[0] == 3506
    talk(sapphire, body, URL + "?cf_protocol=protobuf")


def test_the_subprotocol_is_confirmed(sapphire):
    async def body(client):
        assert client.socket.subprotocol == "centrifuge-protobuf"
        # connect {} under id 1: two fields, behind their length.
        await client.socket.send(b"\x04\x08\x01\x22\x00")
        reply = await client.socket.recv()
        assert isinstance(reply, bytes) and reply[1:3] == b"\x08\x01"
    talk(sapphire, body, subprotocols=["centrifuge-protobuf"])


def test_what_is_not_served_is_refused_and_not_done_differently(sapphire):
    async def body(client):
        await client.come()
        for ask, code in (({"channel": "a", "type": 1}, 107), ({"channel": "no channel"}, 102), ({}, 102),
                          ({"channel": "a", "tf": {"key": "k", "cmp": "is", "val": "v"}}, 107)):
            assert (await client.ask(subscribe=ask))["error"]["code"] == code, ask
        assert (await client.ask(publish={"channel": "a"}))["error"]["code"] == 107
        assert (await client.ask(sub_refresh={"channel": "a", "token": "x"}))["error"]["code"] == 107
        assert (await client.ask(refresh={"token": "x"}))["error"]["code"] == 101
        assert (await client.ask(history={"channel": "plain:a", "limit": 1}))["error"]["code"] == 108
        assert (await client.ask(presence={"channel": "hidden:a"}))["error"]["code"] == 103
        assert (await client.ask(unsubscribe={"channel": "never:subscribed"}))["unsubscribe"] == {}
    talk(sapphire, body)


def test_an_expired_token_is_an_answer_so_that_the_client_gets_another(sapphire):
    async def body(client):
        reply = await client.ask(connect={"token": signing.token("ann", life=-5)})
        assert reply["error"]["code"] == 109
        reply = await client.come(token=signing.token("ann", life=100))
        assert reply["expires"] is True and 80 <= reply["ttl"] <= 95, "some while before it ends"
    talk(sapphire, body)


def test_a_place_that_is_gone_is_an_error_for_who_wants_that(sapphire):
    async def body(client):
        await client.come()
        place = {"channel": "room:gone", "recover": True, "epoch": "another", "offset": 5}
        assert (await client.ask(subscribe={**place, "flag": 2}))["error"]["code"] == 112
        reply = (await client.ask(subscribe=place))["subscribe"]
        assert reply["was_recovering"] is True and "recovered" not in reply and reply["epoch"] != "another"
    talk(sapphire, body)


def test_what_was_missed_comes_with_the_answer(sapphire):
    async def body(client):
        await client.come()
        first = (await client.ask(subscribe={"channel": "kept:raw"}))["subscribe"]
        await client.ask(unsubscribe={"channel": "kept:raw"})
        for number in range(3):
            await asyncio.to_thread(sapphire.publish, "kept:raw", {"n": number})
        again = (await client.ask(subscribe={"channel": "kept:raw", "recover": True, "epoch": first.get("epoch", ""),
                                             "offset": first.get("offset", 0)}))["subscribe"]
        assert again["recovered"] is True and again["offset"] == 3
        assert [(item["offset"], item["data"]) for item in again["publications"]] == [(n + 1, {"n": n}) for n in range(3)]
        await asyncio.to_thread(sapphire.publish, "kept:raw", {"n": 3})
        push = (await client.next("pub"))["push"]
        assert push["channel"] == "kept:raw" and push["pub"]["offset"] == 4
    talk(sapphire, body)


def test_a_line_break_in_a_payload_breaks_no_frame(sapphire):
    async def body(client):
        await client.come()
        await client.ask(subscribe={"channel": "room:lines"})
        await asyncio.to_thread(sapphire.post, "/api/publish", b'{"channel":"room:lines","data":{"a":\n\n[1,\n2]}}', sapphire.key)
        assert (await client.next("pub"))["push"]["pub"]["data"] == {"a": [1, 2]}
    talk(sapphire, body)


def test_where_everybody_signs_in_nobody_is_anonymous(tmp_path):
    keys = signing.key_file(str(tmp_path))
    rules = f'{{ identity: {{ keyFiles: "{keys}", required: true }}, channels: [ {{ match: "*" }} ] }}'
    with running(rules) as platform:
        async def by_token(client):
            assert (await client.ask(connect={}))["error"]["code"] == 101
            await client.come(token=signing.token("ann"))
            return await who(client)

        async def by_ticket(client):
            await client.come()
            return await who(client)

        async def who(client):
            await client.ask(subscribe={"channel": "room:a", "join_leave": True})
            return (await client.next("join"))["push"]["join"]["info"]["user"]
        assert talk(platform, by_token) == "ann"
        ticket = platform.post("/api/ticket", {"sub": "bob"}, platform.key)[2]["result"]["ticket"]
        assert talk(platform, by_ticket, f"{URL}?ticket={ticket}") == "bob"
        # Used up: the handshake is refused.
        with pytest.raises(websockets.InvalidStatus) as caught:
            talk(platform, by_ticket, f"{URL}?ticket={ticket}")
        assert caught.value.response.status_code == 401


def test_a_compressed_publication_is_the_same_for_whoever_wants_it(sapphire):
    async def body(client):
        await client.come()
        await client.ask(subscribe={"channel": "room:deflate"})
        await asyncio.to_thread(sapphire.publish, "room:deflate", {"text": "again and again " * 500})
        return (await client.next("pub"))["push"]["pub"]["data"]
    assert talk(sapphire, body) == talk(sapphire, body, compression=None)
