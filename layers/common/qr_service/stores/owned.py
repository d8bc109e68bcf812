"""The table of codes as their owners see it: lists, changes, ends."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from qr_service.codes import Code
from qr_service.stores.database import Database, Row


@dataclass(frozen=True, slots=True)
class OwnedCode:
    """A code with what its owner may know; of a tombstone only `code` is set."""

    code: Code
    owner: str
    data: str
    label: str | None
    format: str
    created_at: datetime
    is_dynamic: bool


@dataclass(frozen=True, slots=True)
class Change:
    """What a change of a code sets; of what is None nothing is set, but the label.

    The label is set, or removed, if `sets_label`.
    """

    expires_at: datetime | None = None
    sets_label: bool = False
    label: str | None = None


class OwnedTable:
    """The codes of owners, over one database connection."""

    def __init__(self, database: Database) -> None:
        self.database = database

    _FIND_OWNED = """
        SELECT id, expires_at, coalesce(object_key, ''), coalesce(content_type, ''),
            revision, coalesce(owner, ''), coalesce(data, ''), label,
            coalesce(options ->> 'format', ''), created_at, slug IS NOT NULL
        FROM qr_codes WHERE id = %(id)s
    """

    def find(self, qr_id: str) -> OwnedCode | None:
        """Return a code of any owner, or its tombstone; None if there is neither."""
        rows = self.database.run(self._FIND_OWNED, {"id": qr_id})
        return _owned(rows[0]) if rows else None

    _LIST = """
        SELECT id, expires_at, object_key, content_type, revision, owner, data, label,
            options ->> 'format', created_at, slug IS NOT NULL
        FROM qr_codes
        WHERE owner = %(owner)s AND erased_at IS NULL AND expires_at > now()
            AND (created_at, id) < (%(created_at)s, %(id)s)
            AND expires_at < %(before)s
        ORDER BY created_at DESC, id DESC LIMIT %(limit)s
    """

    def living(
        self, owner: str, after: tuple[datetime, str], before: datetime, limit: int
    ) -> list[OwnedCode]:
        """Return up to `limit` living codes of an owner, newest first.

        They come after (created_at, id) in this order, and end before a moment.
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
        UPDATE qr_codes SET revision = revision + 1,
            expires_at = coalesce(%(expires_at)s, expires_at),
            label = CASE WHEN %(sets_label)s THEN %(label)s ELSE label END
        WHERE id = %(id)s AND owner = %(owner)s AND revision = %(revision)s
            AND erased_at IS NULL AND expires_at > now()
        RETURNING expires_at, revision, label
    """

    def change(self, known: OwnedCode, change: Change) -> OwnedCode | None:
        """Change a living code of this revision; return it, None if it is another."""
        parameters = {
            **_identity(known),
            "expires_at": change.expires_at,
            "sets_label": change.sets_label,
            "label": change.label,
        }
        return self._changed(known, self.database.run(self._CHANGE, parameters))

    # In whole seconds, and never before the code was created.
    _END = """
        UPDATE qr_codes SET revision = revision + 1, expired_url = NULL,
            expires_at = greatest(created_at, date_trunc('second', now()))
        WHERE id = %(id)s AND owner = %(owner)s AND revision = %(revision)s
            AND erased_at IS NULL AND expires_at > now()
        RETURNING expires_at, revision, label
    """

    def end(self, known: OwnedCode) -> OwnedCode | None:
        """End a living code of this revision; return it, None if it is another."""
        return self._changed(known, self.database.run(self._END, _identity(known)))

    @staticmethod
    def _changed(known: OwnedCode, rows: list[Row]) -> OwnedCode | None:
        if not rows:
            return None
        expires_at, revision, label = rows[0]
        code = replace(known.code, expires_at=expires_at, revision=revision)
        return replace(known, code=code, label=label)

    _END_SOME = """
        UPDATE qr_codes SET revision = revision + 1, expired_url = NULL,
            expires_at = greatest(created_at, date_trunc('second', now()))
        WHERE id IN (
            SELECT id FROM qr_codes
            WHERE owner = %(owner)s AND erased_at IS NULL AND expires_at > now()
            LIMIT %(limit)s FOR UPDATE)
        RETURNING id, expires_at, revision
    """

    def end_some(self, owner: str, limit: int) -> list[Code]:
        """End up to `limit` living codes of an owner; return them as ended."""
        rows = self.database.run(self._END_SOME, {"owner": owner, "limit": limit})
        return [
            Code(str(qr_id), expires_at, "", "", revision)
            for qr_id, expires_at, revision in rows
        ]

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
        WHERE id = %(id)s AND expires_at <= now() AND erased_at IS NULL
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
