"""The client in Python of docs/CENTRIFUGE.md, as it stands there, over a gateway that is killed again and again."""
import asyncio
import json
import os
import re

from people import of

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "CENTRIFUGE.md")
COUNT = 30


def program():
    with open(PAGE) as page:
        text, = re.findall(r"```python\n(.*?)```", page.read(), re.DOTALL)
    names = {}
    exec(text, names)
    return names


def test_it_loses_and_doubles_nothing(sapphire, codec):
    follow = program()["follow"]
    address = sapphire.url.replace("http", "ws", 1)
    said = (lambda data: json.dumps(data).encode()) if codec == "protobuf" else (lambda data: data)

    async def scenario():
        seen = []
        options = {"use_protobuf": codec == "protobuf", "max_reconnect_delay": 0.5}
        client, _ = await follow(address, f"kept:page-{codec}", lambda data: seen.append(of(data)["number"]), **options)
        other, publisher = await follow(address, f"kept:page-{codec}", lambda data: None, **options)
        for number in range(COUNT):
            if number in (COUNT // 3, 2 * COUNT // 3):
                await asyncio.to_thread(sapphire.kill, "gateway")
            await publisher.publish(data=said({"number": number}), timeout=20)
        while len(seen) < COUNT:
            await asyncio.sleep(0.01)
        await publisher.publish(data=said({"number": "last"}))
        while seen[-1] != "last":
            await asyncio.sleep(0.01)
        assert sorted(set(seen[:-1])) == list(range(COUNT)), seen
        assert seen == sorted(seen[:-1]) + ["last"] and len(seen) <= COUNT + 3, seen
        await client.disconnect()
        await other.disconnect()
    asyncio.run(asyncio.wait_for(scenario(), 60))
