"""Applies the migrations of this folder, with the rights of the database's admin."""

from contextlib import closing
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from qr_service import events, migrations
from qr_service.config import settings
from qr_service.database import connect

FOLDER = Path(__file__).parent / "migrations"


def migrate(_: dict[str, Any], __: LambdaContext) -> dict[str, Any]:
    """The names of the migrations applied now, and the version of the schema."""
    wanted = migrations.load(FOLDER)
    with closing(connect(settings())) as connection:
        applied = migrations.apply(connection, wanted)
    return {
        "applied": [migration.name for migration in applied],
        "schema_version": wanted[-1].version,
    }


handler = events.entrypoint(migrate)
