"""`make prove-faults`: plant bugs, one at a time, in a copy; each must be found."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
SERVICE = "layers/common/qr_service"
HISTORIES = 20_000


@dataclass(frozen=True, slots=True)
class Bug:
    """A change of one file, and words of the violation that it must cause."""

    title: str
    file: str
    before: str
    after: str
    found: str


BUGS = (
    Bug(
        "a row before its object",
        "generation.py",
        """        for _ in spread(self._put, self._made(jobs, owner, in_time)):
            pass
        put = [job for job in jobs if job.outcome is None]
        for _ in spread(self._discard, self._insert(put, owner)):
""",
        """        put = list(self._made(jobs, owner, in_time))
        unused = self._insert(put, owner)
        for _ in spread(self._put, put):
            pass
        for _ in spread(self._discard, unused):
""",
        "has no object",
    ),
    Bug(
        "an object deleted after an INSERT of unknown outcome",
        "generation.py",
        "            return [] if maybe else jobs\n",
        "            return jobs\n",
        "has no object",
    ),
    Bug(
        "a cleanup that erases rows before their objects",
        "cleanup.py",
        """            gone = self.bulk.delete(key for _, _, key in rows)
            erased = [qr_id for qr_id, _, key in rows if key in gone]
            self.table.erase(cursor, erased)
""",
        """            erased = [qr_id for qr_id, _, _ in rows]
            self.table.erase(cursor, erased)
        self.bulk.delete(key for _, _, key in rows)
""",
        "is erased, and its object is there",
    ),
    Bug(
        "a cache entry that lasts longer than its code",
        "stores/cache.py",
        "EXPIRED_SECONDS if expired else expires_at\n",
        "EXPIRED_SECONDS if expired else expires_at + 60\n",
        "beyond its bound",
    ),
    Bug(
        "a URL that lasts longer than its code",
        "stores/presigned.py",
        "seconds = min(self.settings.url_ttl_seconds, life)",
        "seconds = self.settings.url_ttl_seconds",
        "lasts longer than the code",
    ),
    Bug(
        "a key that is freed too early",
        "generation.py",
        "if is_expired(earlier.expires_at, datetime.now(UTC)):",
        "if is_expired(earlier.expires_at, datetime.now(UTC) + timedelta(minutes=5)):",
        " made ",
    ),
    Bug(
        "a replay that ignores the body",
        "generation.py",
        "if earlier.request_digest != order.request.digest:",
        "if not order.request.digest:",
        "was replayed to another request",
    ),
    Bug(
        "a tombstone that is purged too early",
        "cleanup.py",
        "age = timedelta(days=self.tombstone_days)",
        "age = timedelta(hours=self.tombstone_days)",
        "is lost",
    ),
    Bug(
        "a sweep without grace",
        "sweep.py",
        "if qr_id not in named and page.now - stored_at > GRACE:",
        "if qr_id not in named:",
        "has no object",
    ),
    Bug(
        "an INSERT that is repeated with a new id",
        "generation.py",
        "            return [] if maybe else jobs\n",
        """            for job in jobs if maybe else []:
                code = replace(job.record.code, qr_id=str(uuid4()))
                self.table.insert([replace(job.record, code=code)])
            return [] if maybe else jobs
""",
        "codes of fewer requests",
    ),
    Bug(
        "a change of which the cache does not learn",
        "management.py",
        "        self.cache.codes.put(owned.code, now)\n",
        "",
        "believes an earlier revision",
    ),
    Bug(
        "an ended code that the cache still has",
        "management.py",
        "        self.cache.codes.put(code.ended(), now)\n",
        "",
        "believes an earlier revision",
    ),
    Bug(
        "an ended row that is erased before its object",
        "management.py",
        """            self.storage.delete(code.object_key)
            self.table.erase(code.qr_id)
""",
        """            self.table.erase(code.qr_id)
            self.storage.delete(code.object_key)
""",
        "is erased, and its object is there",
    ),
    Bug(
        "a batch of which one refused row counts as inserted",
        "stores/table.py",
        "        if not refused:\n",
        "        if len(refused) < len(records):\n",
        "which has no row",
    ),
    Bug(
        "a slug that is used again",
        "generation.py",
        "            if outcome is Inserted.STORED:\n",
        "            if outcome is not Inserted.KEY_TAKEN:\n",
        " too",
    ),
    Bug(
        "a stale write over an edit",
        "stores/cache.py",
        "self._run(PUT, entry, json.dumps(value), entry.revision, forget_at)",
        "self._run(PUT, entry, json.dumps(value), 10**9, forget_at)",
        "believes an earlier revision",
    ),
    Bug(
        "a double flush",
        "stores/cache.py",
        "return Counted(generation.decode(), counts), int(following)",
        "return Counted(str(uuid4()), counts), int(following)",
        "are counted twice",
    ),
)


def violations(bug: Bug) -> str:
    """Return what `make prove` prints about a copy with a bug; "" if it passes."""
    with TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("layers", "functions", "local", "proof"):
            shutil.copytree(ROOT / name, copy / name)
        file = copy / SERVICE / bug.file
        text = file.read_text()
        if text.count(bug.before) != 1:
            raise SystemExit(f"{bug.file} no longer has what is changed: {bug.title}")
        file.write_text(text.replace(bug.before, bug.after))
        done = subprocess.run(
            [sys.executable, "-m", "proof", f"--histories={HISTORIES}"],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": f"{copy}:{copy}/layers/common"},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        return done.stdout if done.returncode else ""


def results() -> Iterator[bool]:
    """Yield whether each bug is found, and print it."""
    for number, bug in enumerate(BUGS, 1):
        found = bug.found in violations(bug)
        print(f"{number:2} {'found' if found else 'MISSED'}: {bug.title}", flush=True)
        yield found


if __name__ == "__main__":
    found = sum(results())
    print(f"{found} of {len(BUGS)} found")
    sys.exit(found != len(BUGS))
