"""The functions in containers: every example event, and a code's life over HTTP."""

import json
import signal
import urllib.parse
import uuid

import pytest
from qr_service.engine.readback import read

from local.http import get, post
from local.processes import alive, wait_until
from tests.support.examples import ALL, CONTAINER_DATA, RETRIEVED, STATUS


@pytest.mark.parametrize(
    "event", [e for e in ALL if e.startswith(("generate/", "retrieve/", "redirect/"))]
)
def test_an_example_event_gets_the_expected_status(answer_of, event):
    answer = answer_of(event)
    assert answer["statusCode"] == STATUS[event], answer


def test_every_event_with_201_stored_a_code(sam_local, answer_of):
    created = [json.loads(answer_of(e)["body"]) for e in ALL if STATUS.get(e) == 201]
    ids = [code["qr_id"] for code in created]
    assert len(set(ids)) == len(ids) > 8
    (known,) = sam_local.query(
        "SELECT count(*) FROM qr_codes WHERE id::text = ANY(%s)", ids
    )
    assert known == (len(ids),)


def test_the_retrieve_events_lead_to_the_image(answer_of):
    url = json.loads(answer_of("retrieve/json")["body"])["qr_code"]
    location = answer_of("retrieve/redirect")["multiValueHeaders"]["Location"][0]
    for each in (url, location):
        assert read(get(each).body).payload == CONTAINER_DATA.encode()


@pytest.mark.parametrize("event", ["cleanup/manual", "cleanup/scheduled"])
def test_the_cleanup_events_return_a_report(answer_of, event):
    answer = answer_of(event)
    assert (answer["erased"], answer["failed"], answer["remaining"]) == (0, 0, 0)


def test_the_migrate_event_finds_nothing_to_apply(answer_of):
    assert answer_of("migrate/apply")["applied"] == []


def test_a_code_is_created_retrieved_and_erased(sam_local):
    created = post(f"{sam_local.url}/generate", {"data": CONTAINER_DATA})
    assert created.status == 201
    qr_id = str(uuid.UUID(created.json["qr_id"]))
    retrieve = f"{sam_local.url}/retrieve/{qr_id}"
    assert created.headers["Location"].endswith(f"/retrieve/{qr_id}")

    found = get(retrieve)
    assert found.status == 200
    assert found.json["expires_at"] == created.json["expires_at"]
    signed = found.json["qr_code"]
    url = urllib.parse.urlsplit(signed)
    image = get(signed)
    assert (image.status, image.headers["Content-Type"]) == (200, "image/png")
    assert read(image.body).payload == CONTAINER_DATA.encode()
    flipped = url.query[:-1] + ("0" if url.query[-1] != "0" else "1")
    assert get(url._replace(query=flipped).geturl()).status == 403
    assert get(retrieve, Accept="image/png").status == 302

    sam_local.query(
        "UPDATE qr_codes SET created_at = '2020-01-01', expires_at = '2020-01-02'"
        " WHERE id = %s",
        qr_id,
    )
    assert sam_local.answer("cleanup/manual")["erased"] == 1
    assert get(signed).status == 404, "the URL is valid, the image is deleted"
    (row,) = sam_local.query("SELECT data FROM qr_codes WHERE id = %s", qr_id)
    assert row == (None,)


def test_an_unknown_id_is_404_and_a_malformed_id_is_400(sam_local):
    unknown = get(f"{sam_local.url}/retrieve/{uuid.uuid4()}")
    assert (unknown.status, unknown.json["code"]) == (404, "not_found")
    invalid = get(f"{sam_local.url}/retrieve/{RETRIEVED}0")
    assert (invalid.status, invalid.json["code"]) == (400, "invalid_id")
    body = {"data": CONTAINER_DATA, "x": 1}
    refused = post(f"{sam_local.url}/generate", body)
    assert (refused.status, refused.json["code"]) == (400, "unknown_field")


def test_containers_have_the_templates_memory_and_the_hosts_network(sam_local):
    body = {"data": CONTAINER_DATA}
    assert post(f"{sam_local.url}/generate", body).status == 201
    containers = sam_local.containers()
    memory = {
        name: attributes["HostConfig"]["Memory"] >> 20
        for name, attributes in containers.items()
    }
    assert memory["GenerateFunction"] == 1769
    assert memory["RetrieveFunction"] == 512
    assert {c["HostConfig"]["NetworkMode"] for c in containers.values()} == {"host"}


def test_a_killed_launcher_leaves_no_container(sam_local):
    assert sam_local.containers()
    family = sam_local.family()
    assert sam_local.end(signal.SIGKILL) == -signal.SIGKILL
    assert wait_until(lambda: not any(map(alive, family)), 30)
    assert sam_local.containers() == {}
