"""The rules of local/stack.py that need no server."""

import json

import pytest

from local.processes import LocalError
from local.stack import (
    ROOT,
    Busy,
    checked_answer,
    cleanup_interval,
    find_event,
    find_function,
    holding,
    rate,
)


@pytest.mark.parametrize(
    ("expression", "seconds"),
    [("rate(1 hour)", 3600), ("rate(5 minutes)", 300), ("rate(2 days)", 172800)],
)
def test_a_rate_is_converted_to_seconds(expression, seconds):
    assert rate(expression) == seconds


@pytest.mark.parametrize("expression", ["cron(0 * * * ? *)", "rate(hour)", "1 hour"])
def test_another_kind_of_schedule_is_refused_with_its_text(expression):
    with pytest.raises(LocalError, match=expression.split("(")[0]):
        rate(expression)


def test_the_cleanup_runs_hourly_as_the_template_says():
    assert cleanup_interval() == 3600


def test_functions_and_events_are_found_by_their_short_names():
    assert find_function("generate") == "GenerateFunction"
    assert find_event("generate", "url") == ROOT / "events" / "generate" / "url.json"


def test_an_unknown_function_or_event_is_refused_with_the_known_ones():
    with pytest.raises(
        LocalError,
        match="cleanup, generate, manage, migrate, pages, redirect, retrieve",
    ):
        find_function("generat")
    with pytest.raises(LocalError, match="url"):
        find_event("generate", "../retrieve/json")


def test_a_folder_has_one_launcher_and_the_error_for_a_second_names_it(tmp_path):
    recorded = {"launcher": 42, "url": "http://127.0.0.1:3000"}
    with holding(tmp_path):
        (tmp_path / "processes.json").write_text(json.dumps(recorded))
        with (
            pytest.raises(Busy, match="Process 42 serves http://127"),
            holding(tmp_path),
        ):
            pytest.fail("two launchers")
    with holding(tmp_path):
        pass


def test_an_answer_must_be_json_without_an_error():
    assert checked_answer("cleanup", b'{"erased": 3}\n', "") == '{"erased": 3}'
    with pytest.raises(LocalError, match="cleanup failed: no such table"):
        checked_answer("cleanup", b'{"errorMessage": "no such table"}', "a trace")
    with pytest.raises(LocalError, match="cleanup failed: no answer\na trace"):
        checked_answer("cleanup", b"", "a trace")
