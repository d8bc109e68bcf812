"""Applies the migrations of this folder, with the rights of the database's admin.

Invoked by hand with any event, and by CloudFormation, as the resource Custom::Schema,
between the database and the functions that need the schema.
"""

from contextlib import closing
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from qr_service.config import settings
from qr_service.edge import custom_resource, events
from qr_service.stores import migrations
from qr_service.stores.database import connect_with_retries

FOLDER = Path(__file__).parent / "migrations"


def migrate(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The names of the migrations applied now, and the version of the schema.

    Raises MigrationError when CloudFormation asks for another version than the newest
    of the folder: a template that was forgotten.
    """
    if leaves_alone(event):
        return {"applied": []}
    wanted = migrations.load(FOLDER)
    newest = wanted[-1].version
    if "ResponseURL" in event:
        asked = _version(event["ResourceProperties"])
        if asked != newest:
            raise migrations.MigrationError(
                f"SchemaVersion is {asked}, but the newest migration is {newest}"
            )

    def seconds_left() -> float:
        left: float = context.get_remaining_time_in_millis() / 1000
        return left - custom_resource.SPARE_SECONDS

    with closing(connect_with_retries(settings(), seconds_left)) as connection:
        applied = migrations.apply(connection, wanted)
    return {
        "applied": [migration.name for migration in applied],
        "schema_version": newest,
    }


def leaves_alone(event: dict[str, Any]) -> bool:
    """Whether CloudFormation deletes the stack, or goes back to an earlier version.

    Neither touches the schema, which earlier code can work with, and neither may fail
    because the database or a migration did.
    """
    match event.get("RequestType"):
        case "Delete":
            return True
        case "Update":
            before = _version(event.get("OldResourceProperties", {}))
            return _version(event["ResourceProperties"]) < before
    return False


def _version(properties: dict[str, Any]) -> int:
    """The SchemaVersion, which CloudFormation makes text of; 0 when it is no number."""
    version = str(properties.get("SchemaVersion"))
    return int(version) if version.isdecimal() else 0


handler = custom_resource.answers_cloudformation(
    events.entrypoint(migrate), "qr-codes-schema"
)
