"""Every style over HTTP, as a client gets it; two scanners read what is fetched."""

import json
import time

import pytest
from qr_service.readback import read

from tests.acceptance.conftest import IN_ORDER
from tests.acceptance.test_promises import DATA, call
from tests.logos import data_url, letter
from tests.scanners import needs_zbar, picture, zbar_reads

pytestmark = IN_ORDER
LOGO = data_url(letter())
STYLES = {
    "svg": {"format": "svg"},
    "rounded, two colours": {"shape": "rounded", "dark": "#1A237E", "light": "#FFF8E7"},
    "transparent": {"light": "transparent"},
    "circles, gradient": {
        "shape": "circle",
        "gradient": {"type": "radial", "to": "#7A0026"},
    },
    "logo": {"logo": LOGO},
    "logo in svg": {"logo": LOGO, "format": "svg", "shape": "gapped"},
}


@needs_zbar
@pytest.mark.parametrize("name", STYLES)
def test_a_style_is_made_fetched_and_read_by_two_scanners(running, name):
    body = {"data": DATA, **STYLES[name]}
    status, headers, answer = call(f"{running.url}/generate", body)
    assert status == 201, answer
    made = json.loads(answer)
    _, _, found = call(running.url + headers["Location"])
    status, headers, image = call(json.loads(found)["qr_code"])
    kinds = {"png": "image/png", "svg": "image/svg+xml"}
    assert (status, headers["Content-Type"]) == (200, kinds[made["format"]])
    assert read(image).payload == zbar_reads(image) == DATA.encode()
    if made["format"] == "png":
        assert picture(image).width == made["width"]


def test_a_dry_run_answers_the_same_and_makes_no_code(running):
    body = {"data": DATA, "logo": LOGO}
    before = running.query("SELECT count(*) FROM qr_codes")
    began = time.monotonic()
    status, _, answer = call(f"{running.url}/generate?dry_run=true", body)
    assert time.monotonic() - began < 5
    assert status == 200
    told = json.loads(answer)
    assert told["scans"] is True
    assert running.query("SELECT count(*) FROM qr_codes") == before
    made = json.loads(call(f"{running.url}/generate", body)[2])
    assert made.items() >= {k: v for k, v in told.items() if k in made}.items()
