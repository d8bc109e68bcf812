"""Rules for the workflows of GitHub Actions; zizmor, in `make lint`, checks more."""

import json
import re
import tomllib

import pytest
import yaml
from moto.iam.aws_managed_policies import aws_managed_policies_data
from samcli.yamlhelper import yaml_parse

from checks.template import translate
from local.project import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PARSED = {path.name: yaml.safe_load(path.read_text()) for path in WORKFLOWS}
JOBS = {
    f"{name}:{job}": description
    for name, workflow in PARSED.items()
    for job, description in workflow["jobs"].items()
}
STEPS = [step for job in JOBS.values() for step in job.get("steps", [])]
DEPLOYING = {"ci.yml:staging", "ci.yml:prod", "deploy.yml:deploy"}


def test_every_action_is_pinned_by_commit_with_its_version_beside_it():
    uses = [
        line.strip()
        for path in WORKFLOWS
        for line in path.read_text().splitlines()
        if "uses:" in line and "uses: ./" not in line
    ]
    pinned = r"- uses: ([\w-]+/[\w-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)"
    found = [re.fullmatch(pinned, line) for line in uses]
    assert all(found), uses
    # Each action has one commit: an update must change it everywhere.
    actions = {match.groups() for match in found}
    assert len(actions) == len({action for action, *_ in actions})


def test_every_command_is_an_existing_make_target():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE))
    commands = [step["run"] for step in STEPS if "run" in step]
    assert commands
    assert {command for command in commands if command[:5] != "make "} == set()
    assert {command[5:] for command in commands} <= targets


@pytest.mark.parametrize("job", JOBS)
def test_a_job_has_only_the_permissions_it_needs_and_a_timeout(job):
    deploys = {"contents": "read", "id-token": "write"}
    reads = {"contents": "read"}
    assert JOBS[job]["permissions"] == (deploys if job in DEPLOYING else reads)
    assert "uses" in JOBS[job] or JOBS[job]["timeout-minutes"] <= 90


def test_a_deployment_needs_all_checks_to_pass():
    checks = JOBS.keys() - DEPLOYING
    for job in ("ci.yml:staging", "ci.yml:prod"):
        assert {f"ci.yml:{needed}" for needed in JOBS[job]["needs"]} == checks
        assert "github.event_name == 'push'" in JOBS[job]["if"]


def test_the_stages_are_those_of_samconfig():
    stages = tomllib.loads((ROOT / "samconfig.toml").read_text())
    named = [JOBS[job]["with"]["stage"] for job in ("ci.yml:staging", "ci.yml:prod")]
    assert named == ["staging", "prod"]
    assert set(named) <= stages.keys()


def test_a_deployment_uses_the_uploaded_build_and_builds_nothing():
    (upload,) = [step for step in STEPS if "upload-artifact" in step.get("uses", "")]
    (download,) = [
        step for step in STEPS if "download-artifact" in step.get("uses", "")
    ]
    assert upload["with"]["name"] == download["with"]["name"]
    folders = upload["with"]["path"].split()
    assert {folder.split("/")[0] for folder in folders} == {download["with"]["path"]}
    commands = [step.get("run") for step in JOBS["deploy.yml:deploy"]["steps"]]
    assert [each for each in commands if each] == [
        "make install",
        "make deploy",
        "make smoke",
    ]


def test_the_roles_on_aws_are_for_these_stages_and_stacks():
    roles = yaml_parse((ROOT / ".github/oidc-role.yaml").read_text())
    stages = roles["Parameters"]["Stage"]["AllowedValues"]
    samconfig = tomllib.loads((ROOT / "samconfig.toml").read_text())
    for stage in stages:
        stack = samconfig[stage]["global"]["parameters"]["stack_name"]
        assert stack == f"qr-codes-{stage}"
    assert stages == ["staging", "prod"]
    github, cloudformation = (
        json.dumps(roles["Resources"][name]["Properties"])
        for name in ("GitHubRole", "CloudFormationRole")
    )
    (statement,) = roles["Resources"]["GitHubRole"]["Properties"][
        "AssumeRolePolicyDocument"
    ]["Statement"]
    (operator,) = statement["Condition"]
    assert operator == "StringEquals", "no wildcards"
    old, new = statement["Condition"][operator][
        "token.actions.githubusercontent.com:sub"
    ]
    assert old == {"Fn::Sub": "repo:${Repository}:environment:${Stage}"}
    assert new["Fn::Sub"][0] == (
        "repo:${Owner}@${OwnerId}/${Name}@${RepositoryId}:environment:${Stage}"
    )
    for name in ("OwnerId", "RepositoryId"):
        assert roles["Parameters"][name]["AllowedPattern"] == "[0-9]+"
    assert ":stack/qr-codes-${Stage}/*" in github
    assert "DeleteStack" not in github
    assert ":role/qr-codes-${Stage}-*" in cloudformation


@pytest.fixture(scope="module")
def translated():
    return translate(yaml_parse((ROOT / "template.yaml").read_text()))


def test_every_role_of_the_stack_has_the_boundary(translated):
    roles = of_type(translated, "AWS::IAM::Role")
    assert len(roles) >= 10
    for name, role in roles.items():
        assert role["PermissionsBoundary"] == {
            "Fn::If": [
                "HasBoundary",
                {"Ref": "PermissionsBoundaryArn"},
                {"Ref": "AWS::NoValue"},
            ]
        }, name


def test_the_boundary_has_the_rights_of_the_roles_and_no_other(translated):
    managed = json.loads(aws_managed_policies_data)
    used = set()
    for role in of_type(translated, "AWS::IAM::Role").values():
        for policy in role.get("Policies", []):
            used |= actions(policy["PolicyDocument"])
        for arn in role.get("ManagedPolicyArns", []):
            name = json.dumps(arn).rpartition("/")[2].strip('"}')
            used |= actions(managed[name]["Document"])
    # CodeDeploy would read the code of servers, which we have not, from S3.
    used -= {"s3:GetObjectVersion"}
    roles = yaml_parse((ROOT / ".github/oidc-role.yaml").read_text())["Resources"]
    boundary = actions(roles["Boundary"]["Properties"]["PolicyDocument"])
    assert boundary == used
    assert not any(action.startswith(("iam:", "sts:")) for action in boundary)


def test_cloudformation_gives_rights_only_within_the_boundary():
    roles = yaml_parse((ROOT / ".github/oidc-role.yaml").read_text())["Resources"]
    (policy,) = roles["CloudFormationRole"]["Properties"]["Policies"]
    giving = {
        "iam:AttachRolePolicy",
        "iam:CreateRole",
        "iam:PutRolePermissionsBoundary",
        "iam:PutRolePolicy",
    }
    for statement in policy["PolicyDocument"]["Statement"]:
        allowed = set(statement["Action"])
        assert "iam:DeleteRolePermissionsBoundary" not in allowed
        if allowed & giving:
            assert statement["Condition"]["StringEquals"] == {
                "iam:PermissionsBoundary": {"Ref": "Boundary"}
            }
            giving -= allowed
    assert giving == set()


def of_type(template, kind):
    """Return the properties of a template's resources of one type."""
    return {
        name: each["Properties"]
        for name, each in template["Resources"].items()
        if each["Type"] == kind
    }


def actions(document):
    """Return the actions that a policy allows."""
    found = set()
    for statement in document["Statement"]:
        given = statement["Action"]
        found |= {given} if isinstance(given, str) else set(given)
    return found


def test_cloudformation_may_attach_exactly_the_policies_of_the_template(translated):
    used = {
        json.dumps(policy).partition(":iam::aws:")[2].strip('"}')
        for resource in translated["Resources"].values()
        if resource["Type"] == "AWS::IAM::Role"
        for policy in resource["Properties"].get("ManagedPolicyArns", [])
    }
    roles = yaml_parse((ROOT / ".github/oidc-role.yaml").read_text())
    (policy,) = roles["Resources"]["CloudFormationRole"]["Properties"]["Policies"]
    (attaching,) = (
        each
        for each in policy["PolicyDocument"]["Statement"]
        if "iam:AttachRolePolicy" in each["Action"]
    )
    allowed = attaching["Condition"]["ArnEquals"]["iam:PolicyARN"]
    assert {each["Fn::Sub"].partition(":iam::aws:")[2] for each in allowed} == used
