"""Failures on real servers: the processes are killed where they should be."""

import os
from dataclasses import replace
from uuid import uuid4

import pytest
from qr_service.generation import CodeGenerator
from qr_service.proving import prove

from proof import processes
from proof.effects import Failure
from proof.processes import SCENARIOS, World, boundaries, judge


@pytest.fixture(scope="module")
def world():
    kept = dict(os.environ)
    with processes.servers() as started:
        os.environ["AWS_ACCESS_KEY_ID"] = started.s3.access_key
        os.environ["AWS_SECRET_ACCESS_KEY"] = started.s3.secret_key
        yield World(started)
    os.environ.clear()
    os.environ.update(kept)


def scenario(title):
    return next(one for one in SCENARIOS if one.title == title)


def effects_of(world, title):
    return [
        (at, effect)
        for one, at, effect, failure in boundaries(world, [scenario(title)])
        if failure is Failure.LOST
    ]


@pytest.mark.parametrize("title", ["a code with a key", "expired codes, an orphan"])
def test_a_killed_process_loses_nothing(world, title):
    found = [
        (effect, broken)
        for at, effect in effects_of(world, title)
        for broken in judge(world, scenario(title), at, Failure.CRASH_AFTER)
    ]
    assert not found


@pytest.mark.parametrize("failure", Failure)
def test_a_broken_promise_is_found(world, monkeypatch, failure):
    def row_first(generator, jobs, owner, *_):
        for job in jobs:
            generator._make(job, owner)
            generator._insert([job], owner)
            generator._put(job)

    monkeypatch.setattr(CodeGenerator, "_create", row_first)
    (put,) = [at for at, effect in effects_of(world, "a code") if effect == "s3 PUT"]
    found = judge(world, scenario("a code"), put, failure)
    lost = failure is Failure.CRASH_BEFORE  # a PUT is sent again
    assert any("has no object" in broken for broken in found) is lost


@pytest.mark.parametrize("title", ["a code", "a code with a key"])
def test_a_second_code_of_one_request_is_found(world, monkeypatch, title):
    real = CodeGenerator._insert

    def twice(generator, jobs, owner):
        for job in jobs:
            code = replace(job.record.code, qr_id=f"00{str(uuid4())[2:]}")
            code = replace(code, object_key=f"codes/{code.qr_id}.png")
            body = prove(job.order.request).image.body
            generator.storage.put(code.object_key, body, code.content_type)
            second = replace(job.record, code=code, idempotency_key=None)
            generator.table.insert([second])
        return real(generator, jobs, owner)

    monkeypatch.setattr(CodeGenerator, "_insert", twice)
    found = judge(world, scenario(title), -1, Failure.LOST)
    assert any("codes of fewer requests" in broken for broken in found)


def test_an_error_of_the_proof_itself_is_not_an_outcome(world, monkeypatch):
    monkeypatch.setattr(CodeGenerator, "_insert", lambda *_: 1 / 0)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        effects_of(world, "a code")
