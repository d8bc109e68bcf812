"""docs/architecture.svg shows architecture.dot, which matches the template."""

import re
from hashlib import sha256
from xml.etree import ElementTree

import pytest

from tests.support.template import FUNCTIONS, RESOURCES, ROOT, read

SOURCE = ROOT / "docs/architecture.dot"
PICTURE = ROOT / "docs/architecture.svg"


def test_the_picture_was_drawn_from_this_source():
    (checksum,) = re.findall(r"<!-- architecture\.dot (\w+) -->", PICTURE.read_text())
    assert checksum == sha256(SOURCE.read_bytes()).hexdigest(), "run docs/diagram.sh"


def test_the_picture_contains_every_label_of_the_source():
    labels = set(re.findall(r'label="([^"]+)"', SOURCE.read_text()))
    texts = {text.text for text in ElementTree.parse(PICTURE).iter() if text.text}
    lines = {line for label in labels for line in label.split("\\n")}
    assert lines <= texts


def test_the_page_shows_the_picture():
    assert "](architecture.svg)" in read("docs/architecture.md")


@pytest.mark.parametrize(
    "name",
    [*FUNCTIONS, "Database", "DatabaseProxy", "Cache", "QrBucket"],
)
def test_a_resource_that_runs_is_in_the_picture(name):
    assert name in RESOURCES
    assert re.search(rf"^\s+{name} \[", SOURCE.read_text(), re.MULTILINE)


def test_the_picture_contains_only_resources_of_the_template():
    nodes = set(re.findall(r"^\s+([A-Z]\w+) \[", SOURCE.read_text(), re.MULTILINE))
    assert nodes <= set(RESOURCES)
    assert len(nodes) >= 10
