"""The comparison of the bill of materials with the requirements."""

import json

import pytest

from checks import sbom
from checks.sbom import bundled, components, pins

BILL = {
    "components": [
        {"name": "aws_lambda_powertools", "version": "3.37.0"},
        {"name": "redis", "version": "8.1.0"},
    ]
}
REQUIREMENTS = """
# Everything, pinned.
aws-lambda-powertools==3.37.0
redis==8.1.0  # the cache
"""


def test_a_bill_equals_requirements_with_the_same_packages():
    assert components(json.dumps(BILL)) == pins(REQUIREMENTS)
    assert pins(REQUIREMENTS) == {"aws-lambda-powertools==3.37.0", "redis==8.1.0"}


def test_libraries_inside_a_wheel_are_read_from_its_own_bill(tmp_path):
    bills = tmp_path / "psycopg2_binary-2.9.13.dist-info" / "sboms"
    bills.mkdir(parents=True)
    library = {"type": "library", "name": "openssl", "version": "3.5.1", "hashes": []}
    itself = {"type": "library", "name": "psycopg2_binary", "version": "2.9.13"}
    bill = json.dumps({"components": [itself, library]})
    (bills / "auditwheel.cdx.json").write_text(bill)
    (tmp_path / "redis-8.1.0.dist-info").mkdir()
    (found,) = bundled(tmp_path, "psycopg2-binary==2.9.13")
    assert (found["name"], found["version"]) == ("openssl", "3.5.1")
    assert found["bom-ref"] == "psycopg2-binary==2.9.13/openssl"
    assert bundled(tmp_path, "redis==8.1.0") == []


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that checks a bill and returns the exit code."""
    (tmp_path / "requirements.txt").write_text(REQUIREMENTS)
    monkeypatch.setattr(sbom, "ROOT", tmp_path)
    monkeypatch.setattr(sbom, "PACKAGES", tmp_path)
    monkeypatch.setattr(sbom, "REQUIREMENTS", tmp_path / "requirements.txt")
    monkeypatch.setattr(sbom, "BILL", tmp_path / "sbom.cdx.json")
    monkeypatch.setattr(sbom.subprocess, "check_output", lambda *_, **__: "v1\n")

    def run(bill):
        def write_bill(packages, required, version, path):
            path.write_text(json.dumps(bill))

        monkeypatch.setattr(sbom, "write_bill", write_bill)
        return sbom.main()

    return run


def test_a_layer_with_exactly_the_required_packages_passes(run, capsys):
    assert run(BILL) == 0
    assert capsys.readouterr() == ("sbom.cdx.json: 2 packages\n", "")


def test_a_package_that_is_not_required_is_reported(run, capsys):
    more = [*BILL["components"], {"name": "botocore", "version": "1.43.0"}]
    assert run({"components": more}) == 1
    assert capsys.readouterr().err == "botocore==1.43.0 is in the layer only\n"


def test_a_package_of_another_version_is_reported(run, capsys):
    assert run({"components": [{**BILL["components"][0], "version": "3.0.0"}]}) == 1
    assert "redis==8.1.0 is in requirements/layer.txt only" in capsys.readouterr().err


def test_without_a_build_the_check_fails(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sbom, "PACKAGES", tmp_path / "none")
    assert run(BILL) == 1
    assert "make build" in capsys.readouterr().err
