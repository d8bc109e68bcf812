"""README's pictures are those that the service makes today."""

import json
from io import BytesIO

import pytest
from PIL import Image as Raster
from qr_service.edge.request import parse
from qr_service.generation import prove

from docs.pictures import COMMON, FOLDER, PICTURES
from tests.support.scanners import needs_zbar, zbar_reads
from tests.support.tables import README


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_up_to_date(name, settings):
    body = json.dumps({**COMMON, **PICTURES[name]}).encode()
    made = prove(parse(body, settings)).image.body
    kept = (FOLDER / name).read_bytes()
    if name.endswith(".svg"):
        assert kept == made
    else:  # compressed by whatever zlib there is, so that only pixels are compared
        one, other = (
            Raster.open(BytesIO(file)).convert("RGBA") for file in (kept, made)
        )
        assert one.tobytes() == other.tobytes()


@needs_zbar
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_scans_is_small_and_is_shown(name):
    kept = (FOLDER / name).read_bytes()
    assert zbar_reads(kept) == COMMON["data"].encode()
    assert len(kept) < 25_000
    assert f"docs/pictures/{name}" in README.read_text()
