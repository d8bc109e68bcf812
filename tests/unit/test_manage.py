"""What a request to manage codes says, and what is refused of it."""

import json
from datetime import UTC, datetime

import pytest
from qr_service.config import Settings
from qr_service.edge import manage
from qr_service.errors import BadField, BadRequest, BodyTooLarge

from tests.support.environment import ENVIRONMENT

SETTINGS = Settings.from_env(ENVIRONMENT)
MOMENT = datetime(2026, 2, 1, 12, 0, 0, 123456, UTC)
ID = "3b091314-0292-438f-b45c-79b1201b0f3a"


def patch(body):
    return manage.parse_patch(json.dumps(body).encode(), SETTINGS)


def test_without_a_query_the_newest_codes_are_listed():
    query = manage.parse_query({})
    assert query.limit == 50
    assert query.after[0].year == query.before.year == 9999


def test_a_moment_may_have_any_offset():
    query = manage.parse_query({"expires_before": "2030-01-31T12:00:00.5+01:00"})
    assert query.before == datetime(2030, 1, 31, 11, 0, 0, 500_000, UTC)


def test_a_cursor_leads_back_to_its_code():
    cursor = manage.cursor_of(MOMENT, ID)
    assert manage.parse_query({"cursor": cursor}).after == (MOMENT, ID)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "1.5"),
        ("limit", ""),
        ("limit", "٣"),
        ("limit", "9" * 5000),
        ("expires_before", "2030-01-31"),
        ("expires_before", "2030-01-31T12:00:00"),
        ("expires_before", "0000-00-00T00:00:00Z"),
        ("expires_before", "0001-01-01T00:00:00+23:59"),
        ("expires_before", ""),
        ("cursor", ""),
        ("cursor", "="),
        ("cursor", "not base64!"),
        ("cursor", "bm90IGEgY3Vyc29y"),
        ("cursor", manage.cursor_of(MOMENT, "1")),
        ("cursor", "\ud800"),
    ],
)
def test_a_query_out_of_its_limits_is_refused_by_name(name, value):
    with pytest.raises(BadField) as raised:
        manage.parse_query({name: value})
    assert raised.value.fields["field"] == name


def test_a_naive_cursor_is_refused():
    with pytest.raises(BadField):
        manage.parse_query({"cursor": "MjAyNi0wMi0wMVQxMjowMDowMCA" + "x" * 3})


@pytest.mark.parametrize(
    ("header", "admitted"),
    [
        ('"3"', [3]),
        (' "3" ,"4"', [3, 4]),
        ('"a, b", "4"', [4]),
        ("*", [3, 4, 5]),
        ('W/"3"', []),
        ('"x"', []),
    ],
)
def test_a_precondition_admits_its_revisions(header, admitted):
    admits = manage.precondition(header)
    assert [revision for revision in (3, 4, 5) if admits(revision)] == admitted


def test_without_the_header_there_is_no_precondition():
    assert manage.precondition(None) is None


@pytest.mark.parametrize("header", ["3", "", '"3', "W/3", '"3",'])
def test_a_malformed_precondition_is_refused(header):
    with pytest.raises(BadRequest) as raised:
        manage.precondition(header)
    assert raised.value.code == "invalid_header"


def test_a_patch_says_what_it_sets():
    assert patch({}) == manage.Patch({}.keys())
    assert patch({"label": None}) == manage.Patch({"label": 0}.keys())
    fields = {"label": "x" * 100, "expiration_hours": 0.02}
    assert patch(fields) == manage.Patch(fields.keys(), **fields)
    targets = {"data": "https://example.com", "expired_url": None}
    assert patch(targets).of_dynamic == ["data", "expired_url"]


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"label": ""}, "out_of_range", "label"),
        ({"label": "x" * 101}, "out_of_range", "label"),
        ({"label": 1}, "invalid_type", "label"),
        ({"label": "\0"}, "out_of_range", "label"),
        ({"expiration_hours": 0.01}, "out_of_range", "expiration_hours"),
        ({"expiration_hours": 8761}, "out_of_range", "expiration_hours"),
        ({"expiration_hours": None}, "invalid_type", "expiration_hours"),
        ({"data": None}, "invalid_type", "data"),
        ({"format": "svg"}, "unknown_field", "format"),
    ],
)
def test_a_patch_out_of_its_limits_is_refused_by_name(body, code, field):
    with pytest.raises(BadRequest) as raised:
        patch(body)
    assert (raised.value.code, raised.value.fields["field"]) == (code, field)


def test_a_patch_is_bounded():
    with pytest.raises(BodyTooLarge):
        patch({"label": "x" * 200_000})
