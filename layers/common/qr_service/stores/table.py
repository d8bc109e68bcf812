"""The table of codes: every statement that the service runs on it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

from qr_service.codes import Code, Link
from qr_service.errors import DatabaseUnavailable, timestamp
from qr_service.stores.database import TIMEOUT, Cursor, Database, Row

MOST_TARGETS = 20  # of a dynamic code that are kept


@dataclass(frozen=True, slots=True)
class Record:
    """A new row: where the image of the code is, what it encodes, who owns it.

    `request_digest` and `answer` are stored only with an `idempotency_key`.
    """

    code: Code
    owner: str
    data: str
    options: dict[str, Any]
    created_at: datetime
    idempotency_key: str | None
    request_digest: bytes
    answer: dict[str, Any]
    label: str | None = None
    dynamic: "Dynamic | None" = None


@dataclass(frozen=True, slots=True)
class Dynamic:
    """What a new row has of a dynamic code; `printed` is the text in the image."""

    link: Link
    printed: str
    kept_until: datetime


class Inserted(Enum):
    """The outcome of an INSERT: the row exists, or what it needs is in use."""

    STORED = auto()
    KEY_TAKEN = auto()
    SLUG_TAKEN = auto()


@dataclass(frozen=True, slots=True)
class EarlierAnswer:
    """The answer to the first request with an Idempotency-Key."""

    qr_id: str
    expires_at: datetime
    request_digest: bytes
    answer: dict[str, Any]


class CodeTable:
    """The codes and their tombstones, over one database connection."""

    def __init__(self, database: Database) -> None:
        self.database = database

    _FIND = """
        SELECT expires_at, coalesce(object_key, ''), coalesce(content_type, ''),
            revision
        FROM qr_codes WHERE id = %(id)s
    """

    def find(self, qr_id: str, seconds: float = TIMEOUT) -> Code | None:
        """Return the code or its tombstone; None if there is neither."""
        rows = self.database.run(self._FIND, {"id": qr_id}, seconds)
        return Code(qr_id, *rows[0]) if rows else None

    _FIND_ANSWERS = """
        SELECT idempotency_key, id, expires_at, request_digest, answer FROM qr_codes
        WHERE owner = %(owner)s AND idempotency_key = ANY(%(keys)s)
    """

    def find_answers(
        self, owner: str, idempotency_keys: list[str]
    ) -> dict[str, EarlierAnswer]:
        """Return the answers stored with keys of this owner, expired or not, by key."""
        parameters = {"owner": owner, "keys": idempotency_keys}
        return {
            key: EarlierAnswer(qr_id, expires_at, bytes(digest), answer)
            for key, qr_id, expires_at, digest, answer in self.database.run(
                self._FIND_ANSWERS, parameters
            )
        }

    _FREE_KEYS = """
        UPDATE qr_codes SET idempotency_key = NULL, request_digest = NULL, answer = NULL
        WHERE id = ANY(%(ids)s::uuid[])
    """

    def free_keys(self, ids: list[str]) -> None:
        """Free the keys of expired codes, before the cleanup erases them."""
        self.database.run(self._FREE_KEYS, {"ids": ids})

    # The rows are JSON, so that one statement inserts any number of them.
    _INSERT = """
        INSERT INTO qr_codes (id, owner, data, label, options, object_key,
            content_type, created_at, expires_at, idempotency_key, request_digest,
            answer, slug, printed, expired_url, count, targets, kept_until)
        SELECT id, owner, data, label, options, object_key,
            content_type, created_at, expires_at, idempotency_key, request_digest,
            answer, slug, printed, expired_url, count, targets, kept_until
        FROM json_populate_recordset(NULL::qr_codes, %(rows)s)
        ON CONFLICT DO NOTHING RETURNING id
    """
    _CONFLICTS = """
        SELECT id, slug FROM qr_codes
        WHERE id = ANY(%(ids)s::uuid[]) OR slug = ANY(%(slugs)s)
    """

    def insert(self, records: Sequence[Record]) -> list[Inserted]:
        """Insert rows, each unless its slug or its Idempotency-Key is in use.

        Raises DatabaseUnavailable; if its `maybe_executed` is true, rows may exist. It
        is all of them that are not in conflict, or none.
        """
        # In the order of their keys: two transactions that insert the same keys wait
        # for each other otherwise.
        ordered = sorted(records, key=lambda record: record.idempotency_key or "")
        rows = json.dumps([_row(record) for record in ordered])
        inserted = {row[0] for row in self.database.run(self._INSERT, {"rows": rows})}
        refused = [each for each in records if each.code.qr_id not in inserted]
        if not refused:
            return [Inserted.STORED] * len(records)
        conflict = {
            "ids": [record.code.qr_id for record in refused],
            "slugs": [each.dynamic.link.slug for each in refused if each.dynamic],
        }
        try:
            found = self.database.run(self._CONFLICTS, conflict)
        except DatabaseUnavailable:
            raise DatabaseUnavailable(maybe_executed=True) from None
        # The first of two tries was committed, if a row exists that was refused.
        inserted.update(row[0] for row in found)
        slugs = {row[1] for row in found}
        return [_outcome(record, inserted, slugs) for record in records]

    # A code is due from its end on, or from when it is no longer kept for its owner.
    _LOCK_DUE = """
        SELECT id, coalesce(kept_until, expires_at), object_key FROM qr_codes
        WHERE coalesce(kept_until, expires_at) <= now() AND erased_at IS NULL
            AND (coalesce(kept_until, expires_at), id) > (%(due)s, %(id)s)
        ORDER BY coalesce(kept_until, expires_at), id
        LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    """

    @staticmethod
    def lock_due(cursor: Cursor, after: tuple[datetime, str], limit: int) -> list[Row]:
        """Return up to `limit` rows to erase after `after`, locked.

        `after` is (since when it is due, id), a row is (id, since when, object_key).
        Rows that another run has locked are skipped.
        """
        due, qr_id = after
        cursor.execute(CodeTable._LOCK_DUE, {"due": due, "id": qr_id, "limit": limit})
        return cursor.fetchall()

    _ERASE = """
        UPDATE qr_codes SET erased_at = now() WHERE id = ANY(%(ids)s::uuid[])
    """

    @staticmethod
    def erase(cursor: Cursor, ids: Sequence[str]) -> None:
        """Turn rows into tombstones: what stays is decided by the table's trigger."""
        cursor.execute(CodeTable._ERASE, {"ids": list(ids)})

    _BACKLOG = """
        SELECT count(*), coalesce(extract(epoch FROM now() - min(due)), 0)
        FROM (
            SELECT coalesce(kept_until, expires_at) AS due FROM qr_codes
            WHERE coalesce(kept_until, expires_at) <= now() AND erased_at IS NULL
            ORDER BY coalesce(kept_until, expires_at), id LIMIT %(limit)s
        ) AS expired
    """

    def backlog(self, limit: int) -> tuple[int, int]:
        """Return the number of codes to erase that remain, and the backlog's age.

        The number is at most `limit`. The age is in whole seconds since the oldest of
        these codes was due, 0 if there is none.
        """
        count, seconds = self.database.run(self._BACKLOG, {"limit": limit})[0]
        return count, int(seconds)

    _ENDING = """
        SELECT count(*) FROM qr_codes
        WHERE expires_at BETWEEN now() AND now() + %(time)s
            AND erased_at IS NULL AND slug IS NOT NULL
    """

    def ending(self, time: timedelta) -> int:
        """Return how many dynamic codes end within a time from now."""
        count: int = self.database.run(self._ENDING, {"time": time})[0][0]
        return count

    _IMAGES = """
        SELECT id, created_at < now() - %(grace)s
            AND coalesce(kept_until, expires_at) > now()
        FROM qr_codes
        WHERE id BETWEEN %(first)s AND %(last)s AND erased_at IS NULL
        ORDER BY id LIMIT %(limit)s
    """

    def with_image(
        self, first: str, last: str, grace: timedelta, limit: int
    ) -> list[Row]:
        """Return up to `limit` rows that have an image, by id from `first` to `last`.

        A row is (id, whether the code is kept and older than `grace`).
        """
        return self.database.run(
            self._IMAGES,
            {"first": first, "last": last, "grace": grace, "limit": limit},
        )

    _ANY = "SELECT EXISTS (SELECT FROM qr_codes)"

    def is_empty(self) -> bool:
        """Return whether there is not a single code or tombstone."""
        return not self.database.run(self._ANY, {})[0][0]

    _PURGE = """
        DELETE FROM qr_codes WHERE id IN (
            SELECT id FROM qr_codes
            WHERE erased_at <= now() - %(age)s AND slug IS NULL
            ORDER BY erased_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
        RETURNING id
    """

    def purge(self, age: timedelta, limit: int) -> int:
        """Delete up to `limit` tombstones older than `age`; return how many.

        Those with a slug stay: it is never used again.
        """
        return len(self.database.run(self._PURGE, {"age": age, "limit": limit}))


def _row(record: Record) -> dict[str, Any]:
    """Return a row as JSON has it, by the names of its columns."""
    code, dynamic = record.code, record.dynamic
    row: dict[str, Any] = {
        "id": code.qr_id,
        "owner": record.owner,
        "data": record.data,
        "label": record.label,
        "options": record.options,
        "object_key": code.object_key,
        "content_type": code.content_type,
        "created_at": record.created_at.isoformat(),
        "expires_at": code.expires_at.isoformat(),
    }
    if record.idempotency_key is not None:
        row["idempotency_key"] = record.idempotency_key
        row["request_digest"] = f"\\x{record.request_digest.hex()}"
        row["answer"] = record.answer
    if dynamic:
        row["slug"] = dynamic.link.slug
        row["printed"] = dynamic.printed
        row["expired_url"] = dynamic.link.expired_url
        row["count"] = dynamic.link.counts
        row["targets"] = targets_of(record.data, record.created_at)
        row["kept_until"] = dynamic.kept_until.isoformat()
    return row


def _outcome(record: Record, inserted: set[str], slugs: set[str]) -> Inserted:
    if record.code.qr_id in inserted:
        return Inserted.STORED
    taken = record.dynamic and record.dynamic.link.slug in slugs
    return Inserted.SLUG_TAKEN if taken else Inserted.KEY_TAKEN


def targets_of(
    data: str, since: datetime, earlier: Sequence[dict[str, str]] = ()
) -> list[dict[str, str]]:
    """Return the targets of a dynamic code, the latest first, with their moments."""
    return [{"data": data, "since": timestamp(since)}, *earlier][:MOST_TARGETS]
