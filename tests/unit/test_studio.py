"""The page of the studio: small, complete, and closed to everything else."""

import gzip
import json
import re
from base64 import b64encode
from hashlib import sha256

from functions.pages import app
from studio import build
from tests.unit.test_pages import Page, get

LARGEST = 30 * 1024  # bytes, compressed
TEXTS = json.loads((build.PARTS / "texts.json").read_text())


def page():
    return get("/", "/prod")["body"]


def test_it_is_what_is_committed_wherever_it_is_called():
    assert page() == build.text() == get("/", "/")["body"]
    assert app.BASE not in page()


def test_it_is_small():
    assert len(gzip.compress(page().encode())) < LARGEST


def test_it_loads_nothing_but_an_empty_icon():
    found = Page()
    found.feed(page())
    assert {tag for tag, _ in found.loaded} <= {"link", "img", "form"}
    assert re.findall(r"<link[^>]*>", page()) == ['<link rel="icon" href="data:,">']
    addresses = {*re.findall(r"https?://([a-z0-9.]+)", page())}
    assert addresses <= {"example.com", "www.w3.org"}, "an example, the name of SVG"


def test_its_policy_admits_its_own_style_script_and_service():
    policy = get("/", "/")["headers"]["Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    for kind in ("style", "script"):
        (part,) = re.findall(f"<{kind}>(.*?)</{kind}>", page(), re.DOTALL)
        digest = b64encode(sha256(part.encode()).digest()).decode()
        assert rules.pop(f"{kind}-src") == f"'sha256-{digest}'"
    assert rules.pop("connect-src") == "'self'"
    assert rules.pop("img-src") == "data:"
    assert {*rules.values()} == {"'none'"}


def test_every_member_of_every_content_has_a_label():
    spec = build.spec()["contents"]
    purposes = TEXTS["purposes"]
    assert list(purposes) == ["link", "text", *spec]
    for name, members in spec.items():
        assert list(purposes[name]["fields"]) == [each["name"] for each in members]
        assert all(words["label"] for words in purposes[name]["fields"].values())


def test_every_text_is_used_and_there():
    script = "".join(part.read_text() for part in build.PARTS.glob("script/*.js"))
    html = (build.PARTS / "page.html").read_text()
    used = {*re.findall(r"TEXTS\.(\w+)", script), *re.findall(r"texts\.(\w+)", html)}
    assert used == {*TEXTS}
    of_style = {*re.findall(r"STYLE\.(\w+)", script)}
    assert of_style == {*TEXTS["style"]}


def test_nothing_is_written_as_html():
    script = "".join(part.read_text() for part in build.PARTS.glob("script/*.js"))
    for way in (
        "innerHTML",
        "outerHTML",
        "AdjacentHTML",
        "document.write",
        "eval(",
    ):
        assert way not in script
