"""python-socketio on uvicorn: rooms, in one process."""
import socketio
sio = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*", http_compression=False)
app = socketio.ASGIApp(sio)

@sio.on("sub")
async def sub(sid, room):
    await sio.enter_room(sid, room)

@sio.on("pub")
async def pub(sid, room, data):
    await sio.emit("m", data, room=room)

@sio.on("echo")
async def echo(sid, data):
    await sio.emit("m", data, to=sid)
