"""What `qr-codes` sends, and what it does when the service cannot answer."""

import pytest
from qr_client import command
from qr_client.command import Unavailable, _answered, _batches
from qr_client.rows import Row

AWAY = {"status": 503, "detail": "later", "retry_after": 5}


class Service:
    """A client whose items are unavailable so many times."""

    def __init__(self, away):
        self.away = dict(away)
        self.sent = []

    def generate_batch(self, items, *, defaults, key, dry_run):
        self.sent.append(([item["ref"] for item in items], key))
        return [self.answer(item["ref"]) for item in items]

    def answer(self, ref):
        self.away[ref] = self.away.get(ref, 0) - 1
        return {"ref": ref, **(AWAY if self.away[ref] >= 0 else {"status": 201})}


@pytest.fixture
def waits(monkeypatch):
    seconds = []
    monkeypatch.setattr(command.time, "sleep", seconds.append)
    return seconds


def rows(count, **fields):
    return [Row(n, (), {"ref": f"{n}", **fields}) for n in range(count)]


def test_what_is_unavailable_is_sent_again_alone_with_the_same_key(waits):
    service = Service({"1": 2, "2": 1})
    found = list(_answered(service, rows(4), {}, key="k"))
    assert sorted(result["ref"] for _, result in found) == ["0", "1", "2", "3"]
    assert all(row.ref == result["ref"] for row, result in found)
    assert service.sent == [
        (["0", "1", "2", "3"], "k"),
        (["1", "2"], "k"),
        (["1"], "k"),
    ]
    assert waits == [5, 5]


def test_what_stays_unavailable_ends_the_run(waits):
    service = Service({"1": 99})
    with pytest.raises(Unavailable, match="1 rows were not answered, from row 1 on"):
        list(_answered(service, rows(3), {}, key="k"))
    assert len(service.sent) == len(waits) == command.TRIES
    assert waits[-1] == command.MOST_WAIT


def test_a_batch_has_what_the_service_accepts():
    counts = [len(batch) for batch in _batches(rows(250))]
    assert counts == [100, 100, 50]
    large = list(_batches(rows(25, logo="x" * 87_000)))
    assert [len(batch) for batch in large] == [10, 10, 5]
    assert [row for batch in large for row in batch] == rows(25, logo="x" * 87_000)
    assert list(_batches([])) == []
