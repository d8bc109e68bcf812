"""The photos that tests/support/photos.py simulates are realistic."""

import random

import pytest

pytest.importorskip("pyzbar.pyzbar", reason="apt-get install libzbar0")

from qr_service.engine.images import render
from qr_service.engine.symbol import encode

from tests.support import photos
from tests.support.scanners import picture


def test_a_good_photo_of_a_plain_code_is_read():
    assert photos.shares(photos.STYLES["square"], photos.PHOTOS["near"]) == [1, 1]


def test_a_hopeless_photo_is_not_read():
    assert photos.shares(photos.STYLES["square"], (1, 30, 2, 90, 20)) == [0, 0]


def test_a_photo_depends_only_on_its_seed():
    symbol = encode("again")
    clean = picture(render(symbol).body)
    one, same, other = (
        photos.photo(
            clean, symbol.size + 8, photos.PHOTOS["dark room"], random.Random(seed)
        )
        for seed in (1, 1, 2)
    )
    assert one.tobytes() == same.tobytes() != other.tobytes()
