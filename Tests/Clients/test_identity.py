"""Who somebody is and what they may do, through the real doors: tokens, tickets, keys, rights and their end.

Rows 88 to 102 of the fault catalogue, as far as they need a whole platform; the corpus of forged tokens is in
Tests/IdentityTests. One platform serves all tests of this file; its log is read at the end.
"""
import asyncio
import base64
import contextlib
import hashlib
import hmac
import itertools
import json
import os
import secrets
import signal
import subprocess
import time
import urllib.request

import pytest
import websockets

from platform_under_test import Sapphire, eventually, executables, next_json, next_of, within

KEY_ID, SECRET = "2026", secrets.token_bytes(32)
# Everything secret that goes over the wire in this file; none of it may be found in a log.
CANARIES = [SECRET.hex(), base64.urlsafe_b64encode(SECRET).decode().rstrip("=")]

RULES = """
  { match: "open:*", subscribe: "anonymous", publish: "anonymous" },
  { match: "members:*", subscribe: "user:*", publish: "role:writer", history: { size: 10 } },
  { match: "inbox:{user}:*", subscribe: "owner", publish: ["owner", "role:admin"] },
  { match: "dialog#*", subscribe: "owner", publish: "owner" },
  { match: "log:*", history: { size: 10 }, subscribe: "user:*", publish: "user:*",
    readHistory: "role:auditor", seePresence: ["role:admin", "user:bob"] },
  { match: "staff", subscribe: ["role:admin", "user:bob"], publish: "role:admin" },
  { match: "closed:*", subscribe: "none", publish: "none", history: { size: 10 } },
  { match: "*" },
"""

API_KEYS = {
    "everything": (["publish", "history", "presence", "admin"], None),
    "publisher": (["publish"], None),
    "historian": (["history"], None),
    "watcher": (["presence"], None),
    "manager": (["admin"], None),
    "shop": (["publish", "history", "presence"], ["open:*", "members:*"]),
}
KEYS = {name: "spk_" + secrets.token_urlsafe(32) for name in API_KEYS}
CANARIES += KEYS.values()


def b64(data):
    data = data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(claims, header=None, key=SECRET):
    """A token of HS256: what docs/IDENTITY.md shows."""
    head = b64(header or {"alg": "HS256", "typ": "JWT", "kid": KEY_ID})
    message = f"{head}.{b64(claims)}"
    made = f"{message}.{b64(hmac.new(key, message.encode(), hashlib.sha256).digest())}"
    CANARIES.append(made)
    return made


def token(user=None, life=600, **claims):
    now = int(time.time())
    return sign({**({"sub": user} if user else {}), "iat": now, "exp": now + life, **claims})


def configuration(rules=RULES, **identity):
    keys = ",".join(
        json.dumps({"name": name, "sha256": hashlib.sha256(KEYS[name].encode()).hexdigest(), "scopes": scopes,
                    **({"channels": channels} if channels else {})})
        for name, (scopes, channels) in API_KEYS.items())
    return json.dumps({"gateway": {"loops": 2, "anonymous": "off"}, "log": {"level": "debug"},
                       "identity": {"leeway": "0s", **identity}})[:-1] + f', channels: [{rules}], apiKeys: [{keys}]}}'


def started(**identity):
    platform = Sapphire()
    path = os.path.join(platform.folder, "tokens.jwks")
    with open(path, "w") as file:
        json.dump({"keys": [{"kty": "oct", "kid": KEY_ID, "k": base64.urlsafe_b64encode(SECRET).decode().rstrip("=")}]},
                  file)
    platform.start(configuration(keyFiles=[path], **identity))
    CANARIES.append(platform.key)
    return platform


@pytest.fixture(scope="module")
def platform():
    running = started()
    try:
        yield running
    finally:
        running.stop()
        running.remove()


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


def signed_in(platform, path, text):
    return platform.socket(path, extra_headers=bearer(text))


async def connected(platform, text, path="/ws"):
    """A socket of several channels whose first message signs it in."""
    socket = await platform.socket(path)
    await next_of(socket, "connection")
    await socket.send(json.dumps({"type": "connect", "id": 1, "token": text}))
    assert (await next_json(socket))["type"] == "connected"
    return socket


@contextlib.asynccontextmanager
async def inside(platform, text):
    socket = await connected(platform, text)
    try:
        yield socket
    finally:
        await socket.close()


async def ask(socket, message):
    """The answer to a message with an id; others are passed over."""
    await socket.send(json.dumps({**message, "id": "q"}))
    while True:
        answer = await next_json(socket)
        if answer.get("id") == "q":
            return answer


async def ending(socket, seconds=30):
    """The close code, and the type and name of what came last before it."""
    last = None
    async def read():
        nonlocal last
        while True:
            last = json.loads(await socket.recv())
    with contextlib.suppress(websockets.ConnectionClosed):
        await asyncio.wait_for(read(), seconds)
    return socket.close_code, last


def api(platform, method, body, key="everything", **headers):
    return platform.post(f"/api/{method}", body, KEYS.get(key, key), **headers)


# Signing in.

def test_every_way_of_signing_in_names_the_client_in_presence_and_in_what_it_publishes(platform):
    async def through(path, user, **options):
        async with platform.socket(path, **options) as client:
            first = await next_json(client)
            if first["type"] == "connection" and user == "ann":
                await client.send(json.dumps({"type": "connect", "token": token("ann", roles=["writer"])}))
                answer = await next_json(client)
                assert (answer["type"], answer["user"]) == ("connected", "ann") and answer["expires"] > time.time()
            channel = f"members:{user}"
            assert (await ask(client, {"type": "subscribe", "channel": channel}))["type"] == "ack"
            assert (await ask(client, {"channel": channel, "data": {"n": 1}}))["type"] == "ack"
            def users():
                _, _, answer = api(platform, "presence", {"channel": channel})
                return [member["user"] for member in answer["result"]["presence"].values()]
            assert eventually(5, "somebody is there", users) == [user]
            _, _, answer = api(platform, "history", {"channel": channel, "limit": 5})
            assert [event["user"] for event in answer["result"]["publications"]] == [user]

    within(20, through("/ws", "ada", extra_headers=bearer(token("ada", roles=["writer"]))))
    within(20, through("/ws", "ann"))
    status, _, answer = platform.post("/api/ticket", {}, **bearer(token("bob", roles=["writer"])))
    assert status == 200 and answer["result"]["expires_in"] == 30
    CANARIES.append(answer["result"]["ticket"])
    within(20, through(f"/ws?ticket={answer['result']['ticket']}", "bob"))
    _, _, answer = api(platform, "ticket", {"sub": "cid", "roles": ["writer"]}, "manager")
    within(20, through(f"/ws?ticket={answer['result']['ticket']}", "cid"))


def test_a_ticket_is_good_once_on_whichever_loop(platform):
    async def run():
        for _ in range(12):
            _, _, answer = platform.post("/api/ticket", {}, **bearer(token("ada")))
            ticket = answer["result"]["ticket"]
            CANARIES.append(ticket)
            async with platform.socket(f"/ws/staff?ticket={ticket}") as refused:
                # Who it is for is known; the rule does not let her in.
                assert (await next_json(refused))["name"] == "permission_denied"
            async with platform.socket(f"/ws?ticket={ticket}") as again:
                assert await ending(again) == (4401, {
                    "type": "error", "code": 101, "name": "ticket_invalid",
                    "message": "the ticket was used, has expired or was never given out"})
    within(20, run())


def test_forged_tokens_are_refused_at_every_door_without_a_word_of_them(platform):
    now = int(time.time())
    good = {"sub": "ada", "exp": now + 60}
    forged = [
        sign(good, key=b"x" * 32), sign(good, {"alg": "none", "typ": "JWT", "kid": KEY_ID}),
        sign({"sub": "ada", "exp": now - 1}), sign({"sub": "ada"}), sign({**good, "nbf": now + 60}),
        sign(good, {"alg": "HS256", "typ": "JWT", "kid": "../../etc/passwd"}), sign({**good, "aud": "elsewhere"}),
        sign({**good, "channel": "staff"}), token("ada")[:-2], "a.b.c", "",
    ]
    async def refused(text):
        with pytest.raises(websockets.InvalidStatusCode) as raised:
            async with signed_in(platform, "/ws", text):
                pass
        assert raised.value.status_code == 401
        async with platform.socket("/ws") as socket:
            await next_json(socket)
            await socket.send(json.dumps({"type": "connect", "token": text}))
            code, last = await ending(socket)
            assert code == 4401 and last["type"] == "error" and (not text or text not in json.dumps(last))
    for text in forged:
        if text:
            status, head, answer = platform.post("/api/ticket", {}, **bearer(text))
            assert status == 401 and head["WWW-Authenticate"].startswith("Bearer") and text not in json.dumps(answer)
            within(10, refused(text))
    async def in_an_address(path):
        with pytest.raises(websockets.InvalidStatusCode) as raised:
            async with platform.socket(path):
                pass
        assert raised.value.status_code == 400
    for name in ("token", "access_token"):
        within(10, in_an_address(f"/ws/staff?{name}={token('ada')}"))
        within(10, in_an_address(f"/ws?{name}={token('ada')}"))
        status, _, body = platform.get(f"/vault/{'0' * 64}?{name}={token('ada')}")
        assert (status, json.loads(body)["error"]["name"]) == (400, "token_in_url")


def test_a_client_stays_who_it_is(platform):
    async def run():
        async with inside(platform, token("ada")) as socket:
            answer = await ask(socket, {"type": "connect", "token": token("bob")})
            assert answer["name"] == "bad_request"
            answer = await ask(socket, {"type": "refresh", "token": token("bob")})
            assert answer["name"] == "other_user"
            answer = await ask(socket, {"type": "refresh", "token": token("ada")})
            assert (answer["type"], answer["user"]) == ("connected", "ada")
        async with platform.socket("/ws?channel=open:a") as socket:
            await next_of(socket, "connection")
            answer = await ask(socket, {"type": "connect", "token": token("ada")})
            assert answer["name"] == "bad_request"
        async with platform.socket("/ws") as socket:
            assert (await ask(socket, {"channel": "open:a", "data": 1}))["type"] == "ack"
            answer = await ask(socket, {"type": "connect", "token": token("ada")})
            assert answer["name"] == "bad_request"
    within(10, run())


def test_where_signing_in_is_required_nothing_goes_before_it():
    platform = started(required=True, connectTimeout="500ms")
    async def run():
        with pytest.raises(websockets.InvalidStatusCode) as raised:
            async with platform.socket("/ws/open:a"):
                pass
        assert raised.value.status_code == 401
        async with platform.socket("/ws?channel=open:a") as socket:
            answer = await ask(socket, {"channel": "open:a", "data": 1})
            assert answer["name"] == "authentication_required"
            await socket.send(json.dumps({"type": "connect", "token": token("ada")}))
            assert (await next_json(socket))["type"] == "connected"
            assert (await next_json(socket))["channel"] == "open:a"
        begun = time.monotonic()
        async with platform.socket("/ws?channel=open:a") as socket:
            code, last = await ending(socket)
            assert (code, last["name"]) == (4401, "authentication_required") and time.monotonic() - begun < 5
    try:
        within(20, run())
    finally:
        platform.stop()
        platform.remove()


def test_streams_take_tokens_and_tickets_and_end_with_them(platform):
    def opened(path, **headers):
        return urllib.request.urlopen(urllib.request.Request(platform.url + path, headers=headers), timeout=15)
    def ticket(user, door):
        _, _, answer = platform.post("/api/ticket", {}, **bearer(token(user, sid=f"stream-{door}")))
        CANARIES.append(answer["result"]["ticket"])
        return answer["result"]["ticket"]
    for door in ("/sse?channel=log:stream", "/stream?channel=log:stream"):
        assert platform.get(door)[0] == 403
        assert platform.get(f"{door}&ticket={'x' * 43}")[0] == 401
        with opened(door, **bearer(token("ada"))) as one, opened(f"{door}&ticket={ticket('bob', door)}") as other:
            async def publish():
                async with inside(platform, token("ada")) as socket:
                    assert (await ask(socket, {"channel": "log:stream", "data": {"n": 1}}))["type"] == "ack"
            within(10, publish())
            for stream in (one, other):
                line = next(line for line in stream if b'"n"' in line)
                assert b'"user":"ada"' in line, line
            assert api(platform, "revoke", {"session": f"stream-{door}"})[2] == {"result": {}}
            rest = other.read()
            assert b"token_revoked" in rest, rest
        api(platform, "publish", {"channel": "log:stream", "data": 2})
    status, _, body = platform.get("/poll?channel=log:stream&since=start", **bearer(token("aud", roles=["auditor"])))
    assert status == 200 and json.loads(body)["publications"][0]["user"] == "ada"
    assert platform.get("/poll?channel=log:stream&since=start", **bearer(token("ada")))[0] == 403
    # Who comes back with a position and may not read the history goes on from now, and is told so.
    place = api(platform, "history", {"channel": "log:stream"})[2]["result"]["epoch"] + ":1"
    async def back():
        async with platform.socket(f"/ws?channel=log:stream&since={place}", extra_headers=bearer(token("ada"))) as socket:
            assert (await next_of(socket, "unrecoverable"))["reason"] == "not_permitted"
            api(platform, "publish", {"channel": "log:stream", "data": 3})
            assert (await next_of(socket, "envelope"))["data"] == 3
    within(10, back())


# Rights.

def test_a_subscription_token_opens_its_channel_to_its_user(platform):
    def grant(user, channel, **more):
        return token(user, channel=channel, **more)
    async def run():
        async with inside(platform, token("ada")) as socket:
            async def tries(channel, text):
                return await ask(socket, {"type": "subscribe", "channel": channel, "token": text})
            assert (await tries("closed:1", grant("bob", "closed:1")))["name"] == "permission_denied"
            assert (await tries("closed:1", grant("ada", "closed:2")))["name"] == "permission_denied"
            assert (await tries("closed:1", token("ada")))["name"] == "token_invalid"
            assert (await tries("closed:1", grant("ada", "closed:1", info={"seat": 4})))["type"] == "ack"
            def info():
                _, _, answer = api(platform, "presence", {"channel": "closed:1"})
                return [member.get("chan_info") for member in answer["result"]["presence"].values()]
            assert eventually(5, "she is there", info) == [{"seat": 4}]
            # It opens subscribing, not publishing.
            assert (await ask(socket, {"channel": "closed:1", "data": 1}))["name"] == "permission_denied"
        caps = [{"channels": ["closed:*"], "allow": ["sub", "pub"]}]
        async with inside(platform, token("ada", caps=caps)) as socket:
            assert (await ask(socket, {"type": "subscribe", "channel": "closed:9"}))["type"] == "ack"
            assert (await ask(socket, {"channel": "closed:9", "data": 1}))["type"] == "ack"
        async with inside(platform, token("ada", channels=["closed:7"])) as socket:
            platform.publish("closed:7", {"n": 7})
            assert (await next_of(socket, "envelope"))["data"] == {"n": 7}
    within(20, run())


ROLES = {
    "anonymous": None, "ada": ("ada", []), "bob": ("bob", []), "writer": ("wim", ["writer"]),
    "auditor": ("aud", ["auditor"]), "admin": ("adm", ["admin"]),
}
CHANNELS = ["open:1", "members:1", "inbox:ada:1", "inbox:bob:1", "dialog#ada,bob", "dialog#eve", "log:1", "staff",
            "closed:1", "other"]


def allowed(action, channel, who):
    """What RULES say, spelled out a second time."""
    user, roles = who or (None, [])
    owners = channel.split(":")[1:2] if channel.startswith("inbox:") else channel.partition("#")[2].split(",")
    subscribe = {"open": True, "members": user, "inbox": user in owners, "dialog": user in owners, "log": user,
                 "staff": "admin" in roles or user == "bob", "closed": False, "other": user}
    kind = channel.partition(":")[0].partition("#")[0]
    if action == "subscribe":
        return bool(subscribe[kind])
    if action == "publish":
        return bool({"open": True, "members": "writer" in roles, "inbox": user in owners or "admin" in roles,
                     "dialog": user in owners, "log": user, "staff": "admin" in roles, "closed": False,
                     "other": user}[kind])
    if action == "history":
        return bool(subscribe[kind]) and (kind != "log" or "auditor" in roles)
    return bool(subscribe[kind]) and (kind != "log" or "admin" in roles or user == "bob")


def test_every_channel_by_every_role_is_what_the_rules_say(platform):
    """Row 100, on sockets: subscribing, publishing, history and presence of each channel as each role."""
    async def seen(who, channel):
        headers = bearer(token(who[0], roles=who[1])) if who else {}
        found = {}
        async with platform.socket("/ws", extra_headers=headers) as socket:
            await next_of(socket, "connection")
            found["publish"] = (await ask(socket, {"channel": channel, "data": 1}))["type"] == "ack"
            answer = await ask(socket, {"type": "subscribe", "channel": channel, "since": "start"})
            found["history"] = answer["type"] == "ack"
            if not found["history"]:
                answer = await ask(socket, {"type": "subscribe", "channel": channel})
            found["subscribe"] = answer["type"] == "ack"
            refusals = {answer.get("name")} - {None}
            assert refusals <= {"permission_denied"}, answer
        if not found["subscribe"]:
            return {**found, "presence": False}
        async with platform.socket(f"/ws?channel={channel.replace('#', '%23')}&presence=1", extra_headers=headers) as socket:
            while True:
                message = await next_json(socket)
                if message.get("type") in ("presence", "error"):
                    return {**found, "presence": message["type"] == "presence"}

    async def everything():
        pairs = list(itertools.product(ROLES, CHANNELS))
        gate = asyncio.Semaphore(8)
        async def one(role, channel):
            async with gate:
                return await seen(ROLES[role], channel)
        for (role, channel), found in zip(pairs, await asyncio.gather(*(one(*pair) for pair in pairs))):
            for action, is_allowed in found.items():
                assert is_allowed == allowed(action, channel, ROLES[role]), (role, action, channel)
    within(60, everything())


# What goes on over all channels, and what is everybody's.
OVERVIEWS = ("/channels", "/metrics")
OPEN = ("/", "/live", "/ready", "/health")
METHODS = {
    "publish": ("publish", {"channel": "open:1", "data": 1}), "broadcast": ("publish", {"channels": ["open:1"], "data": 1}),
    "history": ("history", {"channel": "members:1"}), "presence": ("presence", {"channel": "open:1"}),
    "presence_stats": ("presence", {"channel": "open:1"}), "channels": ("presence", {}),
    "ticket": ("admin", {"sub": "zoe"}), "revoke": ("admin", {"jti": "never-issued"}),
    "disconnect": ("admin", {"user": "nobody-here"}), "unsubscribe": ("admin", {"user": "nobody-here", "channel": "a"}),
}


def test_every_route_by_every_key_is_what_its_scopes_say(platform):
    """Row 100, over HTTP: every method and route with every key, without one, with a wrong one and with tokens."""
    sha = hashlib.sha256(b"a content").hexdigest()
    status, *_ = platform._request(platform_request(platform, f"/vault/{sha}", "PUT", b"a content", KEYS["everything"]))
    assert status in (200, 201)
    for name, (scopes, channels) in API_KEYS.items():
        for method, (scope, body) in METHODS.items():
            status, _, answer = api(platform, method, body, name)
            if method == "broadcast" and "result" in answer:
                answer = answer["result"]["responses"][0]
            is_allowed = scope in scopes
            assert (status, "result" in answer) == (200 if is_allowed else 403, is_allowed), (name, method, answer)
            if not is_allowed:
                assert answer["error"]["name"] == "permission_denied"
            if "ticket" in answer.get("result", {}):
                CANARIES.append(answer["result"]["ticket"])
            if channels and is_allowed and "channel" in body:
                status, _, answer = api(platform, method, {**body, "channel": "staff"}, name)
                assert (status, answer["error"]["name"]) == (403, "permission_denied"), (name, method)
        _, _, answer = api(platform, "channels", {}, name)
        if channels:
            assert all(channel.startswith(("open:", "members:")) for channel in answer["result"]["channels"])
        status, *_ = platform._request(platform_request(platform, f"/vault/{sha}", "PUT", b"a content", KEYS[name]))
        assert status == (200 if "publish" in scopes else 403), name
        status, *_ = platform.get(f"/vault/{sha}", **{"X-API-Key": KEYS[name]})
        assert status == (200 if "history" in scopes and not channels else 404), name
        for route in OVERVIEWS:
            status, *_ = platform.get(route, **{"X-API-Key": KEYS[name]})
            assert status == (200 if "presence" in scopes and not channels else 403), (name, route)
        assert [platform.get(route, **{"X-API-Key": KEYS[name]})[0] for route in OPEN] == [200] * len(OPEN), name
    for headers in ({}, {"X-API-Key": "spk_" + "0" * 43}, {"X-API-Key": hashlib.sha256(KEYS["everything"].encode()).hexdigest()},
                    bearer(token("adm", roles=["admin"])), bearer(KEYS["everything"]), {"Cookie": "key=" + KEYS["everything"]}):
        for method in METHODS:
            if method == "ticket" and "Authorization" in headers:
                continue
            status, _, answer = platform.post(f"/api/{method}", METHODS[method][1], **headers)
            assert (status, answer["error"]["name"]) == (401, "unauthorized"), (method, list(headers))
        status, *_ = platform.get(f"/vault/{sha}", **{name: value for name, value in headers.items() if name != "Authorization"})
        assert status == 404
        for route in OVERVIEWS:
            status, head, answer = platform.get(route, **headers)
            assert (status, json.loads(answer)["error"]["name"]) == (401, "unauthorized"), (route, list(headers))
            assert "apikey" in head["WWW-Authenticate"].lower()
        assert [platform.get(route, **headers)[0] for route in OPEN] == [200] * len(OPEN), list(headers)
    # Nobody gets at what the gateways tell each other.
    for method in ("publish", "history", "presence"):
        _, _, answer = api(platform, method, {"channel": "@sapphire:identity", "data": 1})
        assert answer["error"]["name"] == "permission_denied"


def platform_request(platform, path, method, body, key):
    return urllib.request.Request(platform.url + path, body, {"X-API-Key": key}, method=method)


def test_a_vault_content_is_for_whoever_may_read_its_channel(platform):
    content = secrets.token_bytes(100)
    sha = hashlib.sha256(content).hexdigest()
    platform._request(platform_request(platform, f"/vault/{sha}", "PUT", content, KEYS["everything"]))
    platform.publish("universal-frequency-x", {"type": "artifact", "sha256": sha})
    durable = "members:vault"
    _, _, answer = api(platform, "publish", {"channel": durable, "data": {"type": "artifact", "sha256": sha}})
    assert "result" in answer
    seen = {name: platform.get(f"/vault/{sha}", **headers)[0]
            for name, headers in (("anonymous", {}), ("ada", bearer(token("ada"))))}
    # Neither channel is durable here, so only a key with history gets at it; the two answers are alike.
    assert seen == {"anonymous": 404, "ada": 404}
    assert platform.get(f"/vault/{sha}", **{"X-API-Key": KEYS["historian"]})[2] == content


# The end of a right.

def test_a_token_that_ends_is_warned_of_and_then_closes_with_4401_and_no_further_event(platform):
    async def run():
        async with inside(platform, token("ada", life=3)) as socket:
            assert (await ask(socket, {"type": "subscribe", "channel": "members:end"}))["type"] == "ack"
            assert (await next_of(socket, "expiring"))["expires"] > time.time()
            ends = int(time.time()) + 3
            code, last = await ending(socket)
            assert (code, last["name"]) == (4401, "token_expired")
            assert time.time() < ends + 3
        async with inside(platform, token("ada", life=3)) as socket:
            assert (await ask(socket, {"type": "subscribe", "channel": "members:end"}))["type"] == "ack"
            later = await ask(socket, {"type": "refresh", "token": token("ada", life=600)})
            assert later["expires"] > time.time() + 500
            for n in range(5):
                platform.publish("members:end", n)
                assert (await next_of(socket, "envelope"))["data"] == n
                await asyncio.wait_for(socket.ping(), 5)
    within(40, run())


def test_a_subscription_ends_with_its_token_and_the_connection_goes_on(platform):
    async def run():
        async with inside(platform, token("ada")) as socket:
            short = token("ada", life=2, channel="closed:short")
            assert (await ask(socket, {"type": "subscribe", "channel": "closed:short", "token": short}))["type"] == "ack"
            kept = token("ada", life=2, channel="closed:kept")
            assert (await ask(socket, {"type": "subscribe", "channel": "closed:kept", "token": kept}))["type"] == "ack"
            more = token("ada", life=600, channel="closed:kept")
            assert (await ask(socket, {"type": "refresh", "channel": "closed:kept", "token": more}))["type"] == "ack"
            ended = await next_of(socket, "error", 30)
            assert (ended["channel"], ended["name"]) == ("closed:short", "token_expired")
            platform.publish("closed:short", 1)
            platform.publish("closed:kept", 2)
            assert (await next_of(socket, "envelope"))["channel"] == "closed:kept"
    within(40, run())


def test_what_is_revoked_ends_everywhere_and_does_not_come_in_again(platform):
    """Row 93: by token, by sign-in and by user, on both loops, and still after the gateway has died."""
    cases = {
        "jti": ({"jti": "t-1"}, {"jti": "t-1"}, {"jti": "t-2"}),
        "session": ({"session": "s-1"}, {"sid": "s-1"}, {"sid": "s-2"}),
        "user": ({"user": "rev"}, {"sub": "rev"}, {"sub": "rev2"}),
    }
    texts = {}
    async def run():
        for name, (body, revoked, other) in cases.items():
            gone, stays = token(**{"user": "ada", **revoked}), token(**{"user": "ada", **other})
            texts[name] = gone, stays
            sockets = [await connected(platform, gone) for _ in range(6)]
            left = await connected(platform, stays)
            status, _, answer = api(platform, "revoke", body, "manager")
            assert (status, answer) == (200, {"result": {}})
            begun = time.monotonic()
            for socket in sockets:
                code, last = await ending(socket)
                assert (code, last["name"]) == (4401, "token_revoked")
            assert time.monotonic() - begun < 30
            assert (await ask(left, {"type": "ping"}))["type"] == "pong"
            await left.close()
    async def still():
        for gone, stays in texts.values():
            with pytest.raises(websockets.InvalidStatusCode):
                async with signed_in(platform, "/ws", gone):
                    pass
            async with signed_in(platform, "/ws", stays):
                pass
    within(60, run())
    within(10, still())
    platform.kill("gateway")
    eventually(20, "the gateway is ready again", lambda: is_ready(platform))
    within(10, still())


def is_ready(platform):
    with contextlib.suppress(OSError):
        return platform.get("/ready")[0] == 200
    return False


def status_of(platform, text):
    return platform.post("/api/ticket", {}, **bearer(text))[0]


def test_a_back_end_ends_connections_and_subscriptions(platform):
    async def run():
        ada, bob = await connected(platform, token("dis-ada")), await connected(platform, token("dis-bob"))
        for socket in (ada, bob):
            assert (await ask(socket, {"type": "subscribe", "channel": "members:d"}))["type"] == "ack"
        assert api(platform, "unsubscribe", {"user": "dis-bob", "channel": "members:d"})[2] == {"result": {}}
        ended = await next_of(bob, "error", 30)
        assert (ended["channel"], ended["name"]) == ("members:d", "permission_denied")
        assert api(platform, "disconnect", {"user": "dis-ada"})[2] == {"result": {}}
        code, last = await ending(ada)
        assert (code, last["name"]) == (4403, "disconnected")
        assert (await ask(bob, {"type": "ping"}))["type"] == "pong"
        await bob.close()
    within(40, run())
    for method, body in (("revoke", {}), ("revoke", {"jti": "a", "user": "b"}), ("revoke", {"jti": "a", "ttl": 0}),
                         ("disconnect", {}), ("unsubscribe", {"user": "a"}), ("ticket", {"exp": "soon"})):
        assert api(platform, method, body)[2]["error"]["name"] == "bad_request", (method, body)


def test_narrowed_rules_and_narrower_tokens_end_subscriptions_that_are_open(platform):
    """Row 94: by a reload and by a refresh."""
    path = os.path.join(platform.folder, "sapphire.json5")
    before = open(path).read()
    async def run():
        async with inside(platform, token("nar", roles=["admin"])) as socket:
            for channel in ("staff", "members:n"):
                assert (await ask(socket, {"type": "subscribe", "channel": channel}))["type"] == "ack"
            await socket.send(json.dumps({"type": "refresh", "token": token("nar")}))
            ended = await next_of(socket, "error", 30)
            assert (ended["channel"], ended["name"]) == ("staff", "permission_denied")
            with open(path, "w") as file:
                file.write(before.replace('"members:*", subscribe: "user:*"', '"members:*", subscribe: "role:admin"'))
            os.kill(platform.pid("gateway"), signal.SIGHUP)
            ended = await next_of(socket, "error", 30)
            assert (ended["channel"], ended["name"]) == ("members:n", "permission_denied")
            assert (await ask(socket, {"type": "subscribe", "channel": "members:m"}))["name"] == "permission_denied"
    try:
        within(70, run())
    finally:
        with open(path, "w") as file:
            file.write(before)
        os.kill(platform.pid("gateway"), signal.SIGHUP)


# The command line.

def test_the_command_line_makes_keys_that_open_and_takes_them_back(platform):
    made = platform.run("key", "make", "till", "--scopes", "publish", "--channels", "open:* stock").strip()
    CANARIES.append(made)
    text = open(os.path.join(platform.data, "api.key")).read()
    assert made not in text and hashlib.sha256(made.encode()).hexdigest() in text
    assert "till\tpublish\topen:* stock" in platform.run("key", "list")
    body = {"channel": "open:k", "data": 1}
    def status():
        return platform.post("/api/publish", body, made)[0]
    eventually(10, "the gateway knows the key", lambda: status() == 200)
    platform.run("key", "revoke", "till")
    os.kill(platform.pid("gateway"), signal.SIGHUP)
    eventually(10, "the gateway knows it no more", lambda: status() == 401)
    assert platform.key in open(os.path.join(platform.data, "api.key")).read().splitlines()


def test_the_command_line_signs_what_the_gateway_believes(platform, tmp_path):
    keys = os.path.join(platform.folder, "tokens.jwks")
    made = platform.run("token", "make", "--key", keys, "--user", "cli", "--roles", "writer").strip()
    CANARIES.append(made)
    async def run():
        async with signed_in(platform, "/ws/members:cli", made) as socket:
            await socket.send("hello")
            assert await asyncio.wait_for(socket.recv(), 5) == "hello"
    within(10, run())
    def verify(text, *words):
        return subprocess.run([os.path.join(executables(), "sapphire"), "token", "verify", *words], input=text,
                              capture_output=True, text=True, timeout=20)
    done = verify(made + "\n", "--keys", keys)
    assert done.returncode == 0 and json.loads(done.stdout)["sub"] == "cli"
    done = verify(made[:-3], "--keys", keys)
    assert done.returncode == 77 and "signature" in done.stderr and made[:20] not in done.stderr
    fresh = str(tmp_path / "new.jwks")
    platform.run("token", "key", fresh)
    assert os.stat(fresh).st_mode & 0o777 == 0o600
    assert verify(platform.run("token", "make", "--key", fresh), "--keys", fresh).returncode == 0
    assert verify(made, "--keys", fresh).returncode == 77


def test_nothing_secret_of_all_that_was_used_stands_in_a_log_or_on_the_disk(platform):
    """Row 98. The last test of this file: it looks at what the others have left."""
    with contextlib.suppress(OSError):
        within(10, one_of_each(platform))
    os.kill(platform.pid("gateway"), signal.SIGHUP)
    log = eventually(10, "the log tells of the reload",
                     lambda: next((text for text in [open(platform.log, errors="replace").read()]
                                   if "the keys of tokens were read again" in text), None))
    found = [f"{canary[:10]}… in the log" for canary in CANARIES if canary in log]
    for folder, _, names in os.walk(platform.data):
        for path in (os.path.join(folder, name) for name in names):
            if path.endswith("api.key") or not os.path.isfile(path):
                continue
            with open(path, "rb") as file:
                content = file.read()
            found += [f"{canary[:10]}… in {path}" for canary in CANARIES if canary.encode() in content]
    assert len(CANARIES) > 10 and not found, found


async def one_of_each(platform):
    """Something is shown at each door and refused, with a log of level debug."""
    for path in (f"/ws/staff?ticket={'t' * 43}", "/ws/staff"):
        with contextlib.suppress(websockets.InvalidStatusCode, websockets.ConnectionClosed):
            async with signed_in(platform, path, token("ada", life=-5)) as socket:
                await socket.recv()
    async with platform.socket("/ws") as socket:
        await socket.send(json.dumps({"type": "connect", "token": token("ada", life=-5)}))
        await ending(socket)
    api(platform, "publish", {}, "publisher")
