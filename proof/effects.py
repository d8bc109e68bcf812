"""Every call with which the service leaves its process, as one effect that can fail.

`installed` puts itself between the stores and their clients (psycopg2, the connection
to S3, boto3, redis), from outside: the service has no hook for it. Each call crosses a
Boundary, which decides whether it happens and whether its answer arrives. A client has
only the calls that are known here: a new one fails until it is added.
"""

import http.client
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar
from unittest.mock import patch

import psycopg2
import redis
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from qr_service.stores import cache, database, migrations
from qr_service.stores.bulk import BulkStorage
from qr_service.stores.links import LinkTable
from qr_service.stores.owned import OwnedTable
from qr_service.stores.scans import ScanTable
from qr_service.stores.storage import Storage
from qr_service.stores.table import CodeTable

Answer = TypeVar("Answer")
# What breaks the connection of a client, as the client reports it; true if it was
# given up after a timeout.
Lose = Callable[[bool], Exception]

MIGRATIONS = Path(__file__).parents[1] / "functions" / "migrate" / "migrations"


class Failure(StrEnum):
    """What can happen at an effect."""

    CRASH_BEFORE = "the process ends before it"
    CRASH_AFTER = "the process ends after it"
    LOST = "it is done, and its answer is lost"
    REFUSED = "it is not done, and the connection breaks"


class Boundary(Protocol):
    """The place where effects fail."""

    def cross(self, effect: str, do: Callable[[], Answer], lose: Lose) -> Answer:
        """Do an effect and return its answer, or fail."""
        ...


class Clients(Protocol):
    """The clients that are wrapped: of real servers or of models."""

    def postgresql(self, settings: Any) -> Any:
        """Return a connection like psycopg2's."""
        ...

    def valkey(self, settings: Any) -> Any:
        """Return a client like redis.Redis."""
        ...

    def http(self, storage: Storage, scheme: str, host: str) -> Any:
        """Return a connection to S3 like http.client's."""
        ...

    def s3(self, bulk: BulkStorage) -> Any:
        """Return a client of S3 like boto3's."""
        ...


def _statements() -> dict[str, str]:
    """Return the name of every statement, by its text."""
    named = {
        "SELECT 1": "ping",
        "SELECT pg_advisory_xact_lock(%s)": "lock migrations",
        migrations._CREATE_RECORD: "create record",  # noqa: SLF001
        migrations._APPLIED: "applied",  # noqa: SLF001
        migrations._RECORD: "record",  # noqa: SLF001
    }
    for migration in migrations.load(MIGRATIONS):
        named[migration.sql] = "migration"
    for table in (CodeTable, LinkTable, OwnedTable, ScanTable):
        for name, text in vars(table).items():
            if name[1:].isupper():
                named[text] = name[1:].lower().replace("_", " ")
    return named


STATEMENTS = _statements()
SCRIPTS = {
    cache.PUT: "put",
    cache.CLAIM: "claim",
    cache.COUNT: "count",
    cache.COUNTED: "counted",
}
EFFECTS = {
    *(f"postgresql {name}" for name in STATEMENTS.values()),
    *(f"postgresql {name}" for name in ("connect", "commit", "rollback")),
    *(f"valkey {name}" for name in ("get", "hmget", "ping", *SCRIPTS.values())),
    *(f"s3 {name}" for name in ("PUT", "GET", "DELETE")),
    *(f"s3 {name}" for name in ("DeleteObjects", "ListObjectsV2")),
}


@contextmanager
def installed(boundary: Boundary, clients: Clients) -> Iterator[None]:
    """Let all effects of the service cross a boundary."""

    def connect(settings: Any, _: Any = None) -> Connection:
        return boundary.cross(
            "postgresql connect",
            lambda: Connection(clients.postgresql(settings), boundary),
            lambda _: psycopg2.OperationalError("no connection"),
        )

    def connect_s3(storage: Storage, scheme: str, host: str) -> Any:
        return Http(clients.http(storage, scheme, host), boundary)

    with ExitStack() as stack:
        for change in (
            patch.object(database, "connect", connect),
            patch.object(
                cache,
                "_connect",
                lambda settings: Valkey(clients.valkey(settings), boundary),
            ),
            patch.object(Storage, "_connect", connect_s3),
            patch.object(
                BulkStorage,
                "_client",
                property(lambda bulk: Bulk(clients.s3(bulk), boundary)),
            ),
        ):
            stack.enter_context(change)
        yield


class Connection:
    """A connection of psycopg2: each statement is an effect, and the end as well."""

    def __init__(self, raw: Any, boundary: Boundary) -> None:
        self.raw = raw
        self._boundary = boundary
        self._gone = False

    @property
    def closed(self) -> bool:
        """Whether it can no longer be used."""
        return bool(self._gone or self.raw.closed)

    @property
    def autocommit(self) -> bool:
        """Whether each statement is a transaction of its own."""
        return bool(self.raw.autocommit)

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        self.raw.autocommit = value

    def close(self) -> None:
        """Close it, which is no effect: a server notices the end of a process too."""
        self.raw.close()

    def cursor(self) -> "Cursor":
        """Return a cursor."""
        return Cursor(self)

    def commit(self) -> None:
        """Commit the transaction."""
        self.cross("commit", self.raw.commit)

    def rollback(self) -> None:
        """Roll the transaction back."""
        self.cross("rollback", self.raw.rollback)

    def cross(self, effect: str, do: Callable[[], Answer]) -> Answer:
        """Do an effect on this connection, which may be lost by it."""
        if self.closed:
            raise psycopg2.InterfaceError("connection already closed")
        return self._boundary.cross(f"postgresql {effect}", do, self._lose)

    def _lose(self, timeout: bool) -> Exception:
        self._gone = True
        # After a timeout the server may do the statement later, but never commit.
        if not (timeout and self.autocommit):
            self.raw.close()
        return (TimeoutError if timeout else psycopg2.OperationalError)("lost")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.commit()
        else:
            self.rollback()


class Cursor:
    """A cursor of psycopg2."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._raw = connection.raw.cursor()

    def execute(self, statement: str, parameters: Any = None) -> None:
        """Run a statement, whose name must be known."""
        self._connection.cross(
            STATEMENTS[statement], lambda: self._raw.execute(statement, parameters)
        )

    @property
    def description(self) -> Any:
        """What the columns of the answer are, None without rows."""
        return self._raw.description

    def fetchall(self) -> list[Any]:
        """Return the rows."""
        rows: list[Any] = self._raw.fetchall()
        return rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._raw.close()


class Valkey:
    """A client of Valkey."""

    def __init__(self, raw: Any, boundary: Boundary) -> None:
        self._raw = raw
        self._boundary = boundary

    def get(self, key: str) -> Any:
        """Send GET."""
        return self._cross("get", lambda: self._raw.get(key))

    def hmget(self, key: str, fields: list[str]) -> Any:
        """Send HMGET."""
        return self._cross("hmget", lambda: self._raw.hmget(key, fields))

    def eval(self, script: str, keys: int, *arguments: Any) -> Any:
        """Send EVAL with a script, whose name must be known."""
        return self._cross(
            SCRIPTS[script], lambda: self._raw.eval(script, keys, *arguments)
        )

    def ping(self) -> Any:
        """Send PING."""
        return self._cross("ping", self._raw.ping)

    def close(self) -> None:
        """Close the connection."""
        self._raw.close()

    def _cross(self, effect: str, do: Callable[[], Answer]) -> Answer:
        return self._boundary.cross(f"valkey {effect}", do, self._lose)

    def _lose(self, timeout: bool) -> Exception:
        return (redis.TimeoutError if timeout else redis.ConnectionError)("lost")


class Http:
    """A connection of http.client: a request and its answer are one effect."""

    def __init__(self, raw: Any, boundary: Boundary) -> None:
        self._raw = raw
        self._boundary = boundary
        self._request: tuple[Any, ...] = ()

    def request(self, *request: Any) -> None:
        """Keep the request until the answer is read."""
        self._request = request

    def getresponse(self) -> Any:
        """Send the request and return its answer."""

        def send() -> Any:
            self._raw.request(*self._request)
            return self._raw.getresponse()

        return self._boundary.cross(f"s3 {self._request[0]}", send, self._lose)

    def close(self) -> None:
        """Close the connection."""
        self._raw.close()

    def _lose(self, timeout: bool) -> Exception:
        if timeout:
            return TimeoutError("lost")
        self._raw.close()
        return http.client.RemoteDisconnected("lost")


class Bulk:
    """A client of boto3 with the two calls that the cleanup makes."""

    def __init__(self, raw: Any, boundary: Boundary) -> None:
        self._raw = raw
        self._boundary = boundary

    def delete_objects(self, **parameters: Any) -> Any:
        """Send DeleteObjects."""
        return self._boundary.cross(
            "s3 DeleteObjects",
            lambda: self._raw.delete_objects(**parameters),
            self._lose,
        )

    def list_objects_v2(self, **parameters: Any) -> Any:
        """Send ListObjectsV2."""
        return self._boundary.cross(
            "s3 ListObjectsV2",
            lambda: self._raw.list_objects_v2(**parameters),
            self._lose,
        )

    @staticmethod
    def _lose(timeout: bool) -> Exception:
        if timeout:
            return ReadTimeoutError(endpoint_url="s3")
        return ConnectionClosedError(endpoint_url="s3")
