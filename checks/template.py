"""Checks of template.yaml in `make lint`, beyond `sam validate`: as AWS receives it.

SAM's own lint reads the source. Here the source is first translated to CloudFormation,
offline, with the roles, versions and permissions that SAM adds. Then cfn-lint, checkov
and a search for wildcards in policies read the result. Findings of checkov are skipped
in .checkov.yaml or, for one resource, in its Metadata, with a reason (`checkov: skip:
[{id, comment}]`). A skip that is no longer needed is an error as well.
"""

import json
import logging
import re
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boto3.session import Session
from cfnlint.api import ManualArgs, lint
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from local.project import ROOT

REGION = "eu-central-1"  # for the translation; any region with all services works

BUDGET = "AWS::Budgets::Budget"
# The regions that README.md promises: of the partition `aws`, all that have RDS Proxy,
# and the classes of database that samconfig.toml uses.
REGIONS = {
    "af-south-1",
    "ap-east-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
}

# The patterns that statements allow, by Sid and pattern, and the reason for each.
IMAGES = "arn:${AWS::Partition}:s3:::${QrBucket}/codes/*"
WHY_IMAGES = "the keys of images are random; codes/ holds them and nothing else"
GROUPS = (
    "arn:${AWS::Partition}:codedeploy:${AWS::Region}:${AWS::AccountId}:deploymentgroup:"
    "${ServerlessDeploymentApplication}/*"
)
WHY_VERSIONS = "a right to each version would change with it, and arrive too late"
WILDCARDS = {
    ("CallNewVersions", "${GenerateFunction.Arn}:*"): WHY_VERSIONS,
    ("CallNewVersions", "${RetrieveFunction.Arn}:*"): WHY_VERSIONS,
    ("CallNewVersions", "${RedirectFunction.Arn}:*"): WHY_VERSIONS,
    ("CallNewVersions", "${ManageFunction.Arn}:*"): WHY_VERSIONS,
    ("CallNewVersions", "${PagesFunction.Arn}:*"): WHY_VERSIONS,
    ("ReportToCodeDeploy", GROUPS): "the application is the stack's own",
    ("StoreImagesAndDeleteUnusedOnes", IMAGES): WHY_IMAGES,
    ("SignUrlsThatRead", IMAGES): WHY_IMAGES,
    ("EraseImages", IMAGES): WHY_IMAGES,
    ("EraseEndedImages", IMAGES): WHY_IMAGES,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A check that a resource, given by its logical id, does not pass."""

    check: str
    resource: str
    text: str


@dataclass(frozen=True, slots=True)
class Skip:
    """An exemption from a check: of one resource, or of all if `resource` is None."""

    check: str
    resource: str | None
    reason: str

    def covers(self, finding: Finding) -> bool:
        """Return whether the finding is exempted."""
        return self.check == finding.check and self.resource in (None, finding.resource)


def main() -> int:
    """Print every problem of the template; return 1 if there is one, else 0."""
    translated = translate(yaml_parse((ROOT / "template.yaml").read_text()))
    found = findings(as_prod(translated))
    skips = [*general_skips((ROOT / ".checkov.yaml").read_text()), *own(translated)]
    problems = [
        *cfn_lint(translated, REGIONS),
        *unknown_classes(translated, database_classes(translated), REGIONS),
        *missing_types(translated, REGIONS),
        *unresolved(found, skips),
        *wildcards(translated, WILDCARDS),
    ]
    for problem in problems:
        print(f"template.yaml: {problem}", file=sys.stderr)
    if not problems:
        print(f"template.yaml: no findings except {len(found)} skipped on purpose")
    return 1 if problems else 0


def translate(source: dict[str, Any]) -> dict[str, Any]:
    """Return the CloudFormation template that AWS creates from a SAM template."""
    source = deepcopy(source)
    for resource in source["Resources"].values():  # what `sam deploy` does first
        for name in {"CodeUri", "ContentUri"} & resource["Properties"].keys():
            if not resource["Properties"][name].startswith("s3:"):
                resource["Properties"][name] = "s3://bucket/key"
    # It warns about switches that only AWS can set.
    logging.getLogger("samtranslator.feature_toggle").setLevel(logging.ERROR)
    # The template names AWS's policies by ARN, so none is looked up.
    translator = Translator({}, Parser(), boto_session=Session(region_name=REGION))
    translated = translator.translate(source, {})
    result: dict[str, Any] = json.loads(json.dumps(translated))
    return result


def cfn_lint(translated: dict[str, Any], regions: Iterable[str]) -> list[str]:
    """Return the findings of cfn-lint on a translated template, in all regions.

    One after the other would take ten minutes. Most regions have the same types of
    resources with the same schemas, so one is linted for all of its kind, without the
    types that it lacks. Besides, only the class of the database depends on the region.
    """
    found = []
    for region, types in kinds_of_regions(translated, regions).items():
        answered = json.loads(json.dumps(translated))
        # By default there are no subnets, and conditions leave out what reads them.
        answered["Parameters"]["SubnetIds"]["Default"] = "subnet-1,subnet-2"
        answered["Resources"] = {
            name: each
            for name, each in answered["Resources"].items()
            if each["Type"] in types or each["Type"].startswith("Custom::")
        }
        # W2001: SAM writes the value of a parameter into what it adds, not a Ref.
        # W3005: SAM repeats a dependency that a Ref implies.
        # W8001: what is left out has a condition, which nothing else uses.
        ignored = ["W2001", "W3005"]
        if len(answered["Resources"]) < len(translated["Resources"]):
            ignored += ["W8001"]
        options = ManualArgs(regions=[region], ignore_checks=ignored)
        matches = lint(json.dumps(answered), config=options)
        found += [f"{region}: {match}" for match in matches]
    return found


def kinds_of_regions(
    template: dict[str, Any], regions: Iterable[str]
) -> dict[str, set[str]]:
    """Return a region of each kind, and the types of the template's that it has."""
    kinds: dict[tuple[str, ...], tuple[str, set[str]]] = {}
    for region in sorted(regions):
        known = used_types(template) & set(
            PROVIDER_SCHEMA_MANAGER.get_resource_types(region)
        )
        schemas = tuple(
            json.dumps(
                PROVIDER_SCHEMA_MANAGER.get_resource_schema(region, kind).schema,
                sort_keys=True,
            )
            for kind in sorted(known)
        )
        kinds.setdefault(schemas, (region, known))
    return dict(kinds.values())


def used_types(template: dict[str, Any]) -> set[str]:
    """Return the types of a template's resources, without those of custom resources."""
    types = {resource["Type"] for resource in template["Resources"].values()}
    return {kind for kind in types if not kind.startswith("Custom::")}


def database_classes(template: dict[str, Any]) -> set[str]:
    """Return the classes of the database: the default's, and those of the stages."""
    stages = (ROOT / "samconfig.toml").read_text()
    default: str = template["Parameters"]["DatabaseInstanceClass"]["Default"]
    return {default, *re.findall(r'"DatabaseInstanceClass=([^"]+)"', stages)}


def unknown_classes(
    template: dict[str, Any], classes: Iterable[str], regions: Iterable[str]
) -> list[str]:
    """Return the classes of the template's database that a region lacks."""
    database = template["Resources"]["Database"]["Properties"]

    def unknown(name: str, regions: list[str]) -> bool:
        """Return whether one of the regions lacks a class."""
        properties = {
            **{key: database[key] for key in ("Engine", "EngineVersion")},
            "DBInstanceClass": name,
        }
        alone = {"Type": "AWS::RDS::DBInstance", "Properties": properties}
        options = ManualArgs(regions=regions)
        matches = lint(json.dumps({"Resources": {"Database": alone}}), config=options)
        return any(match.rule.id == "E3025" for match in matches)

    return [
        f"{region} has no {name}"
        for name in sorted(classes)
        if unknown(name, sorted(regions))  # each alone takes half a second
        for region in sorted(regions)
        if unknown(name, [region])
    ]


def missing_types(translated: dict[str, Any], regions: Iterable[str]) -> list[str]:
    """Return the types of resources that CloudFormation lacks in a region.

    Budgets may be missing where a rule of the template refuses them.
    """
    used = used_types(translated)
    missing = []
    for region in sorted(regions):
        exempt = {BUDGET} if region in without_budgets(translated) else set()
        known = set(PROVIDER_SCHEMA_MANAGER.get_resource_types(region))
        missing += [f"{region} has no {kind}" for kind in sorted(used - known - exempt)]
    return missing


def without_budgets(template: dict[str, Any]) -> set[str]:
    """Return the regions in which a rule of the template refuses a budget."""
    (assertion,) = template["Rules"]["BudgetsOfTheRegion"]["Assertions"]
    (contains,) = assertion["Assert"]["Fn::Not"]
    return set(contains["Fn::Contains"][0])


def as_prod(template: dict[str, Any]) -> dict[str, Any]:
    """Return the template with all optional resources, and as in production.

    checkov would leave out resources whose condition is false by default, and treats
    an `Fn::If` as an unknown value.
    """
    resources = {
        name: {
            key: decided(value)
            for key, value in resource.items()
            if key not in ("Condition", "Metadata")  # Metadata contains the skips
        }
        for name, resource in template["Resources"].items()
    }
    return {**template, "Resources": resources}


def decided(node: Any) -> Any:
    """Return a part of the template with each `!If [IsProduction, ...]` resolved."""
    if isinstance(node, list):
        return [decided(each) for each in node]
    if not isinstance(node, dict):
        return node
    condition = node.get("Fn::If")
    if condition and condition[0] == "IsProduction":
        return decided(condition[1])
    return {key: decided(value) for key, value in node.items()}


def findings(template: dict[str, Any]) -> list[Finding]:
    """Return all findings of checkov, which has its own virtual environment."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "template.json").write_text(json.dumps(template))
        command = [f"{sys.prefix}-checkov/bin/checkov", "--file", "template.json"]
        command += ["--framework", "cloudformation", "--output", "json"]
        done = subprocess.run(
            [*command, "--skip-download", "--soft-fail"],
            cwd=folder,
            env={"HOME": folder, "LANG": "C.UTF-8"},  # no personal settings
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    results = json.loads(done.stdout)["results"]
    if results["parsing_errors"]:
        raise ValueError(f"checkov cannot read {results['parsing_errors']}")
    return [
        Finding(each["check_id"], each["resource"].split(".")[-1], each["check_name"])
        for each in results["failed_checks"]
    ]


def general_skips(configuration: str) -> list[Skip]:
    """Return the skips of a .checkov.yaml; the comment above each is its reason."""
    items = re.findall(r"((?:^ *#.*\n)*)^ *- (CKV\w+)", configuration, re.MULTILINE)
    return [Skip(check, None, reason.strip(" #\n")) for reason, check in items]


def own(template: dict[str, Any]) -> list[Skip]:
    """Return the skips that resources have in their Metadata."""
    return [
        Skip(skip["id"], name, skip.get("comment", ""))
        for name, resource in template["Resources"].items()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]


def unresolved(found: Iterable[Finding], skips: Iterable[Skip]) -> Iterator[str]:
    """Yield findings without a skip, and skips without a reason or a finding."""
    found, skips = list(found), list(skips)
    for finding in found:
        if not any(skip.covers(finding) for skip in skips):
            yield f"{finding.resource}: {finding.check}: {finding.text}"
    for skip in skips:
        place = skip.resource or ".checkov.yaml"
        if not skip.reason:
            yield f"{place}: the skip of {skip.check} has no reason"
        if not any(skip.covers(finding) for finding in found):
            yield f"{place}: nothing needs the skip of {skip.check}"


def wildcards(
    template: dict[str, Any], allowed: Collection[tuple[str, str]]
) -> Iterator[str]:
    """Yield patterns that are not `allowed`, and `allowed` ones that are not used."""
    unused = set(allowed)
    for name, resource in template["Resources"].items():
        for statement in allowing(resource):
            sid = statement.get("Sid", "without Sid")
            for pattern in patterns(statement):
                if (sid, pattern) not in allowed:
                    yield f"{name}: {sid}: a wildcard without a reason: {pattern}"
                unused.discard((sid, pattern))
    for sid, pattern in sorted(unused):
        yield f"{sid} does not use {pattern}: remove its reason"


def allowing(node: Any) -> Iterator[dict[str, Any]]:
    """Yield all policy statements in a part of the template that allow something."""
    if isinstance(node, list):
        for each in node:
            yield from allowing(each)
    elif isinstance(node, dict):
        if node.get("Effect") == "Allow":
            yield node
        for value in node.values():
            yield from allowing(value)


def patterns(statement: dict[str, Any]) -> Iterator[str]:
    """Yield the patterns in a statement: wildcards and negations."""
    for key in ("Action", "Resource", "Principal"):
        yield from (text for text in texts(statement.get(key)) if "*" in text)
        yield from (f"all but {text}" for text in texts(statement.get(f"Not{key}")))


def texts(node: Any) -> Iterator[str]:
    """Yield every string in a part of the template."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, list | dict):
        for each in node.values() if isinstance(node, dict) else node:
            yield from texts(each)


if __name__ == "__main__":
    sys.exit(main())
