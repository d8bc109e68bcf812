"""Everything that can go wrong and be told to a client, each with its HTTP status.

    QRError                     500 internal_error
    +-- BadRequest              400 invalid_json, missing_field, unknown_field, ...
    |   +-- BadField                out_of_range, invalid_type, invalid_id
    +-- NotFound                404 not_found
    +-- Expired                 410 expired
    +-- BodyTooLarge            413 payload_too_large
    +-- Unprocessable           422
    |   +-- DataTooLong             data_too_long
    |   +-- Unscannable             unscannable
    |   +-- IdempotencyMismatch     idempotency_mismatch
    +-- Unavailable             503 unavailable
        +-- DatabaseUnavailable
        +-- StorageUnavailable

`detail` is one sentence for a person, `code` a stable word for a program, and `fields`
are further members of the problem document (RFC 9457, section 3.2). An error may quote
the field that the caller sent, and nothing else of the caller's.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

LONGEST_SHOWN = 64  # characters of a wrong value that an error repeats


def timestamp(moment: datetime) -> str:
    """UTC, whole seconds, `Z`: the only form in which the service writes a moment."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class QRError(Exception):
    """An error that the client is told about."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code = "internal_error"

    def __init__(self, detail: str, **fields: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fields = fields

    @property
    def headers(self) -> Mapping[str, str]:
        """Response headers that belong to this error."""
        return {}


class BadRequest(QRError):
    """The request is malformed; `code` says in which way, `field` where."""

    status = HTTPStatus.BAD_REQUEST

    def __init__(self, code: str, detail: str, **fields: Any) -> None:
        super().__init__(detail, **fields)
        self.code = code


class BadField(BadRequest):
    """The value of a field is not one of those that are allowed.

    `received` and `allowed` go into the problem document; a long value is cut.
    """

    code = "out_of_range"

    def __init__(
        self,
        field: str,
        received: Any,
        allowed: str | list[str],
        detail: str = "",
        *,
        code: str = code,
    ) -> None:
        choices = allowed if isinstance(allowed, str) else ", ".join(allowed)
        super().__init__(
            code,
            detail or f"{field} must be {choices}.",
            field=field,
            received=shown(received),
            allowed=allowed,
        )


def shown(value: Any) -> Any:
    """Return a wrong value as an error repeats it: short, and encodable as UTF-8."""
    if value is None or isinstance(value, bool | int | float):
        return value if len(text := json.dumps(value)) <= LONGEST_SHOWN else _cut(text)
    text = value if isinstance(value, str) else json.dumps(value)
    return _cut(text.encode(errors="backslashreplace").decode())


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"


class NotFound(QRError):
    """There is no such code, and nothing says that there ever was."""

    status = HTTPStatus.NOT_FOUND
    code = "not_found"


class Expired(QRError):
    """The code existed; `expired_at` is the moment from which it is gone."""

    status = HTTPStatus.GONE
    code = "expired"

    def __init__(self, expires_at: datetime) -> None:
        moment = timestamp(expires_at)
        super().__init__(f"This code expired at {moment}.", expired_at=moment)
        self.expires_at = expires_at


class BodyTooLarge(QRError):
    """The request body is larger than the service reads."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "payload_too_large"


class Unprocessable(QRError):
    """The request is well formed, but no code can be made of it."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class DataTooLong(Unprocessable):
    """The data fits no QR version at the requested level."""

    code = "data_too_long"


class Unscannable(Unprocessable):
    """The image would not be read by a scanner."""

    code = "unscannable"


class IdempotencyMismatch(Unprocessable):
    """The Idempotency-Key was used before, for another body."""

    code = "idempotency_mismatch"


class Unavailable(QRError):
    """A server that is needed does not answer; nothing is left half-written."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "unavailable"
    retry_after = 5

    @property
    def headers(self) -> Mapping[str, str]:
        """Seconds after which a retry is worth while (a database fails over in 60)."""
        return {"Retry-After": str(self.retry_after)}


class DatabaseUnavailable(Unavailable):
    """PostgreSQL does not answer.

    `maybe_executed` is true when a statement was sent whose outcome is not known.
    """

    def __init__(self, *, maybe_executed: bool) -> None:
        super().__init__("The database is not available; try again.")
        self.maybe_executed = maybe_executed


class StorageUnavailable(Unavailable):
    """S3 does not answer, or refuses."""

    def __init__(self) -> None:
        super().__init__("The image storage is not available; try again.")
