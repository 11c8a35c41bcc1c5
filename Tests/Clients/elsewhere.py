"""Pages that come from somewhere else than the platform, for browsers."""
import contextlib
import http.server
import threading

EMPTY = {"/": ("text/html", b"<!doctype html><title>elsewhere</title><link rel=\"icon\" href=\"data:,\">")}


@contextlib.contextmanager
def serving(files=EMPTY, host="127.0.0.1"):
    """The port at which `files`, {path: (media type, bytes)}, stand while the context lasts."""
    class Pages(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            kind, body = files.get(self.path, (None, b""))
            self.send_response(200 if kind else 404)
            self.send_header("Content-Type", f"{kind or 'text/plain'}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass
    with http.server.ThreadingHTTPServer((host, 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
