"""Histories over models: no failure at any effect breaks a promise."""

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qr_service import generation

from proof import effects, histories
from proof.audit import text_of
from proof.effects import STATEMENTS, Failure
from proof.histories import run


@settings(
    max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(st.randoms(use_true_random=False))
def test_no_history_breaks_a_promise(random):
    history = run(random)
    assert not history.found, history.steps


@pytest.fixture(scope="module")
def many():
    return [run(Random(seed)) for seed in range(6000)]


def test_a_seed_repeats_its_history(many):
    again = run(Random(7))
    assert again.steps == many[7].steps
    assert again.met == many[7].met
    assert again.database.rows == many[7].database.rows


def test_every_effect_of_the_service_is_met(many):
    met = {effect for history in many for _, effect, _ in history.met}
    assert met == effects.EFFECTS


def test_every_failure_is_met(many):
    met = {failure for history in many for _, _, failure in history.met}
    assert met >= set(Failure)


def test_a_statement_without_a_name_is_refused():
    with pytest.raises(KeyError):
        effects.Cursor(effects.Connection(FakeConnection(), None)).execute("SELECT 2")
    assert "SELECT 2" not in STATEMENTS


class FakeConnection:
    closed = False

    def cursor(self):
        return self


def test_a_broken_promise_is_found(monkeypatch):
    monkeypatch.setattr(generation.CodeGenerator, "_create", _row_first)
    found = [line for seed in range(200) for line in run(Random(seed)).found]
    assert any("has no object" in line for line in found)


def _row_first(generator, jobs, owner, *_):
    for job in jobs:
        generator._make(job, owner)
        generator._insert([job], owner)
        generator._put(job)


def test_the_auditor_reads_the_images():
    body = histories._proven(histories.TEXTS[0]).image.body
    assert text_of(body) == histories.TEXTS[0]
    history = run(Random(0))
    assert not history.found
