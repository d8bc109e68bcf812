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

    _FIND_ANSWER = """
        SELECT id, expires_at, request_digest, answer FROM qr_codes
        WHERE owner = %(owner)s AND idempotency_key = %(key)s
    """

    def find_answer(
        self, owner: str, idempotency_key: str | None
    ) -> EarlierAnswer | None:
        """Return the answer stored with this owner's key, expired or not."""
        parameters = {"owner": owner, "key": idempotency_key}
        rows = self.database.run(self._FIND_ANSWER, parameters)
        if not rows:
            return None
        qr_id, expires_at, digest, answer = rows[0]
        return EarlierAnswer(qr_id, expires_at, bytes(digest), answer)

    _FREE_KEY = """
        UPDATE qr_codes SET idempotency_key = NULL, request_digest = NULL, answer = NULL
        WHERE id = %(id)s
    """

    def free_key(self, qr_id: str) -> None:
        """Free the key of an expired code, before the cleanup erases it."""
        self.database.run(self._FREE_KEY, {"id": qr_id})

    _INSERT = """
        INSERT INTO qr_codes (id, owner, data, label, options, object_key,
            content_type, created_at, expires_at, idempotency_key, request_digest,
            answer, slug, printed, expired_url, count, targets, kept_until)
        VALUES (%(id)s, %(owner)s, %(data)s, %(label)s, %(options)s, %(object_key)s,
            %(content_type)s, %(created_at)s, %(expires_at)s, %(key)s, %(digest)s,
            %(answer)s, %(slug)s, %(printed)s, %(expired_url)s, %(count)s,
            %(targets)s, %(kept_until)s)
        ON CONFLICT DO NOTHING RETURNING id
    """
    _CONFLICT = """
        SELECT EXISTS (SELECT FROM qr_codes WHERE id = %(id)s),
            EXISTS (SELECT FROM qr_codes WHERE slug = %(slug)s)
    """

    def insert(self, record: Record) -> Inserted:
        """Insert a row, unless its slug or its Idempotency-Key is in use.

        Raises DatabaseUnavailable; if its `maybe_executed` is true, the row may exist.
        """
        code, dynamic = record.code, record.dynamic
        keyed = record.idempotency_key is not None
        parameters = {
            "id": code.qr_id,
            "owner": record.owner,
            "data": record.data,
            "label": record.label,
            "options": json.dumps(record.options),
            "object_key": code.object_key,
            "content_type": code.content_type,
            "created_at": record.created_at,
            "expires_at": code.expires_at,
            "key": record.idempotency_key,
            "digest": record.request_digest if keyed else None,
            "answer": json.dumps(record.answer) if keyed else None,
            "slug": dynamic and dynamic.link.slug,
            "printed": dynamic and dynamic.printed,
            "expired_url": dynamic and dynamic.link.expired_url,
            "count": dynamic and dynamic.link.counts,
            "targets": dynamic
            and json.dumps(targets_of(record.data, record.created_at)),
            "kept_until": dynamic and dynamic.kept_until,
        }
        if self.database.run(self._INSERT, parameters):
            return Inserted.STORED
        conflict = {"id": code.qr_id, "slug": parameters["slug"]}
        try:
            ((exists, slug_taken),) = self.database.run(self._CONFLICT, conflict)
        except DatabaseUnavailable:
            raise DatabaseUnavailable(maybe_executed=True) from None
        if exists:  # the first of two tries was committed
            return Inserted.STORED
        return Inserted.SLUG_TAKEN if slug_taken else Inserted.KEY_TAKEN

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


def targets_of(
    data: str, since: datetime, earlier: Sequence[dict[str, str]] = ()
) -> list[dict[str, str]]:
    """Return the targets of a dynamic code, the latest first, with their moments."""
    return [{"data": data, "since": timestamp(since)}, *earlier][:MOST_TARGETS]
