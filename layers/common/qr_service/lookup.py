"""Looking something up in the cache, and in PostgreSQL when the cache needs it.

An entry that is not fresh is refreshed by one caller, while the others go on with it
for some seconds. If PostgreSQL does not answer, a cached entry is used until its end.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from qr_service.errors import DatabaseUnavailable
from qr_service.stores.cache import CLAIM_SECONDS, Entries, Entry
from qr_service.stores.database import TIMEOUT
from qr_service.telemetry import metrics

# Seconds that a look-up may take if there is a cached entry to fall back on.
REFRESH_SECONDS = 1.0
CLAIM = timedelta(seconds=CLAIM_SECONDS)


def look_up(
    name: str, entries: Entries[Entry], find: Callable[[str, float], Entry | None]
) -> Entry | None:
    """Return what has the name, expired or not; None if there is nothing.

    `find` looks in PostgreSQL, for so many seconds at most. Raises DatabaseUnavailable.
    """
    now = datetime.now(UTC)
    cached = entries.get(name)
    metrics.add_metric("CacheHits", unit="Count", value=int(cached is not None))
    if cached is None:
        found = find(name, TIMEOUT)
    else:
        known, fresh_until = cached
        if now < fresh_until:
            return known
        until = fresh_until + CLAIM
        if now < until and not entries.claim(known, now, until):
            return known
        try:
            found = find(name, REFRESH_SECONDS)
        except DatabaseUnavailable:
            entries.claim(known, now, now + CLAIM)  # nobody knows better for a while
            return known
        if found is None:  # the database was restored to an earlier moment
            entries.forget(known)
    if found is not None:
        entries.put(found, now)
    return found
