"""What `make deploy` passes to `sam deploy`."""

import re
import subprocess
import tomllib

import pytest
from samcli.cli.types import CfnParameterOverridesType

from checks import deploy
from checks.deploy import DeployError, deployment, overrides
from local.project import ROOT

SAMCONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())


def parsed(given):
    """Return the parameters as SAM reads them from its command line."""
    return CfnParameterOverridesType().convert(tuple(given), None, None)


@pytest.mark.parametrize("stage", ["dev", "staging", "prod"])
def test_without_more_the_parameters_are_those_of_samconfig(stage):
    listed = SAMCONFIG[stage]["global"]["parameters"]["parameter_overrides"]
    assert parsed(overrides(stage, "")) == dict(pair.split("=", 1) for pair in listed)


def test_given_parameters_win_and_the_others_stay():
    text = "AlarmEmail=ops@example.com CleanupSchedule='rate(15 minutes)'"
    found = parsed(overrides("prod", f"{text} LogRetentionDays=7"))
    assert found["Production"] == "true"
    assert found["AlarmEmail"] == "ops@example.com"
    assert found["CleanupSchedule"] == "rate(15 minutes)"
    assert found["LogRetentionDays"] == "7"


@pytest.mark.parametrize("text", ["AlarmEmail", "=x", "A-B=1", "A='x", 'A="it\'s"'])
def test_what_is_not_a_parameter_is_refused(text):
    with pytest.raises(DeployError, match="PARAMETERS: "):
        overrides("prod", text)


def test_an_unknown_stage_is_refused():
    with pytest.raises(DeployError, match=r"no stage test\."):
        overrides("test", "")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a folder with the stages of the project, but without a build."""
    (tmp_path / "samconfig.toml").write_text((ROOT / "samconfig.toml").read_text())
    monkeypatch.setattr(deploy, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("environment", "added"),
    [
        ({}, []),
        ({"CI": "true"}, ["--no-confirm-changeset"]),
        ({"AWS_CLOUDFORMATION_ROLE": "arn:role"}, ["--role-arn", "arn:role"]),
    ],
)
def test_the_command(project, environment, added):
    (project / ".aws-sam/build").mkdir(parents=True)
    (project / ".aws-sam/build/template.yaml").touch()
    start = ["sam", "deploy", "--config-env", "dev", *added, "--parameter-overrides"]
    text = {"PARAMETERS": "LogLevel=INFO"}
    command = deployment("dev", environment | text)
    assert command == [*start, *overrides("dev", "LogLevel=INFO")]


@pytest.mark.usefixtures("project")
def test_without_a_build_nothing_is_deployed():
    with pytest.raises(DeployError, match=r"Run make build first\."):
        deployment("dev", {})


@pytest.mark.parametrize(
    ("options", "first"), [([], "checks.preflight"), (["PREFLIGHT=0"], "checks.deploy")]
)
def test_a_deployment_begins_with_the_preflight(options, first):
    done = subprocess.run(
        ["make", "-n", "deploy", "STAGE=dev", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    commands = re.findall(r"checks\.\w+ dev", done.stdout)
    assert commands[0] == f"{first} dev"
    assert commands[-1] == "checks.deploy dev"
