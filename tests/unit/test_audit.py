"""The auditor: each broken promise, in the smallest state that has it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from qr_service.engine.images import render
from qr_service.engine.style import SHAPES, Gradient, Style
from qr_service.engine.symbol import encode

from proof.audit import Acknowledged, Entry, State, leftovers, text_of, violations
from proof.models import Row

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAYS = timedelta(days=2)
ID, OTHER = (f"00000000-0000-4000-8000-00000000000{n}" for n in (1, 2))
ROW = Row(
    id=ID,
    owner="owner",
    data="text",
    options="{}",
    object_key=f"codes/{ID}.png",
    content_type="image/png",
    created_at=NOW,
    expires_at=NOW + HOUR,
    idempotency_key="key",
    request_digest=b"digest",
    answer=json.dumps({"qr_id": ID}),
)
TOMBSTONE = replace(
    ROW,
    **dict.fromkeys(
        ("owner", "data", "options", "object_key", "content_type", "idempotency_key")
    ),
    expires_at=NOW - HOUR,
    erased_at=NOW - HOUR / 2,
)
BLANK = b"<svg viewBox='0 0 21 21'/>".replace(b"'", b'"')
IMAGE = render(encode("text"), Style()).body
STATE = State(NOW, {ID: ROW}, frozenset([ROW.object_key]), {}, lambda _: IMAGE)
ANSWER = Acknowledged(
    "owner",
    "key",
    b"digest",
    {"qr_id": ID, "expires_at": "2030-01-01T13:00:00Z"},
    NOW + HOUR,
    HOUR,
)
SOON = timedelta(seconds=30)
ENTRY = Entry(NOW + HOUR, ROW.object_key, NOW + HOUR, 1, NOW)
SECOND = replace(
    ANSWER,
    answer={"qr_id": OTHER, "expires_at": "2030-01-01T13:30:00Z"},
    expires_at=NOW + 1.5 * HOUR,
)
SECOND_ROW = replace(
    ROW, id=OTHER, expires_at=SECOND.expires_at, answer=json.dumps({"qr_id": OTHER})
)
TWO_ROWS = {ID: ROW, OTHER: SECOND_ROW}


def found(state, *answers, attempts=None):
    return list(violations(state, answers, attempts or {}, DAYS))


def test_a_state_that_keeps_all_promises():
    state = replace(STATE, entries={ID: ENTRY})
    assert found(state, ANSWER, ANSWER) == []
    assert list(leftovers(state)) == []


def test_an_older_revision_in_the_cache_may_have_another_end():
    old = replace(ENTRY, expires_at=NOW + HOUR / 2, forget_at=NOW + HOUR / 2)
    rows = {ID: replace(ROW, revision=2)}
    assert found(replace(STATE, rows=rows, entries={ID: old}), ANSWER) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"objects": frozenset()}, "has no object"),
        (
            {"read": lambda _: render(encode("other"), Style()).body},
            "has an image of another text",
        ),
        ({"read": lambda _: BLANK}, "has an image of another text"),
        (
            {"rows": {ID: replace(ROW, answer=json.dumps({"qr_id": OTHER}))}},
            "answer about another code",
        ),
        ({"rows": {ID: TOMBSTONE}}, "is erased, and its object is there"),
        (
            {
                "rows": {ID: replace(TOMBSTONE, expires_at=NOW + HOUR)},
                "objects": frozenset(),
            },
            "was erased before its end",
        ),
        (
            {"entries": {f"qr:{ID}": replace(ENTRY, forget_at=NOW + 2 * HOUR)}},
            "beyond its bound",
        ),
        (
            {
                "entries": {
                    f"qr:{ID}": replace(ENTRY, leads_to="", forget_at=NOW + HOUR)
                }
            },
            "beyond its bound",
        ),
        (
            {"entries": {f"qr:{OTHER}": replace(ENTRY, fresh_until=NOW + SOON)}},
            "which has no row",
        ),
        (
            {
                "entries": {
                    f"qr:{ID}": replace(ENTRY, expires_at=NOW + HOUR / 2, forget_at=NOW)
                }
            },
            "another end",
        ),
        (
            {"entries": {f"qr:{ID}": replace(ENTRY, revision=2)}},
            "a revision of",
        ),
        (
            {"entries": {f"qr:{ID}": replace(ENTRY, fresh_until=NOW + HOUR)}},
            "believed for too long",
        ),
    ],
)
def test_a_broken_promise_of_the_stores(change, words):
    (violation,) = found(replace(STATE, **change))
    assert words in violation


@pytest.mark.parametrize(
    ("state", "answers", "words"),
    [
        (replace(STATE, rows={}), [ANSWER], "is lost"),
        (
            STATE,
            [replace(ANSWER, answer={**ANSWER.answer, "expires_at": "other"})],
            "another end than was answered",
        ),
        (STATE, [replace(ANSWER, owner="other")], "another owner"),
        (
            STATE,
            [ANSWER, replace(ANSWER, answer={**ANSWER.answer, "margin": 1})],
            "other words",
        ),
        (STATE, [ANSWER, replace(ANSWER, digest=b"other")], "to another request"),
        (replace(STATE, rows=TWO_ROWS), [ANSWER, SECOND], "one key made"),
    ],
)
def test_a_broken_promise_to_a_client(state, answers, words):
    (violation,) = found(state, *answers)
    assert words in violation


def test_a_request_that_made_two_codes():
    state = replace(STATE, rows=TWO_ROWS)
    (violation,) = found(state, attempts={("owner", "text"): 1})
    assert "2 codes of fewer requests" in violation
    assert found(state, attempts={("owner", "text"): 2}) == []


def test_a_tombstone_may_be_gone_after_its_days():
    gone = replace(STATE, rows={}, objects=frozenset())
    assert found(replace(gone, now=NOW + HOUR + DAYS), ANSWER) == []


def test_leftovers_of_cleanup_and_sweep():
    late = replace(STATE, now=NOW + HOUR, objects=STATE.objects | {"codes/other.png"})
    assert list(leftovers(late)) == [
        "codes/other.png has no row",
        f"{ID} is due and is not erased",
    ]


@pytest.mark.parametrize(
    "style",
    [
        Style(module_size=1),
        Style(format="svg"),
        Style(light="transparent"),
        Style(format="svg", shape="circle", gradient=Gradient("radial", "#7a0026")),
        *(Style(shape=shape, module_size=16) for shape in SHAPES),
    ],
)
def test_every_style_is_read(style):
    text = "https://example.com/é"
    assert text_of(render(encode(text), style).body) == text
