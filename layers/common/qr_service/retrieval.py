"""`GET /retrieve/{qr_id}`: from an id to a presigned URL of the image.

Every answer is checked against the clock, whether it comes from the cache or not. No
URL lasts longer than its code. Codes that are cached are served while PostgreSQL is
away, until their end.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from qr_service.codes import Code, check_qr_id
from qr_service.errors import DatabaseUnavailable, Expired, NotFound
from qr_service.stores.cache import Cache
from qr_service.stores.presigned import PresignedUrls
from qr_service.stores.table import CodeTable
from qr_service.telemetry import metrics

# Seconds that a look-up may take if there is a cached code to fall back on.
REFRESH_SECONDS = 1.0


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
        code = self._find(check_qr_id(qr_id))
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

    def _find(self, qr_id: str) -> Code:
        now = datetime.now(UTC)
        cached = self.cache.get(qr_id)
        metrics.add_metric("CacheHits", unit="Count", value=int(cached is not None))
        if cached is None:
            code = self.table.find(qr_id)
        else:
            known, fresh_until = cached
            if now < fresh_until or not self.cache.claim(qr_id, now):
                return known
            try:
                code = self.table.find(qr_id, REFRESH_SECONDS)
            except DatabaseUnavailable:
                return known
            if code is None:  # the database was restored to an earlier moment
                self.cache.forget(known)
        if code is None:
            raise NotFound("There is no code with this id.", field="qr_id")
        self.cache.put(code, now)
        return code
