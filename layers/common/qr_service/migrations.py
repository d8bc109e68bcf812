"""Schema migrations: numbered SQL files, applied in order, each exactly once.

A file and its record commit together, under an advisory lock, so that a failure leaves
the schema as it was and two runs at once apply nothing twice.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from psycopg2 import extensions

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_LOCK = 0x51_52_43_4F  # any number, the same in every run

_CREATE_RECORD = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version integer PRIMARY KEY,
        name text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
"""
_APPLIED = "SELECT version FROM schema_migrations"
_RECORD = "INSERT INTO schema_migrations (version, name) VALUES (%s, %s)"


class MigrationError(Exception):
    """The migrations of a folder cannot be applied."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One SQL file; `version` is the number that its name begins with."""

    version: int
    name: str
    sql: str


def load(folder: Path) -> list[Migration]:
    """The migrations of a folder in order.

    Raises MigrationError unless their numbers are 1, 2, 3 ...
    """
    found = []
    for path in sorted(folder.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if not match:
            raise MigrationError(f"{path.name} is not called NNNN_name.sql")
        found.append(Migration(int(match[1]), path.stem, path.read_text()))
    versions = [migration.version for migration in found]
    if not found or versions != list(range(1, len(found) + 1)):
        raise MigrationError(f"migrations are numbered {versions}, not 1, 2, 3 ...")
    return found


def apply(
    connection: extensions.connection, migrations: list[Migration]
) -> list[Migration]:
    """Applies what the database does not have yet; returns what was applied.

    Raises psycopg2.Error; migrations before the failed one stay applied.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        cursor.execute(_CREATE_RECORD)
    done = []
    for migration in migrations:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            cursor.execute(_APPLIED)
            if (migration.version,) in cursor.fetchall():
                continue
            cursor.execute(migration.sql)
            cursor.execute(_RECORD, (migration.version, migration.name))
        done.append(migration)
    return done
