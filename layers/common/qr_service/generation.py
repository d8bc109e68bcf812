"""`POST /generate`: from text to a verified image in S3, and its row in PostgreSQL.

The order ensures that a row never exists without its object: put the object, insert the
row, fill the cache, answer. A failure in between leaves at most an object without a
row. That object is deleted if the row is known to be missing. If this is unknown, the
sweep deletes the object later.
"""

import base64
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from qr_service.codes import (
    SLUG_ALPHABET,
    SLUG_LENGTH,
    Code,
    Link,
    file_name,
    is_expired,
    object_key,
)
from qr_service.config import Settings
from qr_service.edge.request import GenerateRequest
from qr_service.engine.images import CONTENT_TYPES, Image, render
from qr_service.engine.logo import place
from qr_service.engine.readback import check_contrast, verify
from qr_service.engine.style import Format, Style
from qr_service.engine.symbol import Symbol, encode
from qr_service.errors import (
    DatabaseUnavailable,
    DynamicUnavailable,
    IdempotencyMismatch,
    StorageUnavailable,
    Unscannable,
    timestamp,
)
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
class Answer:
    """The body of a 201; `replayed` is true if an earlier request created the code."""

    body: dict[str, Any]
    replayed: bool = False


def random_slug() -> str:
    """Return a slug: 40 random bits."""
    return "".join(secrets.choice(SLUG_ALPHABET) for _ in range(SLUG_LENGTH))


@dataclass(frozen=True, slots=True)
class CodeGenerator:
    """The generator of codes."""

    table: CodeTable
    storage: Storage
    cache: Cache
    settings: Settings

    def generate(
        self,
        request: GenerateRequest,
        owner: str,
        idempotency_key: str | None,
        *,
        with_image: bool = False,
    ) -> Answer:
        """Create and store a code, or replay the answer stored with the key.

        The answer has the image as a data URL if it is to be `with_image`; what is
        stored to be replayed has not.

        Raises DataTooLong, Unscannable, IdempotencyMismatch, DynamicUnavailable,
        BadField (too wide or too small), StorageUnavailable and DatabaseUnavailable.
        """
        earlier = idempotency_key and self.table.find_answer(owner, idempotency_key)
        if earlier:
            if not is_expired(earlier.expires_at, datetime.now(UTC)):
                return self._replay(earlier, request, with_image=with_image)
            self.table.free_key(earlier.qr_id)
        for _ in range(SLUG_TRIES):
            record, image = self._make(request, owner, idempotency_key)
            match self._store(record, image):
                case Inserted.STORED:
                    break
                case Inserted.KEY_TAKEN:
                    return self._replay_winner(record, request, with_image=with_image)
        else:
            raise DatabaseUnavailable(maybe_executed=False)
        self.cache.codes.put(record.code, record.created_at)
        if record.dynamic:
            self.cache.links.put(record.dynamic.link, record.created_at)
        metrics.add_metric("CodesGenerated", unit="Count", value=1)
        body = record.answer
        if with_image:
            body = {**body, "image": _data_url(image.content_type, image.body)}
        return Answer(body)

    def _make(
        self, request: GenerateRequest, owner: str, idempotency_key: str | None
    ) -> tuple[Record, Image]:
        """Return a new code with an id, and if it is dynamic a slug, of its own."""
        if not request.dynamic:
            proof = prove(request)
            return _record(request, proof, owner, idempotency_key), proof.image
        slug = random_slug()
        printed = short_url(self.settings, slug)
        proof = prove(request, printed)
        record = _record(request, proof, owner, idempotency_key)
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
        record = replace(
            record,
            dynamic=Dynamic(link, printed, kept_until),
            answer={**record.answer, "short_url": printed},
        )
        return record, proof.image

    def _store(self, record: Record, image: Image) -> Inserted:
        """Store object, then row; delete the object if the row is not inserted."""
        key = record.code.object_key
        try:
            name = file_name(record.label, key)
            self.storage.put(key, image.body, image.content_type, name)
            stored = self.table.insert(record)
        except DatabaseUnavailable as error:
            if not error.maybe_executed:
                self._discard(key)
            raise
        except Exception:  # before the INSERT, or the database refused it
            self._discard(key)
            raise
        if stored is not Inserted.STORED:
            self._discard(key)
        return stored

    def _discard(self, key: str) -> None:
        try:
            self.storage.delete(key)
        except StorageUnavailable:
            logger.warning("object left to the sweep", object_key=key)

    def _replay_winner(
        self, record: Record, request: GenerateRequest, *, with_image: bool
    ) -> Answer:
        earlier = self.table.find_answer(record.owner, record.idempotency_key)
        if earlier is None:  # erased in the meantime: the key is free again
            raise DatabaseUnavailable(maybe_executed=False)
        return self._replay(earlier, request, with_image=with_image)

    def _replay(
        self, earlier: EarlierAnswer, request: GenerateRequest, *, with_image: bool
    ) -> Answer:
        if earlier.request_digest != request.digest:
            raise IdempotencyMismatch(
                "This Idempotency-Key was used before with another body.",
                field="Idempotency-Key",
            )
        body = earlier.answer
        if with_image:
            form: Format = body["format"]
            image = self.storage.get(object_key(earlier.qr_id, form))
            body = {**body, "image": _data_url(CONTENT_TYPES[form], image)}
        return Answer(body, replayed=True)


@dataclass(frozen=True, slots=True)
class Proof:
    """An image that scans; `margin` is the share of error correction left unused."""

    symbol: Symbol
    style: Style
    image: Image
    margin: float

    def as_dict(self) -> dict[str, Any]:
        """Return the properties of the image that an answer lists."""
        properties = {
            "version": self.symbol.version,
            "error_correction": self.symbol.level,
            "width": self.image.width,
            "format": self.style.format,
            "margin": round(self.margin, 2),
        }
        if self.image.module_mm is not None and self.image.width_mm is not None:
            properties["module_mm"] = round(self.image.module_mm, 3)
            properties["width_mm"] = round(self.image.width_mm, 2)
        if self.style.logo_size is not None:
            properties["logo_size"] = round(self.style.logo_size, 3)
        return properties


def short_url(settings: Settings, slug: str) -> str:
    """Return what the image of a dynamic code holds; raises DynamicUnavailable."""
    if not settings.public_url:
        raise DynamicUnavailable
    return f"{settings.public_url}/s/{slug}"


def prove(request: GenerateRequest, printed: str | None = None) -> Proof:
    """Create the image of a request and check that it scans, without storing it.

    It holds the data, or instead of it what is to be `printed`.

    Raises DataTooLong, Unscannable and BadField (too wide or too small).
    """
    text = printed or request.data
    style = request.style
    try:
        check_contrast(style)
        if style.logo:
            symbol, size = place(
                text,
                request.error_correction,
                style.logo_size,
                boost=request.boost_error_correction,
                eci=request.eci,
            )
            style = replace(style, logo_size=size)
        else:
            symbol = encode(
                text,
                request.error_correction,
                boost=request.boost_error_correction,
                eci=request.eci,
            )
        _check_version(symbol, request)
        image = render(symbol, style)
        blame = "logo" if style.logo else style.sized_by
        margin = verify(image, text, blame, announced=symbol.announced)
    except Unscannable:
        metrics.add_metric("Unscannable", unit="Count", value=1)
        raise
    return Proof(symbol, style, image, margin)


def _check_version(symbol: Symbol, request: GenerateRequest) -> None:
    """Raise Unscannable if room for a logo took more than a standard allows."""
    if symbol.version > request.most_version:
        raise Unscannable(
            f"With this logo the version is {symbol.version}; the standard of this "
            f"content allows {request.most_version}.",
            field="logo",
            allowed="a smaller logo, or none",
        )


def warm_up() -> None:
    """Create and read back one image, and forget it.

    The first one of a process takes 10 ms more than the others: for tables, and for the
    plugins of Pillow.
    """
    text = "https://example.com/warm"
    verify(render(encode(text)), text)


def preview(
    request: GenerateRequest, settings: Settings, *, with_image: bool = False
) -> dict[str, Any]:
    """Return what `generate` would report about the image, and the spare bits.

    The short URL of a dynamic code has another slug then, of the same length.
    """
    printed = short_url(settings, random_slug()) if request.dynamic else None
    proof = prove(request, printed)
    body = {**proof.as_dict(), "scans": True, "spare_bits": proof.symbol.spare_bits}
    if with_image:
        body["image"] = _data_url(proof.image.content_type, proof.image.body)
    return body


def _data_url(content_type: str, body: bytes) -> str:
    """Return a file as an address that contains it (RFC 2397)."""
    return f"data:{content_type};base64,{base64.b64encode(body).decode()}"


def _record(
    request: GenerateRequest, proof: Proof, owner: str, idempotency_key: str | None
) -> Record:
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
        idempotency_key=idempotency_key,
        request_digest=request.digest,
        answer={
            "qr_id": qr_id,
            "expires_at": timestamp(expires_at),
            **proof.as_dict(),
        },
        label=request.label,
    )
