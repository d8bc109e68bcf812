"""The OpenAPI document: its routes are the template's, its schemas those of answers."""

import json
import re

import pytest
from jsonschema import Draft202012Validator
from qr_service import errors

from docs.openapi import HEADERS, SCHEMAS, document
from tests.support import tables
from tests.support.examples import OWNER, SCANNED, SLUG, STATUS, STORED
from tests.support.gateway import Context, event
from tests.support.template import FUNCTIONS

DOCUMENT = document()
OPERATIONS = {
    (method, path): operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


def test_its_routes_are_those_of_the_template():
    events = [
        each["Properties"]
        for function in FUNCTIONS.values()
        for each in function.get("Events", {}).values()
        if each["Type"] == "Api"
    ]
    assert set(OPERATIONS) == {
        (each["Method"].lower(), each["Path"]) for each in events
    }


def test_every_schema_is_valid_and_every_reference_leads_to_one():
    for schema in SCHEMAS.values():
        Draft202012Validator.check_schema(schema)
    names = re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(DOCUMENT))
    assert set(names) == set(SCHEMAS)


def test_its_error_codes_are_those_of_the_documentation():
    documented = {
        code
        for row in tables.rows("docs/api.md", "status")
        for code in tables.quoted(row[1])
    }
    bad_requests = {"invalid_json", "missing_field", "unknown_field", "invalid_type"}
    bad_requests |= {"out_of_range", "invalid_id", "invalid_header"}
    own = {error.code for error in subclasses(errors.QRError)} | {"internal_error"}
    assert documented == bad_requests | own
    text = json.dumps(DOCUMENT)
    for code in own - {"out_of_range", "internal_error"}:
        assert f"(`{code}`)" in text, code


def subclasses(kind):
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


@pytest.mark.parametrize("case", STATUS)
def test_an_example_is_answered_as_documented(case, functions, database, bucket):
    sent = event(case)
    insert_examples(database)
    verb = case.split("/")[0]
    reply = getattr(functions, verb)(sent, Context())
    assert reply["statusCode"] == STATUS[case]
    operation = OPERATIONS[sent["httpMethod"].lower(), sent["resource"]]
    documented = operation["responses"][str(reply["statusCode"])]
    if "content" in documented:
        (sent_kind,) = reply["multiValueHeaders"]["Content-Type"]
        kind = sent_kind.partition(";")[0]
        body = documented["content"][kind]
        is_json = "json" in kind
        answer = json.loads(reply["body"]) if is_json else reply["body"]
        name = body["schema"].get("$ref", "").rpartition("/")[2]
        schema = SCHEMAS[name] if name else body["schema"]
        found = Draft202012Validator(schema).iter_errors(answer)
        assert not [error.message for error in found]
    sent_headers = reply["multiValueHeaders"].keys() & HEADERS.keys()
    assert sent_headers <= documented.get("headers", {}).keys()


def insert_examples(database):
    database(
        "INSERT INTO qr_codes (id, owner, data, options, object_key, content_type,"
        " created_at, expires_at, slug, printed, count, targets, kept_until)"
        " VALUES (%s, %s, 'https://example.com/menu', %s, %s, 'image/png',"
        " date_trunc('second', now()), now() + interval '1 hour', %s, 'printed', true,"
        " '[]', now() + interval '1 day')",
        SCANNED,
        OWNER,
        '{"format": "png"}',
        f"codes/{SCANNED}.png",
        SLUG,
    )
    for qr_id in STORED:
        database(
            "INSERT INTO qr_codes (id, owner, data, options, object_key, content_type,"
            " created_at, expires_at) VALUES (%s, %s, 'text', %s, %s, 'image/png',"
            " date_trunc('second', now()), now() + interval '1 hour')",
            qr_id,
            OWNER,
            '{"format": "png"}',
            f"codes/{qr_id}.png",
        )


@pytest.mark.parametrize("case", STATUS)
def test_a_body_is_valid_unless_it_is_refused(case):
    body = event(case).get("body")
    names = {"/generate": "GenerateRequest", "/generate/batch": "BatchRequest"}
    name = names.get(event(case)["resource"])
    if name and not event(case)["isBase64Encoded"]:
        whole = {**DOCUMENT, "$ref": f"#/components/schemas/{name}"}
        schema = Draft202012Validator(whole)
        assert schema.is_valid(json.loads(body)) is (STATUS[case] != 400)
