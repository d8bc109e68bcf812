"""API keys of `make run`: who is admitted, and as whom."""

import json
import stat

import pytest

from local import keys
from local.processes import LocalError
from tests.support.gateway import event

GUARDED = {("POST", "/generate")}
KEYS = {"shop": "value-of-the-shop", "depot": "value-of-the-depot"}


def request(name="generate/url", **headers):
    given = event(name)
    given["headers"] = headers
    return given


def owner(admitted):
    return admitted["requestContext"]["identity"]["apiKeyId"]


def test_a_key_is_created_once_and_only_its_owner_can_read_it(tmp_path):
    state = tmp_path / "state"
    value = keys.create(state, "shop")
    assert len(value) >= 30
    assert keys.read(state) == {"shop": value}
    assert stat.S_IMODE((state / keys.FILE).stat().st_mode) == 0o600
    assert keys.create(state, "depot") != value
    with pytest.raises(LocalError, match="already"):
        keys.create(state, "shop")
    with pytest.raises(LocalError, match="no name"):
        keys.create(state, "../shop")
    assert keys.read(tmp_path / "nothing") == {}


def test_without_keys_everybody_is_admitted_as_they_are():
    given = request()
    assert keys.admit(given, {}, GUARDED) == given


@pytest.mark.parametrize("header", ["X-Api-Key", "x-api-key"])
def test_the_owner_is_the_name_of_the_key(header):
    given = request(**{header: KEYS["depot"]})
    assert owner(keys.admit(given, KEYS, GUARDED)) == "depot"


@pytest.mark.parametrize("given", [{}, {"X-Api-Key": "value"}, {"X-Api-Key": "é"}])
def test_a_wrong_key_is_refused_as_by_the_gateway(given):
    sent = request(**given)
    assert keys.admit(sent, KEYS, GUARDED) is None
    answer = keys.refusal(sent)
    assert answer["statusCode"] == 403
    assert json.loads(answer["body"])["code"] == "forbidden"


def test_a_route_without_a_key_and_a_schedule_are_admitted():
    for given in (request("retrieve/json"), event("cleanup/scheduled")):
        assert keys.admit(given, KEYS, GUARDED) == given


def test_the_guarded_routes_are_those_of_the_template():
    assert ("POST", "/generate") in keys.guarded_routes()
    assert ("DELETE", "/codes/{qr_id}") in keys.guarded_routes()
    assert ("GET", "/retrieve/{qr_id}") not in keys.guarded_routes()
