"""Histories: requests, cleanups and failures in an order that is drawn at random.

A history is a number of steps. A step is one operation, or two that are interleaved at
their effects; at one effect of each a failure may be drawn, and between the steps the
clock moves. The operations are the service's own code over the models. Everything is
drawn from one source, so a seed repeats a history.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from random import Random
from typing import Any, TypeVar, cast
from unittest.mock import patch
from uuid import UUID

import psycopg2
import time_machine
from greenlet import getcurrent, greenlet
from qr_service import generation
from qr_service.cleanup import Cleaner
from qr_service.codes import LEAST_LIFE
from qr_service.config import Settings
from qr_service.edge import manage
from qr_service.edge.manage import Patch
from qr_service.edge.request import GenerateRequest, parse
from qr_service.errors import (
    Expired,
    IdempotencyMismatch,
    NotDynamic,
    NotFound,
    PreconditionFailed,
    Unavailable,
)
from qr_service.generation import CodeGenerator, Order, Outcome
from qr_service.management import Manager
from qr_service.proving import Proof, prove
from qr_service.redirection import Destination, Redirector
from qr_service.retrieval import Retrieved, Retriever
from qr_service.scans import Scans
from qr_service.stores import migrations
from qr_service.stores.bulk import BulkStorage
from qr_service.stores.cache import (
    CLAIM_SECONDS,
    FRESH_SECONDS,
    SCANNERS,
    SKIP_SECONDS,
    Cache,
)
from qr_service.stores.database import Database, connect_with_retries
from qr_service.stores.links import LinkTable
from qr_service.stores.owned import OwnedTable
from qr_service.stores.presigned import PresignedUrls
from qr_service.stores.scans import ScanTable
from qr_service.stores.storage import Storage
from qr_service.stores.table import CodeTable
from qr_service.sweep import GRACE, Sweeper
from qr_service.telemetry import SafeError, metrics

from local.servers import APPLICATION
from proof import models
from proof.audit import (
    Acknowledged,
    Entry,
    State,
    leftovers,
    violations,
    without_image,
)
from proof.effects import MIGRATIONS, Failure, Lose, installed

Answer = TypeVar("Answer")

START = datetime(2030, 1, 1, tzinfo=UTC)
TEXTS = ("https://example.com/a", "https://example.com/b")
HOURS = (0.02, 1, 48)
KEYS = (None, None, "key-1", "key-2")
BATCH_KEYS: list[str | None] = ["key-1", "key-2"]  # single requests have the same
OWNERS = ("owner-1", "owner-2")
SLICES = ("00", "01")  # ids begin with these, so that few slices are all
TOMBSTONE_DAYS = 2
GRACE_DAYS = 2
TARGETS = ("https://example.com/1", "https://example.com/2")  # of dynamic codes
OVER = (None, "https://example.com/over")
# An entry of the cache is fresh, is refreshed by one, is believed by nobody.
SECONDS = (0, 0, 1, FRESH_SECONDS + 2, 71, 3599, 86_401, 3 * 86_400)
MOVES = [timedelta(seconds=n) for n in SECONDS]
PAUSE = timedelta(seconds=2)
MOST_STEPS, MOST_EFFECTS = 10, 12
LATE = "it is done later, when its client has given up"
# What is drawn: a failure of Failure, LATE, or that the clock moves on by PAUSE.
PAUSED = "nothing, but it takes a while"
WANTED = migrations.load(MIGRATIONS)
DRAWN: list[Failure | str] = [*Failure, LATE, PAUSED]

# A change of which the cache did not learn is hidden for so long. After a failure, the
# cache may be skipped for LATELY, or an entry claimed by somebody who has ended.
HIDDEN = timedelta(seconds=FRESH_SECONDS + CLAIM_SECONDS)
LATELY = timedelta(seconds=max(CLAIM_SECONDS, SKIP_SECONDS) + 1)

SETTINGS = Settings(
    database_url="postgresql://model",
    database_auth="password",
    redis_host="model",
    redis_port=1,
    redis_tls=False,
    redis_auth="none",
    redis_username="",
    redis_cache_name="",
    redis_cluster=False,
    ca_bundle="",
    qr_bucket="model",
    s3_endpoint_url="",
    aws_region="eu-west-1",
    max_expiration_hours=8760,
    default_expiration_hours=24,
    tombstone_days=TOMBSTONE_DAYS,
    grace_days=GRACE_DAYS,
    public_url="https://qr.example.org",
    url_ttl_seconds=900,
    cors_allow_origin="*",
)


class Crashed(BaseException):
    """The process has ended: no handler of the service catches this."""


def _database(settings: Settings, role: str) -> Database:
    """Return the database as a function's role sees it; models have no roles."""
    url = settings.database_url.replace(APPLICATION, role, 1)
    return Database(dataclasses.replace(settings, database_url=url))


def _table(settings: Settings, role: str) -> CodeTable:
    return CodeTable(_database(settings, role))


class Environment:
    """An execution environment: the service's objects, which live between requests."""

    def __init__(self, settings: Settings) -> None:
        self.connections: list[models.PostgreSQLConnection] = []
        self.cache = Cache(settings)
        bulk = BulkStorage(settings)
        self.generator = CodeGenerator(
            _table(settings, "qr_generate"), Storage(settings), self.cache, settings
        )
        self.retriever = Retriever(
            _table(settings, "qr_retrieve"), PresignedUrls(settings), self.cache
        )
        links = LinkTable(_database(settings, "qr_redirect"))
        self.redirector = Redirector(links, self.cache)
        cleaned = _table(settings, "qr_cleanup")
        self.cleaner = Cleaner(cleaned, bulk, TOMBSTONE_DAYS, batch=2)
        self.sweeper = Sweeper(cleaned, bulk, page=2)
        self.scans = Scans(ScanTable(cleaned.database), self.cache, page=1)
        managed = _database(settings, "qr_manage")
        self.manager = Manager(
            OwnedTable(managed),
            Storage(settings),
            self.cache,
            Scans(ScanTable(managed), self.cache),
            grace=timedelta(days=GRACE_DAYS),
            batch=2,
        )


class Task:
    """An operation in an environment, with the failure that is drawn for it."""

    def __init__(
        self,
        history: "History",
        place: int,
        operation: str,
        run: Callable[[Environment], None],
    ) -> None:
        self.history = history
        self.place = place
        self.operation = operation
        self.crashed = False
        self.failed = False
        self.effects = 0
        random = history.random
        # By the number of the effect at which they happen.
        self.failures = {
            random.randrange(MOST_EFFECTS): random.choice(DRAWN)
            for _ in range(random.randrange(3))
        }
        self.green = greenlet(lambda: self._run(run))
        self.green.task = self

    def __str__(self) -> str:
        failures = [f"effect {at}: {what}" for at, what in self.failures.items()]
        return "; ".join([self.operation, *failures])

    def _run(self, run: Callable[[Environment], None]) -> None:
        try:
            run(self.history.environments[self.place])
        except Crashed:
            pass
        except Unavailable:
            if not self.history.may_be_unavailable:
                self.history.report(f"{self.operation} failed without a failure")
        except Exception as error:  # noqa: BLE001  whatever it is, it is no answer
            self.history.report(f"{self.operation} raised {error!r}")

    def cross(self, effect: str, do: Callable[[], Answer], lose: Lose) -> Answer:
        """Let others go first; then do the effect, or fail at it."""
        self.pause()
        failure = self.failures.get(self.effects)
        self.effects += 1
        if failure is None:
            return do()
        self.history.failed = True
        self.history.met[self.operation, effect, failure] += 1
        if failure == PAUSED:
            self.history.clock.shift(PAUSE)
            return do()
        if failure == LATE:
            if not effect.endswith("connect"):
                self.history.late.append(do)
            raise lose(True)
        if failure not in (Failure.CRASH_BEFORE, Failure.REFUSED):
            answer = do()
        if failure in (Failure.LOST, Failure.REFUSED):
            raise lose(False)
        self._crash()
        return answer  # never reached

    def pause(self) -> None:
        """Let the others go on; a process that has ended does nothing any more."""
        if not self.crashed:
            self.history.hub.switch()
        if self.crashed:
            raise Crashed

    def _crash(self) -> None:
        self.crashed = True
        self.history.replace_environment(self.place)
        raise Crashed


# What an owner can change: the end, the label, the target, and that after the end.
Values = tuple[datetime, str | None, str | None, str | None]


def values_of(row: models.Row) -> Values:
    """Return what an owner has changed of a code."""
    return row.expires_at, row.label, row.data, row.expired_url


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was made, to be repeated."""

    owner: str
    key: str | None
    text: str
    hours: float
    dynamic: bool = False
    expired_url: str | None = None


@dataclass
class Lives:
    """What owners did with their codes, and what of it may be hidden, by id."""

    earliest: dict[str, datetime] = field(default_factory=dict)  # end of a request
    sure: set[str] = field(default_factory=set)  # it was acknowledged
    changed: dict[str, tuple[int, Values]] = field(default_factory=dict)
    slugs: dict[str, str] = field(default_factory=dict)  # ids by slug
    ended: set[str] = field(default_factory=set)
    hidden_until: dict[str, datetime] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)  # in this step
    all_may_end: datetime | None = None  # since then, in this step
    mixed: set[str] = field(default_factory=set)  # owners whose codes and keys moved
    failed_at: datetime | None = None

    def may_end(self, qr_id: str, ends: datetime) -> None:
        """Note that a request is made which may end a code at this moment or later."""
        ends = ends.replace(microsecond=0)
        self.earliest[qr_id] = min(self.earliest.get(qr_id, ends), ends)
        self.touched.add(qr_id)

    def end_of(self, answer: Acknowledged) -> datetime:
        """Return the earliest end that an acknowledged code may have."""
        earliest = self.earliest.get(answer.qr_id, answer.expires_at)
        if answer.qr_id not in self.sure:
            earliest = min(earliest, answer.expires_at)
        return min(earliest, self.all_may_end or earliest)

    def end_step(self, made: Iterable[str], *, unsure: bool) -> None:
        """Note what the cache may not have learned in a step, or shortly before."""
        if self.all_may_end:
            for qr_id in made:
                self.may_end(qr_id, self.all_may_end)
            self.all_may_end = None
        now = datetime.now(UTC)
        if unsure:
            self.failed_at = now
        if self._failed_lately(now):  # the cache may be skipped still
            for qr_id in self.touched:
                self.hidden_until[qr_id] = now + HIDDEN
        self.touched.clear()

    def _failed_lately(self, now: datetime) -> bool:
        return self.failed_at is not None and now - self.failed_at <= LATELY

    def may_be_hidden(self, qr_id: str, *, failing: bool) -> bool:
        """Return whether a change of a code may be unknown to the cache.

        It is so for HIDDEN, and as long as something fails: nobody can look it up.
        """
        if qr_id in self.touched or self.all_may_end:
            return True
        if qr_id not in self.hidden_until:
            return False
        now = datetime.now(UTC)
        lately = self._failed_lately(now)
        return failing or lately or now <= self.hidden_until[qr_id]

    def violations(self, rows: dict[str, models.Row]) -> Iterator[str]:
        """Yield each acknowledged change and end that does not hold."""
        for slug, qr_id in self.slugs.items():
            if [row.id for row in rows.values() if row.slug == slug] != [qr_id]:
                yield f"{slug} no longer is that of {qr_id}"
        for qr_id, (revision, values) in self.changed.items():
            row = rows.get(qr_id)
            if row is None or row.erased_at:
                continue
            if row.revision < revision:
                yield f"a change of {qr_id} is lost"
            elif row.revision == revision and values_of(row) != values:
                yield f"{qr_id} is not as it was changed"
        for qr_id in self.ended:
            row = rows.get(qr_id)
            if row and row.due > datetime.now(UTC):
                yield f"{qr_id} was ended, and lives"


@dataclass
class History:
    """One history over fresh models; `found` are the promises that were broken."""

    random: Random
    clock: Any
    found: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    met: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    attempts: Counter[tuple[str, str]] = field(default_factory=Counter)
    requests: list[list[Request]] = field(default_factory=list)
    late: list[Callable[[], Any]] = field(default_factory=list)
    lives: Lives = field(default_factory=Lives)
    failed: bool = False
    concurrent: bool = False
    drew_used: bool = False
    focus: str = ""  # a code

    def __post_init__(self) -> None:
        self.hub = getcurrent()
        self.database = models.PostgreSQL(self._wait)
        self.s3 = models.S3(page=2)
        self.valkey = models.Valkey()
        self.environments = [Environment(SETTINGS), Environment(SETTINGS)]
        self.made: list[str] = []
        self.slugs: list[str] = []
        self.flushed: dict[tuple[str, Any, str], tuple[int, int]] = {}

    # ------------------------------------------------------------ of the boundary

    def cross(self, effect: str, do: Callable[[], Answer], lose: Lose) -> Answer:
        """Cross for the task that is running."""
        return self._task.cross(effect, do, lose)

    @property
    def _task(self) -> Task:
        return cast("Task", getcurrent().task)

    def _wait(self) -> None:
        self._task.pause()

    def connect(self) -> models.PostgreSQLConnection:
        """Return a connection of the environment of the running task."""
        connection = self.database.connect()
        self.environments[self._task.place].connections.append(connection)
        return connection

    def replace_environment(self, place: int) -> None:
        """End an environment: the database rolls back what it had begun."""
        for connection in self.environments[place].connections:
            connection.close()
        self.environments[place] = Environment(SETTINGS)

    @property
    def may_be_unavailable(self) -> bool:
        """Whether a request may answer 503: something failed, or two requests met."""
        return self.failed or self.concurrent

    def report(self, violation: str) -> None:
        """Note a broken promise."""
        self.found.append(f"after {len(self.steps)} steps: {violation}")

    # ------------------------------------------------------------------- its steps

    def run(self) -> None:
        """Take the steps, then let everything come to rest, and audit."""
        for _ in range(self.random.randrange(1, MOST_STEPS + 1)):
            self._step()
            while self.late:
                self._schedule([self._late_task()])
            self.lives.end_step(self.made, unsure=self.failed)
            self._audit()
            self.clock.shift(self.random.choice(MOVES))
            if not self.random.randrange(8):
                self.valkey.clear()
            if self.found:
                return
        self._rest()

    def _step(self) -> None:
        self.failed = False
        self.concurrent = self.random.randrange(3) == 0
        if self.made and self.random.randrange(2):
            self.focus = self.random.choice(self.made)
        tasks = []
        for place in range(2 if self.concurrent else 1):
            operation, run = self._operation()
            tasks.append(Task(self, place, operation, run))
        self.steps.append(" | ".join(map(str, tasks)))
        self._schedule(tasks)

    def _schedule(self, tasks: list[Task]) -> None:
        while tasks:
            task = tasks[0] if len(tasks) == 1 else self.random.choice(tasks)
            task.green.switch()
            if not task.green:  # it has ended
                tasks.remove(task)
            if self.late and self.random.randrange(4) == 0:
                tasks.append(self._late_task())

    def _late_task(self) -> Task:
        """Return a task that does what a server does after its client has given up."""
        do = self.late.pop(0)

        def run(_: Environment) -> None:
            with suppress(psycopg2.InterfaceError):  # its session has ended
                do()

        return Task(self, 0, "late", run)

    def _operation(self) -> tuple[str, Callable[[Environment], None]]:
        draw = self.random.randrange(25) if self.made else 0
        if draw < 10:
            requests = self._new_requests() if draw < 6 else self._repeated_requests()
            name = "generate" if len(requests) == 1 else "batch"
            return name, self._generate(requests)
        if draw < 14:
            return self._look_up()
        if draw < 19:
            return self._manage(self._some_code())
        if draw < 24:
            return "cleanup", self._clean_up(self.random.choice(SLICES))
        return "migrate", self._migrate()

    def _look_up(self) -> tuple[str, Callable[[Environment], None]]:
        """Return what somebody does who has an id, or a printed code."""
        qr_id = self._some_code()
        row = self.database.rows.get(qr_id)
        if row and row.slug and self.random.randrange(4):
            return "scan", self._scan(row.slug)
        if self.slugs and not self.random.randrange(8):
            return "scan", self._scan(self.random.choice(self.slugs))
        return "retrieve", self._retrieve(qr_id)

    def _some_code(self) -> str:
        """Return a code, often one for several requests: there they meet."""
        return self.random.choice(
            [self.focus or self.made[0], *self.random.choices(self.made)]
        )

    def _new_requests(self) -> list[Request]:
        """Return a request, or the items of a batch: with a key each, or without."""
        keys = [self.random.choice(KEYS)]
        if not self.random.randrange(3):
            keys = self.random.choice([BATCH_KEYS, BATCH_KEYS[::-1], [None, None]])
        owner = f"owner-{len(self.requests) + 9}"
        if keys[0]:
            owner = self.random.choice(OWNERS)
        self.requests.append([self._request(owner, key) for key in keys])
        return self.requests[-1]

    def _request(self, owner: str, key: str | None) -> Request:
        text, hours = self.random.choice(TEXTS), self.random.choice(HOURS)
        if self.random.randrange(2):
            return Request(owner, key, text, hours)
        over = self.random.choice(OVER)
        target = self.random.choice(TARGETS)
        return Request(owner, key, target, hours, True, over)

    def _repeated_requests(self) -> list[Request]:
        first, *others = self.random.choice(self.requests)
        if self.random.randrange(4) == 0:
            texts = TARGETS if first.dynamic else TEXTS
            first = replace(first, text=self.random.choice(texts))
        return [first, *others]

    def uuid4(self) -> UUID:
        """Return the next id; it begins with one of SLICES."""
        first = int(self.random.choice(SLICES), 16)
        middle = self.random.getrandbits(16)
        made = UUID(int=first << 120 | middle << 96 | len(self.made), version=4)
        self.made.append(str(made))
        return made

    def new_slug(self) -> str:
        """Return a slug, which another code may have, but never two times in a row."""
        if self.slugs and not self.random.randrange(4) and not self.drew_used:
            self.drew_used = True
            return self.random.choice(self.slugs)
        self.drew_used = False
        self.slugs.append(f"{len(self.slugs):08}")
        return self.slugs[-1]

    def _generate(self, requests: list[Request]) -> Callable[[Environment], None]:
        orders = [
            Order(_parsed(each), each.key, with_image=_with_image(requests))
            for each in requests
        ]
        owner = requests[0].owner

        def run(environment: Environment) -> None:
            for request in requests:
                self.attempts[owner, request.text] += 1
            living = [self._of_key(request) for request in requests]
            outcomes = environment.generator.generate_all(orders, owner)
            for each in zip(requests, living, outcomes, strict=True):
                self._check_generated(*each, with_image=_with_image(requests))

        return run

    def _check_generated(
        self,
        request: Request,
        living: list[Acknowledged],
        outcome: Outcome,
        *,
        with_image: bool,
    ) -> None:
        """Note an answer; `living` are those of its key before the request."""
        digest = _parsed(request).digest
        if isinstance(outcome, IdempotencyMismatch):
            if not self.concurrent and not self._is_other(request, digest):
                self.report("a key was refused to its own request")
            return
        if isinstance(outcome, Exception):
            if not (isinstance(outcome, Unavailable) and self.may_be_unavailable):
                self.report(f"a code was not created: {outcome!r}")
            return
        body, text = without_image(outcome.body)
        if text != (body.get("short_url", request.text) if with_image else ""):
            self.report("an answer with another image")
        acknowledged = Acknowledged(
            request.owner,
            request.key,
            digest,
            body,
            datetime.fromisoformat(body["expires_at"]),
            timedelta(hours=request.hours),
        )
        # Another request may have ended one meanwhile.
        living = [other for other in living if other in self._of_key(request)]
        if any(other.qr_id != acknowledged.qr_id for other in living):
            self.report("a key in use made another code")
        self.acknowledged.append(acknowledged)
        if "short_url" in body:
            slug = body["short_url"].rpartition("/")[2]
            known = self.lives.slugs.setdefault(slug, acknowledged.qr_id)
            if known != acknowledged.qr_id:
                self.report(f"{slug} was given to {acknowledged.qr_id} too")

    def _scan(self, slug: str) -> Callable[[Environment], None]:
        def run(environment: Environment) -> None:
            qr_id = self.lives.slugs.get(slug)
            known = next((a for a in self.acknowledged if a.qr_id == qr_id), None)
            try:
                found = environment.redirector.find(slug)
            except NotFound:
                if known:
                    self.report(f"{slug} was not found")
            except Expired:
                if known and self._left(known) > LEAST_LIFE:
                    self.report(f"{slug} was called ended")
            else:
                self._check_scanned(slug, found)
                scanner = self.random.choice(SCANNERS)
                for _ in range(self.random.randrange(3)):
                    environment.redirector.count(found, scanner)

        return run

    def _check_scanned(self, slug: str, found: Destination) -> None:
        qr_id = found.link.qr_id
        if self.lives.slugs.get(slug, qr_id) != qr_id:
            self.report(f"{slug} leads to the target of {qr_id}")
        if self.lives.may_be_hidden(qr_id, failing=self.failed):
            return
        row = self.database.rows.get(qr_id)
        now = datetime.now(UTC)
        if row is None:
            self.report(f"{slug} leads somewhere without a code")
        elif found.is_over:
            if found.url != row.expired_url:
                self.report(f"{slug} leads to another address after its end")
            elif row.expires_at - now > LEAST_LIFE:
                self.report(f"{slug} leads to its address after the end before it")
        elif row.expires_at <= now:
            self.report(f"{slug} leads to its target after the end")
        elif found.url != row.data:
            self.report(f"{slug} leads to an earlier target")

    def _of_key(self, request: Request) -> list[Acknowledged]:
        """Return the acknowledged answers of a key whose codes live for a while yet."""
        soon = datetime.now(UTC) + 30 * PAUSE
        return [
            answer
            for answer in self.acknowledged
            if request.key
            and request.owner not in self.lives.mixed
            and (answer.owner, answer.key) == (request.owner, request.key)
            and self.lives.end_of(answer) > soon
        ]

    def _is_other(self, request: Request, digest: bytes) -> bool:
        """Return whether a row holds a request's key for another body."""
        return request.owner in self.lives.mixed or any(
            (row.owner, row.idempotency_key) == (request.owner, request.key)
            and row.request_digest != digest
            for row in self.database.rows.values()
        )

    def _retrieve(self, qr_id: str) -> Callable[[Environment], None]:
        def run(environment: Environment) -> None:
            known = next((a for a in self.acknowledged if a.qr_id == qr_id), None)
            try:
                environment.retriever.health()
                found = environment.retriever.retrieve(qr_id)
            except NotFound:
                if known and self._left(known) > -timedelta(days=TOMBSTONE_DAYS):
                    self.report(f"{qr_id} was not found")
            except Expired:
                if known and self._left(known) > LEAST_LIFE:
                    self.report(f"{qr_id} was called expired")
            else:
                self._check_retrieved(qr_id, found)

        return run

    def _left(self, answer: Acknowledged) -> timedelta:
        """Return how long an acknowledged code lives at least."""
        return self.lives.end_of(answer) - datetime.now(UTC)

    def _check_retrieved(self, qr_id: str, found: Retrieved) -> None:
        if self.lives.may_be_hidden(qr_id, failing=self.failed):
            return
        row = self.database.rows.get(qr_id)
        if row is None or row.expires_at <= datetime.now(UTC):
            self.report(f"{qr_id} was handed out after its end")
        elif row.object_key not in self.s3.objects:
            self.report(f"{qr_id} was handed out without an image")
        elif found.url_expires_at > row.expires_at:
            self.report(f"the URL of {qr_id} lasts longer than the code")

    def _manage(self, qr_id: str) -> tuple[str, Callable[[Environment], None]]:
        """Return what the owner of a code does, or somebody who is not its owner."""
        row = self.database.rows.get(qr_id)
        owner = row.owner if row and row.owner else self.random.choice(OWNERS)
        if not self.random.randrange(8):
            owner = "somebody else"
        draw = self.random.randrange(11)
        if draw > 8:
            return self._manage_all(owner)
        if draw == 8:
            return "read", self._refused(
                qr_id, owner, None, lambda manager: manager.read(owner, qr_id)
            )
        if draw == 7:
            return "scans", self._scans_of(qr_id, owner)
        if draw > 3:
            return "end", self._end(qr_id, owner)
        return "change", self._change(qr_id, owner)

    def _manage_all(self, owner: str) -> tuple[str, Callable[[Environment], None]]:
        """Return what is done with all codes of an owner."""
        match self.random.randrange(3):
            case 0:
                return "list", self._list(owner)
            case 1:
                return "end owner", self._end_owner(owner)
        target = self.random.choice([each for each in OWNERS if each != owner])
        return "transfer", self._transfer(owner, target)

    def _list(self, owner: str) -> Callable[[Environment], None]:
        def run(environment: Environment) -> None:
            listed: list[str] = []
            query = manage.parse_query({"limit": "2"})
            last = True
            while last:
                page, following = environment.manager.living(owner, query)
                listed += [each.code.qr_id for each in page]
                last = following is not None
                if following:
                    after = (following.created_at, following.code.qr_id)
                    query = dataclasses.replace(query, after=after)
            now = datetime.now(UTC)
            living = {
                row.id
                for row in self.database.rows.values()
                if row.owner == owner and row.due > now
            }
            if not self.may_be_unavailable and sorted(listed) != sorted(living):
                self.report(f"{owner} was shown {listed} of {living}")

        return run

    def _refused(
        self,
        qr_id: str,
        owner: str,
        revision: int | None,
        act: Callable[[Manager], Any],
    ) -> Callable[[Environment], None]:
        """Return a request about one code, which is refused only for a reason."""

        def run(environment: Environment) -> None:
            row = self.database.rows.get(qr_id)
            now = datetime.now(UTC)
            may = row is not None and row.owner == owner and row.due > now
            may = may and revision in (None, row and row.revision)
            try:
                act(environment.manager)
            except (NotFound, Expired, PreconditionFailed) as error:
                late = row and row.due - datetime.now(UTC) < LEAST_LIFE
                if may and not late and not self.may_be_unavailable:
                    self.report(f"{qr_id} was refused to its owner: {error!r}")
            else:
                if not may and not self.may_be_unavailable:
                    self.report(f"{qr_id} was not refused to {owner}")

        return run

    def _change(self, qr_id: str, owner: str) -> Callable[[Environment], None]:
        row = self.database.rows.get(qr_id)
        patch = self._patch(dynamic=bool(row and row.slug))
        revision = (row.revision if row else 1) + self.random.choice((0, 0, 0, 1))

        def act(manager: Manager) -> None:
            if patch.expiration_hours:
                life = timedelta(hours=patch.expiration_hours)
                self.lives.may_end(qr_id, datetime.now(UTC) + life)
            self.lives.touched.add(qr_id)
            before = self.database.rows.get(qr_id)
            had_ended = before and before.expires_at - datetime.now(UTC) < LEAST_LIFE
            changed = manager.change(owner, qr_id, patch, revision.__eq__)
            code = changed.code
            values = (code.expires_at, changed.label, changed.data, changed.expired_url)
            self.lives.changed[qr_id] = (code.revision, values)
            # A key is free once its code has ended, even if that is brought back.
            if patch.expiration_hours and not (self.concurrent or had_ended):
                self.lives.earliest[qr_id] = code.expires_at
                self.lives.sure.add(qr_id)

        return self._refused(qr_id, owner, revision, act)

    def _patch(self, *, dynamic: bool) -> Patch:
        """Return a change of a code: of its end, its label, its targets."""
        choices: dict[str, Any] = {
            "expiration_hours": self.random.choice(HOURS),
            "label": self.random.choice(TEXTS),
        }
        if dynamic:
            choices["data"] = self.random.choice(TARGETS)
            choices["expired_url"] = self.random.choice(OVER)
        names = self.random.sample(sorted(choices), self.random.randint(1, 2))
        return Patch(names, **{name: choices[name] for name in names})

    def _scans_of(self, qr_id: str, owner: str) -> Callable[[Environment], None]:
        def run(environment: Environment) -> None:
            row = self.database.rows.get(qr_id)
            try:
                days = environment.manager.scans_of(owner, qr_id, date.min, date.max)
            except (NotFound, Expired, NotDynamic):
                return
            is_owner = row is not None and row.owner == owner
            if not is_owner and not self.may_be_unavailable:
                self.report(f"the scans of {qr_id} were shown to {owner}")
            people = sum(day.people for day in days)
            counted = sum(
                number
                for (of, _, _, scanner), number in self.valkey.counted.items()
                if (of, scanner) == (qr_id, "people")
            )
            if people > counted:
                self.report(f"{qr_id} was scanned {counted} times, not {people}")

        return run

    def _end(self, qr_id: str, owner: str) -> Callable[[Environment], None]:
        row = self.database.rows.get(qr_id)
        is_owner = row is not None and row.owner == owner
        slug = row.slug if row and is_owner and self.random.randrange(2) else None

        def act(manager: Manager) -> None:
            self.lives.may_end(qr_id, datetime.now(UTC))
            if slug:  # an operator does it
                manager.end_any(slug)
            else:
                manager.end(owner, qr_id, None)
            self.lives.ended.add(qr_id)

        return self._refused(qr_id, owner, None, act)

    def _end_owner(self, owner: str) -> Callable[[Environment], None]:
        def run(environment: Environment) -> None:
            rows = [row for row in self.database.rows.values() if row.owner == owner]
            if self.lives.all_may_end is None:
                self.lives.all_may_end = datetime.now(UTC).replace(microsecond=0)
            progress = environment.manager.end_owner(owner, lambda: True)
            if not self.concurrent:
                self.lives.ended.update(row.id for row in rows)
            if not progress.complete:
                self.report(f"the codes of {owner} were not all ended")

        return run

    def _transfer(self, source: str, target: str) -> Callable[[Environment], None]:
        def run(environment: Environment) -> None:
            self.lives.mixed.update((source, target))
            environment.manager.transfer(source, target, lambda: True)
            left = [row for row in self.database.rows.values() if row.owner == source]
            if left and not self.may_be_unavailable:
                self.report(f"{source} still has codes")

        return run

    def _clean_up(self, prefix: str) -> Callable[[Environment], None]:
        def run(environment: Environment) -> None:
            environment.cleaner.clean_up(lambda: 3600.0)
            environment.scans.flush(lambda: True)
            environment.sweeper.sweep([prefix], lambda: True)

        return run

    def _migrate(self) -> Callable[[Environment], None]:
        def run(_: Environment) -> None:
            try:
                with closing(
                    connect_with_retries(SETTINGS, lambda: 60.0)
                ) as connection:
                    migrations.apply(connection, WANTED)
            except (SafeError, psycopg2.Error, TimeoutError):
                if not self.failed:
                    raise

        return run

    # --------------------------------------------------------------- its judgement

    def _audit(self) -> None:
        days = timedelta(days=TOMBSTONE_DAYS)
        mixed = self.lives.mixed
        ends = {each.qr_id: self.lives.end_of(each) for each in self.acknowledged}
        attempts = {of: n for of, n in self.attempts.items() if of[0] not in mixed}
        for violation in violations(
            self._state(), map(self._owned, self.acknowledged), attempts, days, ends
        ):
            self.report(violation)
        for violation in self.lives.violations(self.database.rows):
            self.report(violation)
        for violation in (*self._miscounted(), *self._outdated()):
            self.report(violation)

    def _miscounted(self) -> Iterator[str]:
        """Yield each number of scans that is flushed twice, or lost again."""
        scans = self.database.scans
        for key, (people, bots) in scans.items():
            qr_id, day, life = key
            of = (qr_id, f"{day}", life)
            counted = self.valkey.counted
            if people > counted[*of, "people"] or bots > counted[*of, "bots"]:
                yield f"scans of {qr_id} are counted twice"
            if not self.database.rows[qr_id].count:
                yield f"scans of {qr_id} are counted, which nobody wants"
        for key, (people, bots) in self.flushed.items():
            row = self.database.rows[key[0]]
            now = scans.get(key, (0, 0))
            if row.erased_at is None and (now[0] < people or now[1] < bots):
                yield f"scans of {row.id} were flushed, and are lost"
        self.flushed = dict(scans)

    def _outdated(self) -> Iterator[str]:
        """Yield each code of which the cache believes what was changed since."""
        now = datetime.now(UTC)
        ids = {row.slug: row.id for row in self.database.rows.values() if row.slug}
        for key, entry in self._entries():
            name = key.partition(":")[2]
            row = self.database.rows.get(ids.get(name, name))
            if (
                row
                and entry.revision < row.revision
                and entry.fresh_until > now
                and not self.lives.may_be_hidden(row.id, failing=False)
            ):
                yield f"the cache believes an earlier revision of {row.id}"

    def _owned(self, answer: Acknowledged) -> Acknowledged:
        """Return an answer with what is known of its owner after transfers."""
        if answer.owner not in self.lives.mixed:
            return answer
        row = self.database.rows.get(answer.qr_id)
        owner = row.owner if row and row.owner else answer.owner
        return replace(answer, owner=owner, key=None)

    def _rest(self) -> None:
        """Clean up and sweep without failures, when every orphan is old enough."""
        self.clock.shift(GRACE + timedelta(seconds=2))
        self.failed = self.concurrent = False
        operations = [("cleanup", self._clean_up(prefix)) for prefix in SLICES]
        for operation, run in [*operations, ("migrate", self._migrate())]:
            task = Task(self, 0, operation, run)
            task.failures = {}
            self._schedule([task])
        self._audit()
        for (qr_id, day, life, scanner), number in self.valkey.counted.items():
            counter = self.valkey.hmget(f"scans:{day}", ["generation"])[0]
            if self.database.rows[qr_id].erased_at or counter != life.encode():
                continue
            key = (qr_id, date.fromisoformat(day), life)
            flushed = self.database.scans.get(key, (0, 0))
            if flushed[scanner == "bots"] != number:
                self.report(f"scans of {qr_id} were not flushed")
        if self.database.rows:  # an empty table deletes nothing
            for violation in leftovers(self._state()):
                self.report(violation)
        if self.database.migrated != [migration.sql for migration in WANTED]:
            self.report("a migration was not applied exactly once")
        if self.database.record != [migration.version for migration in WANTED]:
            self.report("the record of migrations is wrong")

    def _state(self) -> State:
        return State(
            now=datetime.now(UTC),
            rows=self.database.rows,
            objects=frozenset(self.s3.objects),
            entries=dict(self._entries()),
            read=lambda key: self.s3.objects[key].body,
        )

    def _entries(self) -> Iterator[tuple[str, Entry]]:
        now = datetime.now(UTC).timestamp()
        for key, (value, forget_at) in self.valkey.entries.items():
            if forget_at > now:
                yield key, Entry.of(value, forget_at)


def _with_image(requests: list[Request]) -> bool:
    """Return whether the image is included, which a batch has not."""
    return len(requests) == 1 and requests[0].hours == HOURS[0]


@cache
def _parsed(request: Request) -> GenerateRequest:
    fields: dict[str, Any] = {
        "data": request.text,
        "expiration_hours": request.hours,
    }
    if request.dynamic:
        fields["dynamic"] = True
    if request.expired_url:
        fields["expired_url"] = request.expired_url
    return parse(json.dumps(fields).encode(), SETTINGS)


@cache
def _proven(text: str) -> Proof:
    return prove(_parsed(Request("", None, TEXTS[0], 1)), text)


def _prove(request: GenerateRequest, printed: str | None = None) -> Proof:
    return _proven(printed or request.data)


@contextmanager
def service(history: History) -> Iterator[None]:
    """Let the service work on a history's models, with its ids."""
    clients = _Clients(history)
    with (
        installed(history, clients),
        patch.object(generation, "uuid4", history.uuid4),
        patch.object(generation, "prove", _prove),
        patch.object(generation, "random_slug", history.new_slug),
        patch.object(metrics, "add_metric", lambda *_, **__: None),  # a tenth of all
    ):
        yield


@dataclass(frozen=True, slots=True)
class _Clients:
    history: History

    def postgresql(self, _: Settings) -> Any:
        return self.history.connect()

    def valkey(self, _: Settings) -> Any:
        return self.history.valkey

    def http(self, *_: object) -> Any:
        return models.S3Connection(self.history.s3)

    def s3(self, *_: object) -> Any:
        return self.history.s3


def run(random: Random) -> History:
    """Run one history and return it."""
    with time_machine.travel(START, tick=False) as clock:
        history = History(random, clock)
        try:
            with service(history):
                history.run()
        finally:
            metrics.clear_metrics()
    return history
