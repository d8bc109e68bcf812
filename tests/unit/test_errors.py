"""Each error has the status and the code that README.md tells clients."""

from collections.abc import Iterator

import pytest
from qr_service.edge.request import MAX_BODY
from qr_service.errors import BadRequest, QRError

import functions.generate.app as generate
import functions.retrieve.app as retrieve
from tests.support import tables
from tests.support.gateway import get_retrieve, post_generate

DOCUMENTED = {
    (int(status), code)
    for status, codes, _ in tables.rows("status")
    for code in tables.quoted(codes)
}


def leaves(error: type[QRError]) -> Iterator[type[QRError]]:
    """The classes that are raised: those below which there is no other."""
    below = error.__subclasses__()
    if not below:
        yield error
    for each in below:
        yield from leaves(each)


OF_A_CLASS = [QRError, *(each for each in leaves(QRError) if each is not BadRequest)]


@pytest.mark.parametrize("error", OF_A_CLASS, ids=lambda error: error.__name__)
def test_an_error_is_in_the_readme(error):
    assert (error.status, error.code) in DOCUMENTED


def generated(body, headers=None):
    return post_generate(generate.handler, body, headers)


MALFORMED = {
    "invalid_json": lambda: generated("{"),
    "missing_field": lambda: generated({}),
    "unknown_field": lambda: generated({"data": "x", "colour": "red"}),
    "invalid_type": lambda: generated({"data": 5}),
    "out_of_range": lambda: generated({"data": "x", "border": 1}),
    "invalid_header": lambda: generated({"data": "x"}, {"Idempotency-Key": "é"}),
    "invalid_id": lambda: get_retrieve(retrieve.handler, "1"),
}


@pytest.mark.parametrize(("code", "answer"), MALFORMED.items())
def test_a_malformed_request_is_answered_with_its_code(code, answer):
    reply = answer()
    assert (reply.status, reply.body["code"]) == (400, code)
    assert (400, code) in DOCUMENTED


def test_the_readme_has_no_other_errors():
    of_a_class = {(int(error.status), error.code) for error in OF_A_CLASS}
    assert of_a_class | {(400, code) for code in MALFORMED} == DOCUMENTED


def test_a_body_over_128_kib_is_413():
    reply = generated("x" * (128 * 1024 + 1))
    assert (reply.status, reply.body["code"]) == (413, "payload_too_large")
    assert reply.body["limit"] == MAX_BODY == 128 * 1024
