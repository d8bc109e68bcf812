"""`python -m benchmarks`: measures, prints, and reports which budgets were missed."""

import argparse
import gc
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import report
from benchmarks.cleanup import measure_cleanup
from benchmarks.engine import PAYLOADS, QUICK, measure_payload
from benchmarks.imports import measure_imports
from benchmarks.measure import Row, missed
from benchmarks.stores import measure_requests

PARTS = ("engine", "requests", "imports", "cleanup")


def main() -> int:
    """Run the benchmarks; return 0 if every budget's `must` is kept, else 1."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds, short texts")
    parser.add_argument("--only", choices=PARTS, help="run only this part")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(".local/bench"),
        help="folder of bench.json and bench.png (%(default)s)",
    )
    options = parser.parse_args()
    parts = [options.only] if options.only else list(PARTS)
    gc.freeze()  # keeps collections from scanning these imports during a measurement
    rows = list(_measure(parts, quick=options.quick))
    gc.unfreeze()
    report.print_tables(rows)
    options.output.mkdir(mode=0o700, parents=True, exist_ok=True)
    report.write_json(rows, options.output / "bench.json")
    if not options.quick and parts == list(PARTS):
        report.draw(rows, options.output / "bench.png")
    print(
        f"\nIn {options.output}: {' '.join(p.name for p in options.output.iterdir())}"
    )
    for failure in missed(rows):
        print(f"MISSED: {failure}", file=sys.stderr)
    return 1 if missed(rows) else 0


def _measure(parts: list[str], *, quick: bool) -> Iterator[Row]:
    rounds = 3 if quick else 15
    if "engine" in parts:
        for name in QUICK if quick else PAYLOADS:
            report.progress(f"engine: {name}")
            yield from measure_payload(name, rounds)
    if "requests" in parts:
        report.progress("warm requests, with PostgreSQL, Valkey and S3")
        yield from measure_requests(rounds * 20)
    if "imports" in parts:
        report.progress("imports")
        yield from measure_imports(rounds)
    if "cleanup" in parts:
        report.progress("cleanup, with PostgreSQL and S3")
        yield from measure_cleanup([10_000] if quick else [10_000, 100_000])


if __name__ == "__main__":
    sys.exit(main())
