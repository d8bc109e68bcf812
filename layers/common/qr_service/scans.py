"""How often dynamic codes are scanned: counted in the cache, kept in PostgreSQL.

A scan raises one number in the cache, and never waits for it. The hourly cleanup stores
the numbers as they are then. A cache that is lost loses what was counted since; its
successor counts as another generation, which is added. So nothing that was flushed is
lost or counted twice, however often a flush is repeated, and wherever it ends.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from qr_service.stores.cache import COUNTED_SECONDS, Cache
from qr_service.stores.scans import ScanTable
from qr_service.telemetry import describe, logger

COUNTED_DAYS = COUNTED_SECONDS // 86_400


@dataclass(frozen=True, slots=True)
class DayOfScans:
    """The scans of a code on a UTC day."""

    day: date
    people: int
    bots: int


@dataclass(frozen=True, slots=True)
class Scans:
    """The counts of scans; `page` is about how many codes one statement stores."""

    table: ScanTable
    cache: Cache
    page: int = 500

    def flush(self, has_time: Callable[[], bool]) -> int:
        """Store what the cache has counted; return how many numbers are new.

        What fails, or does not fit into the time, is left to the next flush.
        """
        flushed = 0
        try:
            for day in _counted_days(datetime.now(UTC)):
                flushed += self._flush_day(day, has_time)
        except Exception as error:  # noqa: BLE001  a cleanup does not fail because of it
            logger.warning("scans left to the next flush", **describe(error))
        return flushed

    def of_code(self, qr_id: str, first: date, last: date) -> list[DayOfScans]:
        """Return the days from `first` to `last` on which a code was scanned.

        Raises DatabaseUnavailable. Without the cache, those since the last flush lack.
        """
        counts = self.table.of_code(qr_id, first, last)
        for day in _counted_days(datetime.now(UTC)):
            counted = self.cache.scans.of_code(qr_id, day)
            if counted and first <= day <= last:
                of_generation = day, counted.generation
                known = counts.get(of_generation, (0, 0))
                live = counted.counts[qr_id]
                counts[of_generation] = max(known[0], live[0]), max(known[1], live[1])
        days: defaultdict[date, list[tuple[int, int]]] = defaultdict(list)
        for (day, _), count in counts.items():
            days[day].append(count)
        return [
            DayOfScans(day, sum(p for p, _ in each), sum(b for _, b in each))
            for day, each in sorted(days.items())
            if any(map(any, each))
        ]

    def _flush_day(self, day: date, has_time: Callable[[], bool]) -> int:
        flushed, position = 0, 0
        while has_time():
            page = self.cache.scans.page(day, position, self.page)
            if page is None:
                break
            counted, position = page
            if counted.counts:
                flushed += self.table.flush(day, counted)
            if not position:
                break
        return flushed


def _counted_days(now: datetime) -> Iterator[date]:
    """Yield the days that the cache may have counts of."""
    for days in range(COUNTED_DAYS):
        yield (now - timedelta(days=days)).date()
