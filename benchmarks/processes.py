"""Whole processes: what one more code costs a program, in any language.

A program draws N codes and then 2N. The difference is the CPU time of N codes with all
threads of the process, and without its start. The same shows whether the engine has
become slower since another commit.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median

from qr_service.engine.readback import read

from benchmarks.measure import OURS, Budget, Row, rotations
from benchmarks.npm import install
from local.project import ROOT

HERE = Path(__file__).parent
LEVEL = "M"
LEAST_SECONDS = 0.25  # of CPU time for N codes

_Command = Sequence[str]
_Environment = Mapping[str, str]


def measure_processes(
    libraries: Iterable[str], texts: Mapping[str, list[str]], rounds: int
) -> Iterator[Row]:
    """Yield symbols and PNGs of texts, drawn by libraries and node-qrcode."""
    python = [sys.executable, "-m", "benchmarks.draw"]
    programs = {name: [*python, name] for name in (OURS, *libraries)}
    if script := install(HERE / "node", "draw.js"):
        programs["node-qrcode"] = ["node", str(script)]
    else:
        print("node-qrcode is left out: it needs Node 20 and npm.", file=sys.stderr)
    for kind in ("symbol", "PNG"):
        for subject, some in texts.items():
            commands = {
                name: ([*program, kind, LEVEL], dict(os.environ))
                for name, program in programs.items()
                if kind == "symbol" or name != "libqrencode"
            }
            values = compare(commands, some, rounds, verified=kind != "symbol")
            yield Row(f"{kind}, whole processes", subject, "ms", values, "qrcode")


def measure_against(
    commit: str, texts: Mapping[str, list[str]], rounds: int
) -> Iterator[Row]:
    """Yield how our engine compares with that of another commit."""
    faster = Budget("times faster", 1.0, 1.0)
    with tempfile.TemporaryDirectory() as folder:
        archive = ["git", "archive", commit, "layers/common"]
        packed = subprocess.run(archive, cwd=ROOT, check=True, stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", folder], input=packed.stdout, check=True)
        own = os.environ["PYTHONPATH"]
        paths = {OURS: own, commit: f"{folder}/layers/common:{own}"}
        program = [sys.executable, "-m", "benchmarks.draw", OURS]
        for kind in ("symbol", "PNG", "proven PNG"):
            for subject, some in texts.items():
                commands = {
                    name: ([*program, kind, LEVEL], {**os.environ, "PYTHONPATH": path})
                    for name, path in paths.items()
                }
                values = compare(commands, some, rounds, verified=kind != "symbol")
                proven = faster if kind == "proven PNG" else None
                yield Row(
                    f"{kind} against {commit}", subject, "ms", values, commit, proven
                )


def compare(
    commands: Mapping[str, tuple[_Command, _Environment]],
    texts: list[str],
    rounds: int,
    *,
    verified: bool,
) -> dict[str, float]:
    """Return the median CPU milliseconds of a code, by contender; they take turns."""
    counts = {}
    for name, (command, environment) in commands.items():
        if verified:
            _verify(name, command, environment, texts)
        counts[name] = _enough(command, environment, texts)
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for order in rotations(list(commands), rounds):
        for name in order:
            n = counts[name]
            command, environment = commands[name]
            once, twice = (
                _seconds(command, environment, count, texts) for count in (n, 2 * n)
            )
            taken[name].append(1000 * (twice - once) / n)
    return {name: median(values) for name, values in taken.items()}


def _enough(command: _Command, environment: _Environment, texts: list[str]) -> int:
    """Return how many codes take LEAST_SECONDS or more, without the program's start."""
    start = _seconds(command, environment, 1, texts)
    count = 4
    while _seconds(command, environment, count, texts) - start < LEAST_SECONDS:
        count *= 3
    return count


def _seconds(
    command: _Command, environment: _Environment, count: int, texts: list[str]
) -> float:
    """Return the CPU time of a whole process."""
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run(
        [*command, str(count), *texts],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _verify(
    name: str, command: _Command, environment: _Environment, texts: list[str]
) -> None:
    """Raise AssertionError unless the PNG that a program draws holds the text."""
    drawn = subprocess.run(
        [*command, str(len(texts)), *texts],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    reading = read(drawn)
    if reading is None or reading.payload != texts[-1].encode():
        raise AssertionError(
            f"the image by {name} does not read as {texts[-1][:20]}..."
        )
