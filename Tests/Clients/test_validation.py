"""Payloads are held to their channel's rule at every door (S003-22, S002-20)."""
import json

import pytest

from platform_under_test import next_json, next_of, within

RULES = """{ channels: [
  { match: "event:*", history: { size: 10, ttl: "1m" }, require: ["type", "timestamp"],
    schema: { properties: { type: { enum: ["say", "edit"] }, timestamp: { type: "integer", minimum: 0 },
      user: { required: ["name"], properties: { name: { pattern: "^[a-z]{1,8}$" } } } } } },
  { match: "*" } ] }"""

pytestmark = pytest.mark.configuration(RULES)

GOOD = {"type": "say", "timestamp": 1, "user": {"name": "ada"}}
BAD = [
    ({"type": "say"}, "/timestamp is missing"),
    ({"timestamp": 1}, "/type is missing"),
    ("text", "the payload has to be an object"),
    (dict(GOOD, type="shout"), "/type is not one of the values that are allowed"),
    (dict(GOOD, timestamp=-1), "/timestamp is below the minimum 0"),
    (dict(GOOD, user={"name": "ada'; --"}), "/user/name does not match the pattern ^[a-z]{1,8}$"),
]


def test_the_api_refuses_with_the_place_of_the_fault(sapphire):
    for data, reason in BAD:
        status, _, answer = sapphire.post("/api/publish", {"channel": "event:a", "data": data}, sapphire.key)
        assert status == 200 and answer["error"] == {"code": 161, "name": "invalid_payload", "message": reason}
    assert sapphire.publish("event:a", GOOD)["offset"] == 1
    assert "offset" not in sapphire.publish("free", "anything")


def test_sockets_refuse_with_the_place_of_the_fault(sapphire):
    async def run():
        async with sapphire.socket("/ws?channel=event:a") as many, sapphire.socket("/ws/event:a?ack=1") as one:
            await next_of(many, "connection")
            for number, (data, reason) in enumerate(BAD):
                await many.send(json.dumps({"id": number, "channel": "event:a", "data": data}))
                answer = await next_json(many)
                assert (answer["id"], answer["code"], answer["message"]) == (number, 161, reason)
                await one.send(json.dumps(data))
                answer = await next_json(one)
                assert (answer["type"], answer["message"]) == ("error", reason)
            await one.send("no json")
            assert (await next_json(one))["message"] == "the payload has to be an object"
            await one.send(b"\x00bytes")
            assert (await next_json(one))["message"] == "the payload is neither JSON nor text"
            await one.send(json.dumps(GOOD))
            got = [await next_json(one), await next_json(one)]
            assert GOOD in got and any(message["type"] == "ack" for message in got)
            envelope = await next_of(many, "envelope")
            assert envelope["data"] == GOOD and envelope["offset"] == 1
    within(20, run())
