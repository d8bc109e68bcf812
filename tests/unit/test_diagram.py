"""docs/architecture.svg is the picture of architecture.dot, and of the template."""

import re
from hashlib import sha256
from xml.etree import ElementTree

import pytest

from tests.support.template import FUNCTIONS, RESOURCES, ROOT, read

SOURCE = ROOT / "docs/architecture.dot"
PICTURE = ROOT / "docs/architecture.svg"


def test_the_picture_was_made_of_the_source():
    (made_of,) = re.findall(r"<!-- architecture\.dot (\w+) -->", PICTURE.read_text())
    assert made_of == sha256(SOURCE.read_bytes()).hexdigest(), "run docs/diagram.sh"


def test_the_picture_holds_every_word_of_the_source():
    words = set(re.findall(r'label="([^"]+)"', SOURCE.read_text()))
    texts = {text.text for text in ElementTree.parse(PICTURE).iter() if text.text}
    lines = {line for word in words for line in word.split("\\n")}
    assert lines <= texts


def test_the_page_shows_the_picture():
    assert "](architecture.svg)" in read("docs/architecture.md")


@pytest.mark.parametrize(
    "name",
    [*FUNCTIONS, "Database", "DatabaseProxy", "Cache", "QrBucket"],
)
def test_what_runs_is_in_the_picture(name):
    assert name in RESOURCES
    assert re.search(rf"^\s+{name} \[", SOURCE.read_text(), re.MULTILINE)


def test_nothing_is_in_the_picture_that_the_template_does_not_make():
    nodes = set(re.findall(r"^\s+([A-Z]\w+) \[", SOURCE.read_text(), re.MULTILINE))
    assert nodes <= set(RESOURCES)
    assert len(nodes) >= 10
