"""Schema migrations: numbered SQL files, applied in order, each exactly once.

A file and its record are committed together, under an advisory lock. A failure leaves
the schema unchanged, and two runs at the same time apply nothing twice.
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
_LOCK = 0x51_52_43_4F  # an arbitrary number, the same in every run

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
    """A migration, or a folder of them, that cannot be applied."""

    def __init__(self, reason: str, sqlstate: str | None = None) -> None:
        super().__init__(reason)
        self.pgcode = sqlstate  # the name that psycopg2.Error uses


@dataclass(frozen=True, slots=True)
class Migration:
    """One SQL file; `version` is the number at the start of its name."""

    version: int
    name: str
    sql: str


def load(folder: Path) -> list[Migration]:
    """Return the migrations of a folder in order.

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
    """Apply the migrations that the database does not have; return those applied.

    The database may have later migrations than these: they stay after a rollback of the
    code. Raises MigrationError if a migration fails; those before it stay applied.
    Raises psycopg2.Error or TimeoutError if the database fails before the first one.
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
    """Apply a migration unless it is recorded; return whether it was applied."""
    with _locked(connection) as cursor:
        cursor.execute(_APPLIED)
        if (migration.version,) in cursor.fetchall():
            return False
        cursor.execute(migration.sql)
        cursor.execute(_RECORD, (migration.version, migration.name))
    return True


@contextmanager
def _locked(connection: extensions.connection) -> Iterator[extensions.cursor]:
    """Run a transaction that no other run can be in at the same time."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            yield cursor
        connection.commit()
    except BaseException:
        if not connection.closed:  # it is closed after a timeout
            connection.rollback()
        raise
