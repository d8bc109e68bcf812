"""PostgreSQL, S3 and Valkey in process, as far as the service uses them.

They are held against the real servers by tests/integration/test_models.py. Each client
has what the service calls of the real one, and nothing else.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg2
from qr_service.stores.cache import CLAIM, COUNT, COUNTED, PUT

from proof.effects import STATEMENTS

Parameters = dict[str, Any]
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of qr_codes, with the names of its columns."""

    id: str
    owner: str | None
    data: str | None
    options: str | None
    object_key: str | None
    content_type: str | None
    created_at: datetime
    expires_at: datetime
    erased_at: datetime | None = None
    idempotency_key: str | None = None
    request_digest: bytes | None = None
    answer: str | None = None
    revision: int = 1
    label: str | None = None
    slug: str | None = None
    printed: str | None = None
    expired_url: str | None = None
    count: bool | None = None
    targets: str | None = None
    kept_until: datetime | None = None

    @property
    def due(self) -> datetime:
        """Since when the code may be erased."""
        return self.kept_until or self.expires_at


# The code, the day, the generation.
Scans = dict[tuple[str, date, str], tuple[int, int]]

ERASED: dict[str, Any] = dict.fromkeys(
    (
        "owner",
        "data",
        "options",
        "object_key",
        "content_type",
        "idempotency_key",
        "request_digest",
        "answer",
        "label",
        "printed",
        "count",
        "targets",
        "kept_until",
    )
)


class PostgreSQL:
    """The tables of codes and scans, and the record of migrations; with locks.

    A statement that has to wait for a lock calls `wait` until it need not.
    """

    def __init__(self, wait: Callable[[], None]) -> None:
        self.wait = wait
        self.rows: dict[str, Row] = {}
        self.scans: Scans = {}
        self.locks: dict[str, PostgreSQLConnection] = {}  # of rows, by id
        self.migrating: PostgreSQLConnection | None = None  # has the advisory lock
        self.record: list[int] | None = None
        self.migrated: list[str] = []  # the SQL that was executed

    def connect(self) -> "PostgreSQLConnection":
        """Return a new connection."""
        return PostgreSQLConnection(self)


class PostgreSQLConnection:
    """A connection; changes of a transaction are kept in `changes` until its commit."""

    def __init__(self, server: PostgreSQL) -> None:
        self.server = server
        self.autocommit = False
        self.closed = False
        self.began: datetime | None = None
        self.changes: dict[str, Row | None] = {}
        self.flushed: Scans = {}
        self.executed: list[str] = []
        self.recorded: list[int] | None = None

    def cursor(self) -> "PostgreSQLCursor":
        """Return a cursor."""
        return PostgreSQLCursor(self)

    def commit(self) -> None:
        """Make the changes visible, and release the locks."""
        server = self.server
        for qr_id, row in self.changes.items():
            if row is None:
                del server.rows[qr_id]
            else:
                server.rows[qr_id] = row
                if row.erased_at:
                    for key in [key for key in server.scans if key[0] == qr_id]:
                        del server.scans[key]
        server.scans |= self.flushed
        server.migrated += self.executed
        if self.recorded is not None:
            server.record = self.recorded
        self.rollback()

    def rollback(self) -> None:
        """Forget the changes, and release the locks."""
        server = self.server
        self.began = self.recorded = None
        self.changes = {}
        self.flushed = {}
        self.executed = []
        for qr_id in [row for row, holder in server.locks.items() if holder is self]:
            del server.locks[qr_id]
        if server.migrating is self:
            server.migrating = None

    def close(self) -> None:
        """End the session: what is not committed is rolled back."""
        self.rollback()
        self.closed = True


class PostgreSQLCursor:
    """A cursor that knows the statements of the service."""

    def __init__(self, connection: PostgreSQLConnection) -> None:
        self._connection = connection
        self._server = connection.server
        self._rows: Rows = []
        self.description: tuple[Any, ...] | None = None

    def execute(self, statement: str, parameters: Any = None) -> None:
        """Run a statement, in the open transaction or in one of its own."""
        connection = self._connection
        if connection.closed:
            raise psycopg2.InterfaceError("connection already closed")
        connection.began = connection.began or datetime.now(UTC)
        run = _RUN[STATEMENTS[statement]]
        answer = run(self, statement if parameters is None else parameters)
        self.description = None if answer is None else ("a column",)
        self._rows = answer or []
        if connection.autocommit:
            connection.commit()

    def fetchall(self) -> Rows:
        """Return the rows of the last statement."""
        return self._rows

    def close(self) -> None:
        """Close it."""

    @property
    def _now(self) -> datetime:
        """The start of the transaction, as now() is."""
        if self._connection.began is None:
            raise AssertionError("no transaction")
        return self._connection.began

    def _living(self) -> Iterator[Row]:
        """Yield the rows that are not erased."""
        return (row for row in self._server.rows.values() if row.erased_at is None)

    def _locked(self, row: Row) -> bool:
        """Return whether another transaction has locked a row."""
        return self._server.locks.get(row.id) not in (None, self._connection)

    def _unlocked(self, rows: list[Row]) -> list[Row]:
        """Return the rows that another transaction has not locked: SKIP LOCKED."""
        return [row for row in rows if not self._locked(row)]

    def _holder(self, parameters: Parameters) -> Row | None:
        """Return the row that has the owner's key, None without a key."""
        owner, key = parameters["owner"], parameters["key"]
        for row in self._server.rows.values():
            if key is not None and (row.owner, row.idempotency_key) == (owner, key):
                return row
        return None

    def _find(self, parameters: Parameters) -> Rows:
        row = self._server.rows.get(parameters["id"])
        if row is None:
            return []
        found = (row.expires_at, row.object_key or "", row.content_type or "")
        return [(*found, row.revision)]

    def _find_answers(self, parameters: Parameters) -> Rows:
        rows = [
            self._holder({"owner": parameters["owner"], "key": key})
            for key in parameters["keys"]
        ]
        return [
            (
                row.idempotency_key,
                row.id,
                row.expires_at,
                row.request_digest,
                json.loads(row.answer or ""),
            )
            for row in rows
            if row
        ]

    def _to_update(self, qr_id: str) -> Row | None:
        """Return a row when no other transaction has locked it."""
        while (row := self._server.rows.get(qr_id)) and self._locked(row):
            self._server.wait()
        return row

    def _free_keys(self, parameters: Parameters) -> None:
        for qr_id in parameters["ids"]:
            if row := self._to_update(qr_id):
                self._connection.changes[row.id] = replace(
                    row, idempotency_key=None, request_digest=None, answer=None
                )

    @staticmethod
    def _owned(row: Row, *, targets: bool = False) -> tuple[Any, ...]:
        return (
            row.id,
            row.expires_at,
            row.object_key or "",
            row.content_type or "",
            row.revision,
            row.owner or "",
            row.data or "",
            row.label,
            json.loads(row.options)["format"] if row.options else "",
            row.created_at,
            row.slug,
            row.printed,
            row.expired_url,
            row.count or False,
            json.loads(row.targets) if targets and row.targets else None,
            row.kept_until,
        )

    def _find_owned(self, parameters: Parameters) -> Rows:
        row = self._server.rows.get(parameters["id"])
        return [self._owned(row, targets=True)] if row else []

    def _id_of(self, parameters: Parameters) -> Rows:
        rows = self._server.rows.values()
        return [(row.id,) for row in rows if row.slug == parameters["slug"]]

    def _list(self, parameters: Parameters) -> Rows:
        after = (parameters["created_at"], parameters["id"])
        found = [
            row
            for row in self._living()
            if row.owner == parameters["owner"]
            and self._now < row.due
            and row.expires_at < parameters["before"]
            and (row.created_at, row.id) < after
        ]
        found.sort(key=lambda row: (row.created_at, row.id), reverse=True)
        return [self._owned(row) for row in found[: parameters["limit"]]]

    def _of_revision(self, parameters: Parameters) -> Row | None:
        """Return a living row if it has the owner and the revision of a statement."""
        row = self._to_update(parameters["id"])
        wanted = (parameters["owner"], parameters["revision"])
        if row is None or (row.owner, row.revision) != wanted:
            return None
        is_kept = row.erased_at is None and row.due > self._now
        return row if is_kept else None

    def _update(self, row: Row, **changes: Any) -> Row:
        changed = replace(row, revision=row.revision + 1, **changes)
        if changed.expires_at < changed.created_at or changed.due < changed.expires_at:
            raise psycopg2.errors.CheckViolation
        self._connection.changes[row.id] = changed
        return changed

    def _change(self, parameters: Parameters) -> Rows:
        row = self._of_revision(parameters)
        if row is None:
            return []
        changes = dict(parameters)
        for name in ("id", "owner", "revision"):
            del changes[name]
        return [(self._update(row, **changes).revision,)]

    def _ended(self, row: Row) -> Row:
        now = self._now.replace(microsecond=0)
        ends = min(row.expires_at, max(row.created_at, now))
        return self._update(row, expires_at=ends, kept_until=None, expired_url=None)

    def _end(self, parameters: Parameters) -> Rows:
        row = self._of_revision(parameters)
        if row is None:
            return []
        ended = self._ended(row)
        return [(ended.expires_at, ended.revision)]

    def _of_owner(self, owner: str, limit: int) -> list[Row]:
        """Return the rows of an owner, when no other transaction has locked them."""
        ids = [row.id for row in self._server.rows.values() if row.owner == owner]
        rows = [self._to_update(qr_id) for qr_id in ids[:limit]]
        return [row for row in rows if row and row.owner == owner]

    def _end_some(self, parameters: Parameters) -> Rows:
        owner, limit = parameters["owner"], parameters["limit"]
        kept = [row for row in self._of_owner(owner, 10**6) if row.due > self._now]
        ended = [self._ended(row) for row in kept[:limit]]
        return [(row.id, row.expires_at, row.revision, row.slug) for row in ended]

    def _transfer(self, parameters: Parameters) -> Rows:
        target = parameters["to"]
        moved = self._of_owner(parameters["from"], parameters["limit"])
        for row in moved:
            changes: dict[str, Any] = {"owner": target}
            named = {"owner": target, "key": row.idempotency_key}
            if self._holder(named):
                changes |= dict.fromkeys(
                    ("idempotency_key", "request_digest", "answer")
                )
            self._connection.changes[row.id] = replace(row, **changes)
        return [(row.id,) for row in moved]

    def _erase_ended(self, parameters: Parameters) -> None:
        row = self._to_update(parameters["id"])
        if row and row.erased_at is None and row.due <= self._now:
            self._connection.changes[row.id] = replace(
                row, erased_at=self._now, **ERASED
            )

    def _insert(self, parameters: Parameters) -> Rows:
        given = [_inserted(row) for row in json.loads(parameters["rows"])]
        while any(self._is_being_freed(row) for row in given):
            self._server.wait()
        return [(row.id,) for row in given if self._insert_one(row)]

    def _is_being_freed(self, row: Row) -> bool:
        """Return whether a transaction that erases the key's row has not committed."""
        holder = self._holder({"owner": row.owner, "key": row.idempotency_key})
        locked_by = holder and self._server.locks.get(holder.id)
        return bool(holder and locked_by and holder.id in locked_by.changes)

    def _insert_one(self, row: Row) -> bool:
        """Insert a row, unless it is in conflict with another, or one of its own."""
        key = row.idempotency_key
        for other in filter(
            None, (self._server.rows | self._connection.changes).values()
        ):
            if (
                row.id == other.id
                or (row.slug and row.slug == other.slug)
                or (key and (row.owner, key) == (other.owner, other.idempotency_key))
            ):
                return False
        keyed = [key, row.request_digest, row.answer]
        if row.expires_at < row.created_at or keyed.count(None) not in (0, 3):
            raise psycopg2.errors.CheckViolation
        self._connection.changes[row.id] = row
        return True

    def _conflicts(self, parameters: Parameters) -> Rows:
        ids, slugs = parameters["ids"], parameters["slugs"]
        return [
            (row.id, row.slug)
            for row in self._server.rows.values()
            if row.id in ids or row.slug in slugs
        ]

    def _scan(self, parameters: Parameters) -> Rows:
        return [
            (
                row.expires_at,
                row.id,
                row.data or "",
                row.expired_url,
                row.count or False,
                row.revision,
            )
            for row in self._server.rows.values()
            if row.slug == parameters["slug"]
        ]

    def _flush(self, parameters: Parameters) -> Rows:
        ids = parameters["ids"]
        given = zip(parameters["people"], parameters["bots"], strict=True)
        changed = []
        for qr_id, (people, bots) in zip(ids, given, strict=True):
            row = self._to_update(qr_id)
            if row is None or row.erased_at or not row.count:
                continue
            key = (qr_id, parameters["day"], parameters["generation"])
            known = self._server.scans.get(key)
            if known is None or known[0] < people or known[1] < bots:
                old = known or (0, 0)
                new = (max(old[0], people), max(old[1], bots))
                self._connection.flushed[key] = new
                changed.append((qr_id,))
        return changed

    def _scans(self, parameters: Parameters) -> Rows:
        return [
            (day, generation, *counts)
            for (qr_id, day, generation), counts in self._server.scans.items()
            if qr_id == parameters["id"]
            and parameters["first"] <= day <= parameters["last"]
        ]

    def _due(self) -> list[Row]:
        due = [row for row in self._living() if row.due <= self._now]
        return sorted(due, key=lambda row: (row.due, row.id))

    def _lock_due(self, parameters: Parameters) -> Rows:
        after = (parameters["due"], parameters["id"])
        due = self._unlocked(self._due())
        rows = [row for row in due if (row.due, row.id) > after]
        rows = rows[: parameters["limit"]]
        for row in rows:
            self._server.locks[row.id] = self._connection
        return [(row.id, row.due, row.object_key) for row in rows]

    def _ending(self, parameters: Parameters) -> Rows:
        until = self._now + parameters["time"]
        ending = [
            row
            for row in self._living()
            if row.slug and self._now <= row.expires_at <= until
        ]
        return [(len(ending),)]

    def _erase(self, parameters: Parameters) -> None:
        for qr_id in parameters["ids"]:
            row = self._server.rows[qr_id]
            self._connection.changes[qr_id] = replace(
                row,
                erased_at=self._now,
                **ERASED,
            )

    def _backlog(self, parameters: Parameters) -> Rows:
        due = self._due()[: parameters["limit"]]
        oldest = due[0].due if due else self._now
        return [(len(due), (self._now - oldest).total_seconds())]

    def _images(self, parameters: Parameters) -> Rows:
        first, last = parameters["first"], parameters["last"]
        rows = [row for row in self._living() if first <= row.id <= last]
        rows.sort(key=lambda row: row.id)
        return [
            (
                row.id,
                row.created_at < self._now - parameters["grace"]
                and row.due > self._now,
            )
            for row in rows[: parameters["limit"]]
        ]

    def _any(self, _: Parameters) -> Rows:
        return [(bool(self._server.rows),)]

    def _purge(self, parameters: Parameters) -> Rows:
        oldest = self._now - parameters["age"]
        erased = [
            (row.erased_at, row)
            for row in self._server.rows.values()
            if row.erased_at and row.erased_at <= oldest and row.slug is None
        ]
        erased.sort(key=lambda pair: pair[0])
        rows = self._unlocked([row for _, row in erased])[: parameters["limit"]]
        self._connection.changes |= {row.id: None for row in rows}
        return [(row.id,) for row in rows]

    def _ping(self, _: Any) -> Rows:
        return [(1,)]

    def _lock_migrations(self, _: Any) -> Rows:
        while self._server.migrating not in (None, self._connection):
            self._server.wait()
        self._server.migrating = self._connection
        return [("",)]

    def _create_record(self, _: Any) -> None:
        if self._server.record is None:
            self._connection.recorded = []

    def _applied(self, _: Any) -> Rows:
        return [(version,) for version in self._server.record or []]

    def _migration(self, sql: str) -> None:
        self._connection.executed.append(sql)

    def _record(self, parameters: tuple[int, str]) -> None:
        version, _ = parameters
        self._connection.recorded = [*(self._server.record or []), version]


def _inserted(given: dict[str, Any]) -> Row:
    """Return a row that was given as JSON."""
    row = dict(given)
    for name in ("created_at", "expires_at", "kept_until"):
        row[name] = row.get(name) and datetime.fromisoformat(row[name])
    for name in ("options", "answer", "targets"):
        row[name] = json.dumps(row[name]) if name in row else None
    if "request_digest" in row:
        row["request_digest"] = bytes.fromhex(row["request_digest"].removeprefix("\\x"))
    return Row(**row)


_RUN: dict[str, Callable[[PostgreSQLCursor, Any], Rows | None]] = {
    name: getattr(PostgreSQLCursor, f"_{name.replace(' ', '_')}")
    for name in STATEMENTS.values()
}


@dataclass(frozen=True, slots=True)
class Stored:
    """An object in S3, with the moment at which it was stored, in whole seconds."""

    body: bytes
    content_type: str
    stored_at: datetime


@dataclass(slots=True)
class S3:
    """A bucket; `page` is how many keys one listing has, `broken` cannot be deleted."""

    page: int = 1000
    objects: dict[str, Stored] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    def delete_objects(self, **request: Any) -> dict[str, Any]:
        """Answer DeleteObjects: a quiet answer lists only failures."""
        keys = {item["Key"] for item in request["Delete"]["Objects"]}
        for key in keys - self.broken:
            self.objects.pop(key, None)
        failed = sorted(keys & self.broken)
        errors = [{"Key": key, "Code": "InternalError"} for key in failed]
        return {"Errors": errors} if errors else {}

    def list_objects_v2(self, **request: Any) -> dict[str, Any]:
        """Answer ListObjectsV2."""
        prefix, after = request["Prefix"], request["StartAfter"]
        keys = sorted(k for k in self.objects if k.startswith(prefix) and k > after)
        now = format_datetime(datetime.now(UTC), usegmt=True)
        return {
            "Contents": [
                {"Key": key, "LastModified": self.objects[key].stored_at}
                for key in keys[: self.page]
            ],
            "IsTruncated": len(keys) > self.page,
            "ResponseMetadata": {"HTTPHeaders": {"date": now}},
        }


class S3Connection:
    """A connection of http.client to the bucket; the signature is not checked."""

    def __init__(self, server: S3, *, path_style: bool = False) -> None:
        self._server = server
        self._folders = 1 + path_style  # before the key
        self._answer = HttpAnswer(0)

    def request(
        self, method: str, target: str, body: bytes, headers: dict[str, str]
    ) -> None:
        """Store, read or delete an object."""
        key = unquote(urlsplit(target).path).split("/", self._folders)[-1]
        if method == "PUT":
            now = datetime.now(UTC).replace(microsecond=0)
            self._server.objects[key] = Stored(body, headers["Content-Type"], now)
            self._answer = HttpAnswer(200)
        elif method == "GET":
            stored = self._server.objects.get(key)
            self._answer = HttpAnswer(200, stored.body) if stored else HttpAnswer(404)
        elif key in self._server.broken:
            self._answer = HttpAnswer(500)
        else:
            self._server.objects.pop(key, None)
            self._answer = HttpAnswer(204)

    @contextmanager
    def getresponse(self) -> Iterator["HttpAnswer"]:
        """Yield the answer to the request."""
        yield self._answer

    def close(self) -> None:
        """Close it."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer."""

    status: int
    body: bytes = b""

    def read(self) -> bytes:
        """Return the body."""
        return self.body


@dataclass(slots=True)
class Valkey:
    """The cache: values with the second at which they are forgotten.

    `counters` are its hashes; `counted` is each number as it was last, even if it has
    been lost since, by code, day, generation and scanner.
    """

    entries: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    counters: dict[str, tuple[dict[str, bytes], int]] = field(default_factory=dict)
    counted: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)

    def clear(self) -> None:
        """Lose everything, as a cache that is replaced does."""
        self.entries.clear()
        self.counters.clear()

    def get(self, key: str) -> bytes | None:
        """Return a value, None if there is none or it is forgotten."""
        value, forget_at = self.entries.get(key, (b"", 0))
        return value if datetime.now(UTC).timestamp() < forget_at else None

    def hmget(self, key: str, fields: list[str]) -> list[bytes | None]:
        """Return the values of some fields of a hash."""
        counter = self._counter(key)
        return [counter.get(name) for name in fields]

    def eval(self, script: str, _keys: int, key: str, *arguments: Any) -> Any:
        """Run one of the cache's scripts."""
        scripts: dict[str, Callable[..., Any]] = {
            PUT: self._put,
            CLAIM: self._claim,
            COUNT: self._count,
            COUNTED: self._page,
        }
        run = scripts[script]
        return run(key, *arguments)

    def _counter(self, key: str) -> dict[str, bytes]:
        counter, forget_at = self.counters.get(key, ({}, 0))
        return counter if datetime.now(UTC).timestamp() < forget_at else {}

    def _count(self, key: str, name: str, generation: str, forget_at: int) -> int:
        counter = self._counter(key)
        began = not counter
        if began:
            counter["generation"] = generation.encode()
            self.counters[key] = (counter, forget_at)
        number = int(counter.get(name, 0)) + 1
        counter[name] = str(number).encode()
        qr_id, _, scanner = name.partition(":")
        day = key.removeprefix("scans:")
        self.counted[qr_id, day, counter["generation"].decode(), scanner] = number
        return int(began)

    def _page(self, key: str, position: str, size: str) -> list[Any]:
        counter = self._counter(key)
        names = list(counter)
        start, end = int(position), int(position) + int(size)
        found = [
            part for name in names[start:end] for part in (name.encode(), counter[name])
        ]
        following = b"0" if end >= len(names) else str(end).encode()
        return [counter.get("generation"), [following, found]]

    def _put(self, key: str, value: str, revision: int, forget_at: int) -> int:
        old = self.get(key)
        if old is not None and json.loads(old)["revision"] > revision:
            return 0
        self.entries[key] = (value.encode(), forget_at)
        return 1

    def _claim(self, key: str, now: int, until: int) -> int:
        old = self.get(key)
        if old is None:
            return 1
        entry = json.loads(old)
        if entry["fresh_until"] > now:
            return 0
        entry["fresh_until"] = until
        self.entries[key] = (json.dumps(entry).encode(), self.entries[key][1])
        return 1

    def ping(self) -> bool:
        """Answer."""
        return True

    def close(self) -> None:
        """Close the connection."""
