"""`make faults` finds what it looks for, in a system of its own."""

import os

import pytest

from proof import faults
from proof.faults import FAULTS, Fault, Result, System, suffer, table
from proof.traffic import Sent


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(faults, "HOLD", 2.0)


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    kept = dict(os.environ)
    with System(tmp_path_factory.mktemp("faults")) as system:
        os.environ.update(system.environment("GenerateFunction"))
        yield system
    os.environ.clear()
    os.environ.update(kept)


def test_killed_functions_lose_nothing(system):
    (fault,) = [fault for fault in FAULTS if fault.function_killed]
    result, traffic = suffer(system, fault)
    assert (result.lost, result.dangling, result.doubled) == (0, 0, 0)
    assert result.wrong == ()
    assert traffic.acknowledged


def test_a_lost_image_is_found(system):
    def delete_one(system):
        with system.stores() as stores:
            key = min(stores.keys())
            stores.s3.delete_object(Bucket=stores.bucket, Key=key)

    before = Fault("an image is deleted, but before the traffic", lambda _: None)
    assert suffer(system, before)[0].dangling == 0
    result, _ = suffer(system, Fault("an image is deleted", delete_one))
    assert result.dangling == 1


@pytest.mark.parametrize(
    ("status", "retry_after", "killed", "is_well"),
    [
        (503, True, False, True),
        (503, False, False, False),
        (502, False, False, False),
        (502, False, True, True),
        (404, False, True, False),
        (0, False, True, False),
    ],
)
def test_a_failed_request_must_say_so(status, retry_after, killed, is_well):
    sent = Sent("GET /retrieve", 0, 1, status, retry_after)
    assert sent.is_refused_well(function_killed=killed) is is_well


def test_the_table_has_a_line_for_each_fault():
    result = Result("S3 hangs", "9 of 10 right, 503: 1", "0.1 s", 0, 0, 0)
    assert table([result]).splitlines()[2:] == [
        "| S3 hangs | 9 of 10 right, 503: 1 | 0.1 s | 0 | 0 | 0 |"
    ]
