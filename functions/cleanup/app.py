"""The hourly cleanup of expired codes; also invoked by hand, with any event."""

from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from qr_service import events
from qr_service.cleanup import Cleaner
from qr_service.config import settings
from qr_service.database import Database
from qr_service.deletion import Deletion


@cache
def cleaner() -> Cleaner:
    """The cleaner of this execution environment."""
    return Cleaner(
        Database(settings()), Deletion(settings()), settings().tombstone_days
    )


def clean_up(_: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """What this run did, and what it left: see Report."""
    report = cleaner().clean_up(lambda: context.get_remaining_time_in_millis() / 1000)
    return report.as_dict()


handler = events.entrypoint(clean_up)
