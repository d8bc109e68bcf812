"""A fake S3 that reports every object as deleted, at once, over real HTTP.

Measurements against it show the client's own work and its waiting for the database.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context

# The answer to a quiet DeleteObjects lists only failures (Amazon S3 API reference).
ANSWER = b'<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>'


class Handler(BaseHTTPRequestHandler):
    """A handler of DeleteObjects, which is the only POST request."""

    protocol_version = "HTTP/1.1"  # keeps the connection open

    def do_POST(self) -> None:
        """Read the keys, and delete none."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def instant_s3() -> Iterator[str]:
    """Run it in a process of its own; yield its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        process = get_context("fork").Process(target=server.serve_forever, daemon=True)
        process.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        process.terminate()
        process.join()
