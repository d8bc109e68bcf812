"""PostgreSQL: one connection a warm environment, and every statement of the service.

A statement waits for at most TIMEOUT seconds, whatever the network does. A connection
that is found dead (after a freeze, a failover, a kill) is replaced and the statement
sent once more, so that each statement run by `_run` has to be safe to run twice.
"""

import json
import os
import select
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
from psycopg2 import extensions

from qr_service.codes import Code
from qr_service.config import Settings
from qr_service.errors import DatabaseUnavailable
from qr_service.sigv4 import EMPTY_PAYLOAD, Credentials, presign
from qr_service.telemetry import Explained, describe, logger

TIMEOUT = 5.0  # seconds; the role's own statement_timeout is just below
# Seconds after which a connection is not trusted: its peer may have gone without a word
# while the environment was frozen, and finding out would take TIMEOUT.
IDLE = 300.0
# Of `connect_patiently`, in seconds.
_PATIENCE, _PAUSE = 60.0, 3.0
_LOST = (psycopg2.OperationalError, psycopg2.InterfaceError, TimeoutError)

Row = tuple[Any, ...]
Cursor = extensions.cursor


@dataclass(frozen=True, slots=True)
class Record:
    """A code as it is first written: where it lies, what it says, who asked for it."""

    code: Code
    owner: str
    data: str
    options: dict[str, Any]
    created_at: datetime
    idempotency_key: str | None
    request_digest: bytes | None
    answer: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class EarlierAnswer:
    """What was answered to the first request with an Idempotency-Key."""

    qr_id: str
    expires_at: datetime
    request_digest: bytes
    answer: dict[str, Any]


class Database:
    """The table of codes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: extensions.connection | None = None
        self._used_at = 0.0

    _PING = "SELECT 1"

    def ping(self) -> None:
        """Raises DatabaseUnavailable unless the database answers."""
        self._run(self._PING, {})

    _FIND = """
        SELECT expires_at, coalesce(object_key, ''), coalesce(content_type, '')
        FROM qr_codes WHERE id = %(id)s
    """

    def find(self, qr_id: str) -> Code | None:
        """The code or its tombstone; None when there is neither."""
        rows = self._run(self._FIND, {"id": qr_id})
        return Code(qr_id, *rows[0]) if rows else None

    _FIND_ANSWER = """
        SELECT id, expires_at, request_digest, answer FROM qr_codes
        WHERE owner = %(owner)s AND idempotency_key = %(key)s
    """

    def find_answer(
        self, owner: str, idempotency_key: str | None
    ) -> EarlierAnswer | None:
        """The answer that holds this key of this owner, expired or not."""
        rows = self._run(self._FIND_ANSWER, {"owner": owner, "key": idempotency_key})
        if not rows:
            return None
        qr_id, expires_at, digest, answer = rows[0]
        return EarlierAnswer(qr_id, expires_at, bytes(digest), answer)

    _FREE_KEY = """
        UPDATE qr_codes SET idempotency_key = NULL, request_digest = NULL, answer = NULL
        WHERE id = %(id)s
    """

    def free_key(self, qr_id: str) -> None:
        """Lets the key of an expired code be used anew, before cleanup erases it."""
        self._run(self._FREE_KEY, {"id": qr_id})

    _INSERT = """
        INSERT INTO qr_codes (id, owner, data, options, object_key, content_type,
            created_at, expires_at, idempotency_key, request_digest, answer)
        VALUES (%(id)s, %(owner)s, %(data)s, %(options)s, %(object_key)s,
            %(content_type)s, %(created_at)s, %(expires_at)s, %(key)s, %(digest)s,
            %(answer)s)
        ON CONFLICT DO NOTHING RETURNING id
    """
    _EXISTS = "SELECT 1 FROM qr_codes WHERE id = %(id)s"

    def insert(self, record: Record) -> bool:
        """Whether the row is there now; False when its Idempotency-Key was taken.

        Raises DatabaseUnavailable; its `maybe_executed` tells whether the row may be
        there all the same.
        """
        code = record.code
        parameters = {
            "id": code.qr_id,
            "owner": record.owner,
            "data": record.data,
            "options": json.dumps(record.options),
            "object_key": code.object_key,
            "content_type": code.content_type,
            "created_at": record.created_at,
            "expires_at": code.expires_at,
            "key": record.idempotency_key,
            "digest": record.request_digest,
            "answer": None if record.answer is None else json.dumps(record.answer),
        }
        if self._run(self._INSERT, parameters):
            return True
        # A conflict on the id means that the first of two attempts did commit.
        try:
            return bool(self._run(self._EXISTS, {"id": code.qr_id}))
        except DatabaseUnavailable:
            raise DatabaseUnavailable(maybe_executed=True) from None

    _LOCK_EXPIRED = """
        SELECT id, expires_at, object_key FROM qr_codes
        WHERE expires_at <= now() AND erased_at IS NULL
            AND (expires_at, id) > (%(expires_at)s, %(id)s)
        ORDER BY expires_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    """

    @staticmethod
    def lock_expired(
        cursor: Cursor, after: tuple[datetime, str], limit: int
    ) -> list[Row]:
        """Up to `limit` expired rows beyond `after`, as (id, expires_at, object_key).

        Rows that another run holds are passed over.
        """
        expires_at, qr_id = after
        cursor.execute(
            Database._LOCK_EXPIRED,
            {"expires_at": expires_at, "id": qr_id, "limit": limit},
        )
        return cursor.fetchall()

    _ERASE = """
        UPDATE qr_codes SET erased_at = now(), owner = NULL, data = NULL,
            options = NULL, object_key = NULL, content_type = NULL,
            idempotency_key = NULL, request_digest = NULL, answer = NULL
        WHERE id = ANY(%(ids)s::uuid[])
    """

    @staticmethod
    def erase(cursor: Cursor, ids: Sequence[str]) -> None:
        """Makes tombstones of rows: nothing but id and moments is left."""
        cursor.execute(Database._ERASE, {"ids": list(ids)})

    _BACKLOG = """
        SELECT count(*), coalesce(extract(epoch FROM now() - min(expires_at)), 0)
        FROM (
            SELECT expires_at FROM qr_codes
            WHERE expires_at <= now() AND erased_at IS NULL
            ORDER BY expires_at, id LIMIT %(limit)s
        ) AS expired
    """

    def backlog(self, limit: int) -> tuple[int, int]:
        """Codes that have expired and are not erased yet, counted up to `limit`.

        And the whole seconds for which the oldest of them has; 0 without any.
        """
        count, seconds = self._run(self._BACKLOG, {"limit": limit})[0]
        return count, int(seconds)

    _PURGE = """
        DELETE FROM qr_codes WHERE id IN (
            SELECT id FROM qr_codes WHERE erased_at <= now() - %(age)s
            ORDER BY erased_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
        RETURNING id
    """

    def purge(self, age: timedelta, limit: int) -> int:
        """Deletes up to `limit` tombstones older than `age`; returns how many."""
        return len(self._run(self._PURGE, {"age": age, "limit": limit}))

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """A transaction that commits at the end of the block, or not at all."""
        self.ping()  # replaces a dead connection, while nothing is at stake
        connection = self._connect()
        try:
            connection.autocommit = False
            with connection, connection.cursor() as cursor:
                yield cursor
            connection.autocommit = True
        except _LOST as error:
            logger.warning("database lost", **describe(error))
            connection.close()
            raise DatabaseUnavailable(maybe_executed=True) from None
        except BaseException:
            connection.close()
            raise

    def _run(self, statement: str, parameters: dict[str, Any]) -> list[Row]:
        """Rows of one statement that is a transaction of its own."""
        sent = False
        for _ in range(2):
            try:
                connection = self._connect()
            except _LOST as error:
                logger.warning("database does not answer", **describe(error))
                raise DatabaseUnavailable(maybe_executed=sent) from None
            try:
                with connection.cursor() as cursor:
                    cursor.execute(statement, parameters)
                    return cursor.fetchall() if cursor.description else []
            except psycopg2.errors.ReadOnlySqlTransaction as error:
                # A writer that was demoted: the next connection finds the new one.
                logger.warning("database is read-only", **describe(error))
                connection.close()
            except _LOST as error:
                logger.warning("database lost", **describe(error))
                if not connection.closed:  # an answer: refused, and rolled back
                    raise DatabaseUnavailable(maybe_executed=sent) from None
                sent = True
                if isinstance(error, TimeoutError):
                    break
            except psycopg2.Error as error:
                if not sent:
                    raise
                logger.warning("database refused a repetition", **describe(error))
                break
        raise DatabaseUnavailable(maybe_executed=sent)

    def _connect(self) -> extensions.connection:
        """The connection, or a new one when it is closed or was idle for IDLE."""
        now = time.monotonic()
        if self._connection is not None and now - self._used_at > IDLE:
            self._connection.close()
        self._used_at = now
        if self._connection is None or self._connection.closed:
            extensions.set_wait_callback(lambda connection: _wait(connection, TIMEOUT))
            self._connection = connect(self._settings)
            self._connection.autocommit = True
        return self._connection


def connect(settings: Settings) -> extensions.connection:
    """A new connection; with IAM its password is a token that lives for 15 minutes.

    Only parameters that RDS Proxy accepts and that do not pin: the statement timeout
    lives on the role. Raises psycopg2.OperationalError.
    """
    options: dict[str, Any] = {
        "connect_timeout": int(TIMEOUT),
        "keepalives_idle": 30,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": int(TIMEOUT * 1000),
        "application_name": "qr-service",
    }
    if settings.database_auth == "iam":
        options |= {
            "password": _token(settings),
            "sslmode": "verify-full",
            "sslrootcert": settings.ca_bundle,
        }
    connection: extensions.connection = psycopg2.connect(
        settings.database_url, **options
    )
    return connection


def connect_patiently(
    settings: Settings, seconds_left: Callable[[], float]
) -> extensions.connection:
    """A new connection whose statements may take as long as `seconds_left` tells.

    So may those of all connections of this process. With IAM it is tried for a minute,
    or as long as there is time: a role that was made just now is not known everywhere
    yet. Raises Explained, with what libpq says of a failed connect: who was refused
    where, and why.
    """
    extensions.set_wait_callback(lambda connection: _wait(connection, TIMEOUT))
    patience = _PATIENCE if settings.database_auth == "iam" else 0.0
    deadline = time.monotonic() + min(patience, seconds_left() - TIMEOUT)
    while True:
        try:
            connection = connect(settings)
            break
        except _LOST as error:
            if time.monotonic() >= deadline:
                reason = " ".join(str(error).split())
                raise Explained(f"the database cannot be entered: {reason}") from None
            logger.warning("database does not answer", **describe(error))
            time.sleep(_PAUSE)
    extensions.set_wait_callback(lambda connection: _wait(connection, seconds_left()))
    return connection


def _token(settings: Settings) -> str:
    target = extensions.parse_dsn(settings.database_url)
    return presign(
        "GET",
        f"{target['host']}:{target.get('port', 5432)}",
        "/",
        {"Action": "connect", "DBUser": target["user"]},
        service="rds-db",
        region=settings.aws_region,
        credentials=Credentials.from_env(os.environ),
        now=datetime.now(UTC),
        expires=900,
        payload=EMPTY_PAYLOAD,
    )


def _wait(connection: extensions.connection, seconds: float) -> None:
    """Waits for an answer, but never longer than that (psycopg2's wait callback)."""
    deadline = time.monotonic() + seconds
    while (state := connection.poll()) != extensions.POLL_OK:
        poller = select.poll()
        reading = state == extensions.POLL_READ
        poller.register(
            connection.fileno(), select.POLLIN if reading else select.POLLOUT
        )
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not poller.poll(remaining * 1000):
            raise TimeoutError("PostgreSQL did not answer in time")
