"""The API of the service, a method for each call."""

import json
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

import urllib3

Fields = dict[str, Any]  # a JSON object

MOST_ITEMS = 100  # of a batch
LOCAL = ("127.0.0.1", "localhost", "::1")
# API Gateway answers within 29 s.
TIMEOUT = urllib3.Timeout(connect=10, read=60)


class Problem(Exception):
    """A refusal: `document` is the problem document (RFC 9457)."""

    def __init__(self, document: Fields) -> None:
        super().__init__(document.get("detail", "no detail"))
        self.document = document
        self.status = int(document.get("status", 0))
        self.code = str(document.get("code", ""))


class Unreachable(Exception):
    """The service did not answer, or not with JSON, however often it was tried."""


class Client:
    """A client of one service, for any number of threads.

    A request that is throttled (429), unavailable (503) or cut off is repeated, after
    what `Retry-After` says, or after 1, 2, 4 ... 30 seconds. A code is created once all
    the same: each creation has an Idempotency-Key.
    """

    def __init__(
        self, url: str, api_key: str = "", *, tries: int = 8, connections: int = 8
    ) -> None:
        """Raise ValueError for an address that would send the key without TLS."""
        self.url = url.rstrip("/")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not the address of a service.")
        if parts.scheme == "http" and parts.hostname not in LOCAL:
            raise ValueError(f"{url} would send the API key without TLS: use https.")
        self._headers = {"X-Api-Key": api_key} if api_key else {}
        retries = urllib3.Retry(
            total=tries - 1,
            status_forcelist=(429, 500, 502, 503, 504),
            allowed_methods=None,  # all: those that create have a key
            backoff_factor=1,
            backoff_max=30,
            backoff_jitter=0.5,
            raise_on_status=False,
        )
        self._pool = urllib3.PoolManager(
            num_pools=4, maxsize=connections, retries=retries, timeout=TIMEOUT
        )

    def generate(
        self, *, key: str = "", include_image: bool = False, **fields: Any
    ) -> Fields:
        """Create a code of these fields; return what `POST /generate` answers.

        With a `key` of your own the call can be repeated later as well.
        """
        query = {"include": "image"} if include_image else {}
        return self._json("POST", "/generate", fields, query, key=key or f"{uuid4()}")

    def generate_batch(
        self,
        items: Iterable[Fields],
        *,
        defaults: Fields | None = None,
        key: str = "",
        dry_run: bool = False,
    ) -> list[Fields]:
        """Create up to 100 codes; return the result of each item, in their order.

        Each item has its `ref`. A result has `ref`, `status` (201, of a dry run 200),
        and the members of the answer or of the problem document.
        """
        body = {"defaults": defaults or {}, "items": list(items)}
        query = {"dry_run": "true"} if dry_run else {}
        key = key or f"{uuid4()}"
        answer = self._json("POST", "/generate/batch", body, query, key=key)
        results: list[Fields] = answer["results"]
        return results

    def retrieve(self, qr_id: str) -> Fields:
        """Return `qr_code`, a presigned URL of the image, and when both expire."""
        return self._json("GET", f"/retrieve/{quote(qr_id)}")

    def image(self, qr_id: str) -> bytes:
        """Return the image of a code."""
        return self.image_file(qr_id)[1]

    def image_file(self, qr_id: str) -> tuple[str, bytes]:
        """Return the format of a code's image, such as "png", and its bytes."""
        url = self.retrieve(qr_id)["qr_code"]
        answer = self._send("GET", url, {})  # without the key: it is S3
        if answer.status != 200:
            raise Unreachable(
                f"The image of {qr_id} was answered with {answer.status}."
            )
        return PurePosixPath(urlsplit(url).path).suffix[1:], answer.data

    def codes(self, **query: str) -> Iterator[Fields]:
        """Yield your codes, newest first; `expires_before` and `limit` are accepted."""
        cursor: dict[str, str] = {}
        while True:
            page = self._json("GET", "/codes", query=query | cursor)
            yield from page["codes"]
            if page["next"] is None:
                return
            cursor = {"cursor": page["next"]}

    def change(self, qr_id: str, **fields: Any) -> Fields:
        """Change a code of yours as it is now; return it.

        Raises Problem with the code `precondition_failed` if somebody else changes it
        at the same time.
        """
        path = f"/codes/{quote(qr_id)}"
        tag = self._answer("GET", path).headers["ETag"]
        return self._json("PATCH", path, fields, headers={"If-Match": tag})

    def end(self, qr_id: str) -> None:
        """End a code of yours at once; one that has ended is no error."""
        try:
            self._answer("DELETE", f"/codes/{quote(qr_id)}")
        except Problem as problem:
            if problem.status != 410:
                raise

    def document(self) -> Fields:
        """Return the OpenAPI document of the service."""
        return self._json("GET", "/openapi.json")

    def _json(
        self,
        method: str,
        path: str,
        body: Fields | None = None,
        query: dict[str, str] | None = None,
        *,
        key: str = "",
        headers: dict[str, str] | None = None,
    ) -> Fields:
        more = {**(headers or {}), **({"Idempotency-Key": key} if key else {})}
        return _object(self._answer(method, path, body, query, more))

    def _answer(
        self,
        method: str,
        path: str,
        body: Fields | None = None,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """Return the answer to a request; raises Problem and Unreachable."""
        url = f"{self.url}{path}{f'?{urlencode(query)}' if query else ''}"
        sent = {**self._headers, **(headers or {})}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        answer = self._send(method, url, sent, data)
        if answer.status >= 300:
            raise Problem(_object(answer))
        return answer

    def _send(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None = None
    ) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.request(
                method, url, body=body, headers=headers, redirect=False
            )
        except urllib3.exceptions.HTTPError as error:
            host = urlsplit(url).netloc
            reason = getattr(error, "reason", None) or error
            raise Unreachable(f"{host} does not answer: {reason}") from error


def _object(answer: urllib3.BaseHTTPResponse) -> Fields:
    try:
        found = json.loads(answer.data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Unreachable(f"The answer {answer.status} is not that of the service.")
    return found
