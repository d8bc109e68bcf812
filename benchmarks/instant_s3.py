"""A fake S3 in memory that answers at once, over real HTTP.

Measurements against it show the client's own work and its waiting for the database. It
has the requests that the cleanup sends, and PUT; it checks no signature.
"""

import re
from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from multiprocessing import get_context
from urllib.parse import parse_qs, urlsplit

NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
# The answer to a quiet DeleteObjects lists only failures (Amazon S3 API reference).
DELETED = f"<DeleteResult {NAMESPACE}/>".encode()
OLD = "2020-01-01T00:00:00.000Z"
PAGE = 1000  # keys
_KEY = re.compile(rb"<Key>([^<]+)</Key>")


class Bucket:
    """Keys in order, and when those were stored that are not old."""

    def __init__(self, keys: Iterable[str]) -> None:
        self.keys = sorted(keys)
        self.stored_at: dict[str, str] = {}
        self.deleted: set[str] = set()

    def put(self, key: str) -> None:
        """Add a new key."""
        insort(self.keys, key)
        self.stored_at[key] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")

    def listed(self, prefix: str, after: str) -> bytes:
        """Return the answer to ListObjectsV2."""
        start = bisect_right(self.keys, max(after, prefix))
        keys = (self.keys[n] for n in range(start, len(self.keys)))
        found = (key for key in keys if key not in self.deleted)
        page = list(islice(found, PAGE + 1))
        page = [key for key in page if key.startswith(prefix)]
        contents = "".join(
            f"<Contents><Key>{key}</Key><Size>600</Size>"
            f"<LastModified>{self.stored_at.get(key, OLD)}</LastModified></Contents>"
            for key in page[:PAGE]
        )
        truncated = str(len(page) > PAGE).lower()
        return (
            f"<ListBucketResult {NAMESPACE}><IsTruncated>{truncated}</IsTruncated>"
            f"{contents}</ListBucketResult>"
        ).encode()


class Handler(BaseHTTPRequestHandler):
    """A handler of ListObjectsV2, DeleteObjects and PutObject."""

    protocol_version = "HTTP/1.1"  # keeps the connection open
    disable_nagle_algorithm = True  # or the body waits 40 ms for the ACK of the header
    bucket: Bucket

    def do_GET(self) -> None:
        """List a page."""
        query = parse_qs(urlsplit(self.path).query)
        (prefix,), (after,) = (query.get(n, [""]) for n in ("prefix", "start-after"))
        self._answer(self.bucket.listed(prefix, after))

    def do_POST(self) -> None:
        """Delete keys."""
        keys = _KEY.findall(self.rfile.read(int(self.headers["Content-Length"])))
        self.bucket.deleted.update(key.decode() for key in keys)
        self._answer(DELETED)

    def do_PUT(self) -> None:
        """Keep the key."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.bucket.put(self.path.split("/", 2)[2])
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)  # with a Date, by which the sweep measures ages
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def instant_s3(keys: Iterable[str] = ()) -> Iterator[str]:
    """Run it with old objects, in a process of its own; yield its URL."""
    handler = type("BucketHandler", (Handler,), {"bucket": Bucket(keys)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        process = get_context("fork").Process(target=server.serve_forever, daemon=True)
        process.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        process.terminate()
        process.join()
