"""A way to the gateway that can be shut: what it sends then waits on its side, as for a client that does not read."""
import asyncio
import contextlib
import socket


class Valve:
    def __init__(self, url):
        self.address = url.split("://")[1].rsplit(":", 1)
        self.flows = asyncio.Event()
        self.flows.set()
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = "http://127.0.0.1:%d" % self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.flows.set()
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def shut(self):
        self.flows.clear()

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.CancelledError):
            out = socket.socket()
            # Little of it waits here, the most of it where it is decided about.
            out.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            out.setblocking(False)
            await asyncio.get_running_loop().sock_connect(out, (self.address[0], int(self.address[1])))
            theirs, ours = await asyncio.open_connection(sock=out, limit=4096)
            pumps = [asyncio.create_task(self._pump(reader, ours)), asyncio.create_task(self._pump(theirs, writer, True))]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                ours.close()
                writer.close()
        self._tasks.discard(asyncio.current_task())

    async def _pump(self, reader, writer, valved=False):
        while True:
            if valved:
                await self.flows.wait()
            data = await reader.read(1 << 16)
            if not data:
                return
            writer.write(data)
            await writer.drain()
