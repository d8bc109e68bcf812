"""`POST /generate`: from text to a verified image in S3, and its row in PostgreSQL.

The order ensures that a row never exists without its object: put the object, insert the
row, fill the cache, answer. A failure in between leaves at most an object without a
row. That object is deleted if the row is known to be missing. If this is unknown, the
sweep deletes the object later. Many codes are created in the same way: each object is
put before all rows are inserted together.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from qr_service.codes import Code, Link, file_name, is_expired, object_key
from qr_service.config import Settings
from qr_service.edge.request import GenerateRequest
from qr_service.engine.images import CONTENT_TYPES, Image
from qr_service.engine.style import Format
from qr_service.errors import (
    DatabaseUnavailable,
    IdempotencyMismatch,
    OutOfTime,
    QRError,
    StorageUnavailable,
    timestamp,
)
from qr_service.proving import Proof, data_url, prove, random_slug, short_url
from qr_service.stores.cache import Cache
from qr_service.stores.storage import Storage
from qr_service.stores.table import (
    CodeTable,
    Dynamic,
    EarlierAnswer,
    Inserted,
    Record,
)
from qr_service.telemetry import logger, metrics

# Tries to find a slug that no code has: a second one is rare, see docs/security.md.
SLUG_TRIES = 5


@dataclass(frozen=True, slots=True)
class Order:
    """A code to be created; with its key, at most once.

    The answer has the image as a data URL if it is to be `with_image`; what is stored
    to be replayed has not.
    """

    request: GenerateRequest
    idempotency_key: str | None = None
    with_image: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of a 201; `replayed` is true if an earlier request created the code."""

    body: dict[str, Any]
    replayed: bool = False


# What becomes of an order: an exception that is no QRError is a fault of the service.
Outcome = Answer | Exception


@dataclass(slots=True)
class Job:
    """An order, and how far it is."""

    order: Order
    record: Record = field(init=False)
    image: Image = field(init=False)
    outcome: Outcome | None = None


# Does something with each job, like `map`, in any order.
Spread = Callable[[Callable[[Job], Any], Iterable[Job]], Iterable[Any]]


@dataclass(frozen=True, slots=True)
class CodeGenerator:
    """The generator of codes."""

    table: CodeTable
    storage: Storage
    cache: Cache
    settings: Settings

    def generate(self, order: Order, owner: str) -> Answer:
        """Create and store a code, or replay the answer stored with the key.

        Raises DataTooLong, Unscannable, IdempotencyMismatch, DynamicUnavailable,
        BadField (too wide or too small), StorageUnavailable and DatabaseUnavailable.
        """
        (outcome,) = self.generate_all([order], owner)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def generate_all(
        self,
        orders: Sequence[Order],
        owner: str,
        *,
        spread: Spread = map,
        in_time: Callable[[], bool] = lambda: True,
    ) -> list[Outcome]:
        """Return what becomes of each order: one that fails spoils no other.

        No two have the same key. Images are put by `spread`, and an order for which it
        is no longer `in_time` is not begun: OutOfTime.

        Raises DatabaseUnavailable if keys cannot be looked up: nothing is done then.
        """
        jobs = [Job(order) for order in orders]
        self._replay_known(jobs, owner)
        for _ in range(SLUG_TRIES):
            waiting = [job for job in jobs if job.outcome is None]
            if not waiting:
                break
            self._create(waiting, owner, spread, in_time)
        unlucky = DatabaseUnavailable(maybe_executed=False)
        return [job.outcome or unlucky for job in jobs]

    def _replay_known(self, jobs: list[Job], owner: str) -> None:
        """Replay what is stored with a key, unless its code has ended."""
        keyed = {key: job for job in jobs if (key := job.order.idempotency_key)}
        if not keyed:
            return
        expired = []
        for key, earlier in self.table.find_answers(owner, [*keyed]).items():
            if is_expired(earlier.expires_at, datetime.now(UTC)):
                expired.append(earlier.qr_id)
            else:
                keyed[key].outcome = self._replay(earlier, keyed[key].order)
        if expired:
            self.table.free_keys(expired)

    def _create(
        self,
        jobs: list[Job],
        owner: str,
        spread: Spread,
        in_time: Callable[[], bool],
    ) -> None:
        """Create codes; a job without an outcome had a slug that is in use."""
        for _ in spread(self._put, self._made(jobs, owner, in_time)):
            pass
        put = [job for job in jobs if job.outcome is None]
        for _ in spread(self._discard, self._insert(put, owner)):
            pass

    def _insert(self, jobs: list[Job], owner: str) -> list[Job]:
        """Insert rows together; return the jobs whose object is known to be unused."""
        if not jobs:
            return []
        try:
            inserted = self.table.insert([job.record for job in jobs])
        except Exception as error:  # noqa: BLE001  it is what becomes of the jobs
            for job in jobs:
                job.outcome = error
            maybe = isinstance(error, DatabaseUnavailable) and error.maybe_executed
            return [] if maybe else jobs
        unused, taken = [], []
        for job, outcome in zip(jobs, inserted, strict=True):
            if outcome is Inserted.STORED:
                job.outcome = self._stored(job)
                continue
            unused.append(job)
            if outcome is Inserted.KEY_TAKEN:
                taken.append(job)
        self._replay_winners(taken, owner)
        return unused

    def _made(
        self, jobs: list[Job], owner: str, in_time: Callable[[], bool]
    ) -> Iterator[Job]:
        """Yield the jobs that have an image; the others have failed."""
        for job in jobs:
            if not in_time():
                job.outcome = OutOfTime()
                continue
            try:
                self._make(job, owner)
            except Exception as error:  # noqa: BLE001  it spoils no other job
                job.outcome = error
            else:
                yield job

    def _make(self, job: Job, owner: str) -> None:
        """Make a new code with an id, and if it is dynamic a slug, of its own."""
        request = job.order.request
        if not request.dynamic:
            proof = prove(request)
            job.image = proof.image
            job.record = _record(job.order, proof, owner)
            return
        slug = random_slug()
        printed = short_url(self.settings, slug)
        proof = prove(request, printed)
        record = _record(job.order, proof, owner)
        code = record.code
        link = Link(
            slug,
            code.expires_at,
            code.qr_id,
            request.data,
            request.expired_url,
            request.count,
        )
        kept_until = code.expires_at + timedelta(days=self.settings.grace_days)
        job.image = proof.image
        job.record = replace(
            record,
            dynamic=Dynamic(link, printed, kept_until),
            answer={**record.answer, "short_url": printed},
        )

    def _put(self, job: Job) -> None:
        key = job.record.code.object_key
        try:
            name = file_name(job.record.label, key)
            self.storage.put(key, job.image.body, job.image.content_type, name)
        except Exception as error:  # noqa: BLE001  it is what becomes of the job
            self._discard(job)
            job.outcome = error
        if not job.order.with_image:
            del job.image  # a hundred of them may be large

    def _discard(self, job: Job) -> None:
        key = job.record.code.object_key
        try:
            self.storage.delete(key)
        except StorageUnavailable:
            logger.warning("object left to the sweep", object_key=key)

    def _stored(self, job: Job) -> Answer:
        record = job.record
        self.cache.codes.put(record.code, record.created_at)
        if record.dynamic:
            self.cache.links.put(record.dynamic.link, record.created_at)
        metrics.add_metric("CodesGenerated", unit="Count", value=1)
        if not job.order.with_image:
            return Answer(record.answer)
        image = data_url(job.image.content_type, job.image.body)
        return Answer({**record.answer, "image": image})

    def _replay_winners(self, jobs: list[Job], owner: str) -> None:
        """Replay what other requests stored in the meantime with the same keys."""
        if not jobs:
            return
        try:
            keys = [job.order.idempotency_key or "" for job in jobs]
            found = self.table.find_answers(owner, keys)
        except QRError as error:
            for job in jobs:
                job.outcome = error
            return
        for job in jobs:
            earlier = found.get(job.order.idempotency_key or "")
            if earlier is None:  # erased in the meantime: the key is free again
                job.outcome = DatabaseUnavailable(maybe_executed=False)
            else:
                job.outcome = self._replay(earlier, job.order)

    def _replay(self, earlier: EarlierAnswer, order: Order) -> Outcome:
        if earlier.request_digest != order.request.digest:
            return IdempotencyMismatch(
                "This Idempotency-Key was used before with another body.",
                field="Idempotency-Key",
            )
        body = earlier.answer
        if order.with_image:
            form: Format = body["format"]
            try:
                image = self.storage.get(object_key(earlier.qr_id, form))
            except StorageUnavailable as error:
                return error
            body = {**body, "image": data_url(CONTENT_TYPES[form], image)}
        return Answer(body, replayed=True)


def _record(order: Order, proof: Proof, owner: str) -> Record:
    request = order.request
    now = datetime.now(UTC)
    qr_id = str(uuid4())
    life = timedelta(hours=request.expiration_hours)
    expires_at = (now + life).replace(microsecond=0)
    options = asdict(proof.style)
    del options["logo"]  # the image contains it; a second copy has no use
    return Record(
        code=Code(
            qr_id=qr_id,
            expires_at=expires_at,
            object_key=object_key(qr_id, request.style.format),
            content_type=proof.image.content_type,
        ),
        owner=owner,
        data=request.data,
        options={
            "error_correction": request.error_correction,
            "boost_error_correction": request.boost_error_correction,
            "eci": request.eci,
            **options,
        },
        created_at=now.replace(microsecond=0),
        idempotency_key=order.idempotency_key,
        request_digest=request.digest,
        answer={
            "qr_id": qr_id,
            "expires_at": timestamp(expires_at),
            **proof.as_dict(),
        },
        label=request.label,
    )
