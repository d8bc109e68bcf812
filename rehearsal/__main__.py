"""make rehearse: deploy the real template into an emulator of AWS, and use it.

Everything except AWS is real: the SAM CLI, the template, the built layers, PostgreSQL
and Redis with TLS and without a password. MiniStack stands in for AWS and enforces IAM.
Servers, certificate and build use a temporary folder. It is removed at the end, but
kept if a step failed.
"""

import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from local.processes import LocalError
from rehearsal.steps import Rehearsal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
KEPT = "failed"  # this file in the folder means: do not remove it


def rehearse(rehearsal: Rehearsal) -> bool:
    """Run all steps; return whether they succeeded."""
    began = time.monotonic()
    steps = rehearsal.steps()
    if not rehearsal.has_release:
        print("No upgrade: this checkout's history lacks release 1.0.0.", flush=True)
    for number, step in enumerate(steps, 1):
        title = (step.__doc__ or "").partition("\n")[0].rstrip(".")
        start = time.monotonic()
        try:
            step()
        except LocalError as error:
            print(f"FAILED  {title}\n{error}", flush=True)
            return False
        except Exception:  # noqa: BLE001  an unexpected error is a failure, too
            print(f"FAILED  {title}\n{traceback.format_exc()}", flush=True)
            return False
        took = time.monotonic() - start
        print(f"{number:2}/{len(steps)} {took:6.1f} s  {title}", flush=True)
    print(f"All steps passed in {time.monotonic() - began:.0f} s.")
    return True


def show_logs(rehearsal: Rehearsal) -> None:
    """Print the ends of the servers' logs."""
    for server in rehearsal.servers:
        if server.log.exists():
            lines = server.log.read_text(errors="replace").splitlines()
            print(f"\n--- the end of {server.log}", *lines[-25:], sep="\n  ")


def main() -> int:
    """Run the rehearsal; return 0 on success, 130 on an interruption, else 1."""
    version: tuple[int, ...] = sys.version_info[:2]
    if version != (3, 13):
        need = "The rehearsal needs Python 3.13, like the functions: PYTHON=..."
        print(need, file=sys.stderr)
        return 1
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="qr-rehearsal-"))
    try:
        return run(folder)
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if not (folder / KEPT).exists():
            shutil.rmtree(folder, ignore_errors=True)


def run(folder: Path) -> int:
    """Rehearse in a folder; return the exit code."""
    rehearsal = Rehearsal(folder)
    try:
        succeeded = rehearse(rehearsal)
        if not succeeded:
            show_logs(rehearsal)
            (folder / KEPT).touch()
            print(f"\nLogs and build are in {folder}", flush=True)
        return 0 if succeeded else 1
    finally:
        for number in SIGNALS:  # ignore further signals during clean-up
            signal.signal(number, signal.SIG_IGN)
        rehearsal.stop()


if __name__ == "__main__":
    sys.exit(main())
