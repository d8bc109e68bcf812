"""The segments of a text have the fewest bits of all."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qr_service.engine.segmentation import (
    ALPHANUMERIC,
    BYTE,
    NUMERIC,
    RANGES,
    segmentation,
)

from tests.support.segmentation import check, runs


@pytest.mark.parametrize("versions", RANGES, ids=["1-9", "10-26", "27-40"])
def test_all_kinds_of_short_texts(versions):
    for length in range(1, 7):
        for text in product(b"1Aa", repeat=length):
            check(bytes(text), versions)


@pytest.mark.parametrize("versions", RANGES, ids=["1-9", "10-26", "27-40"])
def test_runs_of_lengths_around_the_limits(versions):
    for seed in range(700):  # 100,000 of them in `make acceptance`
        check(runs(seed), versions)


@settings(max_examples=150, deadline=None)
@given(st.text(min_size=1, max_size=60), st.sampled_from(RANGES))
def test_any_text(text, versions):
    check(text.encode(), versions)


@pytest.mark.parametrize(
    ("text", "version", "modes"),
    [
        (b"12", 1, [NUMERIC]),
        (b"A1", 1, [ALPHANUMERIC]),
        (b"a12345", 1, [BYTE, NUMERIC]),
        (b"a12345b", 1, [BYTE]),
        (b"a123456b", 1, [BYTE, NUMERIC, BYTE]),
        (b"a1234567b", 10, [BYTE]),
        (b"a12345678b", 10, [BYTE, NUMERIC, BYTE]),
        (b"HTTPS://EXAMPLE.COM/000123456789", 1, [ALPHANUMERIC, NUMERIC]),
    ],
)
def test_where_another_mode_begins_to_be_worth_it(text, version, modes):
    (versions,) = (each for each in RANGES if each.first == version)
    assert [mode for mode, _, _ in segmentation(text, versions)] == modes
