"""S3 for single objects: signed requests over connections that are kept open.

A request is only a signature and a PUT. boto3 would take half of a cold start and 60 %
of the time of a request (`make bench`). `deletion` uses boto3, because it deletes
thousands of objects.
"""

import http.client
import ssl
import unicodedata
from datetime import UTC, datetime
from functools import cache
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
    """The bucket that holds the images.

    Each request has a connection to itself, so threads may send some at once.
    """

    def __init__(self, settings: Settings) -> None:
        self._urls = PresignedUrls(settings)
        self._idle: list[http.client.HTTPConnection] = []

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
        """Close the connections that are idle; the next request opens a new one."""
        while self._idle:
            self._idle.pop().close()

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
            connection = self._connection(url.scheme, url.netloc)
            try:
                connection.request(method, f"{url.path}?{url.query}", body, headers)
                with connection.getresponse() as response:
                    answer = response.read()
            except TimeoutError as error:
                self._failed(connection, method, **describe(error))
                break
            except (OSError, http.client.HTTPException) as error:
                # For example, it was closed while the environment was frozen.
                self._failed(connection, method, **describe(error))
                continue
            if response.status < HTTPStatus.MULTIPLE_CHOICES:
                self._idle.append(connection)
                return answer
            self._failed(connection, method, status=response.status)
            if response.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                break
        raise StorageUnavailable

    def _connection(self, scheme: str, host: str) -> http.client.HTTPConnection:
        """Return a connection that no other thread uses."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect(scheme, host)

    def _connect(self, scheme: str, host: str) -> http.client.HTTPConnection:
        if scheme == "https":
            return http.client.HTTPSConnection(host, timeout=TIMEOUT, context=_trust())
        return http.client.HTTPConnection(host, timeout=TIMEOUT)

    def _failed(
        self, connection: http.client.HTTPConnection, method: str, **fields: Any
    ) -> None:
        """Close the connection, and the idle ones, which may be lost as well."""
        logger.warning("storage request failed", method=method, **fields)
        connection.close()
        self.close()


@cache
def _trust() -> ssl.SSLContext:
    """Return the certificates that are trusted; reading them takes 20 ms."""
    return ssl.create_default_context()


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
