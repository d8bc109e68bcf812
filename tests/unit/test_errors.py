"""Each error has the status and the code that docs/api.md documents."""

from collections.abc import Iterator

import pytest
from qr_service.edge.request import MAX_BODY
from qr_service.errors import QRError

import functions.generate.app as generate
import functions.retrieve.app as retrieve
from tests.support import tables
from tests.support.gateway import get_retrieve, post_generate

DOCUMENTED = {
    (int(status), code)
    for status, codes, _ in tables.rows("docs/api.md", "status")
    for code in tables.quoted(codes)
}


def leaves(error: type[QRError]) -> Iterator[type[QRError]]:
    """Yield the classes that are raised: those without subclasses."""
    subclasses = error.__subclasses__()
    if not subclasses:
        yield error
    for subclass in subclasses:
        yield from leaves(subclass)


CLASSES = [QRError, *leaves(QRError)]


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_an_error_is_documented(error):
    assert (error.status, error.code) in DOCUMENTED


def post(body, headers=None):
    return post_generate(generate.handler, body, headers)


MALFORMED = {
    "invalid_json": lambda: post("{"),
    "missing_field": lambda: post({}),
    "unknown_field": lambda: post({"data": "x", "colour": "red"}),
    "invalid_type": lambda: post({"data": 5}),
    "out_of_range": lambda: post({"data": "x", "border": 1}),
    "invalid_header": lambda: post({"data": "x"}, {"Idempotency-Key": "é"}),
    "invalid_id": lambda: get_retrieve(retrieve.handler, "1"),
}


@pytest.mark.parametrize(("code", "answer"), MALFORMED.items())
def test_a_malformed_request_is_refused_with_its_code(code, answer):
    reply = answer()
    assert (reply.status, reply.body["code"]) == (400, code)
    assert (400, code) in DOCUMENTED


def test_no_other_errors_are_documented():
    from_classes = {(int(error.status), error.code) for error in CLASSES}
    assert from_classes | {(400, code) for code in MALFORMED} == DOCUMENTED


def test_a_body_over_128_kib_returns_413():
    reply = post("x" * (128 * 1024 + 1))
    assert (reply.status, reply.body["code"]) == (413, "payload_too_large")
    assert reply.body["limit"] == MAX_BODY == 128 * 1024
