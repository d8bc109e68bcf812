"""The hourly cleanup of expired codes; it can be invoked by hand, with any event."""

from dataclasses import asdict
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from qr_service.cleanup import Cleaner
from qr_service.config import settings
from qr_service.edge import events
from qr_service.stores.database import Database
from qr_service.stores.deletion import Deletion
from qr_service.stores.table import CodeTable


@cache
def cleaner() -> Cleaner:
    """Return the cleaner of this execution environment."""
    table = CodeTable(Database(settings()))
    return Cleaner(table, Deletion(settings()), settings().tombstone_days)


def clean_up(_: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Erase expired codes and return the Report of this run as a dict."""
    report = cleaner().clean_up(lambda: context.get_remaining_time_in_millis() / 1000)
    return asdict(report)


handler = events.entrypoint(clean_up)
