"""A million scans, counted and flushed while both crash: nothing is lost or doubled.

The service's own code works on the models. Each time that a counter or the table is
used, the process may end before or after it; flushes are repeated, and two of them run
at once, one behind the other; codes are erased between the counting and the flush; the
cache loses everything now and then. What is lost is what was counted since the last
flush, and nothing else.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar
from uuid import UUID

import time_machine
from qr_service.scans import Scans
from qr_service.stores.cache import SCANNERS, Cache
from qr_service.stores.database import Database
from qr_service.stores.scans import ScanTable

from proof import models
from proof.effects import Failure, Lose, installed
from proof.histories import SETTINGS, START, Crashed

Answer = TypeVar("Answer")

# The code, the day, the generation, the scanner.
Key = tuple[str, str, str, str]

CODES = 200
DAY = timedelta(days=1)


@dataclass
class Counting:
    """Scans of CODES codes, and what has become of them."""

    random: Random
    failures: Counter[str] = field(default_factory=Counter)
    found: list[str] = field(default_factory=list)
    lost: dict[Key, int] = field(default_factory=dict)  # with the cache, not flushed

    def __post_init__(self) -> None:
        self.rate = 0.0  # of failures
        self.cache: Cache | None = None  # of the process that counts
        self.database = models.PostgreSQL(_never_wait)
        self.valkey = models.Valkey()
        now = datetime.now(UTC)
        for number in range(CODES):
            qr_id = str(UUID(int=number, version=4))
            self.database.rows[qr_id] = models.Row(
                qr_id,
                "owner",
                "https://example.com",
                "{}",
                "codes/x.png",
                "image/png",
                now,
                now + 365 * DAY,
                slug=f"{number:08}",
                count=True,
                kept_until=now + 395 * DAY,
            )
        self.ids = list(self.database.rows)

    # ------------------------------------------------------------- of the boundary

    def cross(self, effect: str, do: Callable[[], Answer], lose: Lose) -> Answer:
        """Do an effect, or fail at it."""
        if self.random.random() >= self.rate:
            return do()
        failure = self.random.choice(list(Failure))
        self.cache = None
        self.failures[f"{effect}: {failure}"] += 1
        if failure in (Failure.CRASH_AFTER, Failure.LOST):
            do()
        if failure in (Failure.CRASH_BEFORE, Failure.CRASH_AFTER):
            raise Crashed
        raise lose(False)

    def postgresql(self, _: Any) -> Any:
        """Return a connection to the model."""
        return self.database.connect()

    def valkey_client(self, _: Any) -> Any:
        """Return the model."""
        return self.valkey

    # ------------------------------------------------------------------ what happens

    def scan(self) -> None:
        """Count one scan; after a failure in another process."""
        self.cache = self.cache or Cache(SETTINGS)
        scanner, now = self.random.choice(SCANNERS), datetime.now(UTC)
        with suppress(Crashed):
            self.cache.scans.count(self._code(), scanner, now)

    def flush(self) -> None:
        """Flush in a new process, which may end anywhere."""
        scans = Scans(ScanTable(Database(SETTINGS)), Cache(SETTINGS), page=50)
        with suppress(Crashed):
            scans.flush(lambda: True)

    def flush_behind(self) -> None:
        """Flush what was read before: another process was held up in between."""
        cache, table = Cache(SETTINGS), ScanTable(Database(SETTINGS))
        today = datetime.now(UTC).date()
        with suppress(Crashed, Exception):
            page = cache.scans.page(today, 0, CODES)
            for _ in range(20):
                self.scan()
            self.flush()
            if page and page[0].counts:
                table.flush(today, page[0])

    def erase(self) -> None:
        """Erase a code, of which the cache still has counts."""
        qr_id = self._code()
        row = self.database.rows[qr_id]
        self.database.rows[qr_id] = replace(
            row, erased_at=datetime.now(UTC), **models.ERASED
        )
        for key in [key for key in self.database.scans if key[0] == qr_id]:
            del self.database.scans[key]

    def lose_cache(self) -> None:
        """Lose the cache, and note what it had that was not flushed."""
        for key, number in self._counted().items():
            self.lost[key] = number - self._flushed(key)
        self.valkey.clear()

    def _code(self) -> str:
        return self.random.choice(self.ids)

    def _counted(self) -> dict[Key, int]:
        """Return the numbers of the counters that are there, of codes not erased."""
        found = {}
        for key, number in self.valkey.counted.items():
            qr_id, day, generation, _ = key
            kept = self.valkey.hmget(f"scans:{day}", ["generation"])[0]
            if kept == generation.encode() and not self._erased(qr_id):
                found[key] = number
        return found

    def _erased(self, qr_id: str) -> bool:
        return self.database.rows[qr_id].erased_at is not None

    def _flushed(self, key: Key) -> int:
        qr_id, day, generation, scanner = key
        date = datetime.fromisoformat(day).date()
        counts = self.database.scans.get((qr_id, date, generation), (0, 0))
        return counts[scanner == "bots"]

    # ----------------------------------------------------------------- its judgement

    def audit(self) -> None:
        """Compare each number that is flushed with what was counted."""
        for (qr_id, day, generation), counts in self.database.scans.items():
            for scanner, number in zip(SCANNERS, counts, strict=True):
                most = self.valkey.counted[qr_id, f"{day}", generation, scanner]
                if number > most:
                    self.found.append(f"{qr_id}: {number} {scanner} instead of {most}")
            if self._erased(qr_id):
                self.found.append(f"{qr_id} is erased, and has counts")

    def rest(self) -> None:
        """Flush without failures: then all that was counted is flushed, or lost."""
        self.rate = 0.0
        self.flush()
        self.audit()
        for key, number in self.valkey.counted.items():
            lost, flushed = self.lost.get(key, 0), self._flushed(key)
            if not self._erased(key[0]) and flushed != number - lost:
                self.found.append(
                    f"{key}: {number} counted, {lost} lost with the cache, and"
                    f" {flushed} flushed"
                )

    def __str__(self) -> str:
        living = [key for key in self.valkey.counted if not self._erased(key[0])]
        counted = sum(self.valkey.counted[key] for key in living)
        lost = sum(self.lost.get(key, 0) for key in living)
        flushed = sum(map(self._flushed, living))
        return (
            f"{counted:,} scans counted, {flushed:,} flushed, {lost:,} lost with the"
            f" cache; {sum(self.failures.values()):,} failures"
        )


def _never_wait() -> None:
    raise AssertionError("nothing runs at once here")


class _Clients:
    def __init__(self, counting: Counting) -> None:
        self.postgresql = counting.postgresql
        self.valkey = counting.valkey_client


def run(scans: int, seed: int = 0) -> Counting:
    """Let so many people and bots scan, in hours of about a thousand scans."""
    random = Random(seed)  # noqa: S311  it must be repeatable
    with time_machine.travel(START, tick=False) as clock:
        counting = Counting(random)
        with installed(counting, _Clients(counting)):  # type: ignore[arg-type]
            done = 0
            while done < scans:
                counting.rate = random.choice((0.0, 0.001, 0.05))
                for _ in range(random.randrange(2000)):
                    counting.scan()
                    done += 1
                counting.rate = random.choice((0.0, 0.1, 0.3))
                for _ in range(random.randrange(3)):
                    random.choice((counting.flush, counting.flush_behind))()
                if random.randrange(50) == 0:
                    counting.erase()
                if random.randrange(20) == 0:
                    counting.lose_cache()
                counting.audit()
                clock.shift(timedelta(hours=random.randrange(3)))
            counting.rest()
    return counting
