"""The auditor: what the stores hold, against each other and what clients were answered.

It takes plain data, so it judges the models, the real servers and the state of `make
run` alike.
"""

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from io import BytesIO
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any, Self

import zxingcpp
from PIL import Image as Raster
from qr_service.codes import LEAST_LIFE
from qr_service.engine.readback import drawn
from qr_service.errors import timestamp
from qr_service.stores.cache import EXPIRED_SECONDS, FRESH_SECONDS

from proof.models import Row


@dataclass(frozen=True, slots=True)
class Entry:
    """A cached code or link; `leads_to` is empty if it is cached as expired.

    It is the key of the image, or the target.
    """

    expires_at: datetime
    leads_to: str
    forget_at: datetime
    revision: int
    fresh_until: datetime

    @classmethod
    def of(cls, value: bytes, forget_at: float) -> Self:
        """Return the entry with this value, forgotten at this second."""
        kept = json.loads(value)
        return cls(
            datetime.fromtimestamp(kept["expires_at"], UTC),
            kept["object_key"] if "object_key" in kept else kept["target"],
            datetime.fromtimestamp(forget_at, UTC),
            kept["revision"],
            datetime.fromtimestamp(kept["fresh_until"], UTC),
        )


@dataclass(frozen=True, slots=True)
class State:
    """What the stores hold at `now`: rows by id, entries by key.

    `read` returns the image with this object key.
    """

    now: datetime
    rows: Mapping[str, Row]
    objects: frozenset[str]
    entries: Mapping[str, Entry]
    read: Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """An answer of 201 that a client has received."""

    owner: str
    key: str | None
    digest: bytes
    answer: Mapping[str, Any]
    expires_at: datetime
    life: timedelta

    @property
    def qr_id(self) -> str:
        """The id of the code."""
        return str(self.answer["qr_id"])


def violations(
    state: State,
    acknowledged: Iterable[Acknowledged],
    attempts: Mapping[tuple[str, str], int],
    tombstones: timedelta,
    earliest: Mapping[str, datetime] | None = None,
) -> Iterator[str]:
    """Yield every broken promise.

    `attempts` is how many requests were made by owner and text; `tombstones` is how
    long a tombstone is kept; `earliest` is, by id, the earliest end that a code may
    have which its owner has changed.
    """
    yield from _of_rows(state, attempts)
    yield from _of_entries(state)
    answers = list(acknowledged)
    ends = {answer.qr_id: answer.expires_at for answer in answers} | {
        **(earliest or {})
    }
    for answer in answers:
        yield from _of_answer(state, answer, ends[answer.qr_id] + tombstones)
    yield from _of_keys(answers, ends)


def leftovers(state: State) -> Iterator[str]:
    """Yield what a complete cleanup and a complete sweep must have taken away."""
    named = {row.object_key for row in state.rows.values() if row.erased_at is None}
    for key in sorted(state.objects - named):
        yield f"{key} has no row"
    for row in state.rows.values():
        if row.erased_at is None and row.due <= state.now:
            yield f"{row.id} is due and is not erased"


@lru_cache(256)
def text_of(body: bytes) -> str:
    """Return the text that zxing-cpp reads in an image file; "" if none."""
    picture = drawn(body)
    if picture is None:
        raster = Raster.open(BytesIO(body)).convert("RGBA")
        paper = Raster.new("RGBA", raster.size, "white")
        picture = Raster.alpha_composite(paper, raster)
    found = zxingcpp.read_barcode(picture.convert("L"))
    return found.text if found else ""


def without_image(answer: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return an answer without its image, and the text in that; "" if it has none."""
    kept = {**answer}
    url = kept.pop("image", None)
    return kept, text_of(base64.b64decode(url.partition(",")[2])) if url else ""


def _of_rows(state: State, attempts: Mapping[tuple[str, str], int]) -> Iterator[str]:
    made: Counter[tuple[str, str]] = Counter()
    with_object = {PurePosixPath(key).stem for key in state.objects}
    for row in state.rows.values():
        if row.erased_at is None:
            first = json.loads(row.targets)[-1]["data"] if row.targets else row.data
            made[str(row.owner), str(first)] += 1
            yield from _of_code(state, row)
            continue
        if row.id in with_object:
            yield f"{row.id} is erased, and its object is there"
        if row.erased_at < row.expires_at:
            yield f"{row.id} was erased before its end"
    for request, count in made.items():
        if count > attempts.get(request, count):
            yield f"{request[0]} has {count} codes of fewer requests"


def _of_code(state: State, row: Row) -> Iterator[str]:
    if row.answer is not None and json.loads(row.answer)["qr_id"] != row.id:
        yield f"{row.id} keeps the answer about another code"
    if row.due <= state.now:
        return  # its object may be gone already
    if row.object_key not in state.objects:
        yield f"{row.id} has no object"
    elif text_of(state.read(row.object_key)) != (row.printed or row.data):
        yield f"{row.id} has an image of another text"


def _of_entries(state: State) -> Iterator[str]:
    ids = {row.slug: row.id for row in state.rows.values() if row.slug}
    for key, entry in state.entries.items():
        kind, _, name = key.partition(":")
        qr_id = ids.get(name, name) if kind == "slug" else name
        bound = entry.expires_at
        if not entry.leads_to:
            bound = state.now + timedelta(seconds=EXPIRED_SECONDS)
        if entry.forget_at > bound:
            yield f"the cache keeps {qr_id} beyond its bound"
        if entry.fresh_until > state.now + timedelta(seconds=FRESH_SECONDS):
            yield f"the cache is believed for too long about {qr_id}"
        row = state.rows.get(qr_id)
        if row is None:
            if entry.leads_to and entry.fresh_until > state.now < entry.expires_at:
                yield f"the cache holds {qr_id}, which has no row"
        elif row.revision < entry.revision:
            yield f"the cache holds a revision of {qr_id} that does not exist"
        elif row.revision == entry.revision:
            yield from _of_known(row, entry, row.data if kind == "slug" else None)


def _of_known(row: Row, entry: Entry, target: str | None) -> Iterator[str]:
    """Compare an entry with the row of the same revision."""
    if row.expires_at != entry.expires_at:
        yield f"the cache holds another end of {row.id}"
    if row.erased_at is None and entry.leads_to not in (
        "",
        target or row.object_key,
    ):
        yield f"the cache holds another target of {row.id}"


def _of_answer(
    state: State, answer: Acknowledged, purged_at: datetime
) -> Iterator[str]:
    row = state.rows.get(answer.qr_id)
    if row is None:
        if state.now < purged_at:
            yield f"{answer.qr_id} was acknowledged and is lost"
        return
    is_first = row.revision == 1
    if is_first and timestamp(row.expires_at) != answer.answer["expires_at"]:
        yield f"{answer.qr_id} has another end than was answered"
    if row.erased_at is None and row.owner != answer.owner:
        yield f"{answer.qr_id} has another owner"


def _of_keys(
    answers: Iterable[Acknowledged], ends: Mapping[str, datetime]
) -> Iterator[str]:
    by_key: dict[tuple[str, str], dict[str, Acknowledged]] = {}
    for answer in answers:
        if answer.key is None:
            continue
        codes = by_key.setdefault((answer.owner, answer.key), {})
        first = codes.setdefault(answer.qr_id, answer)
        if first.answer != answer.answer:
            yield f"{answer.qr_id} was replayed with other words"
        if first.digest != answer.digest:
            yield f"{answer.qr_id} was replayed to another request"
    for codes in by_key.values():
        for earlier, later in pairwise(sorted(codes.values(), key=_began)):
            # The end is cut to whole seconds.
            began = _began(later) + timedelta(seconds=1)
            if began < ends[earlier.qr_id] - LEAST_LIFE:
                yield f"one key made {earlier.qr_id} and {later.qr_id}"


def _began(answer: Acknowledged) -> datetime:
    return answer.expires_at - answer.life
