"""HTTP requests of the smoke test, the rehearsal and the tests.

No redirect is followed, and a status of 400 or more is an answer like any other.
"""

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 60.0  # seconds


class Unreachable(Exception):
    """No answer; the message is the reason, without the URL, which may be signed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; the names of its headers are case-insensitive."""

    status: int
    headers: "Mapping[str, str] | Message[str, str]"
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; None if it is something else."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"{self.status} {self.body[:500]!r}"  # it may be an image


def call(
    method: str,
    url: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    *,
    trusted: str | None = None,
    timeout: float = TIMEOUT,
) -> Answer:
    """Return the answer to a request; raise Unreachable without one.

    Bytes are sent as they are, any other body but None as JSON. `trusted` is a file of
    certificate authorities, by default the system's; `timeout` is in seconds.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        raise Unreachable("not an HTTP URL")
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=trusted)),
        _NoRedirect(),
    ]
    if urlsplit(url).hostname == "127.0.0.1":
        # Proxy settings must not apply to loopback.
        handlers.append(urllib.request.ProxyHandler({}))
    opener = urllib.request.build_opener(*handlers)
    request = urllib.request.Request(  # noqa: S310  the scheme was checked
        url, None if body is None else data, dict(headers or {}), method=method
    )
    try:
        with opener.open(request, timeout=timeout) as response:
            return Answer(response.status, response.headers, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise Unreachable(str(reason) or type(error).__name__) from None


def get(url: str, *, timeout: float = TIMEOUT, **headers: str) -> Answer:
    """Return the answer to a GET."""
    return call("GET", url, headers=headers, timeout=timeout)


def post(url: str, body: object, **headers: str) -> Answer:
    """Return the answer to a POST."""
    return call("POST", url, body, headers)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Return None, so the redirect itself is the answer."""
