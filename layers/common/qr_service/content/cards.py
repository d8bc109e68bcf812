"""Contacts and events: vCard (RFC 2426) and iCalendar (RFC 5545), a line a property."""

import re
from datetime import UTC, datetime

from qr_service.errors import BadField

_SPECIAL = re.compile(r"([\\;,])")
_LINE_BREAK = re.compile(r"\r\n?|\n")


def vcard(name: str, **properties: str | None) -> str:
    """Return a vCard 3.0; properties are those of _VCARD, in that order.

    The structured name N is required, but nobody can say which part of a name is the
    family's: the whole name is its first part, and is shown as it is.
    """
    lines = [("VERSION", "3.0"), ("N", f"{_escaped(name)};;;;"), ("FN", _escaped(name))]
    for field, property_ in _VCARD.items():
        if value := properties[field]:
            kept = value if property_ == "URL" else _escaped(value)
            lines.append((property_, f";;{kept};;;;" if property_ == "ADR" else kept))
    return _component("VCARD", lines)


_VCARD = {
    "organization": "ORG",
    "title": "TITLE",
    "phone": "TEL",
    "email": "EMAIL",
    "url": "URL",
    "address": "ADR",  # all of it as the street, since it is not in parts
    "note": "NOTE",
}


def event(
    title: str,
    start: datetime,
    end: datetime | None,
    location: str | None,
    description: str | None,
) -> str:
    """Return a VEVENT in UTC, without a calendar around it, as telephones read it."""
    if end is not None and end < start:
        raise BadField("content.end", end.isoformat(), "not before content.start")
    lines = [("SUMMARY", _escaped(title)), ("DTSTART", _moment(start))]
    if end is not None:
        lines.append(("DTEND", _moment(end)))
    for name, value in (("LOCATION", location), ("DESCRIPTION", description)):
        if value:
            lines.append((name, _escaped(value)))
    return _component("VEVENT", lines)


def _component(name: str, lines: list[tuple[str, str]]) -> str:
    whole = [("BEGIN", name), *lines, ("END", name)]
    return "".join(f"{key}:{value}\r\n" for key, value in whole)


def _escaped(value: str) -> str:
    return _LINE_BREAK.sub(r"\\n", _SPECIAL.sub(r"\\\1", value))


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
