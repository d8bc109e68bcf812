from collections import Counter
from datetime import UTC, datetime, timedelta

from qr_service.sweep import SLICES, slices_of

START = datetime(2026, 11, 27, tzinfo=UTC)


def test_every_slice_has_its_hour():
    turns = [slices_of({}, START + timedelta(hours=hour)) for hour in range(256)]
    assert Counter(map(tuple, turns)) == {(prefix,): 1 for prefix in SLICES}


def test_a_slice_that_is_named_begins_the_rest():
    assert slices_of({"sweep": "all"}, START) == SLICES
    assert slices_of({"sweep": "fe"}, START) == ["fe", "ff"]
