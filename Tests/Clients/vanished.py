"""Clients of every kind whose network goes without a word, in a network of its own: `unshare -n`, as root.

Prints how long the gateway took to give each up, as JSON.
"""
import json
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True

from platform_under_test import Sapphire, eventually  # noqa: E402

ADDRESS = "10.9.9.9"
UPGRADE = ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n")
DOORS = {"socket": ("/ws/a", UPGRADE), "events": ("/sse?channel=a", ""), "lines": ("/stream?channel=a", "")}


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def measure(platform, path, fields):
    host, port = platform.url.removeprefix("http://").split(":")
    ip("address", "add", f"{ADDRESS}/32", "dev", "lo")
    with socket.socket() as client:
        client.bind((ADDRESS, 0))
        client.connect((host, int(port)))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n{fields}\r\n".encode())
        assert client.recv(12)[9:] in (b"101", b"200")
        eventually(10, "it is heard of", lambda: listeners(platform) == 1)
        # From here on nothing reaches the client, and nobody says so.
        ip("address", "delete", f"{ADDRESS}/32", "dev", "lo")
        began = time.monotonic()
        while listeners(platform):
            assert time.monotonic() - began < 60, "not given up"
            time.sleep(0.1)
        return round(time.monotonic() - began, 1)


def listeners(platform):
    return json.loads(platform.get("/channels")[2])["channels"].get("a", 0)


if __name__ == "__main__":
    ip("link", "set", "lo", "up")
    sapphire = Sapphire()
    try:
        sapphire.start("{ limits: { pingInterval: '2s', pongTimeout: '2s' } }")
        print(json.dumps({door: measure(sapphire, *DOORS[door]) for door in DOORS}))
    finally:
        sapphire.stop()
        sapphire.remove()
