"""The hourly cleanup of expired codes; after it counts of scans, a slice of the sweep.

Invoked by hand, `{"sweep": "all"}` sweeps all slices. With `"guarded": false` the sweep
deletes orphans even if there are suspiciously many.
"""

from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from qr_service.cleanup import SPARE_SECONDS, Cleaner
from qr_service.config import settings
from qr_service.edge import events
from qr_service.scans import Scans
from qr_service.stores.bulk import BulkStorage
from qr_service.stores.cache import Cache
from qr_service.stores.database import Database
from qr_service.stores.scans import ScanTable
from qr_service.stores.table import CodeTable
from qr_service.sweep import Sweeper, slices_of


@cache
def cleaner() -> Cleaner:
    """Return the cleaner of this execution environment."""
    table = CodeTable(Database(settings()))
    return Cleaner(table, BulkStorage(settings()), settings().tombstone_days)


@cache
def scans() -> Scans:
    """Return the counts of this execution environment."""
    return Scans(ScanTable(cleaner().table.database), Cache(settings()))


def clean_up(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Erase expired codes, flush counts, sweep; return what was done as a dict."""
    slices = slices_of(event, datetime.now(UTC))

    def seconds_left() -> float:
        left: float = context.get_remaining_time_in_millis() / 1000
        return left

    def has_time() -> bool:
        return seconds_left() > SPARE_SECONDS

    report = cleaner().clean_up(seconds_left)
    flushed = scans().flush(has_time)
    sweeper = Sweeper(cleaner().table, cleaner().bulk)
    guarded = event.get("guarded") is not False
    swept = sweeper.sweep(slices, has_time, guarded=guarded)
    return {**asdict(report), "flushed": flushed, "sweep": asdict(swept)}


handler = events.entrypoint(clean_up)
