"""The sweep of a large bucket: its speed, its memory, and that its result is exact.

One image in a hundred has no row. A sweep is killed between two pages; another is run
to its end, while a code is created; a third must find nothing more; over an empty
table a last one must delete nothing. A wrong number is an error.

`python -m benchmarks.sweep N` runs in a process of its own with the functions'
environment; its last line of output holds the figures as JSON.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psycopg2
from qr_service.config import settings
from qr_service.stores.bulk import BulkStorage, Page
from qr_service.stores.database import Database
from qr_service.stores.table import CodeTable
from qr_service.sweep import SLICES, Sweeper

from benchmarks.cleanup import ALLOWED, key
from benchmarks.instant_s3 import instant_s3
from benchmarks.measure import OURS, Budget, Row, peak
from benchmarks.stores import stores

ORPHANS = 100  # one in so many
TARGET = "2,000 images/s"
SPEED = Budget("times faster", 1, 2.5)
MEMORY = Budget("share", 1, 0.5)

INSERT = """
    INSERT INTO qr_codes (id, owner, data, options, object_key, content_type,
        created_at, expires_at)
    SELECT id, 'anonymous', repeat('x', 150), '{}', 'codes/' || id || '.png',
        'image/png', '2020-01-01', '2100-01-01'
    FROM (SELECT md5(n::text)::uuid AS id
        FROM generate_series(0, %s) AS n WHERE n %% %s > 0) AS codes
"""
CREATED = """
    INSERT INTO qr_codes (id, owner, data, options, object_key, content_type,
        created_at, expires_at)
    VALUES (%s, 'anonymous', 'x', '{}', %s, 'image/png', now(), '2100-01-01')
"""


def measure_sweep(count: int) -> Iterator[Row]:
    """Yield speed and memory of a sweep of so many images."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    with (
        instant_s3(key(n) for n in range(count)) as url,  # forks, so it starts first
        TemporaryDirectory() as folder,
        stores(Path(folder)) as environment,
    ):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.sweep", str(count)],
            env={**inherited, **environment, "S3_ENDPOINT_URL": url},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    run: Mapping[str, float] = json.loads(done.stdout.splitlines()[-1])
    values = {OURS: run["milliseconds"], TARGET: 500.0}
    yield Row("sweep of 1,000", f"{count:,}", "wall ms", values, TARGET, SPEED)
    values = {OURS: run["growth"], ALLOWED: 8 * 2**20}
    yield Row("sweep grows by", f"{count:,}", "bytes", values, ALLOWED, MEMORY)


class Eventful(BulkStorage):
    """A BulkStorage that does something before its n-th page."""

    def __init__(self, number: int) -> None:
        super().__init__(settings())
        self.number = number

    def page(self, prefix: str, after: str) -> Page:
        """Return a page."""
        self.number -= 1
        if self.number == 0:
            self.event()
        return super().page(prefix, after)

    def event(self) -> None:
        """Do nothing; a subclass does something."""


class Killed(Eventful):
    """One whose process is killed."""

    def event(self) -> None:
        """End without a trace."""
        os.kill(os.getpid(), signal.SIGKILL)


class Busy(Eventful):
    """One while which a code is created, as generate does: the object, then the row.

    It is created in the slice that is swept last.
    """

    def event(self) -> None:
        """Create a code."""
        qr_id = f"ff{str(uuid4())[2:]}"
        name = f"codes/{qr_id}.png"
        bucket = self._settings.qr_bucket
        self._client.put_object(Bucket=bucket, Key=name, Body=b"image")
        with closing(psycopg2.connect(os.environ["PLAIN_DATABASE_URL"])) as connection:
            connection.autocommit = True
            connection.cursor().execute(CREATED, (qr_id, name))


def sweep(bulk: BulkStorage) -> dict[str, float]:
    """Sweep all slices; return the numbers of the report, and how long it took."""
    sweeper = Sweeper(CodeTable(Database(settings())), bulk)
    start = time.monotonic()
    report = sweeper.sweep(SLICES, lambda: True)
    return {
        "objects": report.objects,
        "orphans": report.orphans,
        "deleted": report.deleted,
        "missing": report.missing,
        "refused": report.refused,
        "milliseconds": 1e6 * (time.monotonic() - start) / report.objects,
    }


def main(count: int) -> dict[str, float]:
    """Return milliseconds for 1,000 images, and bytes of memory growth."""
    with closing(psycopg2.connect(os.environ["PLAIN_DATABASE_URL"])) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("TRUNCATE qr_codes, scans")
        cursor.execute(INSERT, (count - 1, ORPHANS))
        cursor.execute("VACUUM ANALYZE qr_codes")
        orphans = -(-count // ORPHANS)
        killed = os.fork()
        if not killed:
            sweep(Killed(len(SLICES) // 3))
        _, status = os.waitpid(killed, 0)
        _expect({"signal": status}, {"signal": signal.SIGKILL})
        Sweeper(CodeTable(Database(settings())), BulkStorage(settings())).sweep(
            SLICES[:1], lambda: True
        )
        before = peak()
        run = sweep(Busy(len(SLICES) // 2))
        growth = peak() - before
        gone = orphans - run["orphans"]  # by the one that was killed
        if not 0 < gone < orphans:
            raise AssertionError(f"the killed sweep deleted {gone}")
        exact = {"missing": 0, "refused": 0}
        _expect(run, exact | {"objects": count - gone + 1, "deleted": orphans - gone})
        left = count - orphans + 1
        _expect(
            sweep(BulkStorage(settings())),
            exact | {"objects": left, "orphans": 0, "deleted": 0},
        )
        cursor.execute("TRUNCATE qr_codes, scans")
        _expect(
            sweep(BulkStorage(settings())),
            {"objects": left, "deleted": 0, "refused": left - 1},
        )
    return {"milliseconds": run["milliseconds"], "growth": growth}


def _expect(found: Mapping[str, float], wanted: Mapping[str, float]) -> None:
    if not wanted.items() <= found.items():
        raise AssertionError(f"{wanted} expected, not {found}")


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
