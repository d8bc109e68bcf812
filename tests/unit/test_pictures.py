"""The pictures of docs/styles.md are what the service draws today."""

import json
from io import BytesIO

import pytest
from PIL import Image as Raster
from qr_service.edge.request import parse
from qr_service.proving import prove

from docs.pictures import COMMON, FOLDER, PICTURES
from tests.support.scanners import needs_zbar, zbar_reads


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_up_to_date(name, settings):
    body = json.dumps({**COMMON, **PICTURES[name]}).encode()
    drawn = prove(parse(body, settings)).image.body
    kept = (FOLDER / name).read_bytes()
    if name.endswith(".svg"):
        assert kept == drawn
    else:  # the bytes depend on the release of zlib, so only pixels are compared
        one, other = (
            Raster.open(BytesIO(file)).convert("RGBA") for file in (kept, drawn)
        )
        assert one.tobytes() == other.tobytes()


@needs_zbar
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_scans_is_small_and_is_shown(name):
    kept = (FOLDER / name).read_bytes()
    assert zbar_reads(kept) == COMMON["data"].encode()
    assert len(kept) < 25_000
    assert f"pictures/{name}" in (FOLDER.parent / "styles.md").read_text()
