"""PyPI's httpx: a pool of kept connections, streamed answers and streamed bodies."""
import asyncio
import hashlib
import json
import random

import httpx
import pytest

from platform_under_test import within


def client(sapphire, **options):
    return httpx.AsyncClient(
        base_url=sapphire.url, timeout=10, headers={"X-API-Key": sapphire.key},
        limits=httpx.Limits(max_connections=options.pop("connections", 8)), **options)


async def publish(http, channel, data, **more):
    answer = await http.post("/api/publish", json={"channel": channel, "data": data, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


async def lines(http, path, count, wanted, **headers):
    """The first `count` publications of `/stream` or `/sse`, with what names the place after each."""
    found, place = [], None
    async with http.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        async for line in answer.aiter_lines():
            line = line.rstrip("\n")
            if line.startswith("id: "):
                place = line[4:]
            text = line[6:] if line.startswith("data: ") else line
            if not text.startswith("{"):
                continue
            message = json.loads(text)
            if wanted(message):
                found.append((message, place))
            if len(found) == count:
                return found


def is_publication(message):
    return "type" not in message


def test_requests_side_by_side_over_kept_connections_are_each_done_once(sapphire):
    async def run():
        async with client(sapphire) as http:
            keys = [f"k{number}" for number in range(100)]
            first = await asyncio.gather(*(publish(http, "log:a", key, idempotency_key=key) for key in keys))
            again = await asyncio.gather(*(publish(http, "log:a", key, idempotency_key=key) for key in keys))
            assert sorted(place["offset"] for place in first) == list(range(1, 101))
            assert [place["offset"] for place in again] == [place["offset"] for place in first]
            answer = await http.post("/api/history", json={"channel": "log:a", "limit": -1})
            events = answer.json()["result"]["publications"]
            assert sorted(event["data"] for event in events) == sorted(keys)
            # Kept connections: with a new one each, the pool's eight would have made 201.
            metrics = (await http.get("/metrics")).text
            accepted = sum(
                float(line.split()[-1]) for line in metrics.splitlines()
                if line.startswith("sapphire_gateway_accepted_total"))
            assert 1 <= accepted <= 20, metrics
    within(30, run())


@pytest.mark.parametrize("path", ["/sse", "/stream"])
def test_a_streamed_answer_is_left_in_the_middle_and_taken_up_again(sapphire, path):
    async def run():
        async with client(sapphire) as http:
            for number in range(40):
                await publish(http, "log:a", number)
            first = await lines(http, f"{path}?channel=log:a&since=start", 15, is_publication)
            last, place = first[-1]
            if path == "/sse":
                rest = await lines(http, f"{path}?channel=log:a", 25, is_publication, **{"Last-Event-ID": place})
            else:
                since = f"{last['epoch']}:{last['offset']}"
                rest = await lines(http, f"{path}?channel=log:a&since={since}", 25, is_publication)
            assert [message["data"] for message, _ in first + rest] == list(range(40))
    within(30, run())


def test_polls_one_after_another_miss_nothing_of_a_writer_beside_them(sapphire):
    async def run():
        async with client(sapphire) as http:
            place = (await http.get("/poll", params={"channel": "log:a"})).json()["position"]

            async def write():
                for number in range(60):
                    await publish(http, "log:a", number)

            writer, got = asyncio.create_task(write()), []
            while len(got) < 60:
                answer = await http.get("/poll", params={"channel": "log:a", "since": place})
                assert answer.status_code == 200, answer.text
                got += [event["data"] for event in answer.json()["publications"]]
                place = answer.json()["position"]
            await writer
            assert got == list(range(60))
    within(30, run())


def test_a_body_in_pieces_is_stored_and_comes_back_whole_in_part_and_not_at_all(sapphire):
    content = random.Random(42).randbytes(3_000_000)
    name, sized = hashlib.sha256(content).hexdigest(), {"Content-Length": str(len(content))}

    async def pieces():
        for start in range(0, len(content), 70_001):
            yield content[start:start + 70_001]

    async def run():
        async with client(sapphire) as http:
            unsized = await http.put(f"/vault/{name}", content=pieces())
            assert unsized.status_code == 411, unsized.text
            stored = await http.put(f"/vault/{name}", content=pieces(), headers=sized)
            assert stored.status_code in (200, 201), stored.text
            whole = await http.get(f"/vault/{name}")
            assert whole.status_code == 200 and whole.content == content
            part = await http.get(f"/vault/{name}", headers={"Range": "bytes=1000-1999"})
            assert part.status_code == 206 and part.content == content[1000:2000]
            known = await http.get(f"/vault/{name}", headers={"If-None-Match": whole.headers["etag"]})
            assert known.status_code == 304 and known.content == b""
            wrong = await http.put(f"/vault/{'0' * 64}", content=pieces(), headers=sized)
            assert wrong.status_code == 422 and wrong.json()["error"]["code"] == 157, wrong.text
            # The connection, or another, is good for more.
            assert (await http.get("/live")).status_code == 200
    within(30, run())
