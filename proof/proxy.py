"""A proxy in front of S3 that can refuse, fail, or lose answers."""

import http.client
import threading
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit


class Mode(StrEnum):
    """What the proxy does with requests."""

    NORMAL = "passes them on"
    REFUSE = "answers 403"
    FAIL_SOME = "answers 500 to every second key"
    CUT = "passes them on, and cuts the connection before the answer"


def _error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()


class Proxy:
    """The proxy, in a thread; its mode may change at any time."""

    def __init__(self, target: str) -> None:
        self.mode = Mode.NORMAL
        self.target = urlsplit(target).netloc
        handler = type("ProxyHandler", (_Handler,), {"proxy": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client has closed its connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    proxy: Proxy

    def _pass_on(self) -> None:
        mode = self.proxy.mode
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        is_some = sum(self.path.encode()) % 2 == 0
        if mode is Mode.REFUSE:
            self._answer(403, {}, _error("AccessDenied"))
        elif mode is Mode.FAIL_SOME and is_some:
            self._answer(500, {}, _error("InternalError"))
        else:
            # The signature covers the Host header, which is passed on as well.
            connection = http.client.HTTPConnection(self.proxy.target, timeout=60)
            try:
                connection.request(self.command, self.path, body, dict(self.headers))
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException):
                self.close_connection = True
                return
            finally:
                connection.close()
            if mode is Mode.CUT:
                self.close_connection = True
            else:
                self._answer(answer.status, dict(answer.getheaders()), content)

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in (
                "content-length",
                "transfer-encoding",
                "connection",
            ):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Log nothing."""
