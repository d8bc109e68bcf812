"""docs/operations.md names what there is: log lines, fields, resources, files."""

import re

import pytest

from tests.support.template import PARAMETERS, RESOURCES, ROOT, read

PAGES = ["architecture.md", "cost.md", "operations.md", "security.md"]
OPERATIONS = read("docs/operations.md")
SOURCES = [
    path.read_text()
    for folder in ("layers/common/qr_service", "functions")
    for path in (ROOT / folder).rglob("*.py")
]
# Made by SAM, of the API and of the schedule.
BY_SAM = {"ApiUsagePlan", "CleanupFunctionHourly"}


def logged():
    """The messages of all log lines, and the level of each."""
    line = re.compile(r'logger\.(debug|info|warning|error)\(\s*"([^"]+)"')
    return {
        (text, level.upper())
        for source in SOURCES
        for level, text in line.findall(source)
    }


def test_every_log_line_is_explained_and_no_other():
    table = re.findall(r"^\| `([^`]+)` \| ([A-Z]+) \|", OPERATIONS, re.MULTILINE)
    assert set(table) == logged()


def test_queries_ask_for_messages_that_are_logged():
    asked = set(re.findall(r'message = "([^"]+)"', OPERATIONS))
    assert len(asked) >= 5
    assert asked <= {text for text, _ in logged()}


def test_fields_of_log_lines_are_written_somewhere():
    rows = re.findall(r"^\| `[^`]+` \| [A-Z]+ \| ([^|]*) \|", OPERATIONS, re.MULTILINE)
    fields = {field for row in rows for field in re.findall(r"`(\w+)`", row)}
    source = "\n".join(SOURCES)
    assert {"duration_ms", "sqlstate", "trace", "backlog_seconds"} <= fields
    for field in fields:
        written = rf'\b{field}=|\b{field}: |"{field}"'
        assert re.search(written, source), field


def test_the_fields_of_the_access_log_are_told():
    wanted = re.findall(
        r'"(\w+)":',
        RESOURCES["Api"]["Properties"]["AccessLogSetting"]["Format"],
    )
    (row,) = re.findall(r"^\| `ApiLogs` \| ([^|]+) \|", OPERATIONS, re.MULTILINE)
    assert re.findall(r"`(\w+)`", row) == wanted


def test_resources_that_are_asked_for_exist():
    asked = set(re.findall(r"\bresource ([A-Z]\w+)", OPERATIONS))
    assert len(asked) >= 10
    assert asked <= set(RESOURCES) | BY_SAM


def test_parameters_that_change_are_parameters():
    section = OPERATIONS.split("\n### Changing a parameter\n")[1].split("\n## ")[0]
    named = {
        name
        for row in re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
        for name in re.findall(r"`([A-Z]\w+)`", row)
    }
    assert {"LogLevel", "Stage"} <= named <= set(PARAMETERS)


def headings(page):
    """The anchors of a page, as its host makes them of the headings."""
    found = re.findall(r"^#+ (.+)$", read(f"docs/{page}"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in found}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", read(f"docs/{page}")):
        file, _, anchor = target.partition("#")
        assert (ROOT / "docs" / (file or page)).is_file(), target
        assert not anchor or anchor in headings(file or page), target
