"""All errors that the service returns to a client, each with its HTTP status.

    QRError                     500 internal_error
    +-- BadRequest              400 invalid_json, missing_field, unknown_field, ...
    |   +-- BadField                out_of_range, invalid_type, invalid_id
    +-- NotFound                404 not_found
    +-- Expired                 410 expired
    +-- PreconditionFailed      412 precondition_failed
    +-- BodyTooLarge            413 payload_too_large
    +-- Unprocessable           422
    |   +-- DataTooLong             data_too_long
    |   +-- Unscannable             unscannable
    |   +-- IdempotencyMismatch     idempotency_mismatch
    |   +-- NotDynamic              not_dynamic
    |   +-- DynamicUnavailable      dynamic_unavailable
    +-- PreconditionRequired    428 precondition_required
    +-- Unavailable             503 unavailable
        +-- DatabaseUnavailable
        +-- StorageUnavailable
        +-- OutOfTime

`detail` is one sentence for a person, `code` a stable word for a program, and `fields`
are further members of the problem document (RFC 9457, section 3.2). An error may quote
the invalid field that the caller sent, but no other data of the caller.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

LONGEST_SHOWN = 64  # characters of an invalid value that an error quotes


def timestamp(moment: datetime) -> str:
    """Return a moment as UTC, whole seconds and `Z`, the only format of the service."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class QRError(Exception):
    """An error that the service returns to the client."""

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
    """A malformed request; `code` says how, `field` says where."""

    status = HTTPStatus.BAD_REQUEST

    def __init__(self, code: str, detail: str, **fields: Any) -> None:
        super().__init__(detail, **fields)
        self.code = code


class BadField(BadRequest):
    """A field whose value is not allowed.

    The problem document contains `received` and `allowed`; a long value is truncated.
    """

    code = "out_of_range"

    def __init__(
        self,
        field: str,
        received: Any,
        allowed: str | list[str],
        detail: str = "",
        *,
        code: str | None = None,
    ) -> None:
        choices = allowed if isinstance(allowed, str) else either(allowed)
        super().__init__(
            code or self.code,
            detail or f"{field} must be {choices}.",
            field=field,
            received=shown(received),
            allowed=allowed,
        )


def either(choices: Sequence[str]) -> str:
    """Return a list in words: "a, b or c"."""
    return " or ".join(filter(None, [", ".join(choices[:-1]), choices[-1]]))


def shown(value: Any) -> Any:
    """Return an invalid value as errors quote it: short, and encodable as UTF-8."""
    if value is None or isinstance(value, bool | int | float):
        return value if len(text := json.dumps(value)) <= LONGEST_SHOWN else _cut(text)
    text = value if isinstance(value, str) else json.dumps(value)
    return _cut(text.encode(errors="backslashreplace").decode())


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"


class NotFound(QRError):
    """An id without a code or a tombstone, or a path without a route."""

    status = HTTPStatus.NOT_FOUND
    code = "not_found"


class Expired(QRError):
    """A code that existed; `expired_at` is the moment at which it expired."""

    status = HTTPStatus.GONE
    code = "expired"

    def __init__(self, expires_at: datetime) -> None:
        moment = timestamp(expires_at)
        super().__init__(f"This code expired at {moment}.", expired_at=moment)
        self.expires_at = expires_at


class PreconditionFailed(QRError):
    """A code that was changed since the revision that If-Match names."""

    status = HTTPStatus.PRECONDITION_FAILED
    code = "precondition_failed"

    def __init__(self) -> None:
        super().__init__(
            "The code was changed since it was read; read it again.", field="If-Match"
        )


class PreconditionRequired(QRError):
    """A change without If-Match, which could undo another one."""

    status = HTTPStatus.PRECONDITION_REQUIRED
    code = "precondition_required"

    def __init__(self) -> None:
        super().__init__(
            "If-Match must name the ETag of the code as it was read.", field="If-Match"
        )


class BodyTooLarge(QRError):
    """A request body that is larger than the service accepts."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "payload_too_large"


class Unprocessable(QRError):
    """A well-formed request from which no code can be created."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class DataTooLong(Unprocessable):
    """Data that fits no QR version at the requested level."""

    code = "data_too_long"


class Unscannable(Unprocessable):
    """An image that a scanner would not read."""

    code = "unscannable"


class IdempotencyMismatch(Unprocessable):
    """An Idempotency-Key that was used before with another body."""

    code = "idempotency_mismatch"


class NotDynamic(Unprocessable):
    """A request about target or scans of a code whose image holds the text itself."""

    code = "not_dynamic"

    def __init__(self, field: str, what: str = "cannot change") -> None:
        detail = f"{field} of this code {what}: the image holds the text itself."
        super().__init__(detail, field=field)


class DynamicUnavailable(Unprocessable):
    """A dynamic code, of a service without an address that may be printed."""

    code = "dynamic_unavailable"

    def __init__(self) -> None:
        super().__init__(
            "This service creates no dynamic codes: its operator has set no PublicUrl, "
            "the address that would be printed.",
            field="dynamic",
        )


class Unavailable(QRError):
    """No answer from a required server; nothing is left half-written."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "unavailable"
    retry_after = 5

    @property
    def headers(self) -> Mapping[str, str]:
        """Seconds after which to retry (a failover of the database takes 60)."""
        return {"Retry-After": str(self.retry_after)}


class DatabaseUnavailable(Unavailable):
    """No answer from PostgreSQL.

    `maybe_executed` is true if a statement was sent and its outcome is unknown.
    """

    def __init__(self, *, maybe_executed: bool) -> None:
        super().__init__("The database is not available; try again.")
        self.maybe_executed = maybe_executed


class StorageUnavailable(Unavailable):
    """No answer from S3, or a refusal."""

    def __init__(self) -> None:
        super().__init__("The image storage is not available; try again.")


class OutOfTime(Unavailable):
    """An item of a batch that was not begun, so that the others are answered."""

    def __init__(self) -> None:
        super().__init__("There was no time left for this item; send it again.")
