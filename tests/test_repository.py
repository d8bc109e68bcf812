"""The promises that files of this repository make to each other."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import ManualArgs, lint
from qr_service.config import Settings
from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform

from tests.environment import ENVIRONMENT

ROOT = Path(__file__).parent.parent
TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text())
PARAMETERS = TEMPLATE["Parameters"]
RESOURCES = TEMPLATE["Resources"]

# Read by Powertools itself, not by Settings.
POWERTOOLS = {
    "LOG_LEVEL",
    "POWERTOOLS_METRICS_NAMESPACE",
    "POWERTOOLS_SERVICE_NAME",
}
# Set by Lambda, so that the template must not.
FROM_LAMBDA = {"AWS_REGION"}


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    """The properties of the template's resources of one type, by logical id."""
    return {
        name: resource["Properties"]
        for name, resource in RESOURCES.items()
        if resource["Type"] == kind
    }


FUNCTIONS = of_type("AWS::Serverless::Function")


def routes() -> Iterator[tuple[str, str, Path]]:
    """Method, path and folder of the function of each route."""
    for function in FUNCTIONS.values():
        for event in function.get("Events", {}).values():
            if event["Type"] == "Api":
                properties = event["Properties"]
                folder = ROOT / function["CodeUri"]
                yield properties["Method"], properties["Path"], folder


ROUTES = list(routes())


def read(name: str) -> str:
    return (ROOT / name).read_text()


def events_of(folder: Path) -> list[dict[str, Any]]:
    files = sorted((ROOT / "events" / folder.name).glob("*.json"))
    return [json.loads(file.read_text()) for file in files]


def policy_actions(properties: Mapping[str, Any]) -> set[str]:
    """The actions of a function's policies."""
    allowed = set()
    for policy in properties["Policies"]:
        for statement in policy["Statement"]:
            actions = statement["Action"]
            allowed |= {actions} if isinstance(actions, str) else set(actions)
    return allowed


# ------------------------------------------------------------------------- routes


@pytest.mark.parametrize(("method", "path", "folder"), ROUTES)
class TestRoute:
    def test_has_a_handler(self, method, path, folder):
        source = (folder / "app.py").read_text()
        wanted = re.sub(r"\{(\w+)\}", r"<\1>", path)
        assert f'@app.{method.lower()}("{wanted}")' in source

    def test_has_an_event(self, method, path, folder):
        found = [
            event
            for event in events_of(folder)
            if (event["httpMethod"], event["resource"]) == (method, path)
        ]
        assert found

    def test_is_in_the_readme(self, method, path, folder):
        assert f"`{method} {path}`" in read("README.md")


def test_no_handler_answers_a_route_that_the_template_does_not_have():
    routed = set()
    for folder in (ROOT / "functions").iterdir():
        source = (folder / "app.py").read_text()
        for method, path in re.findall(r'@app\.(\w+)\("(/[^"]*)"\)', source):
            routed.add((method.upper(), re.sub(r"<(\w+)>", r"{\1}", path)))
    assert routed == {(method, path) for method, path, _ in ROUTES}


def test_every_function_has_its_folder_and_events():
    folders = {Path(function["CodeUri"]).name for function in FUNCTIONS.values()}
    for parent in ("functions", "events"):
        assert {folder.name for folder in (ROOT / parent).iterdir()} == folders
    for folder in folders:
        assert events_of(ROOT / "functions" / folder)


def test_api_events_agree_with_themselves():
    for file in (ROOT / "events").rglob("*.json"):
        event = json.loads(file.read_text())
        if "httpMethod" not in event:
            continue
        context = event["requestContext"]
        path = event["resource"].format(**event["pathParameters"] or {})
        assert event["path"] == path, file
        assert context["path"] == f"/{context['stage']}{path}", file
        assert context["resourcePath"] == event["resource"], file
        assert context["httpMethod"] == event["httpMethod"], file
        single = {name: [text] for name, text in event["headers"].items()}
        assert event["multiValueHeaders"] == single, file


def test_every_throttle_is_of_a_route():
    settings = RESOURCES["Api"]["Properties"]["MethodSettings"]
    throttled = {(each["HttpMethod"], each["ResourcePath"]) for each in settings}
    existing = {(method, path) for method, path, _ in ROUTES}
    assert throttled <= existing | {("*", "/*")}


def test_the_documented_body_has_the_fields_that_generate_takes():
    model = RESOURCES["Api"]["Properties"]["Models"]["GenerateRequest"]["properties"]
    source = read("layers/common/qr_service/request.py")
    taken = re.findall(r'take\.\w+\(\s*"(\w+)"', source)
    assert set(model) == set(taken)


def test_gateway_problems_have_the_shape_of_our_own():
    responses = RESOURCES["Api"]["Properties"]["GatewayResponses"]
    for name, response in responses.items():
        text = response["ResponseTemplates"]["application/json"]
        # API Gateway writes messageString with its quotes.
        problem = json.loads(text.replace("$context.error.messageString", '"x"'))
        expected = {"type", "title", "code", "detail", "request_id"}
        if "StatusCode" in response:
            expected.add("status")
            assert problem["status"] == response["StatusCode"], name
        assert set(problem) == expected, name
        headers = response["ResponseParameters"]["Headers"]
        assert headers["Content-Type"] == "'application/problem+json'", name
        assert ("Retry-After" in headers) == (problem.get("status") == 429), name
        assert headers["Access-Control-Allow-Origin"]["Fn::Sub"], name


# -------------------------------------------------------------------- environment


class RecordingEnvironment(dict[str, str]):
    """A mapping that remembers which names were asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return super().__getitem__(name)


TEMPLATE_VARIABLES = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]


def test_template_and_settings_agree_on_the_environment():
    environment = RecordingEnvironment(ENVIRONMENT)
    Settings.from_env(environment)
    assert set(TEMPLATE_VARIABLES) == environment.names - FROM_LAMBDA | POWERTOOLS


def test_template_and_readme_agree_on_the_environment():
    rows = re.findall(r"^\| `([A-Z][A-Z0-9_]+)`", read("README.md"), re.MULTILINE)
    assert sorted(rows) == sorted(TEMPLATE_VARIABLES)


def test_no_function_has_a_variable_of_its_own():
    for name, function in FUNCTIONS.items():
        own = function.get("Environment", {}).get("Variables", {})
        assert set(own) <= set(TEMPLATE_VARIABLES), name


# ------------------------------------------------------------------------- limits


def test_the_lifecycle_rule_outlasts_the_longest_code():
    rules = RESOURCES["QrBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    days = [rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule]
    longest = PARAMETERS["MaxExpirationHours"]["MaxValue"]
    assert [day * 24 > longest for day in days] == [True]


def test_the_bucket_accepts_signatures_as_long_as_urls_live():
    statements = RESOURCES["QrBucketPolicy"]["Properties"]["PolicyDocument"]
    ages = [
        int(statement["Condition"]["NumericGreaterThan"]["s3:signatureAge"])
        for statement in statements["Statement"]
        if "NumericGreaterThan" in statement["Condition"]
    ]
    assert ages == [1000 * PARAMETERS["UrlTtlSeconds"]["MaxValue"]]


@pytest.mark.parametrize(
    ("parameter", "variable"),
    [
        ("DefaultExpirationHours", "DEFAULT_EXPIRATION_HOURS"),
        ("MaxExpirationHours", "MAX_EXPIRATION_HOURS"),
        ("TombstoneDays", "TOMBSTONE_DAYS"),
        ("UrlTtlSeconds", "URL_TTL_SECONDS"),
    ],
)
def test_settings_accept_what_the_template_does_and_no_more(parameter, variable):
    bounds = PARAMETERS[parameter]
    accepted = {
        value
        for value in (
            bounds["MinValue"] - 1,
            bounds["MinValue"],
            bounds["MaxValue"],
            bounds["MaxValue"] + 1,
        )
        if settings_accept({variable: str(value)})
    }
    assert accepted == {bounds["MinValue"], bounds["MaxValue"]}


def settings_accept(changes: Mapping[str, str]) -> bool:
    """Whether Settings take these values; the default is kept below the maximum."""
    try:
        Settings.from_env({**ENVIRONMENT, "DEFAULT_EXPIRATION_HOURS": "1", **changes})
    except Exception:  # noqa: BLE001  any refusal is one
        return False
    return True


# ------------------------------------------------------------ operations and rights


def test_every_function_has_a_log_group_with_retention():
    groups = of_type("AWS::Logs::LogGroup")
    used = [
        function["LoggingConfig"]["LogGroup"]["Ref"] for function in FUNCTIONS.values()
    ]
    destination = RESOURCES["Api"]["Properties"]["AccessLogSetting"]["DestinationArn"]
    used.append(destination["Fn::GetAtt"][0])
    assert sorted(used) == sorted(groups)
    for name, group in groups.items():
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}, name


def test_no_function_may_do_more_than_its_task():
    assert {name: policy_actions(each) for name, each in FUNCTIONS.items()} == {
        "GenerateFunction": {
            "s3:PutObject",
            "s3:DeleteObject",
            "rds-db:connect",
            "elasticache:Connect",
        },
        "RetrieveFunction": {"s3:GetObject", "rds-db:connect", "elasticache:Connect"},
        "CleanupFunction": {"s3:DeleteObject", "rds-db:connect"},
        "MigrateFunction": {"rds-db:connect"},
    }


def test_no_function_may_touch_a_resource_of_another_stack():
    for function in FUNCTIONS.values():
        for policy in function["Policies"]:
            for statement in policy["Statement"]:
                resources = statement["Resource"]
                for each in resources if isinstance(resources, list) else [resources]:
                    *_, resource = each["Fn::Sub"].split(":", 5)
                    assert "${" in resource, statement["Sid"]


def test_only_generate_needs_an_api_key():
    guarded = [
        event["Properties"]["Path"]
        for function in FUNCTIONS.values()
        for event in function.get("Events", {}).values()
        if event["Properties"].get("Auth", {}).get("ApiKeyRequired")
    ]
    assert guarded == ["/generate"]


# ------------------------------------------------------------------- the deployment


def test_every_parameter_is_described_and_asked_for_in_order():
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    asked = [name for group in groups for name in group["Parameters"]]
    assert asked == list(PARAMETERS)
    assert all(parameter["Description"] for parameter in PARAMETERS.values())


def test_samconfig_sets_only_parameters_that_exist():
    stages = tomllib.loads(read("samconfig.toml"))
    del stages["version"]
    for stage in stages.values():
        overrides = stage["deploy"]["parameters"]["parameter_overrides"]
        assert {override.split("=")[0] for override in overrides} <= set(PARAMETERS)


def test_every_architecture_has_its_layer():
    dependencies = ROOT / "layers/dependencies"
    makefiles = {makefile.parent.name for makefile in dependencies.glob("*/Makefile")}
    assert makefiles == set(PARAMETERS["Architecture"]["AllowedValues"])


def test_the_layer_leaves_out_what_lambda_brings():
    names = set(re.findall(r"^([\w-]+)==", read(REQUIREMENTS[0]), re.MULTILINE))
    assert names
    assert not names & {"boto3", "botocore", "s3transfer", "urllib3"}


REQUIREMENTS = [
    "layers/dependencies/requirements.txt",
    "requirements-dev.txt",
    "constraints.txt",
]


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_every_requirement_is_pinned(name):
    lines = [line.split("#")[0].strip() for line in read(name).splitlines()]
    loose = [
        line
        for line in lines
        if line
        and not line.startswith("-r ")
        and not re.fullmatch(r"[\w.-]+(\[\w+\])?==[\w.]+", line)
    ]
    assert loose == []


class NoManagedPolicies:
    """Stands in for the translator's look-up of AWS's policies by name."""

    def load(self) -> dict[str, str]:
        return {}


def test_the_translated_template_lints(monkeypatch):
    """SAM's own lint looks at the source, and misses what the transform makes of it."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    source = yaml_parse(read("template.yaml"))
    for resource in source["Resources"].values():  # what `sam deploy` does first
        for name in {"CodeUri", "ContentUri"} & resource["Properties"].keys():
            resource["Properties"][name] = "s3://bucket/key"
    translated = transform(source, {}, NoManagedPolicies())
    # W3005: SAM itself repeats a dependency that a Ref implies.
    options = ManualArgs(regions=["eu-central-1"], ignore_checks=["W3005"])
    found = lint(json.dumps(translated), config=options)
    assert [str(match) for match in found] == []
