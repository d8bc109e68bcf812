import pytest

from benchmarks.measure import OURS, Budget, Row, cpu_milliseconds, interleave, missed

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
    assert "".join(order) == "ababab"


def test_the_time_is_the_cpu_time_of_one_call_in_milliseconds():
    calls = []
    measure = cpu_milliseconds(lambda: calls.append(sum(range(10_000))))
    before = len(calls)
    assert 0.01 < measure() < 10
    assert len(calls) > before + 1  # one call is too short to measure
