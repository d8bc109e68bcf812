"""What local/template_checks.py finds, and which exemptions it accepts."""

import json

import pytest
from samcli.yamlhelper import yaml_parse

from checks.template import (
    WILDCARDS,
    Finding,
    Skip,
    as_prod,
    cfn_lint,
    general_skips,
    own,
    translate,
    unresolved,
    wildcards,
)
from local.project import ROOT

UNVERSIONED = Finding("CKV_AWS_21", "Bucket", "Ensure the bucket has versioning")


@pytest.fixture(scope="module")
def translated():
    return translate(yaml_parse((ROOT / "template.yaml").read_text()))


def policy(**statement):
    """A template with one role and one statement."""
    return {"Resources": {"Role": {"Policies": [{"Statement": [statement]}]}}}


def test_the_translated_template_lints(translated):
    assert cfn_lint(translated) == []


def test_lint_sees_what_only_the_translation_has(translated):
    broken = json.loads(json.dumps(translated))
    broken["Resources"]["GenerateFunctionRole"]["Properties"]["NoSuchProperty"] = 1
    assert "NoSuchProperty" in "".join(cfn_lint(broken))


@pytest.mark.parametrize("layer", ["CommonLayer", "DependenciesLayer"])
def test_a_release_of_a_layer_alone_is_a_new_version_for_the_alias(translated, layer):
    """SAM publishes one when a function changes; its layers it has to be told of."""
    source = yaml_parse((ROOT / "template.yaml").read_text())
    source["Resources"][layer]["Properties"]["ContentUri"] = "s3://bucket/release"

    def versions(template):
        resources = template["Resources"].items()
        return {k for k, v in resources if v["Type"] == "AWS::Lambda::Version"}

    assert len(versions(translated)) == 2
    assert not versions(translated) & versions(translate(source))


def test_every_wildcard_of_the_template_has_a_reason(translated):
    assert list(wildcards(translated, WILDCARDS)) == []
    assert all(WILDCARDS.values())


def test_every_skip_has_a_reason(translated):
    general = general_skips((ROOT / ".checkov.yaml").read_text())
    assert general
    assert [skip for skip in [*general, *own(translated)] if not skip.reason] == []


def test_a_finding_without_a_skip_is_a_problem():
    (problem,) = unresolved([UNVERSIONED], [])
    assert problem == "Bucket: CKV_AWS_21: Ensure the bucket has versioning"


@pytest.mark.parametrize("resource", ["Bucket", None])
def test_a_skip_with_a_reason_is_accepted(resource):
    skip = Skip("CKV_AWS_21", resource, "what is erased is to be gone")
    assert list(unresolved([UNVERSIONED], [skip])) == []


def test_a_skip_of_another_resource_or_check_does_not_help_and_is_stale():
    skips = [Skip("CKV_AWS_21", "Other", "why"), Skip("CKV_AWS_18", None, "why")]
    assert list(unresolved([UNVERSIONED], skips)) == [
        "Bucket: CKV_AWS_21: Ensure the bucket has versioning",
        "Other: nothing needs the skip of CKV_AWS_21",
        ".checkov.yaml: nothing needs the skip of CKV_AWS_18",
    ]


def test_a_skip_without_a_reason_is_a_problem():
    (problem,) = unresolved([UNVERSIONED], [Skip("CKV_AWS_21", None, "")])
    assert problem == ".checkov.yaml: the skip of CKV_AWS_21 has no reason"


def test_the_reason_of_a_skip_is_the_comment_right_above_it():
    text = "skip-check:\n  # Two lines\n  # of it.\n  - CKV_AWS_1\n  - CKV_AWS_2\n"
    first, second = general_skips(text)
    assert (first.check, first.reason[:9], first.resource) == (
        "CKV_AWS_1",
        "Two lines",
        None,
    )
    assert second == Skip("CKV_AWS_2", None, "")


def test_a_resources_own_skips_are_in_its_metadata():
    metadata = {"checkov": {"skip": [{"id": "CKV_AWS_1", "comment": "why"}]}}
    template = {"Resources": {"Bucket": {"Metadata": metadata}, "Queue": {}}}
    assert own(template) == [Skip("CKV_AWS_1", "Bucket", "why")]


@pytest.mark.parametrize(
    ("statement", "pattern"),
    [
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::bucket"}, "s3:*"),
        ({"Action": ["s3:GetObject"], "Resource": "*"}, "*"),
        (
            {"Action": "s3:GetObject", "Resource": {"Fn::Sub": "${B.Arn}/*"}},
            "${B.Arn}/*",
        ),
        ({"Action": "s3:GetObject", "Principal": {"AWS": "*"}}, "*"),
        ({"NotAction": "s3:GetObject", "Resource": "arn"}, "all but s3:GetObject"),
    ],
)
def test_a_pattern_needs_a_reason(statement, pattern):
    template = policy(Effect="Allow", Sid="Wide", **statement)
    (problem,) = wildcards(template, {})
    assert problem == f"Role: Wide: a wildcard without a reason: {pattern}"
    assert list(wildcards(template, {("Wide", pattern): "why"})) == []


def test_the_reason_is_for_that_pattern_alone():
    wider = policy(Effect="Allow", Sid="Read", Action="s3:Get*", Resource="arn/*")
    (problem,) = wildcards(wider, {("Read", "arn/*"): "why"})
    assert problem == "Role: Read: a wildcard without a reason: s3:Get*"


def test_a_statement_that_denies_may_be_as_wide_as_it_likes():
    assert list(wildcards(policy(Effect="Deny", Action="*", Resource="*"), {})) == []


def test_a_reason_for_a_pattern_that_is_gone_is_a_problem():
    narrow = policy(Effect="Allow", Sid="Read", Action="s3:GetObject", Resource="arn")
    (problem,) = wildcards(narrow, {("Read", "arn/*"): "why"})
    assert problem == "Read does not allow arn/*, which has a reason to be allowed"


def test_checkov_gets_the_template_as_prod_has_it_with_all_that_is_optional():
    resource = {
        "Type": "AWS::RDS::DBInstance",
        "Condition": "Optional",
        "Metadata": {"checkov": {"skip": []}},
        "Properties": {
            "MultiAZ": {"Fn::If": ["IsProd", True, False]},
            "Port": [{"Fn::If": ["Other", 1, 2]}],
        },
    }
    judged = as_prod({"Resources": {"Database": resource}, "Conditions": {}})
    assert judged["Resources"]["Database"] == {
        "Type": "AWS::RDS::DBInstance",
        "Properties": {"MultiAZ": True, "Port": [{"Fn::If": ["Other", 1, 2]}]},
    }
    assert judged["Conditions"] == {}
