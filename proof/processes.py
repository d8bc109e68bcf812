"""Every boundary again, with real servers and a process that is really killed.

Each operation is run once to list its effects. Then a process is forked for every
effect and failure; a crash is a SIGKILL that it sends itself. The auditor judges what
the servers hold, the operation is repeated as a client or the schedule would repeat it,
a cleanup and a sweep follow, and the auditor judges again.
"""

import json
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from unittest.mock import patch
from uuid import UUID, uuid4

import psycopg2
import redis
from qr_service import generation, proving, sweep
from qr_service.codes import Code, Link
from qr_service.config import Settings
from qr_service.edge.manage import Patch, parse_query
from qr_service.edge.request import GenerateRequest, parse
from qr_service.errors import Expired, QRError, StorageUnavailable, timestamp
from qr_service.generation import Answer as Created
from qr_service.generation import Order
from qr_service.stores import cache, database, migrations
from qr_service.stores.bulk import BulkStorage
from qr_service.stores.cache import FRESH_SECONDS, Cache
from qr_service.stores.database import connect_with_retries
from qr_service.stores.storage import Storage
from qr_service.telemetry import SafeError, logger, metrics

from local.processes import LocalError, wait_until
from local.servers import ADMIN, APPLICATION, S3, PostgreSQL, Server, Valkey
from proof.audit import (
    Acknowledged,
    State,
    leftovers,
    violations,
    without_image,
)
from proof.effects import MIGRATIONS, Failure, Lose, installed
from proof.histories import GRACE_DAYS, SETTINGS, TOMBSTONE_DAYS, Environment
from proof.stores import Stores

Answer = TypeVar("Answer")
Answers = list[dict[str, Any] | None]

BUCKET = "proof"
SLICE = "00"  # of all ids, so that one slice is all of the bucket
HANGS = 60  # seconds after which a process is ended, which counts as killed
TEXT, HOURS = "https://example.com/real", 1.0
SLUG = "7K2M9QWD"
OWNER, KEY = "owner", "key"
BATCH = (KEY, "another key")
INSERT = """
    INSERT INTO qr_codes (id, owner, data, options, object_key, content_type,
        created_at, expires_at, idempotency_key, request_digest, answer, slug, printed,
        count, targets, kept_until)
    VALUES (%(id)s, %(owner)s, %(data)s, '{}', %(object_key)s, 'image/png',
        %(created_at)s, %(expires_at)s, %(key)s, %(digest)s, %(answer)s, %(slug)s,
        %(printed)s, %(slug)s IS NOT NULL OR NULL, %(targets)s, %(kept_until)s)
"""
ERASE = """
    UPDATE qr_codes SET erased_at = expires_at, owner = NULL, data = NULL,
        options = NULL, object_key = NULL, content_type = NULL
    WHERE id = %(id)s
"""


class Fatal:
    """A boundary that fails at one of its effects, or at none."""

    def __init__(self, at: int = -1, failure: Failure | None = None) -> None:
        self.effects: list[str] = []
        self.at = at
        self.failure = failure

    def cross(self, effect: str, do: Callable[[], Answer], lose: Lose) -> Answer:
        """Do the effect, or fail at it."""
        self.effects.append(effect)
        if len(self.effects) - 1 != self.at:
            return do()
        if self.failure is Failure.CRASH_BEFORE:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.failure is not Failure.REFUSED:
            do()
        if self.failure is Failure.CRASH_AFTER:
            os.kill(os.getpid(), signal.SIGKILL)
        raise lose(False)


class Clients:
    """The clients that the service itself makes.

    boto3 needs 0.1 s for its own: it is made once, and first used after the fork.
    """

    postgresql = staticmethod(database.connect)
    valkey = staticmethod(cache._connect)  # noqa: SLF001
    http = staticmethod(Storage._connect)  # noqa: SLF001

    def __init__(self, settings: Settings) -> None:
        self._s3 = BulkStorage(settings)._client  # noqa: SLF001

    def s3(self, _: BulkStorage) -> Any:
        """Return the client of boto3."""
        return self._s3


@dataclass(frozen=True, slots=True)
class Servers:
    """The three servers, and the environment of the functions."""

    postgresql: PostgreSQL
    valkey: Valkey
    s3: S3

    @property
    def settings(self) -> Settings:
        """The settings of the functions."""
        return Settings(
            **{
                **asdict(SETTINGS),
                "database_url": self.postgresql.url(APPLICATION),
                "redis_host": "127.0.0.1",
                "redis_port": self.valkey.port,
                "qr_bucket": BUCKET,
                "s3_endpoint_url": self.s3.endpoint_url,
                "aws_region": self.s3.region,
            }
        )

    def admin(self) -> Any:
        """Return a connection with all rights, which commits each statement."""
        connection = psycopg2.connect(self.postgresql.url(ADMIN))
        connection.autocommit = True
        return connection


@contextmanager
def servers() -> Iterator[Servers]:
    """Run the servers, with the schema and the bucket."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        started = Servers(
            PostgreSQL(folder / "postgresql", durable=False),
            Valkey(folder / "valkey"),
            S3(folder / "s3"),
        )
        each: list[Server] = [started.postgresql, started.valkey, started.s3]
        try:
            for server in each:
                server.start()
            started.s3.create_bucket(BUCKET)
            with closing(psycopg2.connect(started.postgresql.url(ADMIN))) as admin:
                migrations.apply(admin, migrations.load(MIGRATIONS))
            yield started
        finally:
            for server in each:
                server.stop()


class World(Stores):
    """What the servers hold, from outside."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.settings = servers.settings
        self.clients = Clients(self.settings)
        valkey = redis.Redis(port=servers.valkey.port)
        super().__init__(servers.admin(), valkey, servers.s3.client(), BUCKET)

    def clear(self) -> None:
        """Empty all servers; forget the metrics of what was prepared."""
        metrics.clear_metrics()
        self.query("TRUNCATE qr_codes, scans")
        self.valkey.flushall()
        for key in self.keys():
            self.s3.delete_object(Bucket=BUCKET, Key=key)

    def store(
        self,
        number: int,
        expires_at: datetime,
        *,
        keyed: bool = False,
        slug: str | None = None,
    ) -> None:
        """Store a code with its image, as generate does; with a slug a dynamic one."""
        qr_id = _id(number)
        request = requested()
        printed = slug and proving.short_url(self.settings, slug)
        proof = proving.prove(request, printed)
        key = f"codes/{qr_id}.png"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=proof.image.body)
        made = {"qr_id": qr_id, "expires_at": timestamp(expires_at)}
        answer = {**made, **proof.as_dict()}
        values = {
            "id": qr_id,
            "owner": OWNER,
            "data": TEXT,
            "object_key": key,
            "created_at": expires_at - timedelta(hours=HOURS),
            "expires_at": expires_at,
            "key": KEY if keyed else None,
            "digest": request.digest if keyed else None,
            "answer": json.dumps(answer) if keyed else None,
            "slug": slug,
            "printed": printed,
            "targets": slug and json.dumps([{"data": TEXT}]),
            "kept_until": slug and expires_at + timedelta(days=GRACE_DAYS),
        }
        self.query(INSERT, values)

    def erase(self, number: int) -> None:
        """Make a tombstone of a code, as the cleanup does."""
        qr_id = _id(number)
        self.query(ERASE, {"id": qr_id})
        self.s3.delete_object(Bucket=BUCKET, Key=f"codes/{qr_id}.png")

    def orphan(self) -> None:
        """Store an image that no row names."""
        key = f"codes/{_id(999)}.png"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=b"orphan")

    def state(self) -> State:
        """Return what the servers hold, once no process is connected any more."""
        sessions = "SELECT 1 FROM pg_stat_activity WHERE application_name = %s"
        if not wait_until(lambda: not self.query(sessions, ("qr-service",)), 10):
            raise LocalError("PostgreSQL keeps the session of a process that ended.")
        return super().state()


@dataclass(frozen=True, slots=True)
class Scenario:
    """An operation in a situation: what is there before, and what is done.

    `act` returns the answer to each order of a generate, None for one that failed;
    `keys` are their Idempotency-Keys. `fails` says that the operation always does.
    """

    operation: str
    title: str
    prepare: Callable[[World], None]
    act: Callable[[World, Environment], Answers | None]
    keys: tuple[str | None, ...] = (None,)
    fails: bool = False


def _id(number: int) -> str:
    return f"{SLICE}000000-0000-4000-8000-{number:012}"


def requested(*, dynamic: bool = False) -> GenerateRequest:
    """Return the request that is made."""
    fields = {"data": TEXT, "expiration_hours": HOURS, "dynamic": dynamic}
    return parse(json.dumps(fields).encode(), SETTINGS)


def _created(environment: Environment, orders: Sequence[Order]) -> Answers:
    """Return the answer to each order, None for one that failed."""
    outcomes = environment.generator.generate_all(orders, OWNER)
    for outcome in outcomes:
        if isinstance(outcome, Exception) and not isinstance(outcome, QRError):
            raise outcome
    return [each.body if isinstance(each, Created) else None for each in outcomes]


def _generate(
    *keys: str | None, dynamic: bool = False
) -> Callable[[World, Environment], Answers]:
    """Return an act that creates a code with each key, together if they are some."""

    def act(_: World, environment: Environment) -> Answers:
        orders = [Order(requested(dynamic=dynamic), key) for key in keys]
        return _created(environment, orders)

    return act


def _generate_with_image(_: World, environment: Environment) -> Answers:
    (answer,) = _created(environment, [Order(requested(), KEY, with_image=True)])
    if answer is None:
        return [None]
    body, text = without_image(answer)
    if text != TEXT:
        raise ValueError("an answer with another image")
    return [body]


def _generate_late(*keys: str) -> Callable[[World, Environment], Answers]:
    """Return the same while another takes a key: at first there is no answer."""

    def act(world: World, environment: Environment) -> Answers:
        table = environment.generator.table
        real, looked = table.find_answers, iter([True])

        def find_answers(owner: str, keys: list[str]) -> Any:
            return {} if next(looked, False) else real(owner, keys)

        with patch.object(table, "find_answers", find_answers):
            return _generate(*keys)(world, environment)

    return act


def _generate_with_slugs(count: int) -> Callable[[World, Environment], Answers]:
    """Return an act that creates dynamic codes; the slug of one is in use at first."""

    def act(world: World, environment: Environment) -> Answers:
        drawn, random = iter([SLUG]), proving.random_slug
        with patch.object(
            generation, "random_slug", lambda: next(drawn, None) or random()
        ):
            return _generate(*[None] * count, dynamic=True)(world, environment)

    return act


def _scan(_: World, environment: Environment) -> None:
    found = environment.redirector.find(SLUG)
    environment.redirector.count(found, "people")


def _scans_of(_: World, environment: Environment) -> None:
    environment.manager.scans_of(OWNER, _id(1), date.min, date.max)


def _end_slug(_: World, environment: Environment) -> None:
    with suppress(Expired):  # an earlier try has ended it
        environment.manager.end_any(SLUG)


def _dynamic(world: World) -> None:
    world.store(1, _soon(), slug=SLUG)


def _cached_link(world: World) -> None:
    """Store a dynamic code whose link is cached, and not fresh any more."""
    _dynamic(world)
    old = datetime.now(UTC) - timedelta(seconds=FRESH_SECONDS)
    link = Link(SLUG, _soon(), _id(1), TEXT, None, counts=True)
    Cache(world.settings).links.put(link, old)


def _scanned(world: World) -> None:
    """Store a dynamic code that was scanned, and one that is due."""
    _dynamic(world)
    counters = Cache(world.settings).scans
    for _ in range(3):
        counters.count(_id(1), "people", datetime.now(UTC))
    ended = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2 * GRACE_DAYS)
    world.store(2, ended, slug=SLUG[::-1])
    counters.count(_id(2), "people", datetime.now(UTC))


def _retrieve(_: World, environment: Environment) -> None:
    environment.retriever.health()
    environment.retriever.retrieve(_id(1))


def _clean_up(_: World, environment: Environment) -> None:
    environment.cleaner.clean_up(lambda: 3600.0)
    environment.scans.flush(lambda: True)
    environment.sweeper.sweep([SLICE], lambda: True)


def _list(_: World, environment: Environment) -> None:
    environment.manager.living(OWNER, parse_query({}))


def _read(_: World, environment: Environment) -> None:
    environment.manager.read(OWNER, _id(1))


def _change(_: World, environment: Environment) -> None:
    patch = Patch(["expiration_hours", "label"], expiration_hours=1, label="x")
    environment.manager.change(OWNER, _id(1), patch, lambda _: True)


def _end_owner(_: World, environment: Environment) -> None:
    environment.manager.end_owner(OWNER, lambda: True)


def _transfer(_: World, environment: Environment) -> None:
    environment.manager.transfer(OWNER, "another owner", lambda: True)


def _end(_: World, environment: Environment) -> None:
    with suppress(Expired):  # an earlier try has ended it
        environment.manager.end(OWNER, _id(1), None)


def _cached(world: World) -> None:
    """Store a code that is cached, and not fresh any more."""
    ends = _soon()
    world.store(1, ends)
    old = datetime.now(UTC) - timedelta(seconds=FRESH_SECONDS)
    code = Code(_id(1), ends, f"codes/{_id(1)}.png", "image/png")
    Cache(world.settings).codes.put(code, old)


def _clean_up_without_s3(_: World, environment: Environment) -> None:
    """Clean up while S3 answers nothing, so that the transaction is rolled back."""
    with (
        patch.object(BulkStorage, "delete", side_effect=StorageUnavailable),
        patch.object(environment.cleaner.table.database, "_used_at", 0.0),
    ):
        environment.cleaner.clean_up(lambda: 3600.0)


def _migrate(world: World, _: Environment) -> None:
    settings = Settings(
        **{
            **asdict(world.settings),
            "database_url": world.servers.postgresql.url(ADMIN).replace(
                "/qrcodes", "/migrated"
            ),
        }
    )
    with closing(connect_with_retries(settings, lambda: 60.0)) as connection:
        migrations.apply(connection, migrations.load(MIGRATIONS))


def _nothing(_: World) -> None:
    pass


def _keyed(world: World) -> None:
    world.store(1, _soon(), keyed=True)


def _keyed_once(world: World) -> None:
    """Store a code with a key that has expired."""
    world.store(1, _soon() - timedelta(hours=2 * HOURS), keyed=True)


def _soon() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(hours=HOURS)


def _expired(world: World) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    for number, age in enumerate((1, 2, 3, 5)):
        world.store(10 + number, now - timedelta(days=age))
    world.erase(13)
    world.store(1, _soon())
    world.orphan()


def _new_database(world: World) -> None:
    world.query("DROP DATABASE IF EXISTS migrated WITH (FORCE)")
    world.query("CREATE DATABASE migrated")


SCENARIOS = (
    Scenario("generate", "a code", _nothing, _generate(None)),
    Scenario("generate", "a code with a key", _nothing, _generate(KEY), (KEY,)),
    Scenario("generate", "a replay", _keyed, _generate(KEY), (KEY,)),
    Scenario(
        "generate", "a replay with its image", _keyed, _generate_with_image, (KEY,)
    ),
    Scenario(
        "generate", "a key of an expired code", _keyed_once, _generate(KEY), (KEY,)
    ),
    Scenario(
        "generate",
        "a key that another request takes",
        _keyed,
        _generate_late(KEY),
        (KEY,),
    ),
    Scenario("generate", "a dynamic code", _nothing, _generate(None, dynamic=True)),
    Scenario("generate", "a slug that is in use", _dynamic, _generate_with_slugs(1)),
    Scenario("batch", "codes", _nothing, _generate(None, None), (None, None)),
    Scenario("batch", "codes with keys", _nothing, _generate(*BATCH), BATCH),
    Scenario("batch", "codes of which one is made", _keyed, _generate(*BATCH), BATCH),
    Scenario(
        "batch", "a key of an expired code", _keyed_once, _generate(*BATCH), BATCH
    ),
    Scenario(
        "batch",
        "a key that another request takes",
        _keyed,
        _generate_late(*BATCH),
        BATCH,
    ),
    Scenario(
        "batch",
        "a slug that is in use",
        _dynamic,
        _generate_with_slugs(2),
        (None, None),
    ),
    Scenario("scan", "a code", _dynamic, _scan),
    Scenario("scan", "an old entry", _cached_link, _scan),
    Scenario("scans", "a code", _scanned, _scans_of),
    Scenario("end", "a slug", _dynamic, _end_slug),
    Scenario("cleanup", "scanned codes", _scanned, _clean_up),
    Scenario("retrieve", "a code", lambda world: world.store(1, _soon()), _retrieve),
    Scenario("retrieve", "an old entry", _cached, _retrieve),
    Scenario("list", "a code", lambda world: world.store(1, _soon()), _list),
    Scenario("read", "a code", lambda world: world.store(1, _soon()), _read),
    Scenario("change", "a code", lambda world: world.store(1, _soon()), _change),
    Scenario("end", "a code", lambda world: world.store(1, _soon()), _end),
    Scenario("end owner", "a code", lambda world: world.store(1, _soon()), _end_owner),
    Scenario("transfer", "a code", lambda world: world.store(1, _soon()), _transfer),
    Scenario("cleanup", "expired codes, an orphan", _expired, _clean_up),
    Scenario("cleanup", "without S3", _expired, _clean_up_without_s3, fails=True),
    Scenario("migrate", "a new database", _new_database, _migrate),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a process: its effects, and what it answered, if it did."""

    effects: list[str]
    answers: Answers
    error: str | None
    killed: bool


def in_a_process(world: World, scenario: Scenario, boundary: Fatal) -> Outcome:
    """Run a scenario in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        result: dict[str, Any] = {"answers": [], "error": None}
        signal.alarm(HANGS)  # ends it
        try:
            logger.setLevel("CRITICAL")
            with (
                installed(boundary, world.clients),
                patch.object(generation, "uuid4", _uuid4),
                patch.object(sweep, "GRACE", timedelta(seconds=-5)),
            ):
                environment = Environment(world.settings)
                result["answers"] = scenario.act(world, environment) or []
        except (QRError, SafeError, psycopg2.Error, TimeoutError) as error:
            result["error"] = repr(error)
        except BaseException as error:  # noqa: BLE001  the parent reports it
            result["unexpected"] = repr(error)
        result["effects"] = boundary.effects
        os.write(writer, json.dumps(result).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if not text:
        return Outcome([], [], None, os.WIFSIGNALED(status))
    result = json.loads(text)
    if "unexpected" in result:
        raise AssertionError(result["unexpected"])
    return Outcome(result["effects"], result["answers"], result["error"], False)


def _uuid4() -> UUID:
    return UUID(int=uuid4().int & (1 << 120) - 1)


def boundaries(
    world: World, scenarios: Iterable[Scenario] = SCENARIOS
) -> Iterator[tuple[Scenario, int, str, Failure]]:
    """Yield every effect of the scenarios, with every failure."""
    for scenario in scenarios:
        world.clear()
        scenario.prepare(world)
        outcome = in_a_process(world, scenario, Fatal())
        if (outcome.error or None in outcome.answers) and not scenario.fails:
            raise AssertionError(f"{scenario.title}: {outcome}")
        for at, effect in enumerate(outcome.effects):
            for failure in Failure:
                yield scenario, at, effect, failure


def judge(world: World, scenario: Scenario, at: int, failure: Failure) -> list[str]:
    """Let a scenario fail at a boundary, and recover; return what was broken."""
    world.clear()
    scenario.prepare(world)
    (stored,) = world.query("SELECT count(*) FROM qr_codes WHERE data = %s", (TEXT,))[0]
    acknowledged: list[Acknowledged] = []
    found = []
    crash = failure in (Failure.CRASH_BEFORE, Failure.CRASH_AFTER)
    for requests, boundary in enumerate((Fatal(at, failure), Fatal()), 1):
        outcome = in_a_process(world, scenario, boundary)
        if outcome.killed != (crash and boundary.failure is failure):
            found.append("the process was not killed where it should be")
        ends = scenario.operation in ("end", "end owner")
        if ends and not (outcome.killed or outcome.error):
            found += _living(world)
        acknowledged += [
            _acknowledged(key, answer)
            for key, answer in zip(scenario.keys, outcome.answers, strict=False)
            if answer
        ]
        failed = outcome.error or None in outcome.answers
        if boundary.failure is None and failed and not scenario.fails:
            found.append(f"it did not recover: {outcome}")
        # A key makes one code, however often it is sent.
        made = sum(1 if key else requests for key in scenario.keys)
        attempts = {(OWNER, TEXT): stored + made}
        found += _audit(world, acknowledged, attempts)
    if scenario.operation == "migrate":
        return found + _unmigrated(world)
    clean = next(s for s in SCENARIOS if s.act is _clean_up)
    outcome = in_a_process(world, clean, Fatal())
    if outcome.error:
        found.append(f"the cleanup failed: {outcome.error}")
    state = world.state()
    return [*found, *_audit(world, acknowledged, attempts), *leftovers(state)]


def _audit(
    world: World,
    acknowledged: list[Acknowledged],
    attempts: Mapping[tuple[str, str], int],
) -> Iterator[str]:
    days = timedelta(days=TOMBSTONE_DAYS)
    return violations(world.state(), acknowledged, attempts, days)


def _living(world: World) -> list[str]:
    living = world.query(
        "SELECT id FROM qr_codes WHERE coalesce(kept_until, expires_at) > now()"
    )
    return [f"{qr_id} was ended, and lives" for (qr_id,) in living]


def _acknowledged(key: str | None, answer: dict[str, Any]) -> Acknowledged:
    return Acknowledged(
        OWNER,
        key,
        requested().digest,
        answer,
        datetime.fromisoformat(answer["expires_at"]),
        timedelta(hours=HOURS),
    )


def _unmigrated(world: World) -> list[str]:
    url = world.servers.postgresql.url(ADMIN).replace("/qrcodes", "/migrated")
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT version FROM schema_migrations ORDER BY version")
        versions = [version for (version,) in cursor.fetchall()]
    wanted = [migration.version for migration in migrations.load(MIGRATIONS)]
    return [] if versions == wanted else [f"migrations are {versions}"]


def prove(show: Callable[[str], None]) -> tuple[set[tuple[str, str, str]], list[str]]:
    """Judge every boundary; return those met, and the broken promises.

    A boundary is an operation, an effect of it and a way to fail there.
    """
    met: set[tuple[str, str, str]] = set()
    found: list[str] = []
    with servers() as started:
        os.environ["AWS_ACCESS_KEY_ID"] = started.s3.access_key
        os.environ["AWS_SECRET_ACCESS_KEY"] = started.s3.secret_key
        world = World(started)
        every = list(boundaries(world))
        for number, (scenario, at, effect, failure) in enumerate(every, 1):
            met.add((scenario.operation, effect, failure))
            case = f"{scenario.operation}, {scenario.title}: {effect}: {failure}"
            found += [f"{case}: {what}" for what in judge(world, scenario, at, failure)]
            if number % 50 == 0 or number == len(every):
                show(f"{number} of {len(every)} failures with real servers")
    return met, found
