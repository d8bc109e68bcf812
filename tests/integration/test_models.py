"""The models of the proof answer as the real servers do."""

import uuid
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random

import psycopg2
import pytest
from qr_service.codes import Code, Link
from qr_service.config import settings
from qr_service.stores import database as database_module
from qr_service.stores import migrations
from qr_service.stores.bulk import BulkStorage
from qr_service.stores.cache import CLAIM_SECONDS, FRESH_SECONDS, Cache, Counted
from qr_service.stores.database import Database
from qr_service.stores.links import LinkTable
from qr_service.stores.owned import Change, OwnedTable
from qr_service.stores.scans import ScanTable
from qr_service.stores.storage import Storage
from qr_service.stores.table import CodeTable, Dynamic, Record

from proof import effects, models
from proof.effects import STATEMENTS

HOUR = timedelta(hours=1)
FRESH = timedelta(seconds=FRESH_SECONDS)
CLAIMED = timedelta(seconds=CLAIM_SECONDS)
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(autouse=True)
def _now(monkeypatch):
    """Let NOW be when the test begins: the cache forgets an end after minutes."""
    now = datetime.now(UTC).replace(microsecond=0)
    monkeypatch.setattr(f"{__name__}.NOW", now)


def no_wait():
    raise AssertionError("one session waits for itself")


class Noting:
    """A boundary at which nothing fails; it notes the effects."""

    def __init__(self):
        self.effects = set()

    def cross(self, effect, do, lose):
        self.effects.add(effect)
        return do()


class Models:
    """The clients of models, path style as in the tests' S3."""

    def __init__(self):
        self.database = models.PostgreSQL(no_wait)
        self.bucket = models.S3()
        self.cache = models.Valkey()

    def postgresql(self, _):
        return self.database.connect()

    def valkey(self, _):
        return self.cache

    def http(self, *_):
        return models.S3Connection(self.bucket, path_style=True)

    def s3(self, _):
        return self.bucket


@contextmanager
def modelled(boundary=None, clients=None):
    """Let the service use models instead of the servers."""
    with effects.installed(boundary or Noting(), clients or Models()):
        yield


def record(random, ids):
    """Return a row: living or expired, with or without a key."""
    qr_id = str(uuid.UUID(int=random.getrandbits(128), version=4))
    ids.append(qr_id)
    created_at = NOW - 3 * HOUR * random.randrange(1, 20)
    key = random.choice([None, "a", "b"])
    ends = random.choice([NOW - HOUR * random.randrange(1, 3), NOW + HOUR])
    return Record(
        code=Code(qr_id, ends, f"codes/{qr_id}.png", "image/png"),
        owner="owner",
        data="text",
        options={},
        created_at=created_at,
        idempotency_key=key,
        request_digest=b"digest",
        answer={"qr_id": qr_id},
    )


def erase(table, qr_id, limit):
    with table.database.transaction() as cursor:
        rows = table.lock_due(cursor, (NOW - 99 * HOUR, qr_id), limit)
        table.erase(cursor, [row[0] for row in rows])
    return rows


def answers(seed, table):
    """Yield what the table answers to operations that are drawn from a seed."""
    random, ids = Random(seed), [str(uuid.UUID(int=seed))]
    for _ in range(30):
        qr_id, other = random.choice(ids), random.choice(ids)
        limit = random.choice([1, 2, 100])
        new, *some = (record(random, ids) for _ in range(4))
        operations = {
            "insert": lambda new=new: table.insert([new]),
            "find": lambda qr_id=qr_id: table.find(qr_id),
            "insert some": lambda some=some: table.insert(some),
            "find_answers": lambda: table.find_answers(
                "owner", random.sample("abc", 2)
            ),
            "free_keys": lambda pair=(qr_id, other): table.free_keys([*pair]),
            "erase": lambda qr_id=qr_id, limit=limit: erase(table, qr_id, limit),
            "backlog": lambda limit=limit: table.backlog(limit)[0],
            "with_image": lambda pair=(qr_id, other), limit=limit: table.with_image(
                min(pair), max(pair), 24 * HOUR, limit
            ),
            "is_empty": table.is_empty,
            "ending": lambda: table.ending(24 * HOUR),
            "purge": lambda: table.purge(random.choice([-HOUR, HOUR]), 100),
        }
        name = random.choice(["insert", "insert", "erase", *operations])
        yield name, operations[name]()


@pytest.mark.parametrize("seed", range(40))
def test_the_table(seed, functions, database):
    real = list(answers(seed, CodeTable(Database(settings()))))
    with modelled():
        assert list(answers(seed, CodeTable(Database(settings())))) == real


def test_the_operations_run_every_statement_of_the_table(functions, database):
    noting = Noting()
    with modelled(noting):
        for seed in range(40):
            list(answers(seed, CodeTable(Database(settings()))))
        CodeTable(Database(settings())).insert([record(Random(0), [])])
    ran = {effect.removeprefix("postgresql ") for effect in noting.effects}
    of_the_table = {
        text for name, text in vars(CodeTable).items() if name[1:].isupper()
    }
    assert ran >= {STATEMENTS[text] for text in of_the_table}


def answers_of_dynamic_codes(database):
    """Yield what all tables answer about dynamic codes, step by step."""
    codes, links = CodeTable(database), LinkTable(database)
    owned, scans = OwnedTable(database), ScanTable(database)
    first, second = (str(uuid.UUID(int=number, version=4)) for number in (1, 2))
    for qr_id, slug in (
        (first, "AAAAAAAA"),
        (second, "AAAAAAAA"),
        (second, "BBBBBBBB"),
    ):
        yield codes.insert([dynamic(qr_id, slug)])
    yield links.find("AAAAAAAA"), links.find("CCCCCCCC")
    yield owned.id_of("BBBBBBBB"), owned.id_of("CCCCCCCC")
    known = owned.find(first)
    yield known
    yield owned.living("owner", (NOW + 99 * HOUR, first), NOW + 99 * HOUR, 9)
    change = Change(NOW, NOW + HOUR, NOW + 2 * HOUR, "label", "https://b", "https://c")
    yield owned.change(known, change)
    yield owned.change(known, change), "it has another revision"
    yield owned.find(first), links.find("AAAAAAAA")
    yield codes.ending(24 * HOUR)
    counted = Counted(str(uuid.UUID(int=9)), {first: (3, 1), second: (0, 2)})
    none = Counted(counted.generation, {str(uuid.UUID(int=8)): (1, 1)})
    yield [scans.flush(NOW.date(), each) for each in (counted, counted, none)]
    fewer = Counted(counted.generation, {first: (2, 5)})
    yield scans.flush(NOW.date(), fewer), scans.of_code(first, date.min, date.max)
    yield scans.of_code(second, NOW.date() + 24 * HOUR, date.max)
    ended = owned.end(owned.find(second))
    yield ended.code.revision, ended.expired_url, ended.kept_until
    owned.erase(second)
    yield owned.find(second).code.object_key, links.find("BBBBBBBB").target
    yield scans.of_code(second, date.min, date.max), scans.flush(NOW.date(), counted)
    yield [(code.qr_id, link.slug) for code, link in owned.end_some("owner", 9)]
    yield codes.purge(-HOUR, 9)


def dynamic(qr_id, slug):
    ends = NOW + 24 * HOUR
    link = Link(slug, ends, qr_id, "https://a", None, counts=True)
    return Record(
        code=Code(qr_id, ends, f"codes/{qr_id}.png", "image/png"),
        owner="owner",
        data="https://a",
        options={"format": "png"},
        created_at=NOW,
        idempotency_key=None,
        request_digest=b"",
        answer={},
        dynamic=Dynamic(link, f"https://qr/s/{slug}", ends + HOUR),
    )


def test_dynamic_codes(functions, database, servers):
    url = servers.postgresql.url("qr_admin")  # no role of a function may do it all
    everything = Database(replace(settings(), database_url=url))
    real = list(answers_of_dynamic_codes(everything))
    with modelled():
        assert list(answers_of_dynamic_codes(Database(settings()))) == real


@pytest.fixture(params=["model", "real"])
def connect(request, functions, database):
    """Return a function that opens a connection to a table with one expired code."""
    clients = Models()
    opened = []

    def open_one():
        raw = (
            clients.database.connect()
            if request.param == "model"
            else database_module.connect(settings())
        )
        opened.append(raw)
        return raw

    ids = []
    expired = record(Random(0), ids)
    expired = Record(
        **{
            name: getattr(expired, name)
            for name in ("owner", "data", "options", "created_at", "answer")
        },
        code=Code(ids[0], NOW - HOUR, f"codes/{ids[0]}.png", "image/png"),
        idempotency_key="a",
        request_digest=b"digest",
    )
    wrapped = modelled(clients=clients) if request.param == "model" else nullcontext()
    with wrapped:
        CodeTable(Database(settings())).insert([expired])
    yield open_one
    for raw in opened:
        raw.close()


def run(cursor, name, **parameters):
    statement = getattr(CodeTable, name)
    cursor.execute(statement, parameters)
    return cursor.fetchall() if cursor.description else None


FIRST = {"due": NOW - 99 * HOUR, "id": str(uuid.UUID(int=0)), "limit": 9}


def test_locked_rows_are_skipped_and_visible_until_the_commit(connect):
    one, other = connect(), connect()
    locked = run(one.cursor(), "_LOCK_DUE", **FIRST)
    assert len(locked) == 1
    assert run(other.cursor(), "_LOCK_DUE", **FIRST) == []
    run(one.cursor(), "_ERASE", ids=[locked[0][0]])
    assert run(other.cursor(), "_FIND", id=locked[0][0])[0][1] != ""
    one.commit()
    other.rollback()
    assert run(other.cursor(), "_FIND", id=locked[0][0])[0][1] == ""


def test_a_closed_session_is_rolled_back(connect):
    one, other = connect(), connect()
    (locked,) = run(one.cursor(), "_LOCK_DUE", **FIRST)
    run(one.cursor(), "_ERASE", ids=[locked[0]])
    one.close()
    cursor = other.cursor()
    for _ in range(1000):  # the server notices it at once, and then cleans up
        rows = run(cursor, "_LOCK_DUE", **FIRST)
        other.rollback()
        if rows:
            break
    assert rows == [locked]
    with pytest.raises(psycopg2.InterfaceError):
        one.cursor().execute("SELECT 1")


def test_the_model_records_migrations_once():
    wanted = migrations.load(effects.MIGRATIONS)
    server = models.PostgreSQL(no_wait)
    connection = effects.Connection(server.connect(), Noting())
    assert migrations.apply(connection, wanted) == wanted
    assert migrations.apply(connection, wanted) == []
    assert server.migrated == [migration.sql for migration in wanted]


@pytest.fixture(params=["model", "real"])
def s3(request, functions, bucket):
    """Let the service use a model of S3, or the real one."""
    with modelled() if request.param == "model" else nullcontext():
        yield


def test_the_bucket(s3):
    storage, bulk = Storage(settings()), BulkStorage(settings())
    for name in ("b", "a", "c"):
        storage.put(f"codes/{name}", b"image", "image/png")
    storage.put("other/a", b"image", "image/png")
    storage.delete("codes/b")
    storage.delete("codes/b")
    page = bulk.page("codes/", "")
    assert list(page.stored_at) == ["codes/a", "codes/c"]
    assert page.is_last
    assert list(bulk.page("codes/", "codes/a").stored_at) == ["codes/c"]
    assert abs(page.now - page.stored_at["codes/a"]) < HOUR
    assert bulk.delete(["codes/a", "codes/none"]) == {"codes/a", "codes/none"}
    assert list(bulk.page("codes/", "").stored_at) == ["codes/c"]
    assert bulk.delete(["codes/c", "other/a"]) == {"codes/c", "other/a"}
    assert bulk.page("", "").stored_at == {}
    storage.close()


@pytest.fixture(params=["model", "real"])
def cache(request, functions):
    """Return the cache over a model of Valkey, or over the real one."""
    with modelled() if request.param == "model" else nullcontext():
        yield Cache(settings())


def test_the_cache(cache):
    qr_id = str(uuid.uuid4())
    living = Code(qr_id, NOW + 24 * HOUR, "codes/a.png", "image/png")
    assert cache.ping()
    assert cache.codes.get(qr_id) is None
    cache.codes.put(living, NOW)
    assert cache.codes.get(qr_id) == (living, NOW + FRESH)
    cache.codes.put(
        Code(qr_id, NOW + 24 * HOUR, "", ""), NOW - HOUR
    )  # forgotten already
    assert cache.codes.get(qr_id) is None


def test_a_slow_reader_does_not_replace_a_later_revision(cache):
    qr_id = str(uuid.uuid4())
    first = Code(qr_id, NOW + 24 * HOUR, "codes/a.png", "image/png")
    second = replace(first, expires_at=NOW + HOUR, revision=2)
    cache.codes.put(second, NOW)
    cache.codes.put(first, NOW)
    assert cache.codes.get(qr_id) == (second, NOW + FRESH)
    cache.codes.put(second, NOW + HOUR / 2)
    assert cache.codes.get(qr_id) == (second, NOW + HOUR / 2 + FRESH)
    ended = Code(qr_id, NOW, "", "", revision=3)
    cache.codes.put(ended, NOW)
    assert cache.codes.get(qr_id) == (ended, NOW + FRESH)


def test_an_entry_is_forgotten_unless_it_is_a_later_one(cache):
    code = Code(str(uuid.uuid4()), NOW + 24 * HOUR, "codes/a.png", "image/png", 2)
    cache.codes.put(code, NOW)
    cache.codes.forget(replace(code, revision=1))
    assert cache.codes.get(code.qr_id) == (code, NOW + FRESH)
    cache.codes.forget(code)
    assert cache.codes.get(code.qr_id) is None


def test_one_request_refreshes_an_entry(cache):
    qr_id = str(uuid.uuid4())
    code = Code(qr_id, NOW + 24 * HOUR, "codes/a.png", "image/png", revision=7)
    assert cache.codes.claim(code, NOW, NOW + CLAIMED), "there is no entry"
    cache.codes.put(code, NOW - FRESH)
    tries = [cache.codes.claim(code, NOW, NOW + CLAIMED) for _ in range(3)]
    assert tries == [True, False, False]
    assert cache.codes.get(qr_id) == (code, NOW + CLAIMED)
    before = NOW + CLAIMED - timedelta(seconds=1)
    assert not cache.codes.claim(code, before, before + CLAIMED)
    again = cache.codes.claim(code, NOW + CLAIMED, NOW + 2 * CLAIMED)
    assert again, "the first one did not come back"
    cache.codes.put(replace(code, revision=6), NOW)
    assert cache.codes.get(qr_id) == (code, NOW + 2 * CLAIMED), "the revision is kept"


def test_links_are_cached_like_codes(cache):
    link = Link("AAAAAAAA", NOW + 24 * HOUR, "id", "https://a", "https://b", True, 2)
    cache.links.put(link, NOW)
    cache.links.put(replace(link, target="https://old", revision=1), NOW)
    assert cache.links.get("AAAAAAAA") == (link, NOW + FRESH)
    cache.links.put(replace(link.ended(), revision=3), NOW)
    found, _ = cache.links.get("AAAAAAAA")
    assert (found.target, found.expired_url, found.counts) == ("", "https://b", False)


def test_scans_are_counted(cache):
    qr_id, other = str(uuid.uuid4()), str(uuid.uuid4())
    day = NOW + 99 * 24 * HOUR  # later than the clock of any other test
    assert cache.scans.of_code(qr_id, day.date()) is None
    assert cache.scans.page(day.date(), 0, 10) is None
    for scanner in ("people", "people", "bots"):
        cache.scans.count(qr_id, scanner, day)
    cache.scans.count(other, "people", day)
    counted = cache.scans.of_code(qr_id, day.date())
    assert counted.counts == {qr_id: (2, 1)}
    page, following = cache.scans.page(day.date(), 0, 10)
    assert following == 0
    assert page == Counted(counted.generation, {qr_id: (2, 1), other: (1, 0)})
