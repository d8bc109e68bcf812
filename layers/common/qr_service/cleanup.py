"""The hourly cleanup: it erases image and data of expired codes, and later their row.

Each batch is one transaction: lock expired rows, delete their objects, erase the rows
whose object was deleted, commit. A crash leaves only work for the next run. Two runs at
the same time share the work. A key that cannot be deleted is tried once per run.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from qr_service.stores.bulk import MAX_DELETE, BulkStorage
from qr_service.stores.table import CodeTable
from qr_service.telemetry import logger, metrics

# Reserved at the end of the function's time, for the batch in progress.
SPARE_SECONDS = 30
ENDING = timedelta(days=14)  # before which an owner may want to prolong a printed code
MOST_COUNTED = 100_000  # remaining expired codes; counting them takes time too
_FIRST = (datetime.min.replace(tzinfo=UTC), "00000000-0000-0000-0000-000000000000")


@dataclass(slots=True)
class Report:
    """The result of one run, as numbers of codes.

    `erased`: their image and data were deleted. `failed`: their object could not be
    deleted. `purged`: their tombstone was too old and was deleted. `remaining`: they
    have expired and are left for the next run; the oldest of them expired
    `backlog_seconds` ago. `ending`: they are dynamic, and end within ENDING.
    """

    erased: int = 0
    failed: int = 0
    purged: int = 0
    remaining: int = 0
    backlog_seconds: int = 0
    ending: int = 0


@dataclass(frozen=True, slots=True)
class Cleaner:
    """The cleanup of expired codes; `batch` is at most MAX_DELETE."""

    table: CodeTable
    bulk: BulkStorage
    tombstone_days: int
    batch: int = MAX_DELETE

    def clean_up(self, seconds_left: Callable[[], float]) -> Report:
        """Erase codes until none is left or `seconds_left` falls to SPARE_SECONDS.

        Raises DatabaseUnavailable and StorageUnavailable; committed batches stay.
        """
        report = Report()
        position: tuple[datetime, str] | None = _FIRST
        while position and seconds_left() > SPARE_SECONDS:
            position = self._erase_batch(position, report)
            logger.debug("batch", **asdict(report))
        age = timedelta(days=self.tombstone_days)
        purged = self.batch
        while purged == self.batch and seconds_left() > SPARE_SECONDS:
            purged = self.table.purge(age, self.batch)
            report.purged += purged
        report.remaining, report.backlog_seconds = self.table.backlog(MOST_COUNTED)
        report.ending = self.table.ending(ENDING)
        metrics.add_metric("DynamicCodesEnding", unit="Count", value=report.ending)
        metrics.add_metric(
            "CleanupBacklogSeconds", unit="Seconds", value=report.backlog_seconds
        )
        return report

    def _erase_batch(
        self, after: tuple[datetime, str], report: Report
    ) -> tuple[datetime, str] | None:
        """Erase one batch; return where the next one starts, None after the last."""
        with self.table.database.transaction() as cursor:
            rows = self.table.lock_due(cursor, after, self.batch)
            if not rows:
                return None
            gone = self.bulk.delete(key for _, _, key in rows)
            erased = [qr_id for qr_id, _, key in rows if key in gone]
            self.table.erase(cursor, erased)
        report.erased += len(erased)
        report.failed += len(rows) - len(erased)
        metrics.add_metric("CodesErased", unit="Count", value=len(erased))
        last_id, last_due, _ = rows[-1]
        return (last_due, last_id) if len(rows) == self.batch else None
