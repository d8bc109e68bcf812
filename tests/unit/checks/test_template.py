"""What checks/template.py finds, and which exemptions it accepts."""

import json
import re

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from samcli.yamlhelper import yaml_parse

from checks.template import (
    BUDGET,
    REGIONS,
    WILDCARDS,
    Finding,
    Skip,
    as_prod,
    cfn_lint,
    database_classes,
    general_skips,
    kinds_of_regions,
    missing_types,
    own,
    translate,
    unknown_classes,
    unresolved,
    used_types,
    wildcards,
    without_budgets,
)
from local.project import ROOT
from tests.support.template import FUNCTIONS, has_shared

UNVERSIONED = Finding("CKV_AWS_21", "Bucket", "Ensure the bucket has versioning")


@pytest.fixture(scope="module")
def translated():
    return translate(yaml_parse((ROOT / "template.yaml").read_text()))


def policy(**statement):
    """Return a template with one role, which has one statement."""
    return {"Resources": {"Role": {"Policies": [{"Statement": [statement]}]}}}


def test_the_translated_template_lints(translated):
    assert cfn_lint(translated, REGIONS) == []


def test_lint_reads_the_translated_template(translated):
    broken = json.loads(json.dumps(translated))
    broken["Resources"]["GenerateFunctionRole"]["Properties"]["NoSuchProperty"] = 1
    assert "NoSuchProperty" in "".join(cfn_lint(broken, ["eu-central-1"]))


def test_regions_with_equal_schemas_are_linted_once(translated):
    kinds = kinds_of_regions(translated, REGIONS)
    assert 1 < len(kinds) < 5
    (lacking,) = [region for region in kinds if region in without_budgets(translated)]
    assert kinds[lacking] == used_types(translated) - {BUDGET}


def test_every_region_has_the_classes_of_the_database(translated):
    classes = database_classes(translated)
    assert classes == {"db.t4g.small", "db.t4g.medium"}
    assert unknown_classes(translated, classes, REGIONS) == []


def test_a_region_without_a_class_is_reported(translated):
    found = unknown_classes(translated, ["db.t4g.small"], ["ca-west-1", "us-east-1"])
    assert found == ["ca-west-1 has no db.t4g.small"]


def test_every_resource_exists_in_the_regions_that_the_readme_promises(translated):
    (listed,) = re.findall(
        r"^Regions: (.*?)\. ",
        (ROOT / "README.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    assert re.findall(r"`([a-z0-9-]+)`", listed) == sorted(REGIONS)
    assert missing_types(translated, REGIONS) == []


def test_a_region_without_a_resource_is_reported(translated):
    assert missing_types(translated, ["ap-east-2"]) == [
        f"ap-east-2 has no {kind}"
        for kind in (BUDGET, "AWS::RDS::DBProxy", "AWS::RDS::DBProxyTargetGroup")
    ]


def test_the_rule_refuses_budgets_exactly_where_there_are_none(translated):
    lacking = {
        region
        for region in REGIONS | without_budgets(translated)
        if BUDGET not in PROVIDER_SCHEMA_MANAGER.get_resource_types(region)
    }
    assert lacking == without_budgets(translated)


@pytest.mark.parametrize("layer", ["CommonLayer", "DependenciesLayer"])
def test_a_release_of_a_layer_alone_publishes_new_versions(translated, layer):
    """By default SAM publishes a version only when the function itself changes."""
    source = yaml_parse((ROOT / "template.yaml").read_text())
    source["Resources"][layer]["Properties"]["ContentUri"] = "s3://bucket/release"

    def versions(template):
        resources = template["Resources"].items()
        return {k for k, v in resources if v["Type"] == "AWS::Lambda::Version"}

    used = [
        name
        for name, function in FUNCTIONS.items()
        if "AutoPublishAlias" in function and has_shared(name, "Layers")
    ]
    replaced = versions(translated) - versions(translate(source))
    assert len(replaced) == len(used) == 4


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
    skip = Skip("CKV_AWS_21", resource, "erased images must not be kept")
    assert list(unresolved([UNVERSIONED], [skip])) == []


def test_a_skip_of_another_resource_or_check_is_reported_as_unused():
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
    text = "skip-check:\n  # Two lines\n  # of text.\n  - CKV_AWS_1\n  - CKV_AWS_2\n"
    first, second = general_skips(text)
    assert (first.check, first.reason[:9], first.resource) == (
        "CKV_AWS_1",
        "Two lines",
        None,
    )
    assert second == Skip("CKV_AWS_2", None, "")


def test_the_skips_of_a_resource_are_read_from_its_metadata():
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


def test_a_reason_applies_to_its_pattern_alone():
    wider = policy(Effect="Allow", Sid="Read", Action="s3:Get*", Resource="arn/*")
    (problem,) = wildcards(wider, {("Read", "arn/*"): "why"})
    assert problem == "Role: Read: a wildcard without a reason: s3:Get*"


def test_a_statement_that_denies_may_contain_wildcards():
    assert list(wildcards(policy(Effect="Deny", Action="*", Resource="*"), {})) == []


def test_a_reason_for_a_missing_pattern_is_a_problem():
    narrow = policy(Effect="Allow", Sid="Read", Action="s3:GetObject", Resource="arn")
    (problem,) = wildcards(narrow, {("Read", "arn/*"): "why"})
    assert problem == "Read does not use arn/*: remove its reason"


def test_checkov_gets_the_template_of_prod_with_all_optional_resources():
    resource = {
        "Type": "AWS::RDS::DBInstance",
        "Condition": "Optional",
        "Metadata": {"checkov": {"skip": []}},
        "Properties": {
            "MultiAZ": {"Fn::If": ["IsProduction", True, False]},
            "Port": [{"Fn::If": ["Other", 1, 2]}],
        },
    }
    judged = as_prod({"Resources": {"Database": resource}, "Conditions": {}})
    assert judged["Resources"]["Database"] == {
        "Type": "AWS::RDS::DBInstance",
        "Properties": {"MultiAZ": True, "Port": [{"Fn::If": ["Other", 1, 2]}]},
    }
    assert judged["Conditions"] == {}
