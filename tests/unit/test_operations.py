"""docs/operations.md names existing log lines, fields, resources and files."""

import re

from tests.support.template import PARAMETERS, RESOURCES, ROOT, read

PAGES = ["architecture.md", "cost.md", "operations.md", "security.md"]
OPERATIONS = read("docs/operations.md")
SOURCES = [
    path.read_text()
    for folder in ("layers/common/qr_service", "functions")
    for path in (ROOT / folder).rglob("*.py")
]
# Resources that SAM creates from the API and from the schedule.
BY_SAM = {"ApiUsagePlan", "CleanupFunctionHourly"}


def logged():
    """Return the message and the level of every log line."""
    line = re.compile(r'logger\.(debug|info|warning|error)\(\s*"([^"]+)"')
    return {
        (text, level.upper())
        for source in SOURCES
        for level, text in line.findall(source)
    }


def test_exactly_the_log_lines_of_the_code_are_documented():
    table = re.findall(r"^\| `([^`]+)` \| ([A-Z]+) \|", OPERATIONS, re.MULTILINE)
    assert set(table) == logged()


def test_queries_search_for_messages_that_are_logged():
    searched = set(re.findall(r'message = "([^"]+)"', OPERATIONS))
    assert len(searched) >= 5
    assert searched <= {text for text, _ in logged()}


def test_documented_fields_of_log_lines_are_in_the_code():
    rows = re.findall(r"^\| `[^`]+` \| [A-Z]+ \| ([^|]*) \|", OPERATIONS, re.MULTILINE)
    fields = {field for row in rows for field in re.findall(r"`(\w+)`", row)}
    source = "\n".join(SOURCES)
    assert {"duration_ms", "sqlstate", "trace", "backlog_seconds"} <= fields
    for field in fields:
        written = rf'\b{field}=|\b{field}: |"{field}"'
        assert re.search(written, source), field


def test_the_fields_of_the_access_log_are_documented():
    wanted = re.findall(
        r'"(\w+)":',
        RESOURCES["Api"]["Properties"]["AccessLogSetting"]["Format"],
    )
    (row,) = re.findall(r"^\| `ApiLogs` \| ([^|]+) \|", OPERATIONS, re.MULTILINE)
    assert re.findall(r"`(\w+)`", row) == wanted


def test_resources_that_commands_name_exist():
    named = set(re.findall(r"\bresource ([A-Z]\w+)", OPERATIONS))
    assert len(named) >= 10
    assert named <= set(RESOURCES) | BY_SAM


def test_documented_parameters_exist():
    section = OPERATIONS.split("\n### Changing a parameter\n")[1].split("\n## ")[0]
    named = {
        name
        for row in re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
        for name in re.findall(r"`([A-Z]\w+)`", row)
    }
    assert {"LogLevel", "Stage"} <= named <= set(PARAMETERS)
