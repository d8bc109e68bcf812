"""make rehearse: deploy the real template into an emulator of AWS, and use it.

Everything is real but AWS: the SAM CLI, the template, the built layers, PostgreSQL and
Redis with TLS and without a password. MiniStack stands in for AWS, with IAM enforced.
Servers, certificate and build live in a temporary folder, which goes away in the end,
but stays when a step failed.
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
KEPT = "failed"  # a file in a folder that is to stay


def rehearse(rehearsal: Rehearsal) -> bool:
    """Take all steps; return whether they went well."""
    began = time.monotonic()
    steps = rehearsal.steps()
    for number, step in enumerate(steps, 1):
        title = (step.__doc__ or "").partition("\n")[0].rstrip(".")
        start = time.monotonic()
        try:
            step()
        except LocalError as error:
            print(f"FAILED  {title}\n{error}", flush=True)
            return False
        except Exception:  # noqa: BLE001  what no step foresaw fails it as well
            print(f"FAILED  {title}\n{traceback.format_exc()}", flush=True)
            return False
        took = time.monotonic() - start
        print(f"{number:2}/{len(steps)} {took:6.1f} s  {title}", flush=True)
    print(f"All of it in {time.monotonic() - began:.0f} s.")
    return True


def show_logs(rehearsal: Rehearsal) -> None:
    """Print the ends of the servers' logs."""
    for server in rehearsal.servers:
        if server.log.exists():
            lines = server.log.read_text(errors="replace").splitlines()
            print(f"\n--- the end of {server.log}", *lines[-25:], sep="\n  ")


def main() -> int:
    """Return 0 when every step went well, 130 when interrupted, else 1."""
    version: tuple[int, ...] = sys.version_info[:2]
    if version != (3, 13):
        need = "The rehearsal needs Python 3.13, as the functions do: PYTHON=..."
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
        went_well = rehearse(rehearsal)
        if not went_well:
            show_logs(rehearsal)
            (folder / KEPT).touch()
            print(f"\nAll of it is in {folder}", flush=True)
        return 0 if went_well else 1
    finally:
        for number in SIGNALS:  # stopping takes its seconds, but ends
            signal.signal(number, signal.SIG_IGN)
        rehearsal.stop()


if __name__ == "__main__":
    sys.exit(main())
