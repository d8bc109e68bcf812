"""One connection to PostgreSQL for each execution environment, with one retry.

A statement waits for at most TIMEOUT seconds, even if the network hangs. If the
connection was lost (after a freeze, a failover, a kill), it is replaced and the
statement is sent once more. Each statement passed to `run` must be safe to repeat.
"""

import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

import psycopg2
from psycopg2 import extensions

from qr_service.config import Settings
from qr_service.errors import DatabaseUnavailable
from qr_service.stores.sigv4 import iam_token
from qr_service.telemetry import SafeError, describe, logger

TIMEOUT = 5.0  # seconds; the role's own statement_timeout is just below
# Seconds after which an unused connection is replaced: the server may have dropped it
# without notice while the environment was frozen, and a statement would then wait for
# TIMEOUT.
IDLE = 300.0
# Seconds after which a statement that times out is sent once more, on a new connection:
# the server may have dropped this one too.
SUSPECT = 20.0
# For `connect_with_retries`, in seconds.
_RETRY_FOR, _PAUSE = 60.0, 3.0
_LOST = (psycopg2.OperationalError, psycopg2.InterfaceError, TimeoutError)

Row = tuple[Any, ...]
Cursor = extensions.cursor


class Database:
    """The connection, opened at the first statement and replaced when it is lost."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: extensions.connection | None = None
        self._used_at = 0.0
        self._seconds = TIMEOUT  # for a connection, and for an answer

    def ping(self) -> None:
        """Raise DatabaseUnavailable unless the database answers."""
        self.run("SELECT 1", {})

    def run(
        self, statement: str, parameters: dict[str, Any], seconds: float = TIMEOUT
    ) -> list[Row]:
        """Run one statement as a transaction of its own; return its rows.

        With fewer `seconds` than TIMEOUT, a statement that times out is not repeated.

        | outcome of a try                         | what follows                    |
        |------------------------------------------|---------------------------------|
        | rows, or none                            | they are returned               |
        | no connection                            | DatabaseUnavailable             |
        | the server has become read-only          | reconnect, send once more       |
        | the connection is lost after sending     | reconnect, send once more       |
        | no answer within TIMEOUT                 | DatabaseUnavailable             |
        | the same, after SUSPECT seconds idle     | reconnect, send once more       |
        | refused, and the connection still works  | DatabaseUnavailable             |
        | any other psycopg2.Error, nothing lost   | it is raised                    |
        | any other psycopg2.Error, after a loss   | DatabaseUnavailable             |

        `maybe_executed` of DatabaseUnavailable is true if a try was sent and its
        outcome is unknown: the connection was lost, or no answer came.
        """
        sent = False
        self._seconds = seconds
        for _ in range(2):
            try:
                connection, idle = self._connect()
            except _LOST as error:
                logger.warning("database does not answer", **describe(error))
                raise DatabaseUnavailable(maybe_executed=sent) from None
            try:
                with connection.cursor() as cursor:
                    cursor.execute(statement, parameters)
                    return cursor.fetchall() if cursor.description else []
            except psycopg2.errors.ReadOnlySqlTransaction as error:
                # The writer was demoted: the next connection reaches the new writer.
                logger.warning("database is read-only", **describe(error))
                connection.close()
            except _LOST as error:
                logger.warning("database connection lost", **describe(error))
                if not connection.closed:  # the server refused and rolled back
                    raise DatabaseUnavailable(maybe_executed=sent) from None
                sent = True
                if isinstance(error, TimeoutError) and (
                    idle < SUSPECT or seconds < TIMEOUT
                ):
                    break
            except psycopg2.Error as error:
                if not sent:
                    raise
                logger.warning("database refused a retry", **describe(error))
                break
        raise DatabaseUnavailable(maybe_executed=sent)

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """Run a transaction that commits at the end of the block, or not at all."""
        self.ping()  # replaces a lost connection before any work is done
        connection, _ = self._connect()
        try:
            connection.autocommit = False
            with connection, connection.cursor() as cursor:
                yield cursor
            connection.autocommit = True
        except _LOST as error:
            logger.warning("database connection lost", **describe(error))
            connection.close()
            raise DatabaseUnavailable(maybe_executed=True) from None
        except BaseException:
            connection.close()
            raise

    def _connect(self) -> tuple[extensions.connection, float]:
        """Return the connection, and for how many seconds it was idle.

        It is a new one if it is closed or was idle for IDLE. The clock is the wall's:
        the monotonic one may stand still while Lambda freezes the environment.
        """
        now = time.time()
        idle = now - self._used_at
        # A negative time means that the clock was set back: nothing is known then.
        if self._connection is not None and not 0 <= idle <= IDLE:
            self._connection.close()
        self._used_at = now
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._settings, lambda: self._seconds)
            self._connection.autocommit = True
            idle = 0.0
        return self._connection, idle


class _Connection(extensions.connection):
    """A connection whose statements, and its opening, wait for `limit()` seconds."""

    limit: Callable[[], float]


def connect(
    settings: Settings, limit: Callable[[], float] = lambda: TIMEOUT
) -> extensions.connection:
    """Return a new connection; with IAM its password is a token for 15 minutes.

    No answer is waited for longer than `limit()` seconds.

    RDS Proxy accepts all of these parameters and pins no connection because of them.
    The statement timeout is set on the role instead. Raises psycopg2.OperationalError.
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

    def opened(dsn: str, **given: Any) -> _Connection:
        connection = _Connection.__new__(_Connection)
        connection.limit = limit  # also while it opens, which is what __init__ does
        connection.__init__(dsn, **given)  # type: ignore[misc]
        return connection

    # Always the same function: psycopg2 holds no reference while it calls it, so one
    # that another thread replaces would be gone.
    extensions.set_wait_callback(_wait)
    connection: extensions.connection = psycopg2.connect(
        settings.database_url, connection_factory=opened, **options
    )
    return connection


def connect_with_retries(
    settings: Settings, seconds_left: Callable[[], float]
) -> extensions.connection:
    """Return a new connection whose statements may take up to `seconds_left()`.

    With IAM, connecting is retried for a minute, or less if less time is left: a role
    that was just created is not known everywhere yet. Raises SafeError with libpq's
    reason: which user was refused, where and why.
    """
    opened = False
    retry_for = _RETRY_FOR if settings.database_auth == "iam" else 0.0
    deadline = time.monotonic() + min(retry_for, seconds_left() - TIMEOUT)
    while True:
        try:
            connection = connect(
                settings, lambda: seconds_left() if opened else TIMEOUT
            )
            break
        except _LOST as error:
            if time.monotonic() >= deadline:
                reason = " ".join(str(error).split())
                raise SafeError(f"cannot connect to the database: {reason}") from None
            logger.warning("database does not answer", **describe(error))
            time.sleep(_PAUSE)
    opened = True
    return connection


def _token(settings: Settings) -> str:
    target = extensions.parse_dsn(settings.database_url)
    return iam_token(
        "rds-db",
        f"{target['host']}:{target.get('port', 5432)}",
        {"DBUser": target["user"]},
        region=settings.aws_region,
    )


def _wait(connection: extensions.connection) -> None:
    """Wait for an answer, for the connection's limit (psycopg2's wait callback).

    One that another part of the process has opened waits for as long as it takes.
    """
    limit = getattr(connection, "limit", None)
    deadline = time.monotonic() + (limit() if limit else inf)
    while (state := connection.poll()) != extensions.POLL_OK:
        poller = select.poll()
        reading = state == extensions.POLL_READ
        poller.register(
            connection.fileno(), select.POLLIN if reading else select.POLLOUT
        )
        remaining = deadline - time.monotonic()
        milliseconds = None if remaining == inf else remaining * 1000
        if remaining <= 0 or not poller.poll(milliseconds):
            raise TimeoutError("PostgreSQL did not answer in time")
