"""The speed of the cleanup: wall time, because most of it is waiting for the stores.

MiniStack deletes file by file, which is nearly all of the time. The budgets therefore
apply to an S3 that answers at once: the rest is our own time and the database's.
`python -m benchmarks.cleanup` measures in a process of its own with the functions'
environment; its last line of output holds the figures as JSON.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from hashlib import md5
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import psycopg2
from qr_service.cleanup import Cleaner
from qr_service.config import settings
from qr_service.stores.bulk import BulkStorage
from qr_service.stores.database import Database
from qr_service.stores.table import CodeTable

from benchmarks.instant_s3 import instant_s3
from benchmarks.measure import OURS, Budget, Row, peak
from benchmarks.stores import stores

WARM_UP = 2_000  # two batches
TARGET = "2,000 codes/s"
WAITED = "deletion"
ALLOWED = "8 MiB"
SPEED = Budget("times faster", 1, 2.5)
LINEAR = Budget("share", 1.3, 1.1)
MEMORY = Budget("share", 1, 0.5)

INSERT = """
    INSERT INTO qr_codes (id, owner, data, options, object_key, content_type,
        created_at, expires_at)
    SELECT id, 'anonymous', repeat('x', 150), '{}', 'codes/' || id || '.png',
        'image/png', '2020-01-01', timestamptz '2020-02-01' + n * interval '1 second'
    FROM (SELECT n, md5(n::text)::uuid AS id
        FROM generate_series(%s, %s) AS n) AS codes
"""


def measure_cleanup(counts: Sequence[int]) -> Iterator[Row]:
    """Yield the speed for each count; compare the last with the first; check memory."""
    least = counts[0]
    keys = [key(n) for n in range(WARM_UP + least)]
    with (
        instant_s3() as url,  # forks, so it must start first
        TemporaryDirectory() as folder,
        stores(Path(folder), keys) as environment,
    ):
        (real,) = _runs(environment, [least])
        if left := list(Path(folder).rglob("*.png")):
            raise AssertionError(f"{len(left)} objects are left")
        runs = _runs(environment | {"S3_ENDPOINT_URL": url}, counts)
    yield _speed(real, f"{least:,} files", None)
    for run in runs:
        yield _speed(run, f"{run['codes']:,}", SPEED)
    first, last = runs[0], runs[-1]
    if first is not last:
        rival = f"{first['codes']:,} codes"
        values = {OURS: last["milliseconds"], rival: first["milliseconds"]}
        subject = f"{last['codes']:,}"
        yield Row("cleanup of more", subject, "wall ms", values, rival, LINEAR)
    values = {OURS: last["growth"], ALLOWED: 8 * 2**20}
    yield Row(
        "cleanup grows by", f"{last['codes']:,}", "bytes", values, ALLOWED, MEMORY
    )


def _runs(
    environment: Mapping[str, str], counts: Sequence[int]
) -> list[dict[str, float]]:
    """Return what `main` yields for each count, after a first, small run."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cleanup", str(WARM_UP), *map(str, counts)],
        env={**inherited, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    runs: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return runs[1:]


def _speed(run: Mapping[str, float], subject: str, budget: Budget | None) -> Row:
    values = {OURS: run["milliseconds"], WAITED: run["deletion"], TARGET: 500}
    return Row("cleanup of 1,000", subject, "wall ms", values, TARGET, budget)


def key(number: int) -> str:
    """Return the object key of a code that INSERT creates."""
    digest = md5(str(number).encode(), usedforsecurity=False).hexdigest()
    return f"codes/{UUID(digest)}.png"


class TimedDeletion(BulkStorage):
    """A BulkStorage that adds up the `seconds` it takes, boto3 included."""

    seconds = 0.0

    def delete(self, keys: Iterable[str]) -> set[str]:
        """Delete objects, and add the time to `seconds`."""
        start = time.monotonic()
        try:
            return super().delete(keys)
        finally:
            self.seconds += time.monotonic() - start


def main(counts: Iterable[int]) -> Iterator[dict[str, float]]:
    """Yield a run per count: milliseconds for 1,000 codes, bytes of memory growth."""
    deletion = TimedDeletion(settings())
    table = CodeTable(Database(settings()))
    cleaner = Cleaner(table, deletion, settings().tombstone_days)
    done = 0
    with closing(psycopg2.connect(os.environ["PLAIN_DATABASE_URL"])) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("TRUNCATE qr_codes, scans")
        for count in counts:
            cursor.execute(INSERT, (done, done + count - 1))
            cursor.execute("VACUUM ANALYZE qr_codes")
            done += count
            waited, before, start = deletion.seconds, peak(), time.monotonic()
            report = cleaner.clean_up(lambda: 3600.0)
            milliseconds = 1000 * (time.monotonic() - start)
            if report.erased != count:
                raise AssertionError(report)
            yield {
                "codes": count,
                "milliseconds": 1000 * milliseconds / count,
                "deletion": 1e6 * (deletion.seconds - waited) / count,
                "growth": peak() - before,
            }


if __name__ == "__main__":
    print(json.dumps(list(main(map(int, sys.argv[1:])))))
