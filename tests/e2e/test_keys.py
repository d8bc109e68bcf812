"""API keys on one machine: owners see their own codes, and codes can be moved."""

import pytest

from local import http
from tests.support.launcher import Launcher


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    launcher = Launcher(tmp_path_factory.mktemp("keys")).start()
    yield launcher
    launcher.discard()


def new_key(system, name):
    made = system.run("key", name)
    assert made.returncode == 0, made.stderr
    return made.stdout.splitlines()[0].removeprefix(f"{name}: ")


def listed(system, key):
    answer = http.get(f"{system.url}/codes", **{"X-Api-Key": key})
    assert answer.status == 200
    return [code["qr_id"] for code in answer.json["codes"]]


def test_owners_see_their_own_codes_until_they_are_moved(system):
    body = {"data": "https://example.com/keys"}
    assert http.post(f"{system.url}/generate", body).status == 201  # nobody has a key
    shop, depot = new_key(system, "shop"), new_key(system, "depot")
    refused = http.post(f"{system.url}/generate", body)
    assert (refused.status, refused.json["code"]) == (403, "forbidden")
    made = http.post(f"{system.url}/generate", body, **{"X-Api-Key": shop})
    code = made.json["qr_id"]
    assert (listed(system, shop), listed(system, depot)) == ([code], [])
    assert http.get(f"{system.url}/retrieve/{code}").status == 200
    moved = system.run("transfer", "shop", "depot")
    assert moved.stdout == "1 codes of shop belong to depot\n", moved.stderr
    assert (listed(system, shop), listed(system, depot)) == ([], [code])
    system.discard()
    moved = system.run("transfer", "depot", "shop")  # without make run, too
    assert moved.stdout == "1 codes of depot belong to shop\n", moved.stderr
    again = system.run("key", "shop")
    assert (again.returncode, "already" in again.stderr) == (1, True)


def test_codes_can_be_moved_before_anything_has_run(tmp_path):
    moved = Launcher(tmp_path / "new").run("transfer", "shop", "depot")
    assert moved.stdout == "0 codes of shop belong to depot\n", moved.stderr
