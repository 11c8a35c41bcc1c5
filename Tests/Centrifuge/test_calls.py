"""Calls of plugins: `rpc`, `send`, and the data of `connect`. The plugin is the one of the conformance suites."""
import pytest
from centrifuge import ReplyError

from people import of
from test_raw import talk

SECTIONS = 'centrifuge: { calls: "conformance" },'
VALUES = [{"a": [1, None]}, [], {"text": "zwölf\n\""}]


def test_calls_are_answered_in_their_order(people, codec):
    async def body(person):
        client = await person().come()
        for value in VALUES:
            assert of((await client.rpc("message-with-ack", client.said(value))).data) == value
    people(body)


def test_a_call_without_an_answer_is_answered_with_nothing_and_pushes_what_it_emits(sapphire):
    async def body(client):
        await client.come()
        assert (await client.ask(rpc={"method": "message", "data": {"n": 1}}))["rpc"] == {}
        assert (await client.next("message"))["push"]["message"] == {"data": {"n": 1}}
        assert (await client.ask(rpc={"method": "message-with-ack"}))["rpc"] == {}
    talk(sapphire, body)


def test_a_procedure_that_isnt_there_is_said_so(people, codec):
    async def body(person):
        client = await person().come()
        with pytest.raises(ReplyError) as caught:
            await client.rpc("other", client.said({}))
        assert caught.value.code == 104
    people(body)


def test_messages_are_taken_and_nobody_waits_for_an_answer(sapphire):
    async def body(client):
        await client.come()
        await client.say(*({"send": {"data": value}} for value in [*VALUES, "text", 7]))
        for value in [*VALUES, "text", 7]:
            assert (await client.next("message"))["push"]["message"] == {"data": value}
    talk(sapphire, body)


def test_what_is_brought_with_connect_is_answered_with_connect(people, codec):
    async def body(person):
        client = person(data={"json": {"for": "you"}, "protobuf": b'{"for":"you"}'}[codec])
        await client.come()
        assert of(client.all_of("connected")[0].data) == {"for": "you"}
        other = await person().come()
        assert not other.all_of("connected")[0].data
    people(body)
