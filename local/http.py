"""HTTP requests of the smoke test, the rehearsal and the tests.

No redirect is followed, and a status of 400 or more is an answer like any other.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

TIMEOUT = 60  # seconds
Unreachable = requests.RequestException


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; its headers are found in either case of letters."""

    status: int
    headers: Mapping[str, str]
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
    certificate authorities, by default the system's.
    """
    data = body if body is None or isinstance(body, bytes) else json.dumps(body)
    with requests.Session() as session:
        # A proxy of the environment is for other hosts.
        session.trust_env = urlsplit(url).hostname != "127.0.0.1"
        response = session.request(
            method,
            url,
            data=data,
            headers=headers,
            timeout=timeout,
            verify=trusted or True,
            allow_redirects=False,
        )
    return Answer(response.status_code, response.headers, response.content)


def get(url: str, **headers: str) -> Answer:
    """Return the answer to a GET."""
    return call("GET", url, headers=headers)


def post(url: str, body: object, **headers: str) -> Answer:
    """Return the answer to a POST."""
    return call("POST", url, body, headers)
