"""Any WebSocket client: PyPI's `websockets` on every raw door of the gateway."""
import asyncio
import base64
import json
import os
import re
import signal
import time

import pytest
import websockets

from elsewhere import serving
from platform_under_test import freeze, next_json, next_message, next_of, within


def test_carries_the_very_bytes_one_message_each(sapphire):
    async def scenario():
        async with sapphire.socket("/ws/signal") as observer, sapphire.socket("/ws/signal") as producer:
            sent = ["plain", '{ "spaces":  [1,2] }', "", "žluťoučký 🎉", b"\x00\xff\x80", b"", "x" * 70000]
            for payload in sent:
                await producer.send(payload)
            # Both are subscribed: the publisher gets its own publications as well, once each.
            for socket in (observer, producer):
                assert [await next_message(socket) for _ in sent] == sent
    within(30, scenario())


def test_welcomes_on_the_events_door(sapphire):
    """S003-08, S003-09."""
    async def scenario():
        async with sapphire.socket("/ws/events/route") as first:
            welcome = await next_json(first)
            assert welcome["type"] == "connection"
            assert welcome["message"] == "✨ Connected to channel 'route' ✨"
            assert welcome["channel"] == "route" and welcome["subscribers"] == 1
            async with sapphire.socket("/ws/events/route") as second:
                assert (await next_json(second))["subscribers"] == 2
                await second.send('{"type":"navigation"}')
                assert await next_message(first) == '{"type":"navigation"}'
    within(30, scenario())


def test_wraps_in_envelopes_on_request(sapphire):
    async def scenario():
        async with sapphire.socket("/ws/universal-frequency?envelope=1") as observer:
            opening = await next_json(observer)
            assert opening["type"] == "connection" and opening["session"]
            for payload in ("text", '{"a": [1, 2.5, null]}', "[1]", '"quoted"', "{broken", b"\x01\x02"):
                await observer.send(payload)
            envelopes = [await next_of(observer, "envelope") for _ in range(6)]
            assert [e.get("data") for e in envelopes] == [
                "text", {"a": [1, 2.5, None]}, [1], '"quoted"', "{broken", None]
            assert base64.b64decode(envelopes[5]["b64data"]) == b"\x01\x02"
            assert [e["offset"] for e in envelopes] == [1, 2, 3, 4, 5, 6]
            for envelope in envelopes:
                assert "type" not in envelope and envelope["channel"] == "universal-frequency"
                assert re.fullmatch(r"[A-Za-z0-9_-]{1,32}", envelope["epoch"])
                assert isinstance(envelope["time"], int)
                assert abs(envelope["time"] - time.time() * 1000) < 60_000
            assert len({e["epoch"] for e in envelopes}) == 1
    within(30, scenario())


@pytest.mark.configuration('{ channels: [{ match: "plain" }] }')
def test_gives_no_position_without_history(sapphire):
    async def scenario():
        async with sapphire.socket("/ws?channel=plain") as socket:
            await socket.send('{"id":1,"channel":"plain","data":"x"}')
            envelope = await next_of(socket, "envelope")
            assert "epoch" not in envelope and "offset" not in envelope
        async with sapphire.socket("/ws/plain?ack=1") as socket:
            await socket.send("x")
            ack = await next_message(socket)
            ack = json.loads(ack if ack != "x" else await next_message(socket))
            assert ack["type"] == "ack" and ack["id"] == 1 and ack.get("offset") is None
    within(30, scenario())


def test_acknowledges_by_number_on_a_one_channel_socket(sapphire):
    async def scenario():
        async with sapphire.socket("/ws/log:alpha?ack=1") as socket:
            for number in (1, 2, 3):
                await socket.send(f"event {number}")
            received = [await next_message(socket) for _ in range(6)]
            acks = [json.loads(m) for m in received if m.startswith("{")]
            assert [(a["type"], a["id"], a["offset"]) for a in acks] == [("ack", n, n) for n in (1, 2, 3)]
            assert [m for m in received if not m.startswith("{")] == ["event 1", "event 2", "event 3"]
    within(30, scenario())


def test_acknowledges_by_id_on_a_many_channel_socket(sapphire):
    async def scenario():
        async with sapphire.socket("/ws") as socket:
            await socket.send('{"id":"a","channel":"log:beta","data":{"n":1}}')
            await socket.send('{"id":7,"channel":"log:beta","b64data":"AAEC"}')
            acks = [await next_of(socket, "ack") for _ in range(2)]
            assert [(a["id"], a["offset"]) for a in acks] == [("a", 1), (7, 2)]
        history = sapphire.post("/api/history", {"channel": "log:beta", "limit": 10}, sapphire.key)[2]
        publications = history["result"]["publications"]
        assert publications[0]["data"] == {"n": 1} and publications[1]["b64data"] == "AAEC"
    within(30, scenario())


def test_sends_nothing_back_to_a_publish_only_socket(sapphire):
    async def scenario():
        async with sapphire.socket("/ws") as producer, sapphire.socket("/ws/one") as observer:
            await producer.send('{"channel":"one","data":"first"}')
            assert await next_message(observer) == "first"
            await producer.send('{"type":"ping","id":1}')
            assert (await next_of(producer, "pong"))["id"] == 1
    within(30, scenario())


def test_keeps_the_connection_after_a_refused_message(sapphire):
    async def scenario():
        async with sapphire.socket("/ws") as socket:
            bad = ['{"id":1,"channel":"no spaces","data":1}', '{"id":2,"channel":"%s","data":1}' % ("x" * 256),
                   '{"id":3,"channel":"ok"}', '{"id":4,"channel":"ok","b64data":"***"}', '{"id":5,"data":1}']
            for message in bad:
                await socket.send(message)
            errors = [await next_of(socket, "error") for _ in bad]
            assert [e["id"] for e in errors] == [1, 2, 3, 4, 5]
            assert all(e["message"] and e["code"] for e in errors)
            for message in ("not json", "[]", "7"):
                await socket.send(message)
                assert (await next_of(socket, "error"))["message"]
            await socket.send('{"id":9,"channel":"log:ok","data":null}')
            assert (await next_of(socket, "ack"))["id"] == 9
    within(30, scenario())


def test_refuses_to_let_clients_publish_on_a_broadcast_channel(sapphire):
    async def scenario():
        async with sapphire.socket("/ws/admin:broadcast") as socket:
            await socket.send("not for clients")
            assert (await next_of(socket, "error"))["code"]
            sapphire.publish("admin:broadcast", "from the API")
            assert await next_message(socket) == "from the API"
    within(30, scenario())


def test_replays_from_the_start_and_goes_live(sapphire):
    for number in range(1, 51):
        sapphire.publish("universal-frequency", f"n{number}")

    async def scenario():
        async with sapphire.socket("/ws/universal-frequency?since=start") as socket:
            await socket.send("n51")
            assert [await next_message(socket) for _ in range(51)] == [f"n{n}" for n in range(1, 52)]
    within(30, scenario())


def test_resumes_after_a_position(sapphire):
    results = [sapphire.publish("universal-frequency", f"n{n}") for n in range(1, 11)]
    position = f"{results[3]['epoch']}:{results[3]['offset']}"

    async def scenario():
        async with sapphire.socket(f"/ws?channel=universal-frequency&since={position}") as socket:
            envelopes = [await next_of(socket, "envelope") for _ in range(6)]
            assert [e["offset"] for e in envelopes] == [5, 6, 7, 8, 9, 10]
            assert [e["data"] for e in envelopes] == [f"n{n}" for n in range(5, 11)]
    within(30, scenario())


@pytest.mark.parametrize("case", ["epoch_changed", "ahead"])
def test_says_first_that_a_position_cannot_be_recovered(sapphire, case):
    result = sapphire.publish("universal-frequency", "one")
    position = "AnotherHistory:1" if case == "epoch_changed" else f"{result['epoch']}:99"

    async def scenario():
        async with sapphire.socket(f"/ws?channel=universal-frequency&since={position}") as socket:
            messages = []
            while not messages or messages[-1].get("type") != "unrecoverable":
                messages.append(await next_json(socket))
                assert "type" in messages[-1], "no publication comes before it"
            told = messages[-1]
            # From here on it is live.
            sapphire.publish("universal-frequency", "two")
            assert (await next_of(socket, "envelope"))["data"] == "two"
            assert told["channel"] == "universal-frequency" and told["reason"] == case
            assert told["epoch"] == result["epoch"] and told["head"] >= 1 and "floor" in told
    within(30, scenario())


def test_carries_several_channels_once_each(sapphire):
    async def scenario():
        async with sapphire.socket("/ws?channel=a&channel=b&channel=a") as socket:
            await next_of(socket, "connection")
            for channel in ("a", "b", "a"):
                await socket.send(json.dumps({"channel": channel, "data": f"for {channel}"}))
            received = [await next_of(socket, "envelope") for _ in range(3)]
            assert [(e["channel"], e["data"]) for e in received if e["channel"] == "a"] == [("a", "for a")] * 2
            assert [e["data"] for e in received if e["channel"] == "b"] == ["for b"]
            await socket.send('{"type":"ping","id":1}')
            assert (await next_json(socket))["type"] == "pong", "something was delivered twice"
    within(30, scenario())


def test_publishes_once_under_one_key(sapphire):
    async def scenario():
        async with sapphire.socket("/ws?channel=log:keyed") as socket:
            message = {"channel": "log:keyed", "data": "once", "idempotency_key": "k1"}
            for number in (1, 2):
                await socket.send(json.dumps({"id": number, **message}))
            await socket.send(json.dumps({"id": 3, **message, "data": "other"}))
            answers, envelopes = {}, []
            while len(answers) < 3:
                reply = await next_json(socket)
                if reply.get("type") in ("ack", "error"):
                    answers[reply["id"]] = reply
                elif "type" not in reply:
                    envelopes.append(reply)
            assert answers[1]["offset"] == answers[2]["offset"] == 1
            assert answers[3]["type"] == "error" and "idempotency_conflict" in json.dumps(answers[3])
            await socket.send('{"id":4,"channel":"log:keyed","data":"last"}')
            while len(envelopes) < 2:
                envelopes.append(await next_of(socket, "envelope"))
            assert [(e["offset"], e["data"]) for e in envelopes] == [(1, "once"), (2, "last")]
    within(30, scenario())


def test_echoes_up_to_sixteen_mebibytes_unchanged(sapphire):
    async def scenario():
        async with sapphire.socket("/ws/echo", compression=None) as socket:
            for payload in ("text", b"\x00\x01", "ž" * 100_000, bytes(range(256)) * 65536):
                await socket.send(payload)
                assert await next_message(socket, 20) == payload
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket.send(bytes(16 * 1024 * 1024 + 1))
                await next_message(socket, 20)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009
    within(60, scenario())


def test_closes_with_1007_on_text_that_is_not_utf8(sapphire):
    async def scenario():
        async with sapphire.socket("/ws/signal", compression=None) as socket:
            await socket.write_frame(True, 1, b"\xff\xfe")
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await next_message(socket)
            assert closed.value.rcvd.code == 1007
    within(30, scenario())


def test_answers_protocol_pings(sapphire):
    async def scenario():
        async with sapphire.socket("/ws/signal") as socket:
            await asyncio.wait_for(await socket.ping(b"beat"), 5)
    within(30, scenario())


def test_asks_for_a_reconnect_when_it_drains(sapphire):
    async def scenario():
        async with sapphire.socket("/ws?channel=route") as socket:
            await next_of(socket, "connection")
            stopped = asyncio.get_running_loop().run_in_executor(None, sapphire.stop)
            closed = None
            try:
                while True:
                    await next_message(socket, 25)
            except websockets.ConnectionClosed as ended:
                closed = ended
            assert closed.rcvd is not None and closed.rcvd.code in (1001, 1012), closed
            assert await stopped == 0
    within(60, scenario())


def test_chromium_gets_in_from_another_origin_that_is_let_in_and_from_no_other(sapphire, browser):
    """A page of this machine's names may; one of another host may not, by WebSocket or EventSource."""
    opening = f"""(() => {{
      window.got = []; window.state = '';
      window.socket = new WebSocket({json.dumps(sapphire.url.replace("http", "ws", 1) + "/ws/route?envelope=1")});
      socket.onopen = () => {{ state += 'open '; }};
      socket.onmessage = e => {{ const m = JSON.parse(e.data); if (!m.type) got.push(m.data); }};
      socket.onclose = e => {{ state += 'closed '; }};
      window.source = new EventSource({json.dumps(sapphire.url + "/sse?channel=route")});
      source.onmessage = e => got.push(JSON.parse(e.data).data);
      source.addEventListener('connection', () => {{ state += 'streaming '; }});
    }})()"""
    with serving() as own, serving(host="127.0.0.2") as other:
        browser.go(f"http://localhost:{own}/")
        browser.ask(opening)
        browser.until("state.includes('open') && state.includes('streaming')")
        browser.ask("socket.send('to everybody')")
        browser.until("got.length === 2 && got.every(data => data === 'to everybody')")
        browser.go(f"http://127.0.0.2:{other}/")
        browser.ask(opening)
        browser.until("socket.readyState === WebSocket.CLOSED && source.readyState === EventSource.CLOSED")
        assert browser.ask("state") == "closed " and browser.ask("got.length") == 0


def test_the_connection_message_comes_before_anything_of_any_channel(sapphire):
    """A channel that is open already has its publications at hand while another is still being opened."""
    for n in range(3):
        sapphire.publish("early", {"n": n})

    async def scenario():
        # On every loop.
        here = [await sapphire.socket("/ws/early").__aenter__() for _ in range(8)]
        for n in range(8):
            sapphire.publish(f"log:late{n}", {"n": n})
            async with sapphire.socket(f"/ws?channel=early&channel=log:late{n}&channel=bad%20name&since=start&presence=1") as socket:
                messages = [await next_json(socket) for _ in range(8)]
                assert [m["type"] for m in messages[:2]] == ["error", "connection"], messages
                assert [c["channel"] for c in messages[1]["channels"]] == ["early", f"log:late{n}"], messages
                data = [(m["channel"], m["offset"]) for m in messages if "type" not in m]
                assert sorted(data) == [("early", 1), ("early", 2), ("early", 3), (f"log:late{n}", 1)], messages
                assert sorted(m["channel"] for m in messages[2:] if m.get("type") == "presence") == ["early", f"log:late{n}"]
        for socket in here:
            await socket.close()
    within(60, scenario())


def test_a_channel_that_cannot_be_opened_holds_up_the_others_for_a_while_only(sapphire):
    async def scenario():
        async with sapphire.socket("/ws/events/calm") as first:
            await next_json(first)
            freeze(sapphire.pid("eventstore"))
            try:
                async with sapphire.socket("/ws?channel=calm&channel=log:away") as socket:
                    began = time.monotonic()
                    while time.monotonic() < began + 8:
                        sapphire.publish("calm", {"at": 1})
                        try:
                            assert (await next_json(socket, 0.5))["channel"] == "calm"
                            break
                        except asyncio.TimeoutError:
                            continue
                    else:
                        assert False, "nothing of the channel that is open"
                    os.kill(sapphire.pid("eventstore"), signal.SIGCONT)
                    assert len((await next_of(socket, "connection"))["channels"]) == 2
            finally:
                os.kill(sapphire.pid("eventstore"), signal.SIGCONT)
    within(60, scenario())


@pytest.mark.configuration('{ gateway: { loops: 1 } }')
def test_bursts_for_many_come_whole_and_in_order_whoever_comes_and_goes(sapphire):
    """Above 64 subscribers a turn's publications may wait for those that are on their way to the hub."""
    count, many = 160, 80

    async def collected(socket):
        seen = {"a": [], "b": []}
        while min(len(numbers) for numbers in seen.values()) < count:
            message = json.loads(await next_message(socket, 30))
            if message.get("type") is None:
                seen[message["data"]["by"]].append(message["data"]["number"])
        assert all(numbers == list(range(count)) for numbers in seen.values())

    async def produce(by):
        async with sapphire.socket("/ws") as socket:
            for number in range(count):
                await socket.send(json.dumps({"channel": "burst", "data": {"by": by, "number": number}}))
                if number % 16 == 15:
                    # Behind an answer, so that bursts meet at the gateway what comes back of others.
                    await socket.send(json.dumps({"id": number, "channel": "log:pause", "data": number}))
                    await next_of(socket, "ack")

    async def passing(done):
        while not done.is_set():
            async with sapphire.socket("/ws/burst?envelope=1") as socket:
                numbers = {}
                for _ in range(20):
                    message = json.loads(await next_message(socket, 30))
                    if done.is_set():
                        return
                    if message.get("type") is None:
                        by, number = message["data"]["by"], message["data"]["number"]
                        assert numbers.get(by, number - 1) == number - 1, "nothing missing, nothing twice"
                        numbers[by] = number

    async def scenario():
        sockets = [await sapphire.socket("/ws/burst?envelope=1") for _ in range(many)]
        for socket in sockets:
            assert json.loads(await next_message(socket))["type"] == "connection"
        done = asyncio.Event()
        guest = asyncio.ensure_future(passing(done))
        readers = [asyncio.ensure_future(collected(socket)) for socket in sockets]
        await asyncio.gather(produce("a"), produce("b"))
        await asyncio.gather(*readers)
        done.set()
        sapphire.publish("burst", {"by": "end", "number": 0})
        await guest
        for socket in sockets:
            await socket.close()
    within(60, scenario())
