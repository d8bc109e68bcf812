import sys

import pytest
from qr_service.engine.images import render
from qr_service.engine.symbol import encode

from benchmarks.measure import OURS, Budget, Row, cpu_milliseconds, interleave, missed
from benchmarks.processes import compare
from benchmarks.report import write_page

FASTER = Budget("times faster", must=20, aim=50)
SHARE = Budget("share", must=0.5, aim=0.25)


def row(budget, ours, rival):
    return Row("PNG", "20 B", "ms", {OURS: ours, "rival": rival}, "rival", budget)


@pytest.mark.parametrize(
    ("budget", "ours", "rival", "ratio", "verdict"),
    [
        (FASTER, 1, 19.9, 19.9, "MISSED"),
        (FASTER, 1, 20, 20, "kept"),
        (FASTER, 2, 100, 50, "aim reached"),
        (SHARE, 51, 100, 0.51, "MISSED"),
        (SHARE, 50, 100, 0.5, "kept"),
        (SHARE, 1, 4, 0.25, "aim reached"),
        (None, 2, 6, 3, ""),
    ],
)
def test_a_ratio_is_compared_with_its_budget(budget, ours, rival, ratio, verdict):
    measured = row(budget, ours, rival)
    assert (measured.ratio, measured.verdict) == (ratio, verdict)


def test_a_missed_budget_is_reported_with_ratio_and_limit():
    rows = [row(FASTER, 1, 19), row(FASTER, 1, 21), row(None, 9, 1)]
    assert missed(rows) == ["PNG, 20 B: 19, must be 20"]


def test_contenders_take_turns_and_their_medians_are_returned():
    order = []

    def measure(name, values):
        remaining = iter(values)
        return lambda: order.append(name) or next(remaining)

    measures = {"a": measure("a", [1, 9, 2]), "b": measure("b", [5, 4, 90])}
    assert interleave(measures, 3) == {"a": 2, "b": 5}
    assert "".join(order) == "abbaab"  # each round begins with the next one


def test_the_time_is_the_cpu_time_of_one_call_in_milliseconds():
    calls = []
    measure = cpu_milliseconds(lambda: calls.append(sum(range(10_000))))
    before = len(calls)
    assert 0.01 < measure() < 10
    assert len(calls) > before + 1  # one call is too short to measure


def test_a_program_costs_the_difference_between_n_and_2n_codes(tmp_path):
    """What its start costs does not count, and every PNG is read first."""
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, time\n"
        "from pathlib import Path\n"
        "def spend(seconds):\n"
        "    end = time.process_time() + seconds\n"
        "    while time.process_time() < end: pass\n"
        "spend(0.05)\n"
        "for _ in range(int(sys.argv[1])): spend(0.002)\n"
        f"sys.stdout.buffer.write(Path({str(tmp_path / 'drawn.png')!r}).read_bytes())\n"
    )
    (tmp_path / "drawn.png").write_bytes(render(encode("drawn")).body)
    commands = {"it": ([sys.executable, str(program)], {})}
    taken = compare(commands, ["drawn"], 3, verified=True)
    assert 1 < taken["it"] < 4  # not the 52 of a process for each code
    with pytest.raises(AssertionError, match="does not read"):
        compare(commands, ["something else"], 3, verified=True)


def test_the_page_says_where_another_one_leads(tmp_path):
    rows = [row(FASTER, 1, 19), row(None, 2, 1)]
    write_page(rows, tmp_path / "bench.md", {"qrcode": "8.2"})
    page = (tmp_path / "bench.md").read_text()
    assert "- PNG, 20 B: rival has 0.50 of ours\n" in page
    assert "| 20 B | **1.000** | 19.000 |" in page
