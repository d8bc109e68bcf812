"""`GET /retrieve/{qr_id}`: from an id to a presigned URL of the image.

Every answer is checked against the clock, whether it comes from the cache or not. No
URL lasts longer than its code. Codes that are cached are served while PostgreSQL is
away, until their end.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from qr_service.codes import check_qr_id
from qr_service.errors import Expired, NotFound
from qr_service.lookup import look_up
from qr_service.stores.cache import Cache
from qr_service.stores.presigned import PresignedUrls
from qr_service.stores.table import CodeTable


@dataclass(frozen=True, slots=True)
class Retrieved:
    """A presigned URL, when it expires, and when the code expires.

    The URL never lasts longer than the code.
    """

    url: str
    url_expires_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Retriever:
    """The lookup of codes."""

    table: CodeTable
    urls: PresignedUrls
    cache: Cache

    def retrieve(self, qr_id: str, method: str = "GET") -> Retrieved:
        """Return a presigned URL of the image, for requests with this method.

        Raises BadRequest, NotFound, Expired and DatabaseUnavailable.
        """
        code = look_up(check_qr_id(qr_id), self.cache.codes, self.table.find)
        if code is None:
            raise NotFound("There is no code with this id.", field="qr_id")
        now = datetime.now(UTC)
        if code.is_expired(now):
            raise Expired(code.expires_at)
        url, url_expires_at = self.urls.of_image(code, now, method)
        return Retrieved(url, url_expires_at, code.expires_at)

    def health(self) -> dict[str, str]:
        """Return the state of database and cache; raises DatabaseUnavailable."""
        self.table.database.ping()
        return {
            "status": "ok",
            "database": "ok",
            "cache": "ok" if self.cache.ping() else "unavailable",
        }
