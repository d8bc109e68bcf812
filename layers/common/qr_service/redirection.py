"""`GET /s/{slug}`: from the short URL of a printed code to its target.

Every answer is checked against the clock, whether it comes from the cache or not. Codes
that were scanned before are answered while PostgreSQL is away, until their end.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from qr_service.codes import Link, read_slug
from qr_service.errors import Expired, NotFound
from qr_service.lookup import look_up
from qr_service.stores.cache import Cache, Scanner
from qr_service.stores.links import LinkTable


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a scan leads now: to the target, or after the end to `expired_url`."""

    link: Link
    url: str
    is_over: bool


@dataclass(frozen=True, slots=True)
class Redirector:
    """The look-up of links."""

    table: LinkTable
    cache: Cache

    def find(self, text: str) -> Destination:
        """Return where a scan leads, by the slug as it was requested.

        Raises NotFound, Expired if it leads nowhere any more, and DatabaseUnavailable.
        """
        slug = read_slug(text)
        link = slug and look_up(slug, self.cache.links, self.table.find)
        if not link:
            raise NotFound("No code has this address.")
        if not link.is_expired(datetime.now(UTC)):
            return Destination(link, link.target, is_over=False)
        if link.expired_url is None:
            raise Expired(link.expires_at)
        return Destination(link, link.expired_url, is_over=True)

    def count(self, destination: Destination, scanner: Scanner) -> None:
        """Count a scan that leads to the target, if its owner wants that."""
        if destination.link.counts and not destination.is_over:
            now = datetime.now(UTC)
            self.cache.scans.count(destination.link.qr_id, scanner, now)
