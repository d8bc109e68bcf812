"""The table of scans: how often each dynamic code was scanned on each UTC day."""

from datetime import date
from typing import Any

from qr_service.stores.cache import Counted
from qr_service.stores.database import Database


class ScanTable:
    """The counts that were flushed from the cache, over one database connection."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # Counts only grow, so that a repetition, or an older one, changes nothing. Codes
    # are locked: erasing one deletes its counts, and none may be added meanwhile.
    _FLUSH = """
        WITH given AS (
            SELECT * FROM unnest(%(ids)s::uuid[], %(people)s::int[], %(bots)s::int[])
                AS given (id, people, bots)
        ), counted AS (
            SELECT id FROM qr_codes
            WHERE id = ANY(%(ids)s::uuid[]) AND count AND erased_at IS NULL FOR SHARE
        )
        INSERT INTO scans AS known (qr_id, day, generation, people, bots)
        SELECT id, %(day)s, %(generation)s::uuid, people, bots
        FROM counted JOIN given USING (id) ORDER BY id
        ON CONFLICT (qr_id, day, generation) DO UPDATE
            SET people = greatest(known.people, excluded.people),
                bots = greatest(known.bots, excluded.bots)
            WHERE known.people < excluded.people OR known.bots < excluded.bots
        RETURNING qr_id
    """

    def flush(self, day: date, counted: Counted) -> int:
        """Store the counts of codes that are not erased; return how many are new."""
        parameters = {
            "day": day,
            "generation": counted.generation,
            "ids": list(counted.counts),
            "people": [people for people, _ in counted.counts.values()],
            "bots": [bots for _, bots in counted.counts.values()],
        }
        return len(self.database.run(self._FLUSH, parameters))

    _SCANS = """
        SELECT day, generation, people, bots FROM scans
        WHERE qr_id = %(id)s AND day BETWEEN %(first)s AND %(last)s
    """

    def of_code(
        self, qr_id: str, first: date, last: date
    ) -> dict[tuple[date, str], tuple[int, int]]:
        """Return the counts of people and bots, by day and generation."""
        parameters: dict[str, Any] = {"id": qr_id, "first": first, "last": last}
        rows = self.database.run(self._SCANS, parameters)
        return {
            (day, str(generation)): (people, bots)
            for day, generation, people, bots in rows
        }
