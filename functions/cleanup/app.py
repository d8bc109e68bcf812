"""The hourly cleanup of expired codes, and a slice of the sweep after it.

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
from qr_service.stores.bulk import BulkStorage
from qr_service.stores.database import Database
from qr_service.stores.table import CodeTable
from qr_service.sweep import Sweeper, slices_of


@cache
def cleaner() -> Cleaner:
    """Return the cleaner of this execution environment."""
    table = CodeTable(Database(settings()))
    return Cleaner(table, BulkStorage(settings()), settings().tombstone_days)


def clean_up(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Erase expired codes, then sweep; return the Reports of this run as a dict."""
    slices = slices_of(event, datetime.now(UTC))

    def seconds_left() -> float:
        left: float = context.get_remaining_time_in_millis() / 1000
        return left

    report = cleaner().clean_up(seconds_left)
    sweeper = Sweeper(cleaner().table, cleaner().bulk)
    swept = sweeper.sweep(
        slices,
        lambda: seconds_left() > SPARE_SECONDS,
        guarded=event.get("guarded") is not False,
    )
    return {**asdict(report), "sweep": asdict(swept)}


handler = events.entrypoint(clean_up)
