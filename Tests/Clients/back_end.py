"""A back end that is asked and told by hooks: a process of its own, that does as a test says.

    back_end.py PORT [KEYFILE]      PORT 0 picks one; prints `ready PORT`

POST /test/mode {"hook": "publish", "mode": "slow", "seconds": 0.5}   what it does with the next questions
GET  /test/seen                                                       all that it was asked, in the order it came
"""
import contextlib
import hashlib
import hmac
import json
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

seen, modes, lock = [], {}, threading.Lock()
keys = []


def is_signed(head, body):
    """As docs/HOOKS.md shows it."""
    parts = [part.split("=", 1) for part in head.get("Sapphire-Signature", "").split(",")]
    moment = next((value for name, value in parts if name == "t"), "")
    if abs(time.time() - int(moment or 0)) > 30:
        return False
    return any(
        hmac.compare_digest(value, hmac.new(key, moment.encode() + b"." + body, hashlib.sha256).hexdigest())
        for name, value in parts if name == "v1" for key in keys)


def answer(hook, ask, head):
    data = ask.get("data") if isinstance(ask.get("data"), dict) else {}
    if "answer" in data:
        return data["answer"]
    if hook == "connect":
        cookies = dict(part.strip().split("=", 1) for part in head.get("Cookie", "").split(";") if "=" in part)
        return {"result": {"user": data.get("as") or cookies.get("user", "")}}
    if hook == "subscribe" and ask["channel"].startswith("asked:closed"):
        return {"error": {"code": 1403, "message": "closed"}}
    if hook == "subscribe" and ask["channel"].startswith("asked:away"):
        return {"disconnect": {"code": 4501, "reason": "go away"}}
    if hook == "rpc":
        return {"result": {"data": {"method": ask["method"], "asked": ask.get("data"), "by": ask["user"]}}}
    return {"result": {}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        with lock:
            self.say(200, json.dumps(seen).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        ask = json.loads(body)
        hook = self.path.rsplit("/", 1)[1]
        if self.path == "/test/mode":
            with lock:
                if ask["mode"] == "meet":
                    ask["meeting"] = threading.Barrier(ask["count"])
                modes[ask["hook"]] = ask
                if ask.get("forget"):
                    seen.clear()
            return self.say(200, b"{}")
        with lock:
            seen.append({"hook": hook, "ask": ask, "signed": is_signed(self.headers, body),
                         "cookie": self.headers.get("Cookie"), "type": self.headers.get("Content-Type")})
            mode = dict(modes.get(hook, {}))
        self.carry_out(hook, mode, ask)

    def carry_out(self, hook, mode, ask):
        kind = mode.get("mode", "ok")
        if kind == "slow":
            time.sleep(mode["seconds"])
        elif kind == "meet":
            # Until so many are asked at once: whoever asks them in turn has no answer.
            with contextlib.suppress(threading.BrokenBarrierError):
                mode["meeting"].wait(10)
        elif kind == "random":
            time.sleep(random.random() * mode["seconds"])
        elif kind == "status":
            return self.say(mode["status"], b'{"result":{}}')
        elif kind == "garbage":
            return self.say(200, b"<html>hello</html>")
        elif kind == "nothing":
            return self.say(200, b"{}")
        elif kind == "long":
            return self.say(200, json.dumps({"result": {"data": "x" * 70000}}).encode())
        elif kind == "close":
            self.close_connection = True
            return None
        elif kind == "half":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            self.wfile.flush()
            # Until who asked has given it up.
            self.connection.settimeout(10)
            with contextlib.suppress(OSError):
                self.connection.recv(1)
            self.close_connection = True
            return None
        elif kind == "answer":
            return self.say(200, json.dumps(mode["answer"]).encode())
        return self.say(200, json.dumps(answer(hook, ask, self.headers)).encode())

    def say(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    if len(sys.argv) > 2:
        with open(sys.argv[2], "rb") as file:
            keys.extend(line for line in file.read().split(b"\n") if line)
    ThreadingHTTPServer.request_queue_size = 128
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    server.daemon_threads = True
    print(f"ready {server.server_address[1]}", flush=True)
    server.serve_forever()
