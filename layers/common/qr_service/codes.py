"""A code and its life: when it expires, where its image lies, how its id is written.

Pure: no clock is read and nothing is fetched here; moments are aware datetimes in UTC.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from qr_service.errors import BadField

# Under one second of life left is expired: a signed URL lives whole seconds.
LEAST_LIFE = timedelta(seconds=1)

_QR_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def is_expired(expires_at: datetime, now: datetime) -> bool:
    """Whether a code is gone for its clients, erased or not."""
    return expires_at - now < LEAST_LIFE


def check_qr_id(text: str) -> str:
    """The id, if it is a UUID in canonical form; raises BadRequest."""
    if not _QR_ID.fullmatch(text):
        raise BadField(
            "qr_id",
            text,
            "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
            "The id of a code is a UUID of 36 lower-case characters.",
            code="invalid_id",
        )
    return text


@dataclass(frozen=True, slots=True)
class Code:
    """What retrieving a code needs to know, and all that the cache holds of it.

    `object_key` is empty in a tombstone: the image has been erased.
    """

    qr_id: str
    expires_at: datetime
    object_key: str
    content_type: str

    def is_expired(self, now: datetime) -> bool:
        """Whether the code is gone for its clients."""
        return not self.object_key or is_expired(self.expires_at, now)
