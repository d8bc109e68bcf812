"""S3 for single objects: signed requests over one connection that is kept open.

A request is only a signature and a PUT. boto3 would take half of a cold start and 60 %
of the time of a request (`make bench`). `deletion` uses boto3, because it deletes
thousands of objects.
"""

import http.client
import ssl
import unicodedata
from datetime import UTC, datetime
from http import HTTPStatus
from string import ascii_letters, digits
from typing import Any
from urllib.parse import quote, urlsplit

from qr_service.config import Settings
from qr_service.errors import StorageUnavailable
from qr_service.stores.presigned import PresignedUrls
from qr_service.telemetry import describe, logger

TIMEOUT = 3.0  # seconds, for connecting and for each answer
_TRIES = 2
_SIGNATURE_SECONDS = 60
_PLAIN = frozenset(f" !#$&'()+,-.=@[]^_`{{}}~{ascii_letters}{digits}")


class Storage:
    """The bucket that holds the images."""

    def __init__(self, settings: Settings) -> None:
        self._urls = PresignedUrls(settings)
        self._connection: http.client.HTTPConnection | None = None

    def put(self, key: str, body: bytes, content_type: str, name: str = "") -> None:
        """Store an object, or raise StorageUnavailable.

        `name` is the file name under which it is saved, the end of the key if empty.
        """
        headers = {"Content-Type": content_type}
        if name:
            headers["Content-Disposition"] = _disposition(name)
        self._request("PUT", key, body, headers)

    def get(self, key: str) -> bytes:
        """Return an object, or raise StorageUnavailable, also if there is none."""
        return self._request("GET", key, b"", {})

    def delete(self, key: str) -> None:
        """Delete an object if it exists, or raise StorageUnavailable."""
        self._request("DELETE", key, b"", {})

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _request(
        self, method: str, key: str, body: bytes, headers: dict[str, str]
    ) -> bytes:
        """Return the answer to a request, sent at most twice.

        Repeating a PUT, GET or DELETE changes nothing.
        """
        for _ in range(_TRIES):
            url = urlsplit(
                self._urls.sign(method, key, datetime.now(UTC), _SIGNATURE_SECONDS)
            )
            try:
                connection = self._connect(url.scheme, url.netloc)
                connection.request(method, f"{url.path}?{url.query}", body, headers)
                with connection.getresponse() as response:
                    answer = response.read()
            except TimeoutError as error:
                self._failed(method, **describe(error))
                break
            except (OSError, http.client.HTTPException) as error:
                # For example, it was closed while the environment was frozen.
                self._failed(method, **describe(error))
                continue
            if response.status < HTTPStatus.MULTIPLE_CHOICES:
                return answer
            self._failed(method, status=response.status)
            if response.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                break
        raise StorageUnavailable

    def _connect(self, scheme: str, host: str) -> http.client.HTTPConnection:
        if self._connection is None:
            if scheme == "https":
                context = ssl.create_default_context()
                self._connection = http.client.HTTPSConnection(
                    host, timeout=TIMEOUT, context=context
                )
            else:
                self._connection = http.client.HTTPConnection(host, timeout=TIMEOUT)
        return self._connection

    def _failed(self, method: str, **fields: Any) -> None:
        logger.warning("storage request failed", method=method, **fields)
        self.close()


def _disposition(name: str) -> str:
    """Return the header that names a file (RFC 6266): in ASCII, and as it is.

    A name in ASCII has no quotation mark and no backslash. Others may have a wide one,
    which normalising makes a plain one.
    """
    if name.isascii():
        return f'inline; filename="{name}"'
    stem, _, extension = name.rpartition(".")
    decomposed = unicodedata.normalize("NFKD", stem)
    plain = "".join(filter(_PLAIN.__contains__, decomposed))
    exact = quote(name, safe="")
    return (
        f'inline; filename="{plain.strip() or "code"}.{extension}"; '
        f"filename*=UTF-8''{exact}"
    )
