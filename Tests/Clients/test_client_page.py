"""The clients of docs/CLIENTS.md, as they stand there, over a gateway that is killed again and again."""
import asyncio
import os
import re

from platform_under_test import eventually, within

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "CLIENTS.md")
COUNT = 60
KILLS = 2


def program(language):
    with open(PAGE) as page:
        (text,) = re.findall(rf"```{language}\n(.*?)```", page.read(), re.DOTALL)
    return text


def test_the_python_client_loses_and_doubles_nothing(sapphire):
    names = {}
    exec(program("python"), names)

    async def scenario():
        seen, losses = [], []
        client = names["Client"](sapphire.url.replace("http", "ws") + "/ws",
                                 lambda p: seen.append(p["data"]), losses.append)
        running = asyncio.create_task(client.run())
        await client.subscribe("log:page", since="start")
        for number in range(COUNT):
            if number in (COUNT // 3, 2 * COUNT // 3):
                await asyncio.to_thread(sapphire.kill, "gateway")
            assert (await client.publish("log:page", number))["type"] == "ack"
        while len(seen) < COUNT:
            await asyncio.sleep(0.01)
        # The socket's own end is the only thing that would still bring more.
        assert (await client.publish("log:page", "last"))["offset"] == COUNT + 1
        while seen[-1] != "last":
            await asyncio.sleep(0.01)
        assert seen == [*range(COUNT), "last"] and losses == []
        refused = await client.publish("no channel at all", 1)
        assert refused["type"] == "error" and refused["code"] == 107 or refused["name"] == "unknown_channel"
        running.cancel()
    within(60, scenario())


def test_the_javascript_client_loses_and_doubles_nothing(sapphire, browser):
    browser.go(sapphire.url + "/health")
    browser.ask(program("js") + f"""
      globalThis.seen = []; globalThis.losses = []; globalThis.acks = 0;
      globalThis.client = new Client("{sapphire.url.replace('http', 'ws')}/ws", p => seen.push(p.data), l => losses.push(l));
      client.subscribe("log:script", "start");
      globalThis.publish = async (from, to) => {{
        for (let n = from; n < to; n++) if ((await client.publish("log:script", n)).type === "ack") acks++;
      }}; 0""")
    step = COUNT // (KILLS + 1)
    for turn in range(KILLS + 1):
        if turn:
            sapphire.kill("gateway")
        browser.ask(f"publish({turn * step}, {(turn + 1) * step}); 0")
        eventually(30, f"{(turn + 1) * step} acknowledgements", lambda: browser.ask("acks") == (turn + 1) * step)
    eventually(10, "all of them", lambda: browser.ask("seen.length") >= COUNT)
    assert browser.ask("JSON.stringify(seen)") == str(list(range(COUNT))).replace(" ", "")
    assert browser.ask("losses.length") == 0
