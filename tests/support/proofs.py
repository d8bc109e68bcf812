"""Checks that two readers read what is accepted, and that refusals are justified."""

from dataclasses import replace

import pytest
from qr_service.engine import logo as logos
from qr_service.engine.readback import read
from qr_service.errors import DataTooLong, Unscannable
from qr_service.proving import prove

from tests.support.requests import request
from tests.support.scanners import zbar_reads


def proven(data, style, level="M"):
    """Return the proof of an image that zxing-cpp and zbar read back."""
    proof = prove(request(data, level, style))
    assert zbar_reads(proof.image.body) == data.encode()
    return proof


def check(wanted):
    """Return whether a request is accepted; None if its data fits in no symbol."""
    try:
        proof = prove(wanted)
    except DataTooLong:
        return None
    except Unscannable as refused:
        return _check_advice(wanted, refused.fields)
    payload = wanted.data.encode()
    assert read(proof.image.body).payload == payload
    assert zbar_reads(proof.image.body) == payload, (
        f"zbar cannot read version {proof.symbol.version}"
    )
    assert proof.margin >= 1 - logos.BUDGET - 0.01
    return True


def _check_advice(wanted, fields):
    if fields["field"] == "logo":  # no size fits
        for size in (0.05, None):
            with pytest.raises(Unscannable):
                prove(replace(wanted, style=replace(wanted.style, logo_size=size)))
        return False
    assert fields["field"] == "logo_size"
    assert 0.05 <= fields["allowed"] <= logos.MOST_SIZE, (
        "a size that a request may contain"
    )
    style = replace(wanted.style, logo_size=fields["allowed"])
    assert check(replace(wanted, style=style)), "the size that the refusal allows"
    return False
