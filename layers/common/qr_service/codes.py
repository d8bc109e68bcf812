"""A code and its lifetime: when it expires, where its image is, where a scan leads.

Pure: nothing here reads a clock or fetches data. Moments are aware datetimes in UTC.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from qr_service.errors import BadField

# A code that has less time left is expired: a signed URL is valid for whole seconds.
LEAST_LIFE = timedelta(seconds=1)

_QR_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def is_expired(expires_at: datetime, now: datetime) -> bool:
    """Return whether a code has expired for its clients, erased or not."""
    return expires_at - now < LEAST_LIFE


def check_qr_id(text: str) -> str:
    """Return the id, a UUID, in lower case; raises BadRequest."""
    qr_id = text.lower()
    if not _QR_ID.fullmatch(qr_id):
        raise BadField(
            "qr_id",
            text,
            "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
            "The id of a code is a UUID of 36 characters.",
            code="invalid_id",
        )
    return qr_id


# Crockford's base 32: no I, L, O and U. Five bits a character.
SLUG_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SLUG_LENGTH = 8
_SLUG = re.compile(f"[{SLUG_ALPHABET}]{{{SLUG_LENGTH}}}")
_MISREAD = str.maketrans("OIL", "011")


def read_slug(text: str) -> str | None:
    """Return the slug as it is stored, None if the text is no slug.

    Somebody may type it from paper: lower case, O for 0, and I or L for 1 are read.
    """
    slug = text.upper().translate(_MISREAD)
    return slug if text.isascii() and _SLUG.fullmatch(slug) else None


def object_key(qr_id: str, extension: str) -> str:
    """Return the key of a code's image in the bucket."""
    return f"codes/{qr_id}.{extension}"


# What no file system and no header may have in a name, and what would hide its end.
_NOT_IN_NAMES = re.compile(r'[\\/:*?"<>|%\s]+')


def file_name(label: str | None, key: str) -> str:
    """Return the name under which a browser saves an image: the label, else the id."""
    name = key.rpartition("/")[2]
    if not label:
        return name
    printable = "".join(filter(str.isprintable, _NOT_IN_NAMES.sub(" ", label)))
    stem = printable.strip(" .")
    return f"{stem}.{name.rpartition('.')[2]}" if stem else name


@dataclass(frozen=True, slots=True)
class Code:
    """The data that retrieving a code requires; the cache holds exactly this.

    `object_key` is empty in a tombstone: the image has been erased. Each change of the
    code raises `revision`.
    """

    qr_id: str
    expires_at: datetime
    object_key: str
    content_type: str
    revision: int = 1

    def is_expired(self, now: datetime) -> bool:
        """Return whether the code has expired for its clients."""
        return not self.object_key or is_expired(self.expires_at, now)

    def ended(self) -> "Code":
        """Return the code as its tombstone."""
        return replace(self, object_key="", content_type="")


@dataclass(frozen=True, slots=True)
class Link:
    """The data that a scan of a dynamic code requires; the cache holds exactly this.

    `target` is empty if the code has ended. `counts` says whether scans are counted.
    """

    slug: str
    expires_at: datetime
    qr_id: str
    target: str
    expired_url: str | None
    counts: bool
    revision: int = 1

    def is_expired(self, now: datetime) -> bool:
        """Return whether a scan no longer leads to the target."""
        return not self.target or is_expired(self.expires_at, now)

    def ended(self) -> "Link":
        """Return the link as it is after its end."""
        return replace(self, target="", counts=False)
