"""Scans that are counted while everything fails; `make prove` has a million."""

import pytest
from qr_service.stores.cache import Counters
from qr_service.telemetry import logger, metrics

from proof import counts
from proof.effects import Failure


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setattr(metrics, "add_metric", lambda *_, **__: None)
    level = logger.log_level
    logger.setLevel("CRITICAL")
    yield
    logger.setLevel(level)


def test_nothing_flushed_is_lost_or_doubled():
    counting = counts.run(30_000)
    assert not counting.found
    assert sum(counting.lost.values()) > 0
    flushed = sum(map(sum, counting.database.scans.values()))
    assert flushed > 10_000
    for effect in ("valkey count", "valkey counted", "postgresql flush"):
        assert any(counting.failures[f"{effect}: {each}"] for each in Failure), effect
    for failure in Failure:
        assert counting.failures[f"valkey count: {failure}"]


def test_a_count_without_its_generation_is_found(monkeypatch):
    real = Counters.page

    def page(counters, *given):
        found = real(counters, *given)
        if found is None:
            return None
        counted, following = found
        first = "00000000-0000-4000-8000-000000000000"
        return type(counted)(first, counted.counts), following

    monkeypatch.setattr(Counters, "page", page)
    assert counts.run(10_000).found
