"""`make edits`: dynamic codes that change while they are scanned.

First 100,000 requests on real servers, while a clock passes 60 hours: each scan is
answered by the end and the target of which its owner knows. Then `make run`, where two
people scan a code again and again while its target changes five times a second: how
long is an earlier target seen, with the cache up, killed, hung, and emptied?
"""

import argparse
import os
import signal
import sys
import threading
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from unittest.mock import patch

import redis
import time_machine
from qr_service.codes import LEAST_LIFE
from qr_service.edge.manage import Patch
from qr_service.edge.request import parse
from qr_service.errors import Expired
from qr_service.generation import Order
from qr_service.stores.cache import CLAIM_SECONDS, FRESH_SECONDS
from qr_service.telemetry import logger, metrics

from local.http import Unreachable, call, get, post
from proof import processes
from proof.faults import System
from proof.histories import Environment

REQUESTS, CODES = 100_000, 200
DURATION = timedelta(hours=60)
TARGET, OVER = "https://example.com/{}", "https://example.com/over"
# After a fault, until no entry of the cache can be older.
WATCHED = FRESH_SECONDS + CLAIM_SECONDS + 5.0
HELD = 6.0  # seconds that a fault lasts
BOUND = FRESH_SECONDS + CLAIM_SECONDS + 1.0  # seconds; moments are cut to whole ones


@dataclass(slots=True)
class Known:
    """What the owner of a code was last answered."""

    qr_id: str
    slug: str
    ends: datetime
    target: str
    over: str | None
    deleted: bool = False


@dataclass
class Clocks:
    """Scans and changes of codes, with a clock that is moved before each."""

    environment: Environment
    random: Random
    found: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    def run(self, requests: int) -> None:
        """Send so many requests."""
        start = datetime.now(UTC)
        codes = [self._create(number) for number in range(CODES)]
        for number in range(requests):
            now = start + number / requests * DURATION
            with time_machine.travel(now, tick=False):
                known = self.random.choice(codes)
                draw = self.random.randrange(40)
                if draw == 0 and not known.deleted:
                    self._change(known)
                elif draw == 1 and self.random.randrange(20) == 0:
                    self._delete(known)
                else:
                    self._scan(known)
            if number % 20_000 == 0 and number:
                print(f"{number:,} requests with a moved clock", flush=True)

    def _create(self, number: int) -> Known:
        over = self.random.choice((None, OVER))
        fields = f'"data": "{TARGET.format(number)}", "dynamic": true'
        fields += f', "expiration_hours": {self.random.randint(1, 48)}'
        fields += f', "expired_url": "{over}"' if over else ""
        settings = self.environment.generator.settings
        request = parse(f"{{{fields}}}".encode(), settings)
        made = self.environment.generator.generate(Order(request), "owner").body
        return Known(
            made["qr_id"],
            made["short_url"].rpartition("/")[2],
            datetime.fromisoformat(made["expires_at"]),
            request.data,
            over,
        )

    def _change(self, known: Known) -> None:
        target = TARGET.format(self.random.random())
        hours = self.random.uniform(0.02, 48)
        wanted = Patch(["data", "expiration_hours"], hours, data=target)
        manager = self.environment.manager
        try:
            changed = manager.change("owner", known.qr_id, wanted, lambda _: True)
        except Expired:  # also for its owner, by this clock
            return
        known.ends, known.target = changed.code.expires_at, target
        self.done["changes"] += 1

    def _delete(self, known: Known) -> None:
        try:
            self.environment.manager.end("owner", known.qr_id, None)
        except Expired:
            return
        known.deleted = True
        self.done["deletions"] += 1

    def _scan(self, known: Known) -> None:
        has_ended = known.deleted or known.ends - datetime.now(UTC) < LEAST_LIFE
        wanted = known.target
        if has_ended:
            wanted = "" if known.deleted else known.over or ""
        try:
            url = self.environment.redirector.find(known.slug).url
        except Expired:
            url = ""
        self.done["ends" if has_ended else "targets"] += 1
        if url != wanted:
            self.found.append(f"{known.slug} leads to {url!r} instead of {wanted!r}")


@dataclass
class Edited:
    """A code whose target changes, and the scans of it."""

    url: str
    qr_id: str
    slug: str
    acknowledged: list[float] = field(default_factory=list)  # by number of the target
    scans: int = 0
    failed: int = 0
    longest: float = 0.0  # seconds for which an earlier target was seen
    stopped: threading.Event = field(default_factory=threading.Event)

    def edit(self) -> None:
        """Change the target again and again."""
        while not self.stopped.wait(0.2):
            body = {"data": TARGET.format(len(self.acknowledged))}
            try:
                answer = call(
                    "PATCH", f"{self.url}/codes/{self.qr_id}", body, {"If-Match": "*"}
                )
            except Unreachable:
                continue
            if answer.status == 200:
                self.acknowledged.append(time.monotonic())

    def scan(self) -> None:
        """Scan again and again, and note how old the target is."""
        while not self.stopped.wait(0.02):
            sent = time.monotonic()
            try:
                answer = get(f"{self.url}/s/{self.slug}")
            except Unreachable:
                self.failed += 1
                continue
            if answer.status != 302:
                self.failed += 1
                continue
            self.scans += 1
            seen = int((answer.headers["Location"] or "").rpartition("/")[2])
            latest = bisect_right(self.acknowledged, sent) - 1
            if seen < latest:
                age = sent - self.acknowledged[seen + 1]
                self.longest = max(self.longest, age)


def under(system: System, fault: Callable[[System], None]) -> Edited:
    """Edit and scan a code during a fault, and for WATCHED seconds after it."""
    fields = {"data": TARGET.format(0), "dynamic": True, "expiration_hours": 24}
    made = post(f"{system.url}/generate", fields).json
    slug = made["short_url"].rpartition("/")[2]
    edited = Edited(system.url, made["qr_id"], slug, [time.monotonic()])
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(run) for run in (edited.edit, edited.scan, edited.scan)]
        try:
            time.sleep(2)
            fault(system)
            time.sleep(WATCHED)
        finally:
            edited.stopped.set()
        for each in running:
            each.result()
    return edited


def _kill(system: System) -> None:
    for pid in system.pids("Valkey"):
        os.kill(pid, signal.SIGKILL)


def _hang(system: System) -> None:
    pids = system.pids("Valkey")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(HELD)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def _empty(system: System) -> None:
    with redis.Redis(port=system.launcher.recorded["Valkey"]["port"]) as cache:
        cache.flushall()


FAULTS: dict[str, Callable[[System], None]] = {
    "is up": lambda _: None,
    "is killed, and is back empty": _kill,
    "hangs for six seconds": _hang,
    "is emptied": _empty,
}


def main() -> int:
    """Return the exit code: 1 if a scan was answered wrongly, or too late."""
    parser = argparse.ArgumentParser(prog="make edits", description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS, help=f"({REQUESTS})")
    requests = parser.parse_args().requests
    logger.setLevel("CRITICAL")
    with processes.servers() as servers:
        os.environ["AWS_ACCESS_KEY_ID"] = servers.s3.access_key
        os.environ["AWS_SECRET_ACCESS_KEY"] = servers.s3.secret_key
        environment = Environment(servers.settings)
        clocks = Clocks(environment, Random(0))  # noqa: S311  it must be repeatable
        with patch.object(metrics, "add_metric", lambda *_, **__: None):
            clocks.run(requests)
    for violation in clocks.found[:10]:
        print(f"  {violation}")
    done = ", ".join(f"{number:,} {what}" for what, number in clocks.done.items())
    print(
        f"{requests:,} requests with a moved clock: {done}; {len(clocks.found)} wrong"
    )
    late = 0
    with TemporaryDirectory() as folder, System(Path(folder)) as system:
        for title, fault in FAULTS.items():
            edited = under(system, fault)
            late += edited.longest > BOUND
            print(
                f"the cache {title}: {len(edited.acknowledged):,} edits,"
                f" {edited.scans:,} scans, {edited.failed} without an answer;"
                f" an earlier target for {edited.longest:.1f} s",
                flush=True,
            )
    print(f"{late} of {len(FAULTS)} beyond {BOUND:.0f} s")
    return bool(clocks.found or late)


if __name__ == "__main__":
    sys.exit(main())
