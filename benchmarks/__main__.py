"""`python -m benchmarks`: measures, prints, and reports which budgets were missed."""

import argparse
import gc
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import report
from benchmarks.cleanup import measure_cleanup
from benchmarks.engine import PAYLOADS, QUICK, measure_payload, texts
from benchmarks.imports import measure_imports
from benchmarks.libraries import LIBRARIES
from benchmarks.measure import Row, missed
from benchmarks.processes import measure_against, measure_processes
from benchmarks.stores import measure_requests
from benchmarks.sweep import measure_sweep

PARTS = ("engine", "processes", "requests", "imports", "cleanup", "sweep")


def main() -> int:
    """Run the benchmarks; return 0 if every budget's `must` is kept, else 1."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds, short texts")
    parser.add_argument("--only", choices=PARTS, help="run only this part")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(".local/bench"),
        help="folder of bench.json, bench.png and bench.md (%(default)s)",
    )
    parser.add_argument(
        "--against", metavar="COMMIT", help="compare the engine with that of a commit"
    )
    options = parser.parse_args()
    parts = [options.only] if options.only else list(PARTS)
    gc.freeze()  # keeps collections from scanning these imports during a measurement
    if options.against:
        rounds = 3 if options.quick else 7
        measured = measure_against(
            options.against, _texts(20, 60, 150, 500, 1500, count=48), rounds
        )
        rows = list(_reported(measured))
    else:
        rows = list(_measure(parts, quick=options.quick))
    gc.unfreeze()
    report.print_tables(rows)
    if "libqrencode" not in LIBRARIES:
        print("\nlibqrencode is not installed (Debian: libqrencode4).")
    options.output.mkdir(mode=0o700, parents=True, exist_ok=True)
    report.write_json(rows, options.output / "bench.json")
    if not options.quick and parts == list(PARTS) and not options.against:
        report.draw(rows, options.output / "bench.png")
        page = options.output / "bench.md"
        report.write_page(rows, page, report.packages())
    print(
        f"\nIn {options.output}: {' '.join(p.name for p in options.output.iterdir())}"
    )
    for failure in missed(rows):
        print(f"MISSED: {failure}", file=sys.stderr)
    return 1 if missed(rows) else 0


def _texts(*sizes: int, count: int = 12) -> dict[str, list[str]]:
    return {f"{size} B": texts(size, count) for size in sizes}


def _reported(rows: Iterator[Row]) -> Iterator[Row]:
    """Yield the rows, and print each one's name when it is measured."""
    for row in rows:
        report.progress(f"measured: {row.topic}, {row.subject}")
        yield row


def _measure(parts: list[str], *, quick: bool) -> Iterator[Row]:
    rounds = 3 if quick else 15
    if "engine" in parts:
        for name in QUICK if quick else PAYLOADS:
            report.progress(f"engine: {name}")
            yield from measure_payload(name, rounds)
    if "processes" in parts:
        yield from _reported(
            measure_processes(LIBRARIES, _texts(20, 150, 1500), rounds // 3)
        )
    if "requests" in parts:
        report.progress("warm requests, with PostgreSQL, Valkey and S3")
        yield from measure_requests(rounds * 20)
    if "imports" in parts:
        report.progress("imports")
        yield from measure_imports(rounds)
    if "cleanup" in parts:
        report.progress("cleanup, with PostgreSQL and S3")
        yield from measure_cleanup([10_000] if quick else [10_000, 100_000])
    if "sweep" in parts:
        report.progress("sweep, killed, interrupted and over an empty table")
        yield from measure_sweep(20_000 if quick else 1_000_000)


if __name__ == "__main__":
    sys.exit(main())
