"""A board under clients that don't wait for answers (S001-05)."""
import asyncio
import json

from platform_under_test import next_json, next_of, within

BOARD = "map:annotation"


async def pipelined(socket, count, mark):
    """Sends `count` additions at once; returns what became of each, in the order it was told."""
    for number in range(count):
        await socket.send(json.dumps({"id": number, "channel": BOARD, "data": {"text": f"{mark}{number}"}}))
    answers = []
    while len(answers) < count:
        message = await next_json(socket)
        if "id" in message:
            answers.append(message)
    return answers


def texts(sapphire):
    answer = sapphire.post("/api/history", {"channel": BOARD, "limit": -1}, sapphire.key)[2]["result"]
    return [event["data"]["text"] for event in answer["publications"]]


def test_edits_of_one_client_that_does_not_wait_are_all_made_in_their_order(sapphire):
    async def edits():
        async with sapphire.socket(f"/ws?channel={BOARD}") as socket:
            await next_of(socket, "connection")
            return await pipelined(socket, 200, "n")
    answers = within(20, edits())
    assert [(a["type"], a["id"], a.get("offset")) for a in answers] == [("ack", n, n + 1) for n in range(200)], answers
    assert texts(sapphire) == [f"n{n}" for n in range(200)]


def test_edits_of_a_client_that_only_publishes_are_made_in_their_order(sapphire):
    async def edits():
        async with sapphire.socket("/ws") as socket:
            return await pipelined(socket, 30, "n")
    answers = within(20, edits())
    assert [(a["type"], a["id"]) for a in answers] == [("ack", n) for n in range(30)], answers
    assert texts(sapphire) == [f"n{n}" for n in range(30)]


def test_edits_of_several_clients_at_once_are_all_made_each_clients_in_its_order(sapphire):
    marks = "abcdef"

    async def edits(mark):
        async with sapphire.socket(f"/ws?channel={BOARD}") as socket:
            await next_of(socket, "connection")
            return await pipelined(socket, 40, mark)

    async def everyone():
        return await asyncio.gather(*(edits(mark) for mark in marks))
    for answers in within(30, everyone()):
        assert [(a["type"], a["id"]) for a in answers] == [("ack", n) for n in range(40)], answers
    made = texts(sapphire)
    assert len(made) == 40 * len(marks)
    for mark in marks:
        assert [text for text in made if text.startswith(mark)] == [f"{mark}{n}" for n in range(40)]
