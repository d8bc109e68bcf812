"""The file that a client gets: in the answer if it wants, and under which name."""

import base64
import json
import re
from urllib.parse import unquote
from urllib.request import urlopen

import pytest
from qr_service.engine.readback import read
from qr_service.engine.style import FORMATS
from qr_service.stores.table import CodeTable

from tests.support.functions import BUCKET
from tests.support.gateway import get_retrieve, post_generate

DATA = "https://example.com/files"
WITH_IMAGE = {"include": "image"}
DRY_RUN = {"dry_run": "true", "include": "image"}
KEY = {"Idempotency-Key": "files"}
# RFC 6266: what is exact counts, if a browser knows it.
DISPOSITION = re.compile(
    r'inline; filename="(?P<plain>[ -!#-\[\]-~]+\.[a-z]{3})"'
    r"(; filename\*=UTF-8''(?P<exact>[A-Za-z0-9%._~-]+))?"
)
CONTENT_TYPES = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "eps": "application/postscript",
}


def decoded(url):
    """Return the content type and the bytes of a data URL."""
    head, comma, text = url.partition(",")
    assert comma
    assert head.startswith("data:")
    assert head.endswith(";base64")
    return head[len("data:") : -len(";base64")], base64.b64decode(text, validate=True)


def stored(bucket):
    (key,) = bucket.keys()
    return bucket.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()


@pytest.mark.parametrize("form", FORMATS)
def test_the_answer_has_the_very_file_that_is_stored(functions, bucket, form):
    body = {"data": DATA, "format": form}
    foreseen = post_generate(functions.generate, body, query=DRY_RUN)
    assert foreseen.status == 200
    assert bucket.keys() == set()
    made = post_generate(functions.generate, body, query=WITH_IMAGE)
    assert made.status == 201
    assert decoded(made.body["image"]) == (CONTENT_TYPES[form], stored(bucket))
    assert foreseen.body["image"] == made.body["image"]
    assert read(decoded(made.body["image"])[1]).text == DATA


def test_the_answer_has_no_image_unless_it_is_wanted(functions):
    for query in (None, {"dry_run": "true"}, {"dry_run": "false"}):
        reply = post_generate(functions.generate, {"data": DATA}, query=query)
        assert "image" not in reply.body


def test_a_replay_reads_the_object_and_never_a_stored_image(
    functions, database, bucket
):
    first = post_generate(functions.generate, {"data": DATA}, KEY, query=WITH_IMAGE)
    ((answer,),) = database("SELECT answer FROM qr_codes")
    assert "image" not in answer
    again = post_generate(functions.generate, {"data": DATA}, KEY, query=WITH_IMAGE)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.body == first.body
    plain = post_generate(functions.generate, {"data": DATA}, KEY)
    assert plain.body == {k: v for k, v in first.body.items() if k != "image"}
    (key,) = bucket.keys()
    bucket.client.put_object(Bucket=BUCKET, Key=key, Body=b"what is there")
    again = post_generate(functions.generate, {"data": DATA}, KEY, query=WITH_IMAGE)
    assert decoded(again.body["image"]) == ("image/png", b"what is there")


def test_a_replay_without_its_object_is_not_answered_by_halves(
    functions, database, bucket
):
    first = post_generate(functions.generate, {"data": DATA}, KEY)
    (key,) = bucket.keys()
    bucket.client.delete_object(Bucket=BUCKET, Key=key)
    again = post_generate(functions.generate, {"data": DATA}, KEY, query=WITH_IMAGE)
    assert (again.status, again.headers["retry-after"]) == (503, "5")
    assert post_generate(functions.generate, {"data": DATA}, KEY).body == first.body


def test_the_loser_of_a_race_for_a_key_gets_the_image_of_the_winner(
    functions, database, bucket, monkeypatch
):
    first = post_generate(functions.generate, {"data": DATA}, KEY, query=WITH_IMAGE)
    real, looked = CodeTable.find_answers, iter([True])
    monkeypatch.setattr(
        CodeTable,
        "find_answers",
        lambda *keys: {} if next(looked, False) else real(*keys),
    )
    again = post_generate(functions.generate, {"data": DATA}, KEY, query=WITH_IMAGE)
    assert next(looked, None) is None
    assert again.headers["idempotency-replayed"] == "true"
    assert again.body == first.body


@pytest.mark.parametrize("value", ["", "images", "Image", "true"])
def test_only_the_image_can_be_included(functions, database, value):
    reply = post_generate(functions.generate, {"data": DATA}, query={"include": value})
    assert (reply.status, reply.body["field"]) == (400, "include")
    assert reply.body["allowed"] == ["image"]
    assert database("SELECT count(*) FROM qr_codes") == [(0,)]


def name_of(functions, label, form="png"):
    """Return the file name that a browser takes, by the headers of the image."""
    body = {"data": DATA, "format": form}
    made = post_generate(functions.generate, body | ({"label": label} if label else {}))
    assert made.status == 201
    url = get_retrieve(functions.retrieve, made.body["qr_id"]).body["qr_code"]
    with urlopen(url) as response:
        assert response.headers["Content-Type"] == CONTENT_TYPES[form]
        disposition = response.headers["Content-Disposition"]
    found = DISPOSITION.fullmatch(disposition)
    name = unquote(found["exact"]) if found["exact"] else found["plain"]
    return name.replace(made.body["qr_id"], "ID")


@pytest.mark.parametrize("form", FORMATS)
def test_an_image_without_a_label_is_saved_under_its_id(functions, form):
    assert name_of(functions, None, form) == f"ID.{form}"


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Menu, terrace", "Menu, terrace.png"),
        ("Speisekarte für Gäste", "Speisekarte für Gäste.png"),
        ("メニュー", "メニュー.png"),
        ('../../etc/"passwd"', "etc passwd.png"),
        ("C:\\menu;rm *\r\nX-Evil: 1", "C menu;rm X-Evil 1.png"),
        ("gnp\u202e.exe", "gnp.exe.png"),
        ("50 % off?", "50 off.png"),
        (
            "\uff02; filename=evil.exe; \uff02\uff3c",
            "\uff02; filename=evil.exe; \uff02\uff3c.png",
        ),
        ("...", "ID.png"),
        ("x" * 100, "x" * 100 + ".png"),
    ],
)
def test_an_image_is_saved_under_its_label_made_safe(functions, label, name):
    assert name_of(functions, label) == name


def test_an_object_of_an_earlier_release_is_saved_under_its_id(functions, bucket):
    """It has no name of its own, so the last part of its address counts."""
    made = post_generate(functions.generate, {"data": DATA})
    (key,) = bucket.keys()
    bucket.client.put_object(
        Bucket=BUCKET, Key=key, Body=stored(bucket), ContentType="image/png"
    )
    url = get_retrieve(functions.retrieve, made.body["qr_id"]).body["qr_code"]
    with urlopen(url) as response:
        assert response.headers["Content-Disposition"] is None
    assert url.partition("?")[0].endswith(f"/{made.body['qr_id']}.png")


def test_a_label_that_names_the_file_is_in_no_address(functions):
    made = post_generate(functions.generate, {"data": DATA, "label": "Secret menu"})
    reply = get_retrieve(functions.retrieve, made.body["qr_id"])
    assert "menu" not in json.dumps(reply.body)
