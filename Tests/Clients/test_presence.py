"""Who is where, as a WebSocket client sees it."""
import asyncio

from platform_under_test import next_json, next_of, within


class Members:
    """Folds the presence messages of one socket; `log` keeps the joins and leaves in order."""

    def __init__(self, socket):
        self.socket, self.clients, self.log = socket, set(), []

    async def until(self, satisfied, seconds=15):
        async def fold():
            while not satisfied(self):
                message = await next_json(self.socket, seconds)
                if message.get("type") == "presence":
                    self.clients = {member["client"] for member in message["members"]}
                elif message.get("type") == "join":
                    self.clients.add(message["client"])
                    self.log.append(("join", message["client"]))
                elif message.get("type") == "leave":
                    self.clients.discard(message["client"])
                    self.log.append(("leave", message["client"]))
        await asyncio.wait_for(fold(), seconds)


def test_tells_of_joins_and_leaves(sapphire):
    async def scenario():
        async with sapphire.socket("/ws?channel=room&presence=1") as observer:
            members = Members(observer)
            await members.until(lambda m: len(m.clients) == 1)
            other = await sapphire.socket("/ws/room")
            await members.until(lambda m: len(m.clients) == 2)
            async with sapphire.socket("/ws?channel=room&presence=1") as late:
                newcomer = Members(late)
                await newcomer.until(lambda m: len(m.clients) == 3)
            await other.close()
            await members.until(lambda m: len(m.clients) == 1)
    within(60, scenario())


def test_gives_nothing_of_presence_unasked(sapphire):
    async def scenario():
        async with sapphire.socket("/ws?channel=room") as plain, sapphire.socket("/ws/room"):
            await next_of(plain, "connection")
            async with sapphire.socket("/ws?channel=room&presence=1") as asking:
                await Members(asking).until(lambda m: len(m.clients) == 3)
            await plain.send('{"type":"ping","id":1}')
            assert (await next_json(plain))["type"] == "pong"
    within(30, scenario())


def test_does_not_flap_for_a_client_that_resumes(sapphire):
    """P12: a resume within the grace makes no pair of leave and join. A witness that leaves at the
    same moment and does not come back shows that the grace has passed."""
    async def scenario():
        async with sapphire.socket("/ws?channel=room&presence=1") as observer:
            members = Members(observer)
            await members.until(lambda m: len(m.clients) == 1)
            first = await sapphire.socket("/ws?channel=room&presence=1")
            session = (await next_of(first, "connection"))["session"]
            await members.until(lambda m: len(m.clients) == 2)
            resuming = next(client for kind, client in members.log if kind == "join" and client in members.clients)
            witness = await sapphire.socket("/ws/room")
            await members.until(lambda m: len(m.clients) == 3)
            first.transport.abort()
            witness.transport.abort()
            await asyncio.gather(first.wait_closed(), witness.wait_closed())
            async with sapphire.socket(f"/ws?channel=room&presence=1&session={session}"):
                before = len(members.log)
                await members.until(lambda m: any(kind == "leave" for kind, _ in m.log[before:]))
                touched = [client for _, client in members.log[before:]]
                assert resuming not in touched and len(touched) == 1, members.log
    within(60, scenario())
