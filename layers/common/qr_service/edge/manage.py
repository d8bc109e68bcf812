"""What a request to manage codes says: query, precondition, changes."""

import base64
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache

from qr_service.codes import check_qr_id
from qr_service.config import Settings
from qr_service.edge.fields import Field, read_all
from qr_service.edge.request import (
    expiration_field,
    hosts_of,
    label_field,
    load,
    target_field,
)
from qr_service.errors import BadField, BadRequest

MOST_LISTED, LISTED = 100, 50  # codes on a page
QUERY = ("cursor", "limit", "expires_before")
DAYS = ("from", "to")
_FIRST = (datetime.max.replace(tzinfo=UTC), "ffffffff-ffff-ffff-ffff-ffffffffffff")
_LAST = datetime.max.replace(tzinfo=UTC)
_OF_DYNAMIC = ("data", "expired_url")
_TAG = r'(?:W/)?"[^"]*"'
_TAGS = re.compile(rf"{_TAG}(?:[ \t]*,[ \t]*{_TAG})*")


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Which codes are listed: those after (created_at, id) that end before a moment."""

    after: tuple[datetime, str]
    before: datetime
    limit: int


@dataclass(frozen=True, slots=True)
class Patch:
    """What a PATCH changes: the values of those fields that `names` has."""

    names: Collection[str]
    expiration_hours: float | None = None
    label: str | None = None
    data: str | None = None
    expired_url: str | None = None

    @property
    def of_dynamic(self) -> list[str]:
        """The names of fields that static codes lack."""
        return [name for name in _OF_DYNAMIC if name in self.names]


def parse_query(given: Mapping[str, str]) -> ListQuery:
    """Return the checked query of GET /codes; raises BadRequest."""
    return ListQuery(
        after=_position(given["cursor"]) if "cursor" in given else _FIRST,
        before=_moment(given["expires_before"]) if "expires_before" in given else _LAST,
        limit=_limit(given["limit"]) if "limit" in given else LISTED,
    )


def parse_days(given: Mapping[str, str]) -> tuple[date, date]:
    """Return the first and the last day of GET /codes/{qr_id}/scans.

    Without them, all days. Raises BadRequest.
    """
    first, last = (
        _day(name, given[name]) if name in given else default
        for name, default in zip(DAYS, (date.min, date.max), strict=True)
    )
    if first > last:
        raise BadField("to", f"{last}", f"{first}, which is `from`, or later")
    return first, last


def cursor_of(created_at: datetime, qr_id: str) -> str:
    """Return the cursor of the page after a code."""
    text = f"{created_at.astimezone(UTC).isoformat()} {qr_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parse_patch(body: bytes, settings: Settings, called: str = "") -> Patch:
    """Return the checked body of a PATCH; raises BodyTooLarge or BadRequest.

    `called` is the host that was called.
    """
    fields = load(body)
    own_hosts = hosts_of(settings, called)
    declared = patch_fields(settings.max_expiration_hours, own_hosts)
    return Patch(fields.keys(), **read_all(declared, fields))


@lru_cache(8)
def patch_fields(
    most_hours: float, own_hosts: frozenset[str] = frozenset()
) -> tuple[Field, ...]:
    """Return the fields of PATCH /codes/{qr_id}; of what is absent nothing changes."""
    return (
        label_field(nullable=True),
        expiration_field(
            most_hours,
            about="How long the code lives from now on, longer or shorter than before. "
            "It brings a dynamic code back that has ended by itself.",
        ),
        target_field(
            "data", own_hosts, about="Of a dynamic code: where a scan is sent."
        ),
        target_field(
            "expired_url",
            own_hosts,
            nullable=True,
            about="Of a dynamic code: where a scan is sent after the end; null removes "
            "it.",
        ),
    )


def precondition(header: str | None) -> Callable[[int], bool] | None:
    """Return whether If-Match admits a revision, None if there is no such header.

    Weak tags never match (RFC 9110, section 13.1.1). Raises BadRequest.
    """
    if header is None:
        return None
    header = header.strip(" \t")
    if header == "*":
        return lambda _: True
    if not _TAGS.fullmatch(header):
        raise BadRequest(
            "invalid_header",
            "If-Match is an ETag, in quotes, or *.",
            field="If-Match",
            allowed='an ETag such as "1", or *',
        )
    tags = re.findall(_TAG, header)
    return lambda revision: tag_of(revision) in tags


def tag_of(revision: int) -> str:
    """Return the ETag of a revision."""
    return f'"{revision}"'


def _position(cursor: str) -> tuple[datetime, str]:
    try:
        text = base64.b64decode(
            cursor + "=" * (-len(cursor) % 4), altchars="-_", validate=True
        ).decode()
        created_at, _, qr_id = text.partition(" ")
        return _aware(datetime.fromisoformat(created_at)), check_qr_id(qr_id)
    except (ValueError, OverflowError, BadRequest):
        raise BadField("cursor", cursor, "the `next` of an earlier page") from None


def _moment(text: str) -> datetime:
    try:
        return _aware(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        raise BadField(
            "expires_before", text, "a moment such as 2030-01-31T12:00:00Z"
        ) from None


def _day(name: str, text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise BadField(name, text, "a day (UTC) such as 2030-01-31") from None


def _limit(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= MOST_LISTED:
        raise BadField("limit", text, f"1..{MOST_LISTED}")
    return int(text)


def _aware(moment: datetime) -> datetime:
    """Return a moment in UTC: PostgreSQL accepts no offset of sixteen hours or more."""
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment.astimezone(UTC)
