"""How long the cache is believed, and what it is good for while PostgreSQL is away."""

import json
import time
from contextlib import contextmanager
from uuid import uuid4

import pytest
import redis
from qr_service.stores.cache import CLAIM_SECONDS, FRESH_SECONDS, Entries

from tests.support.functions import forget
from tests.support.gateway import get_retrieve, post_generate

BODY = {"data": "https://example.com/fresh", "expiration_hours": 24}


@pytest.fixture
def entry(functions, database, servers):
    """Yield the cached entry of a new code, which can be read and changed."""
    qr_id = post_generate(functions.generate, BODY).body["qr_id"]
    with redis.Redis(port=servers.valkey.port) as cache:
        yield Entry(cache, qr_id)


class Entry:
    """The value that is cached of a code."""

    def __init__(self, cache, qr_id):
        self.cache = cache
        self.qr_id = qr_id
        self.key = f"qr:{qr_id}"

    def read(self):
        return json.loads(self.cache.get(self.key))

    def change(self, **members):
        value = json.dumps({**self.read(), **members})
        self.cache.set(self.key, value, keepttl=True)

    def become_old(self, seconds=0):
        """Let it have been fresh until so many seconds ago."""
        self.change(fresh_until=int(time.time()) - seconds)


def end(functions, entry):
    reply = get_retrieve(functions.retrieve, entry.qr_id)
    assert reply.status == 200
    return reply.body["expires_at"]


def prolong(database, entry):
    """Change the end behind the cache's back; return it as it is answered."""
    ((moment,),) = database(
        "UPDATE qr_codes SET expires_at = expires_at + interval '1 hour',"
        " revision = revision + 1 WHERE id = %s RETURNING expires_at",
        entry.qr_id,
    )
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def away(monkeypatch):
    """Let new connections to PostgreSQL fail, and end the one that is there."""
    with monkeypatch.context() as changed:
        changed.setenv("DATABASE_URL", "postgresql://qr_app:x@127.0.0.1:1/qrcodes")
        forget()
        yield
    forget()


def test_an_entry_is_believed_while_it_is_fresh(functions, database, entry):
    first = end(functions, entry)
    later = prolong(database, entry)
    assert end(functions, entry) == first
    entry.become_old()
    assert end(functions, entry) == later
    kept = entry.read()
    assert kept["revision"] == 2
    assert 0 <= kept["fresh_until"] - time.time() <= FRESH_SECONDS


def test_while_one_request_refreshes_the_others_go_on(functions, database, entry):
    first = end(functions, entry)
    prolong(database, entry)
    entry.change(fresh_until=int(time.time()) + CLAIM_SECONDS)  # claimed by another
    assert end(functions, entry) == first


def test_after_a_minute_nobody_goes_on_with_an_entry(
    functions, database, entry, monkeypatch
):
    later = prolong(database, entry)
    entry.become_old(CLAIM_SECONDS)
    monkeypatch.setattr(Entries, "claim", lambda *_: False)  # another refreshes it
    assert end(functions, entry) == later


@pytest.mark.parametrize("age", [0, 100])
def test_a_cached_code_is_served_while_the_database_is_away(
    functions, database, entry, monkeypatch, log, age
):
    first = end(functions, entry)
    entry.become_old(age)
    with away(monkeypatch):
        assert [end(functions, entry) for _ in range(5)] == [first] * 5
        failed = [line for line in log() if line["level"] == "WARNING"]
        assert len(failed) == 1, "one look-up, then none for a while"
        entry.change(expires_at=int(time.time()))
        assert get_retrieve(functions.retrieve, entry.qr_id).status == 410
        assert get_retrieve(functions.retrieve, str(uuid4())).status == 503
    entry.change(expires_at=int(time.time()) + 3600)
    later = prolong(database, entry)
    entry.become_old()
    assert end(functions, entry) == later


def test_a_code_that_a_restored_database_lacks_is_forgotten(functions, database, entry):
    end(functions, entry)
    database("DELETE FROM qr_codes")
    entry.become_old()
    for _ in range(2):
        assert get_retrieve(functions.retrieve, entry.qr_id).status == 404


def test_an_ended_code_is_ended_once_the_cache_is_old(functions, database, entry):
    end(functions, entry)
    database(
        "UPDATE qr_codes SET expires_at = created_at, revision = 2 WHERE id = %s",
        entry.qr_id,
    )
    entry.become_old()
    for _ in range(2):  # from the database, then from the cache
        assert get_retrieve(functions.retrieve, entry.qr_id).status == 410
    assert entry.read()["object_key"] == ""
