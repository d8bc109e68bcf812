"""`make prove`: histories, a million scans that are counted, then real servers.

The last line is `N boundaries, M histories, 0 violations`. A boundary is an operation,
an effect of it and a way to fail there; all are met in both, or this fails.
"""

import argparse
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from multiprocessing import get_context
from random import Random

from qr_service.telemetry import logger

from proof import counts, processes
from proof.effects import EFFECTS, Failure
from proof.histories import run

Boundaries = set[tuple[str, str, str]]  # operation, effect, failure

CHUNK = 500
SCANS = 1_000_000
MOST_SHOWN = 10  # kinds of violations
ENOUGH_BROKEN = 5  # histories, after which no more are run
ENOUGH = 20_000  # histories, after which every boundary has been met


def chunk(first: int) -> tuple[Counter[tuple[str, str, str]], list[str]]:
    """Run CHUNK histories; return what failed, and the broken promises with seeds."""
    logger.setLevel("CRITICAL")  # failures are what this is about
    met: Counter[tuple[str, str, str]] = Counter()
    found = []
    for seed in range(first, first + CHUNK):
        history = run(Random(seed))  # noqa: S311  it must be repeatable
        met.update(history.met)
        found += [f"seed {seed}, {violation}" for violation in history.found[:1]]
    return met, found


def show(seed: int) -> int:
    """Show one history, step by step; return an exit status."""
    history = run(Random(seed))  # noqa: S311  it must be repeatable
    for number, step in enumerate(history.steps, 1):
        print(f"{number:3} {step}")
    for violation in history.found:
        print(violation)
    return bool(history.found)


def draw(first: int, count: int) -> tuple[Boundaries, list[str]]:
    """Run histories; return the boundaries met, and the broken promises."""
    start = time.monotonic()
    met: Counter[tuple[str, str, str]] = Counter()
    found: list[str] = []
    chunks = range(first, first + count, CHUNK)
    with get_context("fork").Pool(os.cpu_count()) as pool:
        for done, (more, broken) in enumerate(pool.imap_unordered(chunk, chunks), 1):
            met += more
            found += broken
            if done % 20 == 0:
                _show(f"{done * CHUNK:,} histories, {time.monotonic() - start:.0f} s")
            if len(found) >= ENOUGH_BROKEN:
                pool.terminate()
                break
    return {one for one in met if one[2] in list(Failure)}, found


def samples(found: list[str]) -> list[str]:
    """Return one violation of each kind: those that differ by more than numbers."""
    kinds: dict[str, str] = {}
    for violation in found:
        words = violation.partition(" steps: ")[2] or violation
        kinds.setdefault(re.sub(r"[0-9a-f-]*[0-9][0-9a-f-]*", "", words), violation)
    return list(kinds.values())[:MOST_SHOWN]


def unmet(drawn: Boundaries, real: Boundaries) -> list[str]:
    """Return the boundaries that one of the two did not meet."""
    wanted = {(effect, failure) for effect in EFFECTS for failure in Failure}
    wanted -= {(effect, failure) for _, effect, failure in drawn}
    return [
        *(f"in no history: {effect}: {failure}" for effect, failure in sorted(wanted)),
        *(f"in histories only: {', '.join(one)}" for one in sorted(drawn - real)),
        *(f"on servers only: {', '.join(one)}" for one in sorted(real - drawn)),
    ]


def main(arguments: Sequence[str]) -> int:
    """Run both; return an exit status, 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="make prove", description=__doc__)
    parser.add_argument("--histories", type=int, default=100_000, help="(100000)")
    parser.add_argument("--from", type=int, default=0, dest="first", help="seed (0)")
    parser.add_argument("--seed", type=int, help="show only this history")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        return show(options.seed)
    count = -(-options.histories // CHUNK) * CHUNK
    drawn, found = draw(options.first, count)
    for violation in samples(found):
        _show(f"  {violation}: make prove SEED={violation.split()[1].strip(',')}")
    real = drawn
    if not found:
        logger.setLevel("CRITICAL")
        counting = counts.run(SCANS)
        _show(f"{counting}")
        found = counting.found
        for violation in found[:MOST_SHOWN]:
            _show(f"  {violation}")
    if not found:
        real, found = processes.prove(_show)
        for violation in samples(found):
            _show(f"  {violation}")
    missing = unmet(drawn, real) if count >= ENOUGH and not found else []
    for boundary in missing:
        _show(f"  {boundary}")
    print(
        f"{len(drawn & real)} boundaries, {count:,} histories, {len(found)} violations"
    )
    return bool(found or missing)


def _show(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
