"""Hostile input: a parser accepts it, or refuses it as its own error; nothing else."""

import base64
import json
import struct
import zlib
from io import BytesIO

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from qr_service.config import Settings
from qr_service.edge import manage
from qr_service.edge.request import GenerateRequest, check_idempotency_key, parse
from qr_service.engine.logo import MAX_SIDE, decode
from qr_service.errors import LONGEST_SHOWN, QRError

from docs.fields import FIELDS
from tests.support.environment import ENVIRONMENT
from tests.support.gateway import event

SETTINGS = Settings.from_env(ENVIRONMENT)
NAMES = [field.name for field in FIELDS]
MANY = settings(
    max_examples=1000,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([float("nan"), float("inf"), 1e308, 2**70, -(10**400)])
    | st.text(max_size=200)
    | st.sampled_from(["png", "M", "#000000", "transparent", "data:image/png;base64,"])
)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=8) | st.sampled_from(NAMES), inner, max_size=4
        )
    ),
    max_leaves=12,
)
FIELD_BY_NAME = st.dictionaries(
    st.sampled_from(NAMES) | st.text(max_size=8), LEAVES | JSON, max_size=6
)


@st.composite
def mutated(draw, originals):
    """Return one of the originals with some bytes replaced, removed or repeated."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        end = draw(st.integers(at, min(len(data), at + 8)))
        data[at:end] = draw(st.binary(max_size=8)) * draw(st.integers(1, 3))
    return bytes(data)


BODIES = [
    event(f"generate/{name}")["body"].encode()
    for name in ("styled", "gradient", "japanese", "idempotent")
]


def refused(call):
    """Return the result of a call, or None if it refuses its input as a client's."""
    try:
        return call()
    except QRError as error:
        refusal = error
    assert 400 <= refusal.status < 500, refusal
    problem = {"detail": refusal.detail, **refusal.fields}
    json.dumps(problem, allow_nan=False, ensure_ascii=False).encode()
    assert len(str(problem.get("received", ""))) <= LONGEST_SHOWN
    return None


@MANY
@given(
    st.binary(max_size=300)
    | JSON.map(lambda value: json.dumps(value).encode())
    | FIELD_BY_NAME.map(lambda fields: json.dumps({"data": "x", **fields}).encode())
    | mutated(BODIES)
)
def test_a_body_becomes_a_request_or_is_refused(body):
    for parser in (parse, manage.parse_patch):
        found = refused(lambda parser=parser: parser(body, SETTINGS))
        assert found is None or isinstance(found, GenerateRequest | manage.Patch)


@MANY
@given(st.text() | st.from_regex(r'(W/)?"[^"]*"(, *"[^"]*")*', fullmatch=True))
def test_a_header_is_understood_or_refused(text):
    condition = refused(lambda: manage.precondition(text))
    assert condition is None or condition(1) in (True, False)
    key = refused(lambda: check_idempotency_key(text))
    assert key is None or key.isascii()


@MANY
@given(
    st.dictionaries(st.sampled_from(manage.QUERY), st.text() | st.datetimes().map(str))
)
def test_a_query_is_understood_or_refused(query):
    found = refused(lambda: manage.parse_query(query))
    assert found is None or 1 <= found.limit <= manage.MOST_LISTED


# ---------------------------------------------------------------------------- logos


def picture(kind, **options):
    file = BytesIO()
    Image.new("RGB", (40, 30), "navy").save(file, kind, **options)
    return file.getvalue()


PNG = picture("PNG")
FILES = {
    "png": [PNG, picture("PNG", optimize=True)],
    "jpeg": [picture("JPEG"), picture("JPEG", progressive=True)],
}


def with_checksums(png):
    """Return a PNG whose chunks have valid checksums again, as far as it has chunks."""
    fixed, start = bytearray(png), 8
    while start + 12 <= len(fixed):
        (length,) = struct.unpack_from(">I", fixed, start)
        end = start + 8 + length
        if end + 4 > len(fixed):
            break
        struct.pack_into(">I", fixed, end, zlib.crc32(fixed[start + 4 : end]))
        start = end + 4
    return bytes(fixed)


@st.composite
def data_urls(draw):
    kind = draw(st.sampled_from(["png", "jpeg"]))
    file = draw(mutated(FILES[kind]) | st.sampled_from(FILES["png"] + FILES["jpeg"]))
    if kind == "png" and draw(st.booleans()):
        file = with_checksums(file)
    text = base64.b64encode(file).decode()
    return f"data:image/{kind};base64,{text}"


@MANY
@given(data_urls() | st.text() | st.text().map("data:image/png;base64,".__add__))
def test_a_data_url_becomes_a_small_picture_or_is_refused(url):
    file = refused(lambda: decode(url))
    if file is not None:
        with Image.open(BytesIO(file)) as decoded:
            assert max(decoded.size) <= MAX_SIDE
            decoded.load()
