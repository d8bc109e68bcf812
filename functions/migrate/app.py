"""The migrations of this folder, applied with the rights of the database's admin.

Invoked by hand with any event, and by CloudFormation as the resource Custom::Schema:
after the database exists, and before the functions that need the schema.
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
    """Apply missing migrations; return their names and the version of the schema.

    Raises MigrationError if CloudFormation requests another version than the newest in
    the folder: SchemaVersion was not raised in the template.
    """
    if leaves_alone(event):
        return {"applied": []}
    wanted = migrations.load(FOLDER)
    newest = wanted[-1].version
    if "ResponseURL" in event:
        requested = _version(event["ResourceProperties"])
        if requested != newest:
            raise migrations.MigrationError(
                f"SchemaVersion is {requested}, but the newest migration is {newest}"
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
    """Return whether CloudFormation deletes the stack or restores an earlier version.

    Neither changes the schema, because earlier code works with a later schema. Neither
    may fail because the database or a migration failed.
    """
    match event.get("RequestType"):
        case "Delete":
            return True
        case "Update":
            before = _version(event.get("OldResourceProperties", {}))
            return _version(event["ResourceProperties"]) < before
    return False


def _version(properties: dict[str, Any]) -> int:
    """Return the SchemaVersion, which CloudFormation sends as text; 0 if no number."""
    version = str(properties.get("SchemaVersion"))
    return int(version) if version.isdecimal() else 0


handler = custom_resource.answers_cloudformation(
    events.entrypoint(migrate), "qr-codes-schema"
)
