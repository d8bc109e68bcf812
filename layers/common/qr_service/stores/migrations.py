"""Schema migrations: numbered SQL files, applied in order, each exactly once.

A file and its record commit together, under an advisory lock, so that a failure leaves
the schema as it was and two runs at once apply nothing twice.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from psycopg2 import extensions

from qr_service.telemetry import SafeError

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


class MigrationError(SafeError):
    """The migrations of a folder cannot be applied."""

    def __init__(self, reason: str, sqlstate: str | None = None) -> None:
        super().__init__(reason)
        self.pgcode = sqlstate  # what psycopg2 calls it


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

    Later migrations than these may be there: code that was rolled back meets them.
    Raises MigrationError for a migration that fails, after which those before it stay
    applied, and psycopg2.Error or TimeoutError when the database is lost before.
    """
    with _locked(connection) as cursor:
        cursor.execute(_CREATE_RECORD)
    done = []
    for migration in migrations:
        try:
            if _apply(connection, migration):
                done.append(migration)
        except (psycopg2.Error, TimeoutError) as error:
            what = f"{migration.name} failed, {type(error).__name__}"
            raise MigrationError(what, getattr(error, "pgcode", None)) from error
    return done


def _apply(connection: extensions.connection, migration: Migration) -> bool:
    """Whether it was missing."""
    with _locked(connection) as cursor:
        cursor.execute(_APPLIED)
        if (migration.version,) in cursor.fetchall():
            return False
        cursor.execute(migration.sql)
        cursor.execute(_RECORD, (migration.version, migration.name))
    return True


@contextmanager
def _locked(connection: extensions.connection) -> Iterator[extensions.cursor]:
    """A transaction that no other run is in at the same time."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            yield cursor
        connection.commit()
    except BaseException:
        if not connection.closed:  # as it is after a wait that took too long
            connection.rollback()
        raise
