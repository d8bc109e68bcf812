"""The table of codes as their owners see it: lists, changes, ends."""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from qr_service.codes import Code, Link, is_expired
from qr_service.stores.database import Database, Row
from qr_service.stores.table import targets_of


@dataclass(frozen=True, slots=True)
class OwnedCode:
    """A code with what its owner may know.

    All after `created_at` is set for dynamic codes only. `targets` are the latest
    values of `data`, each a dict of `data` and `since`, the latest first. A tombstone
    has `code`, `created_at`, and of a dynamic code `slug` and `expired_url`.
    """

    code: Code
    owner: str
    data: str
    label: str | None
    format: str
    created_at: datetime
    slug: str | None
    printed: str | None
    expired_url: str | None
    counts: bool
    targets: list[dict[str, str]] | None
    kept_until: datetime | None

    @property
    def link(self) -> Link | None:
        """What a scan needs to know; None if the code is static."""
        if self.slug is None:
            return None
        code = self.code
        return Link(
            self.slug,
            code.expires_at,
            code.qr_id,
            self.data,
            self.expired_url,
            self.counts,
            code.revision,
        )

    def is_over(self, now: datetime) -> bool:
        """Return whether the code has ended for its owner too."""
        ends = self.kept_until or self.code.expires_at
        return not self.code.object_key or is_expired(ends, now)


@dataclass(frozen=True, slots=True)
class Change:
    """What a change of a code sets, all of it; `since` is the moment of the change."""

    since: datetime
    expires_at: datetime
    kept_until: datetime | None
    label: str | None
    data: str
    expired_url: str | None


class OwnedTable:
    """The codes of owners, over one database connection."""

    def __init__(self, database: Database) -> None:
        self.database = database

    _FIND_OWNED = """
        SELECT id, expires_at, coalesce(object_key, ''), coalesce(content_type, ''),
            revision, coalesce(owner, ''), coalesce(data, ''), label,
            coalesce(options ->> 'format', ''), created_at, slug, printed, expired_url,
            coalesce(count, false), targets, kept_until
        FROM qr_codes WHERE id = %(id)s
    """

    def find(self, qr_id: str) -> OwnedCode | None:
        """Return a code of any owner, or its tombstone; None if there is neither."""
        rows = self.database.run(self._FIND_OWNED, {"id": qr_id})
        return _owned(rows[0]) if rows else None

    _ID_OF = "SELECT id FROM qr_codes WHERE slug = %(slug)s"

    def id_of(self, slug: str) -> str | None:
        """Return the id of a dynamic code; None if the slug was never used."""
        rows = self.database.run(self._ID_OF, {"slug": slug})
        return str(rows[0][0]) if rows else None

    _LIST = """
        SELECT id, expires_at, object_key, content_type, revision, owner, data, label,
            options ->> 'format', created_at, slug, printed, expired_url,
            coalesce(count, false), NULL, kept_until
        FROM qr_codes
        WHERE owner = %(owner)s AND erased_at IS NULL
            AND coalesce(kept_until, expires_at) > now()
            AND (created_at, id) < (%(created_at)s, %(id)s)
            AND expires_at < %(before)s
        ORDER BY created_at DESC, id DESC LIMIT %(limit)s
    """

    def living(
        self, owner: str, after: tuple[datetime, str], before: datetime, limit: int
    ) -> list[OwnedCode]:
        """Return up to `limit` codes of an owner that are not over, newest first.

        They come after (created_at, id) in this order, and end before a moment. Their
        targets are not read.
        """
        created_at, qr_id = after
        parameters = {
            "owner": owner,
            "created_at": created_at,
            "id": qr_id,
            "before": before,
            "limit": limit,
        }
        return [_owned(row) for row in self.database.run(self._LIST, parameters)]

    _CHANGE = """
        UPDATE qr_codes SET revision = revision + 1, expires_at = %(expires_at)s,
            kept_until = %(kept_until)s, label = %(label)s, data = %(data)s,
            expired_url = %(expired_url)s, targets = %(targets)s
        WHERE id = %(id)s AND owner = %(owner)s AND revision = %(revision)s
            AND erased_at IS NULL AND coalesce(kept_until, expires_at) > now()
        RETURNING revision
    """

    def change(self, known: OwnedCode, change: Change) -> OwnedCode | None:
        """Change a code of this revision; return it, None if it is another."""
        targets = known.targets
        if change.data != known.data:
            targets = targets_of(change.data, change.since, targets or [])
        changed = replace(
            known,
            code=replace(
                known.code,
                expires_at=change.expires_at,
                revision=known.code.revision + 1,
            ),
            label=change.label,
            data=change.data,
            expired_url=change.expired_url,
            targets=targets,
            kept_until=change.kept_until,
        )
        parameters = {
            **_identity(known),
            "expires_at": change.expires_at,
            "kept_until": change.kept_until,
            "label": change.label,
            "data": change.data,
            "expired_url": change.expired_url,
            "targets": None if targets is None else json.dumps(targets),
        }
        return changed if self.database.run(self._CHANGE, parameters) else None

    # In whole seconds, never before the code was created, and never later than before.
    _END = """
        UPDATE qr_codes SET revision = revision + 1, expired_url = NULL,
            kept_until = NULL, expires_at = least(expires_at,
                greatest(created_at, date_trunc('second', now())))
        WHERE id = %(id)s AND owner = %(owner)s AND revision = %(revision)s
            AND erased_at IS NULL AND coalesce(kept_until, expires_at) > now()
        RETURNING expires_at, revision
    """

    def end(self, known: OwnedCode) -> OwnedCode | None:
        """End a code of this revision; return it, None if it is another."""
        rows = self.database.run(self._END, _identity(known))
        if not rows:
            return None
        expires_at, revision = rows[0]
        code = replace(known.code, expires_at=expires_at, revision=revision)
        return replace(known, code=code, expired_url=None, kept_until=None)

    _END_SOME = """
        UPDATE qr_codes SET revision = revision + 1, expired_url = NULL,
            kept_until = NULL, expires_at = least(expires_at,
                greatest(created_at, date_trunc('second', now())))
        WHERE id IN (
            SELECT id FROM qr_codes
            WHERE owner = %(owner)s AND erased_at IS NULL
                AND coalesce(kept_until, expires_at) > now()
            LIMIT %(limit)s FOR UPDATE)
        RETURNING id, expires_at, revision, slug
    """

    def end_some(self, owner: str, limit: int) -> list[tuple[Code, Link | None]]:
        """End up to `limit` codes of an owner; return them and their links as ended."""
        rows = self.database.run(self._END_SOME, {"owner": owner, "limit": limit})
        return [_ended(row) for row in rows]

    # A key that the new owner has used stays with the new owner's code.
    _TRANSFER = """
        WITH batch AS (
            SELECT id, EXISTS (
                SELECT FROM qr_codes AS other WHERE other.owner = %(to)s
                    AND other.idempotency_key = qr_codes.idempotency_key) AS clashes
            FROM qr_codes WHERE owner = %(from)s LIMIT %(limit)s FOR UPDATE
        )
        UPDATE qr_codes SET owner = %(to)s,
            idempotency_key = CASE WHEN NOT clashes THEN idempotency_key END,
            request_digest = CASE WHEN NOT clashes THEN request_digest END,
            answer = CASE WHEN NOT clashes THEN answer END
        FROM batch WHERE qr_codes.id = batch.id RETURNING qr_codes.id
    """

    def transfer(self, source: str, target: str, limit: int) -> int:
        """Give up to `limit` codes of one owner to another; return how many."""
        parameters = {"from": source, "to": target, "limit": limit}
        return len(self.database.run(self._TRANSFER, parameters))

    _ERASE_ENDED = """
        UPDATE qr_codes SET erased_at = now()
        WHERE id = %(id)s AND coalesce(kept_until, expires_at) <= now()
            AND erased_at IS NULL
    """

    def erase(self, qr_id: str) -> None:
        """Turn the row of an ended code, whose image is deleted, into a tombstone."""
        self.database.run(self._ERASE_ENDED, {"id": qr_id})


def _identity(known: OwnedCode) -> dict[str, Any]:
    code = known.code
    return {"id": code.qr_id, "owner": known.owner, "revision": code.revision}


def _owned(row: Row) -> OwnedCode:
    qr_id, expires_at, object_key, content_type, revision, *rest = row
    code = Code(str(qr_id), expires_at, object_key, content_type, revision)
    return OwnedCode(code, *rest)


def _ended(row: Row) -> tuple[Code, Link | None]:
    qr_id, expires_at, revision, slug = row
    code = Code(str(qr_id), expires_at, "", "", revision)
    if slug is None:
        return code, None
    return code, Link(slug, expires_at, code.qr_id, "", None, False, revision)
