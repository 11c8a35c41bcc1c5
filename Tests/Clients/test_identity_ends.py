"""What ends when a key, a token or a rule does: open connections, waiting polls, channels (rows 93 and 94, P23)."""
import asyncio
import base64
import hashlib
import json
import os
import secrets
import signal
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import pytest
import websockets

from platform_under_test import Sapphire, eventually, next_json, next_of, within
from raw_http import Wire
from signing import b64
from test_identity import KEYS, api, ask, bearer, connected, ending, is_ready, sign, started
from test_identity import status_of, token

OTHER_ID, OTHER = "2027", secrets.token_bytes(32)


@pytest.fixture
def platform(request):
    running = started(**getattr(request, "param", {}))
    try:
        yield running
    finally:
        running.stop()
        running.remove()


def reload(platform, path=None, text=None, word="the rules of channels were read again"):
    """Writes a file, has the gateway read it and waits until it says so."""
    if path:
        with open(path, "w") as file:
            file.write(text)
    with open(platform.log) as log:
        seen = log.read().count(word)
    os.kill(platform.pid("gateway"), signal.SIGHUP)
    eventually(10, word, lambda: open(platform.log).read().count(word) > seen)


class Poll(threading.Thread):
    """A poll that waits, and how it was answered."""

    def __init__(self, platform, channel, text, seconds=50):
        super().__init__(daemon=True)
        position = json.loads(platform.get(f"/poll?channel={channel}", **bearer(text))[2])["position"]
        self.path = f"/poll?channel={channel}&since={urllib.parse.quote(position)}&timeout={seconds}"
        self.platform, self.text, self.answer = platform, text, None
        self.start()

    def run(self):
        self.answer = self.platform.get(self.path, **bearer(self.text))

    def ended(self, seconds=8):
        eventually(seconds, "an answer to the poll", lambda: self.answer)
        return self.answer[0], json.loads(self.answer[2])


async def swept(platform):
    """Every loop has carried out what was ordered before: a later order has acted on all of them."""
    sockets = [await connected(platform, token("sweeper")) for _ in range(12)]
    assert api(platform, "disconnect", {"user": "sweeper"}, "manager")[0] == 200
    for socket in sockets:
        assert (await ending(socket))[0] == 4403


def test_what_a_key_opened_ends_when_the_key_is_taken_away(platform):
    path = os.path.join(platform.folder, "tokens.jwks")
    ours = json.load(open(path))
    other = {"kty": "oct", "kid": OTHER_ID, "k": base64.urlsafe_b64encode(OTHER).decode().rstrip("=")}
    keys = "the keys of tokens were read again"
    reload(platform, path, json.dumps({"keys": ours["keys"] + [other]}), keys)
    now = int(time.time())
    theirs = sign({"sub": "ada", "exp": now + 600}, {"alg": "HS256", "typ": "JWT", "kid": OTHER_ID}, OTHER)
    grant = sign({"sub": "bob", "channel": "closed:k", "exp": now + 600},
                 {"alg": "HS256", "typ": "JWT", "kid": OTHER_ID}, OTHER)

    async def run():
        gone = [await connected(platform, theirs) for _ in range(4)]
        ticket = platform.post("/api/ticket", {}, **bearer(theirs))[2]
        by_ticket = await platform.socket(f"/ws?ticket={ticket['result']['ticket']}")
        kept_ticket = platform.post("/api/ticket", {}, **bearer(theirs))[2]["result"]["ticket"]
        stays = await connected(platform, token("bob"))
        assert (await ask(stays, {"type": "subscribe", "channel": "closed:k", "token": grant}))["type"] == "ack"
        poll = Poll(platform, "members:k", theirs)
        # The same name, another secret: as good as gone.
        swapped = {**other, "k": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")}
        await asyncio.to_thread(reload, platform, path, json.dumps({"keys": ours["keys"] + [swapped]}), keys)
        for socket in [*gone, by_ticket]:
            code, last = await ending(socket)
            assert (code, last["name"]) == (4401, "token_invalid"), last
        ended = await next_of(stays, "error", 10)
        assert (ended["channel"], ended["name"]) == ("closed:k", "token_invalid")
        status, answer = await asyncio.to_thread(poll.ended)
        assert (status, answer["error"]["name"]) == (401, "token_invalid")
        assert platform.get(f"/poll?channel=members:k&ticket={kept_ticket}")[0] == 401
        assert (await ask(stays, {"type": "ping"}))["type"] == "pong"
        await stays.close()
    within(40, run())


def test_a_poll_ends_with_the_right_that_it_waits_by(platform):
    gone, stays = token("poll-gone"), token("poll-stays")
    polls = {name: Poll(platform, "members:p", text) for name, text in (
        ("revoked", gone), ("expired", token("poll-brief", life=3)), ("kept", stays))}
    other = Poll(platform, "members:q", token("poll-away"))
    assert api(platform, "revoke", {"user": "poll-gone"}, "manager")[0] == 200
    assert api(platform, "disconnect", {"user": "poll-away"}, "manager")[0] == 200
    assert polls["revoked"].ended()[0] == 401 and polls["revoked"].ended()[1]["error"]["name"] == "token_revoked"
    assert polls["expired"].ended()[0] == 401 and polls["expired"].ended()[1]["error"]["name"] == "token_expired"
    assert other.ended()[0] == 403 and other.ended()[1]["error"]["name"] == "disconnected"
    assert polls["kept"].answer is None
    platform.publish("members:p", "for those who may")
    status, answer = polls["kept"].ended()
    assert status == 200 and answer["publications"][0]["data"] == "for those who may"


def test_what_was_revoked_is_known_before_a_new_gateway_lets_anybody_in(platform):
    gone = token("rev-start")
    assert status_of(platform, gone) == 200
    assert api(platform, "revoke", {"user": "rev-start"}, "manager")[0] == 200
    for _ in range(3):
        platform.kill("gateway")

        def first():
            try:
                return status_of(platform, gone)
            except OSError:
                return None
        # Whatever the first answer is: it is this.
        assert eventually(20, "an answer", first) == 401
        eventually(20, "ready", lambda: is_ready(platform))
        assert status_of(platform, gone) == 401


@pytest.mark.configuration("""{ gateway: { loops: 2 }, channels: [
  { match: "c:*", history: { size: 100 } }, { match: "f:*" }, { match: "gone:*" } ] }""")
def test_a_reload_changes_who_may_and_what_is_taken_everywhere_at_once_but_not_what_a_channel_is(sapphire):
    path = os.path.join(sapphire.folder, "sapphire.json5")

    def publish(channel, data, connections=8):
        """One publication over each of so many connections, so that every loop has some."""
        names = []
        for _ in range(connections):
            answer = sapphire.post("/api/publish", {"channel": channel, "data": data}, sapphire.key, Connection="close")[2]
            names.append(answer.get("error", {}).get("name", "ok"))
        return names

    async def run():
        sockets = [await sapphire.socket("/ws?channel=c:q&channel=gone:a") for _ in range(6)]
        for socket in sockets:
            await next_of(socket, "connection")
        sapphire.publish("c:q", 0)
        sapphire.publish("f:known", {"type": 1})
        await asyncio.to_thread(reload, sapphire, path, """{ gateway: { loops: 2 }, channels: [
          { match: "c:*", history: { durable: true } }, { match: "f:*", require: ["type"] },
          { match: "new:*", history: { size: 5 } } ] }""")
        # What the channel keeps is as it was, on every loop and in the API.
        assert publish("c:q", 1) == ["ok"] * 8
        for socket in sockets:
            got, ended = [], None
            while len(got) < 9 or not ended:
                message = await next_json(socket)
                if message.get("type") == "error":
                    ended = message
                elif "type" not in message:
                    got.append(message["data"])
            assert got == [0] + [1] * 8
            assert (ended["channel"], ended["name"]) == ("gone:a", "permission_denied")
        history = sapphire.post("/api/history", {"channel": "c:q", "limit": -1}, sapphire.key)[2]["result"]
        assert [event["data"] for event in history["publications"]] == [0] + [1] * 8
        assert publish("c:another", 1) == ["ok"] * 8
        # What is taken is as the file says now, in channels that were open and in others.
        for channel in ("f:known", "f:unknown"):
            eventually(3, "refused on every loop", lambda: publish(channel, {"no": 1}) == ["invalid_payload"] * 8)
            assert publish(channel, {"type": 1}) == ["ok"] * 8
        # A rule that went takes its channels with it; one that came brings them.
        assert publish("gone:a", 1) + publish("gone:b", 1) == ["unknown_channel"] * 16
        assert publish("new:a", 1) == ["ok"] * 8
        for socket in sockets:
            await socket.close()
    within(40, run())


@pytest.mark.configuration('{ channels: [{ match: "a:*", history: { size: 10 } }] }')
def test_a_channel_that_no_rule_names_does_not_exist_at_any_door(sapphire):
    for method, body in (("publish", {"data": 1}), ("history", {}), ("presence", {}), ("presence_stats", {})):
        answer = sapphire.post(f"/api/{method}", {"channel": "zzz", **body}, sapphire.key)[2]
        assert (answer["error"]["code"], answer["error"]["name"]) == (102, "unknown_channel"), method
        assert "result" in sapphire.post(f"/api/{method}", {"channel": "a:b", **body}, sapphire.key)[2], method
    for door in ("sse", "stream", "poll"):
        status, _, body = sapphire.get(f"/{door}?channel=zzz")
        assert status == 404 and json.loads(body)["error"]["code"] == 102, (door, status, body)

    async def run():
        async with sapphire.socket("/ws/zzz") as socket:
            assert (await next_json(socket))["name"] == "unknown_channel"
        async with sapphire.socket("/ws") as socket:
            await next_of(socket, "connection")
            for message in ({"type": "subscribe", "channel": "zzz"}, {"channel": "zzz", "data": 1}):
                assert (await ask(socket, message))["name"] == "unknown_channel", message
            assert (await ask(socket, {"channel": "a:b", "data": 1}))["type"] == "ack"
    within(20, run())


def test_where_signing_in_is_required_no_door_gives_anything_before_it():
    platform = Sapphire()
    path = os.path.join(platform.folder, "tokens.jwks")
    key = base64.urlsafe_b64encode(OTHER).decode().rstrip("=")
    with open(path, "w") as file:
        json.dump({"keys": [{"kty": "oct", "kid": OTHER_ID, "k": key}]}, file)
    try:
        platform.start(json.dumps({"identity": {"required": True, "keyFiles": [path]}})[:-1]
                       + ', channels: [{ match: "log:*", history: { durable: true } }] }')
        content = os.path.join(platform.folder, "content")
        with open(content, "w") as file:
            file.write("for those who sign in")
        platform.run("vault", "drop", "log:v", content)
        name = hashlib.sha256(b"for those who sign in").hexdigest()
        text = sign({"sub": "ada", "exp": int(time.time()) + 60}, {"alg": "HS256", "typ": "JWT", "kid": OTHER_ID}, OTHER)
        # RFC 9110 §15.5.2: every 401 says how to come in.
        upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        doors = [(f"/vault/{name}", [], "Bearer"), ("/poll?channel=log:v", [], "Bearer"), ("/sse?channel=log:v", [], "Bearer"),
                 ("/ws/log:v", upgrade, "Bearer"), ("/ws/echo", upgrade, "Bearer"), ("/channels", [], "apikey"),
                 ("/metrics", [], "apikey"),
                 ("/poll?channel=log:v", [f"Authorization: Bearer {text[:-2]}"], 'Bearer error="invalid_token"')]
        for route, headers, challenge in doors:
            with Wire(platform) as wire:
                answer = wire.ask(f"GET {route}", *headers)
                assert (answer.status, answer.fields.get("www-authenticate")) == (401, challenge), (route, answer)
        assert platform.get(f"/vault/{name}", **bearer(text))[0] == 200
        assert platform.get(f"/vault/{name}", **{"X-API-Key": platform.key})[0] == 200
        assert platform.get("/channels")[0] == 401
        assert platform.get("/channels", **{"X-API-Key": platform.key})[0] == 200

        async def echo():
            with pytest.raises(websockets.InvalidStatusCode, match="401"):
                async with platform.socket("/ws/echo"):
                    pass
            async with platform.socket("/ws/echo", extra_headers=bearer(text)) as socket:
                await socket.send("hello")
                assert await socket.recv() == "hello"
        within(10, echo())
    finally:
        platform.stop()
        platform.remove()


def test_thousands_of_revocations_at_once_are_all_taken_and_all_act(platform):
    """Row 93, many at once: each connection is looked at once, however many names were revoked."""
    async def run():
        gone = await connected(platform, token("ada", jti="m-4321"))
        stays = await connected(platform, token("ada", jti="m-kept"))
        for start in range(0, 6_000, 1_000):
            commands = [{"revoke": {"jti": f"m-{number}"}} for number in range(start, start + 1_000)]
            answer = await asyncio.to_thread(api, platform, "batch", {"commands": commands}, "manager")
            refused = [reply for reply in answer[2]["replies"] if "error" in reply]
            assert answer[0] == 200 and not refused, refused[:2]
        code, last = await ending(gone)
        assert (code, last["name"]) == (4401, "token_revoked")
        assert (await ask(stays, {"type": "ping"}))["type"] == "pong"
        await stays.close()
    within(60, run())


def test_keys_in_pem_rotate_by_the_names_of_their_files():
    platform = Sapphire()
    files = {name: os.path.join(platform.folder, name) for name in ("old", "new")}
    for path in files.values():
        subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{path}.key"],
                       check=True, capture_output=True)
        subprocess.run(["openssl", "ec", "-in", f"{path}.key", "-pubout", "-out", f"{path}.pem"], check=True,
                       capture_output=True)
        pkcs8 = subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", f"{path}.key"], check=True,
                               capture_output=True).stdout
        with open(f"{path}.key", "wb") as file:
            file.write(pkcs8)
    try:
        platform.start(json.dumps({"identity": {"keyFiles": [f"{path}.pem" for path in files.values()]}}))
        for name, path in files.items():
            made = platform.run("token", "make", "--key", f"{path}.key", "--id", name, "--user", "ada").strip()
            assert status_of(platform, made) == 200, name
        other = platform.run("token", "make", "--key", f"{files['old']}.key", "--id", "new", "--user", "ada").strip()
        assert status_of(platform, other) == 401
    finally:
        platform.stop()
        platform.remove()


def test_keys_of_tokens_without_kid_rotate_by_overlapping():
    """One file, two, one again, each by SIGHUP: what a key has opened stays as long as the key, and newcomers get in by
    each key that is there, though no token names one."""
    platform = Sapphire()
    paths = {name: os.path.join(platform.folder, name) for name in ("old", "new")}
    for path in paths.values():
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", f"{path}.key"], check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", f"{path}.key", "-pubout", "-out", f"{path}.pem"], check=True,
                       capture_output=True)

    def made(name):
        now = int(time.time())
        message = b64({"alg": "EdDSA", "typ": "JWT"}) + "." + b64({"sub": name, "iat": now, "exp": now + 600})
        text = os.path.join(platform.folder, "message")
        with open(text, "w") as file:
            file.write(message)
        signature = subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", f"{paths[name]}.key", "-rawin", "-in", text],
                                   check=True, capture_output=True).stdout
        return f"{message}.{b64(signature)}"
    tokens = {name: made(name) for name in paths}

    def configured(*names):
        return json.dumps({"identity": {"keyFiles": [f"{paths[name]}.pem" for name in names]}})

    def reload(*names):
        with open(os.path.join(platform.folder, "sapphire.json5"), "w") as file:
            file.write(configured(*names))
        platform.process.send_signal(signal.SIGHUP)

    def statuses():
        return [status_of(platform, tokens[name]) for name in ("old", "new")]

    def listening(name):
        wire = Wire(platform)
        wire.send(wire.head("GET /stream?channel=a", f"Authorization: Bearer {tokens[name]}"))
        assert b" 200 " in wire._until(b"\r\n\r\n")
        return wire

    def hears(wire, text):
        platform.publish("a", text)
        return text in wire._until(text.encode() + b'"').decode()
    try:
        platform.start(configured("old"))
        assert statuses() == [200, 401]
        with listening("old") as first:
            reload("old", "new")
            eventually(10, "both keys are taken", lambda: statuses() == [200, 200])
            with listening("new") as second:
                assert hears(first, "one") and hears(second, "two")
                reload("new")
                eventually(10, "the old key is not taken", lambda: statuses() == [401, 200])
                assert hears(second, "three"), "what the new key opened stays"
                eventually(10, "what the old key opened has ended", lambda: first.socket.recv(1 << 16) == b"")
                named = platform.run("token", "make", "--key", f"{paths['new']}.key", "--id", "new", "--user", "ada").strip()
                assert status_of(platform, named) == 200, "the file's name is the key's, in one file too"
    finally:
        platform.stop()
        platform.remove()


def test_a_body_without_a_right_is_not_waited_for(platform):
    """A ticket for a token needs none; a bad token is told by the head alone."""
    with Wire(platform) as wire:
        wire.send(wire.head("POST /api/ticket", "Authorization: Bearer nonsense", "Content-Length: 4194304"))
        answer = wire.answer()
        assert answer.status == 401 and wire.closes(3), answer
    with Wire(platform) as wire:
        wire.send(wire.head("POST /api/ticket", f"Authorization: Bearer {token('ada')}", "Content-Length: 4194304"))
        assert wire.answer().status == 413
    assert platform.post("/api/ticket", {"passed": "over"}, **bearer(token("ada")))[2]["result"]["ticket"]


DURABLE = ",".join(
    f'{{ match: "{match}", history: {{ durable: true }}, subscribe: "{who}", publish: "none" }}'
    for match, who in (("open:*", "anonymous"), ("members:*", "user:*"), ("log:*", "user:*"), ("v:*", "none")))


@pytest.mark.parametrize("platform", [{"rules": DURABLE}], indirect=True)
def test_a_key_opens_no_content_that_it_may_not_read(platform):
    """Who may publish ties contents to channels; not those of others to channels of its own."""
    shop, publisher, every = (KEYS[name] for name in ("shop", "publisher", "everything"))

    def put(content, key):
        name = hashlib.sha256(content).hexdigest()
        request = urllib.request.Request(f"{platform.url}/vault/{name}", content, {"X-API-Key": key}, method="PUT")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status in (200, 201)
        return name

    def announce(channel, name, key):
        answer = platform.post("/api/publish", {"channel": channel, "data": {"type": "artifact", "sha256": name}}, key)[2]
        return answer.get("error", {}).get("name", "ok")

    secret = put(b"for the closed channel alone", every)
    assert announce("v:closed", secret, every) == "ok"
    text = token("ada")
    assert platform.get(f"/vault/{secret}")[0] == 404
    for key in (shop, publisher):
        assert announce("open:shop", secret, key) == "permission_denied"
        assert platform.get(f"/vault/{secret}")[0] == 404
    # Its own it announces where it may publish, again too, and in what it may read beside that.
    own = put(b"the shop's own", shop)
    assert [announce(channel, own, shop) for channel in ("members:s", "members:s", "open:shop")] == ["ok"] * 3
    own = put(b"the publisher's own", publisher)
    assert [announce(channel, own, publisher) for channel in ("log:v", "log:v", "open:shop")] == [
        "ok", "ok", "permission_denied"]
    assert platform.get(f"/vault/{own}", **bearer(text))[0] == 200


def test_who_comes_back_after_a_disconnect_stays_and_who_comes_early_goes_with_its_user():
    """With clocks that differ: a token from the future that the leeway lets in is revoked with its user's others."""
    platform = started(leeway="10s")
    try:
        ahead = token("ada", iat=int(time.time()) + 8)
        assert status_of(platform, ahead) == 200
        assert api(platform, "revoke", {"user": "ada"}, "manager")[0] == 200
        assert status_of(platform, ahead) == 401

        async def run():
            first = await connected(platform, token("bob"))
            assert api(platform, "disconnect", {"user": "bob"}, "manager")[0] == 200
            again = await connected(platform, token("bob"))
            code, last = await ending(first)
            assert (code, last["name"]) == (4403, "disconnected")
            await swept(platform)
            assert (await ask(again, {"type": "ping"}))["type"] == "pong"
            await again.close()
        within(20, run())
    finally:
        platform.stop()
        platform.remove()


@pytest.mark.parametrize("platform", [{"rules": '{ match: "log:*", history: { durable: true }, subscribe: "user:*" }'}],
                         indirect=True)
def test_who_may_not_read_the_history_any_more_is_not_read_it_to_its_end(platform):
    """A reload in the middle of a long replay: the client is told, and goes on from now."""
    count, filler = 400, "x" * 20_000
    for start in range(0, count, 50):
        commands = [{"publish": {"channel": "log:long", "data": {"n": n, "x": filler}}} for n in range(start, start + 50)]
        assert api(platform, "batch", {"commands": commands})[0] == 200
    path = os.path.join(platform.folder, "sapphire.json5")
    with open(path) as file:
        before = file.read()
    with Wire(platform, receive_buffer=65_536) as wire:
        wire.send(wire.head("GET /stream?channel=log:long&since=start", f"Authorization: Bearer {token('ada')}"))
        first = wire.socket.recv(4_096)
        reload(platform, path, before.replace('subscribe: "user:*"', 'subscribe: "user:*", readHistory: "role:auditor"'))
        within(20, swept(platform))
        # More than there is room for: what waits is not left to the history, which it may not read.
        for number in range(30):
            platform.publish("log:long", {"n": "wide", "x": filler * 2})
        platform.publish("log:long", {"n": "live"})
        read = first
        while b'"live"' not in read:
            piece = wire.socket.recv(1 << 20)
            assert piece, "the stream ended"
            read += piece
    lines = [json.loads(line) for line in read.split(b"\r\n\r\n", 1)[1].splitlines() if line.startswith(b"{")]
    numbers = [line["data"]["n"] for line in lines if "data" in line]
    told = [line for line in lines if line.get("type") == "unrecoverable"]
    assert [line["reason"] for line in told] == ["not_permitted"], told
    past = numbers[:-31]
    assert numbers[-31:] == ["wide"] * 30 + ["live"], numbers[-40:]
    assert past == list(range(len(past))) and len(past) < count, len(past)


def test_where_the_clock_is_not_set_no_token_is_taken(tmp_path):
    """P20: a machine that nobody has told the time is in 1970, where nothing has expired yet."""
    shim = str(tmp_path / "clock.so")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clock.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", shim, source], check=True)
    with open(tmp_path / "tokens.jwks", "w") as file:
        json.dump({"keys": [{"kty": "oct", "kid": OTHER_ID, "k": base64.urlsafe_b64encode(OTHER).decode().rstrip("=")}]}, file)
    expired = sign({"sub": "ada", "exp": 1_000_000_000}, {"alg": "HS256", "typ": "JWT", "kid": OTHER_ID}, OTHER)
    platform = Sapphire()
    try:
        platform.start(json.dumps({"identity": {"keyFiles": [str(tmp_path / "tokens.jwks")]}}),
                       environment={"LD_PRELOAD": shim, "CLOCK_AHEAD": str(-int(time.time()) + 1000)})
        for path in ("/poll?channel=a", "/sse?channel=a"):
            status, head, body = platform.get(path, **bearer(expired))
            assert "not set" in body.decode() and (status in (503, 200)), (path, status, body)
        assert platform.get("/poll?channel=a")[0] == 200, "who brings none is served"
    finally:
        platform.stop()
        platform.remove()
