"""The table of codes as scans see it: one row, for whoever knows its slug."""

from qr_service.codes import Link
from qr_service.stores.database import TIMEOUT, Database


class LinkTable:
    """The links of dynamic codes, over one database connection."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # All that this role may do.
    _SCAN = """
        SELECT expires_at, qr_id, coalesce(data, ''), expired_url,
            coalesce(count, false), revision
        FROM scan(%(slug)s)
    """

    def find(self, slug: str, seconds: float = TIMEOUT) -> Link | None:
        """Return the link, ended or not; None if the slug was never used."""
        rows = self.database.run(self._SCAN, {"slug": slug}, seconds)
        if not rows:
            return None
        expires_at, qr_id, *rest = rows[0]
        return Link(slug, expires_at, str(qr_id), *rest)
