"""`make fuzz`: requests by schemathesis to a system of its own, in chains by Location.

Rounds are repeated until there were as many cases as wanted. Then as many contents of
each type are written, and read by parsers of others (tests/unit/test_round_trips.py).
The last line is `N cases, no failure`. schemathesis.toml lists what is not checked,
hooks.py what is not sent. With a seed there are no chains: they send what was answered,
which differs each time.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import SystemRandom

from local.processes import LocalError
from local.project import ROOT
from tests.support.launcher import Launcher

CONFIG = Path(__file__).parent / "schemathesis.toml"
HANGS = 900  # seconds, after which a round is given up; it takes half a minute
REPEATABLE = "--phases=examples,coverage,fuzzing"
EXAMPLES = 50  # of each operation and phase in a round
GENERATED = re.compile(r"^ +(\d+) generated", re.MULTILINE)


def cases(url: str, folder: str, seed: int, *options: str) -> int:
    """Run a round; return its number of cases, 0 if one of them failed."""
    done = subprocess.run(
        [
            *("schemathesis", f"--config-file={CONFIG}"),
            *("run", f"{url}/openapi.json", "--no-color"),
            *("--max-examples", str(EXAMPLES), "--seed", str(seed), *options),
        ],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "layers" / "common")]),
            "SCHEMATHESIS_HOOKS": "proof.fuzz.hooks",
        },
        stdout=subprocess.PIPE,
        text=True,
        timeout=HANGS,
        check=False,
    )
    found = GENERATED.search(done.stdout)
    if done.returncode or not found:
        print(done.stdout)
        return 0
    return int(found[1])


def round_trips(count: int, seed: int) -> bool:
    """Return whether so many contents of each type are read as they were written."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "--quiet", "--numprocesses", "auto"),
            *("--hypothesis-seed", str(seed), "tests/unit/test_round_trips.py"),
        ],
        cwd=ROOT,
        env={**os.environ, "ROUND_TRIPS": str(count)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    print(f"{count} contents of each type: {done.stdout.splitlines()[-1]}", flush=True)
    if done.returncode:
        print(done.stdout)
    return not done.returncode


def main() -> int:
    """Return 0 if so many cases found no failure."""
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, help="of the first round")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else SystemRandom().randrange(10**6)
    options = () if given.seed is None else (REPEATABLE,)
    began, total = time.monotonic(), 0
    with tempfile.TemporaryDirectory() as folder:
        try:
            launcher = Launcher(Path(folder) / "state").start()
        except LocalError as error:
            print(error, file=sys.stderr)
            return 1
        try:
            while total < given.cases:
                more = cases(launcher.url, folder, seed, *options)
                if not more:
                    print(
                        f"A case failed. Those without a chain: make fuzz SEED={seed}"
                    )
                    return 1
                total += more
                seed += 1
                took = time.monotonic() - began
                print(f"{total} of {given.cases} cases, {took:.0f} s", flush=True)
        except subprocess.TimeoutExpired:
            print(f"schemathesis does not end; to repeat: make fuzz SEED={seed}")
            return 1
        finally:
            launcher.discard()
    if not round_trips(given.cases, seed):
        return 1
    print(f"{total} cases, no failure")
    return 0


if __name__ == "__main__":
    sys.exit(main())
