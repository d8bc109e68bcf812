"""The sweep: it compares bucket and table, and deletes images that no row names.

A generate that is killed between its PUT and its INSERT leaves such an image. The ids
of codes are divided into 256 slices by their first byte; each hourly cleanup sweeps
one, so every image is looked at within eleven days. Nothing is kept between runs.

An object is an orphan if its id has no row that is not erased, and if it is older than
GRACE by S3's clock. Objects are listed before the rows are read: a row may come after
its object and never before it, so neither is mistaken while codes are created.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from qr_service.stores.bulk import MAX_DELETE, BulkStorage
from qr_service.stores.table import CodeTable
from qr_service.telemetry import SafeError, logger, metrics

SLICES = [f"{first_byte:02x}" for first_byte in range(256)]
GRACE = timedelta(days=1)
# The guard: more orphans than both are a sign of the wrong table or the wrong bucket.
MANY, MANY_SHARE = 100, 0.05
MOST_DELETED = 10_000  # objects of a slice and run; so the memory is bounded
_MOST_LOGGED = 10  # ids
_FOLDER = "codes/"
_KEY = re.compile(r"codes/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.[a-z]+")


@dataclass(slots=True)
class SweepReport:
    """The result of a sweep, as numbers of objects.

    `missing`: living codes whose image is not in the bucket. `refused`: orphans that
    the guard kept. `next`: the slice at which the time ran out, or None.
    """

    objects: int = 0
    orphans: int = 0
    deleted: int = 0
    missing: int = 0
    refused: int = 0
    next: str | None = None


@dataclass(slots=True)
class _Found:
    """What a comparison found; the lists are cut off, the numbers are not."""

    objects: int = 0
    orphans: int = 0
    missing: int = 0
    orphan_keys: list[str] = field(default_factory=list)
    missing_ids: list[str] = field(default_factory=list)

    @property
    def are_too_many(self) -> bool:
        return self.orphans > max(MANY, MANY_SHARE * self.objects)


@dataclass(frozen=True, slots=True)
class Sweeper:
    """The comparison of bucket and table; `page` is the rows of one SELECT."""

    table: CodeTable
    bulk: BulkStorage
    page: int = 1000

    def sweep(
        self,
        slices: Iterable[str],
        has_time: Callable[[], bool],
        *,
        guarded: bool = True,
    ) -> SweepReport:
        """Sweep slices while `has_time()`; delete nothing where it may be a mistake.

        Raises DatabaseUnavailable and StorageUnavailable; what is deleted stays so.
        """
        report = SweepReport()
        suspicious = guarded and has_time() and self._is_suspicious()
        for prefix in slices:
            found = _Found()
            if not all(has_time() for _ in self._compare(prefix, found)):
                report.next = prefix
                break
            report.objects += found.objects
            report.orphans += found.orphans
            report.missing += found.missing
            if found.missing:
                logger.error(
                    "images missing", count=found.missing, qr_ids=found.missing_ids
                )
            if guarded and found.orphans and (suspicious or found.are_too_many):
                report.refused += found.orphans
                logger.error("orphans not deleted", slice=prefix, count=found.orphans)
            else:
                report.deleted += self._delete(found.orphan_keys)
        metrics.add_metric("ImagesMissing", unit="Count", value=report.missing)
        metrics.add_metric("OrphansRefused", unit="Count", value=report.refused)
        return report

    def _is_suspicious(self) -> bool:
        """Return whether the table is empty or does not fit the bucket's first page.

        A slice of a small bucket has too few objects to show this.
        """
        found = _Found()
        next(self._compare("", found))
        return found.are_too_many or self.table.is_empty()

    def _delete(self, keys: list[str]) -> int:
        deleted = 0
        for start in range(0, len(keys), MAX_DELETE):
            deleted += len(self.bulk.delete(keys[start : start + MAX_DELETE]))
        return deleted

    def _compare(self, prefix: str, found: _Found) -> Iterator[None]:
        """Compare the objects and the rows of a prefix, and yield after each page."""
        # Ids, within which the rows are read: the objects of all before are known.
        first, end = (str(UUID(f"{prefix:{pad}<32}")) for pad in "0f")
        after = ""
        is_last = False
        while not is_last:
            page = self.bulk.page(f"{_FOLDER}{prefix}", after)
            is_last = page.is_last
            objects = {}  # objects with other names are not ours
            for key, stored_at in page.stored_at.items():
                after = key
                if match := _KEY.fullmatch(key):
                    objects[key] = (match[1], stored_at)
            found.objects += len(objects)
            ids = {qr_id for qr_id, _ in objects.values()}
            last = end if is_last else max(ids, default=None)
            if last is not None:
                named = self._rows(first, last, ids, found)
                for key, (qr_id, stored_at) in objects.items():
                    if qr_id not in named and page.now - stored_at > GRACE:
                        found.orphans += 1
                        if len(found.orphan_keys) < MOST_DELETED:
                            found.orphan_keys.append(key)
                first = last
            yield

    def _rows(self, first: str, last: str, ids: set[str], found: _Found) -> set[str]:
        """Return which ids have a row, and note living rows without an object."""
        named = set()
        while True:
            rows = self.table.with_image(first, last, GRACE, self.page)
            for qr_id, living in rows:
                if qr_id in ids:
                    named.add(qr_id)
                elif living and qr_id != first:
                    found.missing += 1
                    if len(found.missing_ids) < _MOST_LOGGED:
                        found.missing_ids.append(qr_id)
            if len(rows) < self.page:
                return named
            first = rows[-1][0]


def slices_of(event: dict[str, object], now: datetime) -> list[str]:
    """Return the slices that an event names, or else the one whose turn is now.

    `{"sweep": "all"}` is all of them, `{"sweep": "5a"}` those from 5a on. Raises
    SafeError.
    """
    if "sweep" not in event:
        return [SLICES[int(now.astimezone(UTC).timestamp()) // 3600 % len(SLICES)]]
    match event["sweep"]:
        case "all":
            return SLICES
        case str() as first if first in SLICES:
            return SLICES[SLICES.index(first) :]
    raise SafeError("sweep must be all, or the slice to begin with: 00 to ff")
