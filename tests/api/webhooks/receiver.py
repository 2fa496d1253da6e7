"""A real HTTP server that takes webhooks as a test tells it to, and keeps what it was sent."""

import contextlib
import http.server
import threading


class Receiver:
    """`behave` is called with the handler for every request; `requests` holds (path, headers, body) in order."""

    def __init__(self):
        self.requests = []
        self.behave = lambda handler: answer(handler, 204)
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((self.path, dict(self.headers), body))
                receiver.behave(self)

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    @contextlib.contextmanager
    def running(self):
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()


def answer(handler, status, **headers):
    """A whole answer without body."""
    with contextlib.suppress(OSError):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
