"""`make faults`: real clients at `make run`, while each part of it fails.

After each fault every acknowledged code is retrieved and its image read, a sweep
without grace follows, and the auditor judges what the stores hold. The last line is
`0 lost, 0 dangling, 0 doubled`.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self
from unittest.mock import patch

from qr_service import sweep
from qr_service.config import Settings
from qr_service.stores.bulk import BulkStorage
from qr_service.stores.database import Database
from qr_service.stores.table import CodeTable
from qr_service.telemetry import logger

from local.http import Unreachable, get
from local.processes import LocalError, descendants, wait_until
from local.project import ROOT
from proof import clocks
from proof.audit import Acknowledged, violations
from proof.proxy import Mode, Proxy
from proof.stores import Stores
from proof.traffic import UNAVAILABLE, Traffic
from tests.support.environment import ENVIRONMENT
from tests.support.launcher import Launcher

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- written by make faults SAVE=1 -->\n", "<!-- end -->\n"
USUAL = 1.0  # seconds of traffic before a fault
HOLD = 6.0  # seconds that a fault lasts, or that a killed server is watched
PATIENCE = 60.0  # seconds in which the service must recover
ERROR = timedelta(minutes=5)  # of a wrong clock


class System:
    """`python -m local run` on a new folder, with a proxy in front of its S3."""

    def __init__(self, folder: Path) -> None:
        self.launcher = Launcher(folder / "state")
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:  # what has begun ends if the rest fails
            self.launcher.start()
            stack.callback(self.launcher.discard)
            self.url = self.launcher.url
            file = self.launcher.state / "env.json"
            self.variables = json.loads(file.read_text())
            common = self.variables["Parameters"]
            self.proxy = stack.enter_context(Proxy(common["S3_ENDPOINT_URL"]))
            through = {"Parameters": {**common, "S3_ENDPOINT_URL": self.proxy.url}}
            file.write_text(json.dumps(self.variables | through))
            self._restart_api()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def environment(self, function: str) -> dict[str, str]:
        """Return the variables of a function."""
        common, own = self.variables["Parameters"], self.variables[function]
        return {**ENVIRONMENT, **common, **own}

    def stores(self) -> closing[Stores]:
        """Return the stores for a `with` block; a killed server ends a connection."""
        return closing(Stores.of(self.variables))

    def pids(self, server: str) -> list[int]:
        """Return a server's processes."""
        pid = self.launcher.recorded[server]["pid"]
        return [pid, *descendants(pid)]

    def runtimes(self) -> list[int]:
        """Return the processes in which functions run."""
        return [
            pid
            for pid in descendants(self.launcher.recorded["API"]["pid"])
            if b"awslambdaric" in _command_line(pid)
            and b"-rie-" not in _command_line(pid)
        ]

    def is_healthy(self) -> bool:
        """Return whether API, database and cache answer."""
        try:
            answer = get(f"{self.url}/health")
        except Unreachable:
            return False
        return answer.status == 200 and answer.json["cache"] == "ok"

    def _restart_api(self) -> None:
        """Let the API read env.json again: it is killed, and comes back."""
        before = self.launcher.recorded["API"]["pid"]
        os.kill(before, signal.SIGKILL)

        def is_back() -> bool:
            new = self.launcher.recorded["API"].get("pid", before) != before
            return new and self.is_healthy()

        if not wait_until(is_back, PATIENCE):
            raise LocalError(f"The API does not come back:\n{self.launcher.output}")


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


# ------------------------------------------------------------------------------ faults


@dataclass(frozen=True, slots=True)
class Fault:
    """What fails, and the function that lets it fail and returns when it is over."""

    title: str
    happen: Callable[[System], None]
    function_killed: bool = False


def _killed(server: str) -> Callable[[System], None]:
    def happen(system: System) -> None:
        for pid in system.pids(server):
            _signal(pid, signal.SIGKILL)

    return happen


def _hung(server: str) -> Callable[[System], None]:
    def happen(system: System) -> None:
        pids = system.pids(server)
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
        try:
            time.sleep(HOLD)
        finally:
            for pid in pids:
                _signal(pid, signal.SIGCONT)

    return happen


def _repeated(once: Callable[[System], None]) -> Callable[[System], None]:
    def happen(system: System) -> None:
        deadline = time.monotonic() + HOLD
        while time.monotonic() < deadline:
            once(system)
            time.sleep(0.3)

    return happen


def _cut_database(system: System) -> None:
    with system.stores() as stores:
        stores.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'qr-service'"
        )


def _cut_cache(system: System) -> None:
    with system.stores() as stores:
        stores.valkey.client_kill_filter(_type="normal", skipme=True)


def _empty_cache(system: System) -> None:
    with system.stores() as stores:
        stores.valkey.flushall()


def _kill_functions(system: System) -> None:
    for pid in system.runtimes()[:1]:
        _signal(pid, signal.SIGKILL)


def _s3(mode: Mode) -> Callable[[System], None]:
    def happen(system: System) -> None:
        system.proxy.mode = mode
        time.sleep(HOLD)
        system.proxy.mode = Mode.NORMAL

    return happen


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


FAULTS = (
    Fault("PostgreSQL is killed", _killed("PostgreSQL")),
    Fault("PostgreSQL hangs", _hung("PostgreSQL")),
    Fault("connections to PostgreSQL are cut", _repeated(_cut_database)),
    Fault("Valkey is killed, and is back empty", _killed("Valkey")),
    Fault("Valkey hangs", _hung("Valkey")),
    Fault("Valkey is emptied", _repeated(_empty_cache)),
    Fault("connections to Valkey are cut", _repeated(_cut_cache)),
    Fault("S3 is killed", _killed("S3")),
    Fault("S3 hangs", _hung("S3")),
    Fault("S3 refuses", _s3(Mode.REFUSE)),
    Fault("S3 fails for every second key", _s3(Mode.FAIL_SOME)),
    Fault("S3's answers are lost", _s3(Mode.CUT)),
    Fault("functions are killed", _repeated(_kill_functions), function_killed=True),
)


# ------------------------------------------------------------------------------ judging


@dataclass(frozen=True, slots=True)
class Result:
    """A line of the table."""

    title: str
    outcome: str
    recovery: str
    lost: int
    dangling: int
    doubled: int
    wrong: tuple[str, ...] = ()  # what should not have been


def suffer(system: System, fault: Fault) -> tuple[Result, Traffic]:
    """Let the system suffer a fault under traffic, and judge it."""
    if not wait_until(system.is_healthy, PATIENCE):
        raise LocalError(f"The system is not healthy before: {fault.title}.")
    traffic = Traffic(system.url, fault.title)
    with traffic.running():
        time.sleep(USUAL)
        began = time.monotonic()
        fault.happen(system)
        over = time.monotonic()
        wait_until(lambda: _recovery(traffic, over) is not None, PATIENCE)
        time.sleep(max(USUAL, HOLD - (over - began)))
    recovery = _recovery(traffic, over)
    traffic.settle(PATIENCE)
    lost = traffic.lost(traffic.acknowledged)
    wrong = {
        f"{sent.route} was answered with {sent.status or 'nothing'}"
        for sent in traffic.sent
        if not sent.is_right
        and not sent.is_refused_well(function_killed=fault.function_killed)
    }
    if recovery is None:
        wrong.add("it did not recover")
    if traffic.pending:
        wrong.add(f"{len(traffic.pending)} keys were never answered")
    dangling, doubled, broken = audit(system, traffic)
    result = Result(
        fault.title,
        _outcome(traffic),
        "-" if recovery is None else f"{recovery:.1f} s",
        len(lost),
        dangling,
        doubled,
        (*sorted(wrong), *broken),
    )
    return result, traffic


def _outcome(traffic: Traffic) -> str:
    right = sum(sent.is_right for sent in traffic.sent)
    failed = Counter(sent.status for sent in traffic.sent if not sent.is_right)
    counted = [f"{status}: {number}" for status, number in sorted(failed.items())]
    return ", ".join([f"{right:,} of {len(traffic.sent):,} right", *counted])


def _recovery(traffic: Traffic, since: float) -> float | None:
    """Return the seconds until both routes have given a right answer."""
    first: dict[str, float] = {}
    for sent in list(traffic.sent):
        if sent.began >= since and sent.is_right:
            first.setdefault(sent.route, sent.ended - since)
    return max(first.values()) if len(first) == 2 else None


def audit(system: System, traffic: Traffic) -> tuple[int, int, list[str]]:
    """Sweep; return what dangles then, what is doubled, and other broken promises."""
    settings = Settings.from_env(system.environment("CleanupFunction"))
    table = CodeTable(Database(settings))
    bulk = BulkStorage(settings)
    with patch.object(sweep, "GRACE", timedelta(seconds=-60)):
        report = sweep.Sweeper(table, bulk).sweep([""], lambda: True, guarded=False)
    texts = {("anonymous", text): 1 for text in traffic.texts}
    with system.stores() as stores:
        state = stores.state()
        found = list(violations(state, traffic.acknowledged, texts, timedelta(days=30)))
    named = {row.object_key for row in state.rows.values() if row.erased_at is None}
    doubled = [line for line in found if "codes of fewer" in line or "one key" in line]
    dangling = report.missing + len(state.objects - named)
    others = [line for line in found if line not in doubled and "no object" not in line]
    return dangling, len(doubled), others


def wrong_clock(system: System, ahead: timedelta) -> Result:
    """Judge an environment whose clock is wrong: its error bounds what it does."""
    wrong = []
    outcome = "bounded by its error"
    with clocks.environment(ahead) as process:
        status, body = process.submit(clocks.generate).result(PATIENCE)
        if status == UNAVAILABLE:  # its signatures have ended when S3 sees them
            outcome += "; it creates nothing (503)"
        else:
            life = datetime.fromisoformat(body["expires_at"]) - datetime.now(UTC)
            if abs(life - clocks.LIFE - ahead) > clocks.SLACK:
                wrong.append(f"a code of {clocks.LIFE} ends after {life}")
        for left in (-2 * ERROR, -ERROR / 2, ERROR / 2, 2 * ERROR):
            expected = 200 if left > ahead else 410
            own = system.environment("RetrieveFunction")
            asked = process.submit(clocks.retrieve, _code(system, left), own)
            status = asked.result(PATIENCE)
            if status != expected:
                wrong.append(f"a code with {left} left is {status}")
    minutes = int(ERROR.total_seconds() / 60)
    which = "fast" if ahead > timedelta() else "slow"
    title = f"one environment's clock is {minutes} minutes {which}"
    return Result(title, outcome, "-", 0, 0, 0, tuple(wrong))


def _code(system: System, left: timedelta) -> str:
    """Return a code that ends in a while, or has ended, without a cache entry."""
    with system.stores() as stores:
        ((qr_id,),) = stores.query(
            "UPDATE qr_codes"
            " SET created_at = now() - interval '1 day', expires_at = now() + %s"
            " WHERE id = (SELECT id FROM qr_codes WHERE erased_at IS NULL"
            " ORDER BY created_at DESC LIMIT 1) RETURNING id::text",
            (left,),
        )
        stores.valkey.delete(f"qr:{qr_id}")
    return str(qr_id)


# ------------------------------------------------------------------------------ report


def table(results: list[Result]) -> str:
    """Return the table in Markdown."""
    lines = [
        "| fault | outcome | recovery | lost | dangling | doubled |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {each.title} | {each.outcome} | {each.recovery} | {each.lost} |"
        f" {each.dangling} | {each.doubled} |"
        for each in results
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Return the exit code: 1 if something was lost, dangling, doubled or wrong."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--save", action="store_true", help=f"write {PAGE.name}")
    parser.add_argument("--only", help="faults whose title has this text")
    options = parser.parse_args()
    logger.setLevel("CRITICAL")
    try:
        return run(options.only or "", save=options.save)
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1


def run(only: str, *, save: bool) -> int:
    """Let all faults with `only` in their title happen; return the exit code."""
    results: list[Result] = []
    acknowledged: list[Acknowledged] = []
    requests = 0
    with tempfile.TemporaryDirectory() as folder, System(Path(folder)) as system:
        os.environ.update(system.environment("GenerateFunction"))
        for fault in FAULTS:
            if only not in fault.title:
                continue
            result, traffic = suffer(system, fault)
            acknowledged += traffic.acknowledged
            requests += len(traffic.sent)
            results.append(result)
            _show(result)
        for ahead in (ERROR, -ERROR):
            results.append(wrong_clock(system, ahead))
            _show(results[-1])
    if save:
        page = PAGE.read_text()
        before, _, rest = page.partition(BEGIN)
        date = f"{datetime.now(UTC):%Y-%m-%d}: {requests:,} requests\n\n"
        after = rest.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}{date}{table(results)}{END}{after}")
    wrong = sum(len(each.wrong) for each in results)
    print(f"{requests:,} requests, {len(acknowledged):,} acknowledged codes")
    if wrong:
        print(f"{wrong} wrong")
    lost, dangling, doubled = (
        sum(getattr(each, name) for each in results)
        for name in ("lost", "dangling", "doubled")
    )
    print(f"{lost} lost, {dangling} dangling, {doubled} doubled")
    return int(bool(wrong or lost or dangling or doubled))


def _show(result: Result) -> None:
    print(
        f"{result.title}: {result.outcome}; recovery {result.recovery};"
        f" {result.lost} lost, {result.dangling} dangling, {result.doubled} doubled",
        flush=True,
    )
    for line in result.wrong[:5]:
        print(f"  WRONG: {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
