"""Medians of interleaved measurements, and how they compare with their budgets.

Time is CPU time of this process, all its threads and the kernel included, unless it is
called wall time: on a shared machine it varies less than the clock. Contenders take
turns, so other load on the machine affects all of them.
"""

import resource
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

OURS = "this service"

# Shorter measurements are repeated, and their mean is used.
LEAST_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Budget:
    """What a ratio must reach (`must`) and should reach (`aim`).

    "times faster" is rival / ours, and at least the limit; "share" is ours / rival, and
    at most the limit.
    """

    kind: Literal["times faster", "share"]
    must: float
    aim: float

    def ratio(self, ours: float, rival: float) -> float:
        """Return the ratio that the budget limits."""
        return rival / ours if self.kind == "times faster" else ours / rival

    def verdict(self, ratio: float) -> Literal["MISSED", "kept", "aim reached"]:
        """Return how a ratio compares with the budget."""
        sign = 1 if self.kind == "times faster" else -1
        if sign * ratio < sign * self.must:
            return "MISSED"
        return "kept" if sign * ratio < sign * self.aim else "aim reached"


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: `values` by contender, in `unit`; less is better.

    The ratio is that of OURS to `rival`; without a budget it is only reported.
    """

    topic: str
    subject: str
    unit: Literal["ms", "wall ms", "bytes"]
    values: Mapping[str, float]
    rival: str
    budget: Budget | None = None

    @property
    def ratio(self) -> float:
        """The ratio that the budget limits; "times faster" without a budget."""
        yardstick = self.budget or Budget("times faster", 0, 0)
        return yardstick.ratio(self.values[OURS], self.values[self.rival])

    @property
    def verdict(self) -> str:
        """How the ratio compares with the budget; empty without one."""
        return self.budget.verdict(self.ratio) if self.budget else ""

    def as_dict(self) -> dict[str, Any]:
        """Return the row with its ratio and verdict, for JSON."""
        return {**asdict(self), "ratio": round(self.ratio, 3), "verdict": self.verdict}


def missed(rows: list[Row]) -> list[str]:
    """Return a message for each row that missed its budget."""
    return [
        f"{row.topic}, {row.subject}: {row.ratio:.4g}, must be {row.budget.must:g}"
        for row in rows
        if row.budget and row.verdict == "MISSED"
    ]


def interleave(
    measures: Mapping[str, Callable[[], float]], rounds: int
) -> dict[str, float]:
    """Return the median of each measure; they run in turn, `rounds` times."""
    taken: dict[str, list[float]] = {name: [] for name in measures}
    for order in rotations(list(measures), rounds):
        for name in order:
            taken[name].append(measures[name]())
    return {name: median(values) for name, values in taken.items()}


def rotations(names: list[str], rounds: int) -> Iterator[list[str]]:
    """Yield the names `rounds` times, each time beginning with the next one.

    What comes before leaves caches and a warm processor to what comes after.
    """
    for number in range(rounds):
        start = number % len(names)
        yield names[start:] + names[:start]


def cpu_milliseconds(call: Callable[[], object]) -> Callable[[], float]:
    """Return a measure: the CPU milliseconds of one call, with warm caches."""
    call()
    first = _seconds(call, 1)
    times = 1 if first >= LEAST_SECONDS else round(LEAST_SECONDS / first) + 1
    return lambda: 1000 * _seconds(call, times) / times


def _seconds(call: Callable[[], object], times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        call()
    return time.process_time() - start


def peak() -> int:
    """Return the peak memory of this process so far, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
