"""The figures as tables on the terminal, as JSON, and as a plot."""

import json
import platform
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.measure import OURS, Row

_STARTED = time.monotonic()
_PACKAGES = ("qrcode", "pillow", "segno", "zxing-cpp", "fastapi", "boto3", "redis")


def progress(doing: str) -> None:
    """Print what is being measured now."""
    print(f"{time.monotonic() - _STARTED:4.0f} s  {doing} ...", file=sys.stderr)


def print_tables(rows: Iterable[Row]) -> None:
    """Print a table for each topic."""
    topics: dict[str, list[Row]] = {}
    for row in rows:
        topics.setdefault(row.topic, []).append(row)
    for topic, lines in topics.items():
        names = list(lines[0].values)
        unit = "CPU ms" if lines[0].unit == "ms" else lines[0].unit
        print(f"\n{topic} ({unit}; ratio to {lines[0].rival})")
        print("".join(f"{text:>14}" for text in ("", *names, "ratio", "must", "aim")))
        for row in lines:
            cells = [row.subject, *(_figure(row.values[name], row) for name in names)]
            cells.append(f"{row.ratio:.3g}")
            if row.budget:
                cells += [f"{row.budget.must:g}", f"{row.budget.aim:g}", row.verdict]
            print("".join(f"{cell:>14}" for cell in cells))


def _figure(value: float, row: Row) -> str:
    return f"{value:.0f}" if row.unit == "bytes" else f"{value:.3f}"


def packages() -> dict[str, str]:
    """Return the versions of the packages that the figures depend on."""
    return {name: version(name) for name in _PACKAGES}


def write_json(rows: Iterable[Row], path: Path) -> None:
    """Write the rows, and the machine and packages they were measured with."""
    document = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "packages": packages(),
        "rows": [row.as_dict() for row in rows],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")


def write_page(rows: Iterable[Row], path: Path, packages: Mapping[str, str]) -> None:
    """Write the page that says where this service leads, and where it does not."""
    compared = [row for row in rows if len(row.values) > 1]
    topics: dict[str, list[Row]] = {}
    for row in compared:
        topics.setdefault(row.topic, []).append(row)
    tables = "\n\n".join(_table(topic, lines) for topic, lines in topics.items())
    behind = []
    for row in compared:
        best = min(row.values, key=row.values.__getitem__)
        # Cleanup and sweep are compared with parts of themselves.
        if best != OURS and not row.topic.startswith(("cleanup", "sweep")):
            share = row.values[best] / row.values[OURS]
            behind.append(
                f"- {row.topic}, {row.subject}: {best} has {share:.2f} of ours"
            )
    used = ", ".join(f"{name} {number}" for name, number in packages.items())
    path.write_text(f"""\
# Figures in full

{datetime.now(UTC):%Y-%m-%d}, by `make bench SAVE=1`, with Python
{platform.python_version()} on {platform.machine()};
{used}.
The machine is shared: compare figures of one row, not of two runs.

Every PNG is read before it is timed. Contenders take turns, each round begins with the
next one, and the median counts. Times are CPU milliseconds, with all threads. In "whole
processes" a program draws N codes, then 2N, and the difference counts; twelve texts of
each size take turns, since the time depends on the masks that are tried. The least is
bold.

## Where another one leads

{chr(10).join(behind) or "Nowhere."}

## All rows

{tables}
""")


def _table(topic: str, rows: list[Row]) -> str:
    names = [*dict.fromkeys(name for row in rows for name in row.values)]
    lines = [
        f"### {topic} ({'CPU ms' if rows[0].unit == 'ms' else rows[0].unit})",
        "",
        f"| | {' | '.join(names)} |",
        "|---|" + "---|" * len(names),
    ]
    for row in rows:
        least = min(row.values.values())
        cells = (
            ""
            if name not in row.values
            else f"**{_figure(row.values[name], row)}**"
            if row.values[name] == least
            else _figure(row.values[name], row)
            for name in names
        )
        lines.append(f"| {row.subject} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(rows: Iterable[Row], path: Path) -> None:
    """Plot symbols and PNGs by size of text, and requests and imports as shares."""
    from matplotlib.figure import Figure  # noqa: PLC0415  half a second, only for this

    figure = Figure(figsize=(13, 4.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    found = list(rows)
    for axes, topic in ((left, "symbol"), (middle, "PNG")):
        lines = [row for row in found if row.topic == topic and row.subject[-1] == "B"]
        sizes = [int(row.subject.split()[0]) for row in lines]
        for name in lines[0].values:
            axes.plot(
                sizes,
                [row.values[name] for row in lines],
                marker="o",
                label=name,
                linewidth=3 if name == OURS else 1.2,
            )
        axes.set(xscale="log", yscale="log", xticks=sizes, xticklabels=sizes)
        axes.minorticks_off()
        axes.set(title=f"Text to {topic}", xlabel="bytes of text", ylabel="CPU ms")
        axes.grid(alpha=0.3)
        axes.legend()
    shares = [row for row in found if row.rival in {"plain FastAPI", "naive set"}]
    labels = [f"{row.topic}: {row.subject}\n(of the {row.rival})" for row in shares]
    percent = [100 * row.values[OURS] / row.values[row.rival] for row in shares]
    right.bar_label(right.barh(labels, percent), fmt="%.0f %%", padding=3)
    right.set(title="CPU, as a share of the plain way's", xlim=(0, 100), xlabel="%")
    right.invert_yaxis()
    figure.savefig(path, dpi=110)
