import random
from string import ascii_lowercase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qr_service.engine.symbol import LEVELS, capacity, encode
from qr_service.errors import DataTooLong

from tests.support.corpus import CORPUS, EXACT
from tests.support.symbols import random_text, stock_rows


@pytest.mark.parametrize("seed", range(300))  # 5,000 of them in `make acceptance`
def test_short_texts_match_the_qrcode_package(seed):
    data, level = random_text(seed)
    symbol = encode(data, level)
    assert symbol.rows == stock_rows(data, symbol)


@pytest.mark.parametrize("name", CORPUS)
def test_real_texts_match_the_qrcode_package(name):
    symbol = encode(CORPUS[name])
    assert symbol.rows == stock_rows(CORPUS[name], symbol)


@pytest.mark.parametrize("name", EXACT)
def test_a_text_can_fill_its_version_completely(name):
    data, level, version = EXACT[name]
    symbol = encode(data, level)
    assert (symbol.version, symbol.level) == (version, level)
    assert symbol.spare_bits < 8
    assert symbol.rows == stock_rows(data, symbol)
    try:
        assert encode(data + data[0], level).version == version + 1
    except DataTooLong:
        assert version == 40


def test_a_larger_version_can_be_requested_and_gets_the_highest_level():
    for version in range(3, 41):
        symbol = encode("https://example.com", "L", version)
        assert (symbol.version, symbol.level) == (version, "H")
        assert symbol.rows == stock_rows("https://example.com", symbol)


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=120), st.sampled_from(LEVELS))
def test_random_texts_match_the_qrcode_package(data, level):
    symbol = encode(data, level)
    assert symbol.rows == stock_rows(data, symbol)


@pytest.mark.parametrize("version", range(1, 41))
@pytest.mark.parametrize("level", LEVELS)
def test_every_version_and_level_matches_the_qrcode_package(version, level):
    # The text fills the version at this level, so no higher level fits.
    most = (capacity(version, level) - 4 - (8 if version < 10 else 16)) // 8
    data = "".join(random.Random(version).choices(ascii_lowercase, k=most))
    symbol = encode(data, level)
    assert (symbol.version, symbol.level) == (version, level)
    assert symbol.rows == stock_rows(data, symbol)


@pytest.mark.parametrize("seed", range(200))
def test_mixed_segments_match_the_qrcode_package(seed):
    rng = random.Random(seed)
    alphabets = ["0123456789", "ABCXYZ $%*+-./:", "abcdefgh", "日本é👍"]
    data = "".join(
        "".join(rng.choices(rng.choice(alphabets), k=rng.randint(1, 60)))
        for _ in range(rng.randint(1, 5))
    )
    symbol = encode(data, rng.choice(LEVELS))
    assert symbol.rows == stock_rows(data, symbol)


@pytest.mark.parametrize(
    ("data", "level", "version"),
    [
        ("1" * 41, "L", 1),
        ("1" * 42, "L", 2),
        ("A" * 25, "L", 1),
        ("a" * 17, "L", 1),
        ("a" * 14, "M", 1),
        ("a" * 15, "M", 2),
        ("a" * 2953, "L", 40),
        ("a" * 2331, "M", 40),
        ("a" * 1663, "Q", 40),
        ("a" * 1273, "H", 40),
        ("1" * 7089, "L", 40),
        ("A" * 4296, "L", 40),
    ],
)
def test_the_smallest_version_that_the_standard_allows_is_chosen(data, level, version):
    symbol = encode(data, level)
    assert symbol.version == version
    assert symbol.size == 17 + 4 * version
    assert {len(row) for row in symbol.rows} == {symbol.size}


@pytest.mark.parametrize(
    ("length", "requested", "chosen"),
    [(7, "L", "H"), (8, "L", "Q"), (12, "L", "M"), (15, "L", "L"), (14, "M", "M")],
)
def test_error_correction_is_raised_where_the_version_allows_it(
    length, requested, chosen
):
    symbol = encode("a" * length, requested)
    assert (symbol.version, symbol.level) == (1, chosen)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("length", [1, 30, 300, 1200])
def test_without_boost_the_level_is_exactly_the_one_given(length, level):
    symbol = encode("a" * length, level, boost=False)
    assert symbol.level == level
    assert symbol.version == encode("a" * length, level).version
    assert symbol.rows == stock_rows("a" * length, symbol)


def test_a_long_text_of_digits_among_letters_fits():
    """As runs of their own, its digits need 22,000 bits instead of 32,020."""
    assert encode("a1234567890123456789" * 200, "L").version == 39


def test_the_announcement_needs_twelve_bits():
    for text in ("é", "é" * 100, "é" * 1000):
        announced, bare = encode(text, "L"), encode(text, "L", eci="never")
        if announced.version == bare.version and announced.level == bare.level:
            assert bare.spare_bits - announced.spare_bits == 12
    # 23,648 bits: a header of 20, and 2,953 bytes; 12 bits more leave 2,952 of them.
    full = "é" * 1476 + "x"
    assert encode(full, "L", eci="never").version == 40
    with pytest.raises(DataTooLong) as error:
        encode(full, "L")
    assert error.value.fields["bits_needed"] == 12 + 20 + 8 * 2953
    assert error.value.fields["longest_prefix"]["L"] == 1476
    encode(full[:1476], "L")


@pytest.mark.parametrize(
    ("level", "most"), [("L", 2953), ("M", 2331), ("Q", 1663), ("H", 1273)]
)
def test_an_overflow_reports_needed_and_available_bits(level, most):
    with pytest.raises(DataTooLong) as error:
        encode("a" * (most + 1), level)
    fields = error.value.fields
    assert fields["bits_needed"] == 4 + 16 + 8 * (most + 1)
    assert fields["bits_available"] == {"L": 23648, "M": 18672, "Q": 13328, "H": 10208}
    assert fields["fits_at"] == list(LEVELS[: LEVELS.index(level)])
    assert fields["longest_prefix"][level] == most
    encode("a" * fields["longest_prefix"][level], level)
