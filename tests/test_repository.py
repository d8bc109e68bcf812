"""The promises that files of this repository make to each other."""

import ast
import base64
import json
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator
from PIL import Image as Raster
from qr_service.config import Settings
from qr_service.edge.request import GenerateRequest, parse
from qr_service.errors import BadRequest

from tests.support import tables
from tests.support.environment import ENVIRONMENT
from tests.support.template import (
    FUNCTIONS,
    PARAMETERS,
    RESOURCES,
    ROOT,
    TEMPLATE,
    read,
)

# Read by Powertools itself, not by Settings.
POWERTOOLS = {
    "LOG_LEVEL",
    "POWERTOOLS_METRICS_NAMESPACE",
    "POWERTOOLS_SERVICE_NAME",
}
# Set by Lambda, so that the template must not.
FROM_LAMBDA = {"AWS_REGION"}


def routes() -> Iterator[tuple[str, str, Path]]:
    """Method, path and folder of the function of each route."""
    for function in FUNCTIONS.values():
        for event in function.get("Events", {}).values():
            if event["Type"] == "Api":
                properties = event["Properties"]
                folder = ROOT / function["CodeUri"]
                yield properties["Method"], properties["Path"], folder


ROUTES = list(routes())


def events_of(folder: Path) -> list[dict[str, Any]]:
    files = sorted((ROOT / "events" / folder.name).glob("*.json"))
    return [json.loads(file.read_text()) for file in files]


# ------------------------------------------------------------------------- routes


@pytest.mark.parametrize(("method", "path", "folder"), ROUTES)
class TestRoute:
    def test_has_a_handler(self, method, path, folder):
        source = (folder / "app.py").read_text()
        assert f'@app.{method.lower()}("{path}")' in source

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
            routed.add((method.upper(), path))
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
    # As AWS::ApiGateway::Stage MethodSetting has it: / and the path, its slashes as ~1.
    existing = {(method, "/" + path.replace("/", "~1")) for method, path, _ in ROUTES}
    assert throttled <= existing | {("*", "/*")}


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
        assert f"`{problem['code']}`" in read("README.md"), name


# -------------------------------------------------------------------------- rooms

SERVICE = ROOT / "layers/common/qr_service"
USE_CASES = {"generation", "retrieval", "cleanup"}


def imports_of(source: Path) -> set[str]:
    """Modules of the service that a file imports, as `room.module` or `module`."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found.update([str(node.module), *names])
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    ours = {name.removeprefix("qr_service.") for name in found if "qr_service." in name}
    modules = {
        ".".join(path.relative_to(SERVICE).with_suffix("").parts)
        for path in SERVICE.rglob("*.py")
    }
    return ours & modules


def test_the_engine_imports_nothing_of_the_service_but_errors():
    for source in (SERVICE / "engine").glob("*.py"):
        other = {name for name in imports_of(source) if not name.startswith("engine.")}
        assert other <= {"errors"}, source


def test_stores_import_nothing_of_the_edge():
    for source in (SERVICE / "stores").glob("*.py"):
        assert not {name for name in imports_of(source) if "edge" in name}, source


def test_only_a_function_imports_a_use_case():
    for source in SERVICE.rglob("*.py"):
        assert not imports_of(source) & USE_CASES, source
    for folder in (ROOT / "functions").iterdir():
        assert imports_of(folder / "app.py"), "the test sees imports"


# ------------------------------------------------------------- the body of generate

MODEL = RESOURCES["Api"]["Properties"]["Models"]["GenerateRequest"]
FIELDS = MODEL["properties"]


def data_url() -> str:
    file = BytesIO()
    Raster.new("1", (1, 1)).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


LOGO = data_url()
ODDITIES = [
    *(None, True, 1.5, "", "x", "24", [], {}, ["png"], 10**20),
    *("#12aB9f", "#12345g", "#1234567", "transparent", "Transparent", "black"),
    *({"to": "#12aB9f"}, {"type": "radial", "to": "#000000"}, {"type": "linear"}),
    *({"to": "#000"}, {"type": "conic", "to": "#000000"}, {"to": 1}),
    *({"to": "#000000", "from": "#ffffff"}, {"to": "transparent"}),
    *(LOGO, LOGO.replace("png", "gif"), "https://example.com/logo.png"),
]


def boundaries(schema: Mapping[str, Any]) -> Iterator[Any]:
    """Values on both sides of a field's limits, and each of its choices."""
    yield from schema.get("enum", [])
    step = 1 if schema["type"] == "integer" else 0.001
    for limit in {"minimum", "maximum"} & schema.keys():
        value = schema[limit]
        yield from (value - step, value, value + step, str(value))


def parsed(fields: Mapping[str, Any]) -> GenerateRequest:
    """The request of a body; its digest, which no two bodies share, is left out."""
    settings = Settings.from_env(ENVIRONMENT)
    request = parse(json.dumps({"data": "x", **fields}).encode(), settings)
    return replace(request, digest=b"")


def is_parsed(fields: Mapping[str, Any]) -> bool:
    try:
        parsed(fields)
    except BadRequest:
        return False
    return True


@pytest.mark.parametrize("name", FIELDS)
def test_the_model_and_the_function_accept_the_same(name):
    validator = Draft4Validator(MODEL)  # API Gateway's draft
    values = [*ODDITIES, *(v for each in FIELDS.values() for v in boundaries(each))]
    beside = {"data": "x", "logo": LOGO}  # a logo_size has to have one
    bodies = [{**beside, name: value} for value in values]
    accepted = [body[name] for body in bodies if validator.is_valid(body)]
    assert accepted == [body[name] for body in bodies if is_parsed(body)]
    assert 0 < len(accepted) < len(values)


def test_the_model_and_the_function_know_the_same_fields():
    with pytest.raises(BadRequest) as error:
        parsed({"unknown": 1})
    assert error.value.fields["allowed"] == list(FIELDS)
    with pytest.raises(BadRequest) as error:
        parse(b"{}", Settings.from_env(ENVIRONMENT))
    assert [error.value.fields["field"]] == MODEL["required"]


def test_the_model_and_the_function_have_the_same_defaults():
    defaults = {
        name: field["default"] for name, field in FIELDS.items() if "default" in field
    }
    assert parsed(defaults) == parsed({})
    gradient = {"to": "#000000"}
    default = FIELDS["gradient"]["properties"]["type"]["default"]
    full = {**gradient, "type": default}
    assert parsed({"gradient": gradient}) == parsed({"gradient": full})


README_ROWS = {
    name: row for row in tables.rows("field") for name in tables.quoted(row[0])
}


def test_the_readme_has_a_row_for_each_field_of_the_model():
    assert set(README_ROWS) == set(FIELDS)


@pytest.mark.parametrize("name", [name for name in FIELDS if name in README_ROWS])
def test_the_readme_tells_what_the_model_does(name):
    _, kind, default, limits = README_ROWS[name]
    field = FIELDS[name]
    wanted = {str(field[limit]) for limit in {"minimum", "maximum"} & field.keys()}
    for each in (field, *field.get("properties", {}).values()):
        wanted.update(each.get("enum", []))
    if field["type"] != "string":
        wanted.add(field["type"])
    assert wanted <= words(f"{kind} {limits}")
    if name in MODEL["required"]:
        assert default == "required"
    elif "default" in field:
        assert str(field["default"]) in words(default)


def words(text: str) -> set[str]:
    """Words, colours and numbers."""
    return set(re.findall(r"[\w#]+(?:\.\d+)?", text))


def test_the_gateway_leaves_the_judgement_to_the_function():
    events = FUNCTIONS["GenerateFunction"]["Events"].values()
    models = [event["Properties"]["RequestModel"] for event in events]
    assert models == [
        {"Model": "GenerateRequest", "Required": True, "ValidateBody": False}
    ]


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


# ------------------------------------------------------------------- the deployment


def test_every_parameter_is_described_and_asked_for_in_order():
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    asked = [name for group in groups for name in group["Parameters"]]
    assert asked == list(PARAMETERS)
    assert all(parameter["Description"] for parameter in PARAMETERS.values())


SAMCONFIG = tomllib.loads(read("samconfig.toml"))
STAGES = ["default", "dev", "staging", "prod"]


def overrides(stage: str, command: str) -> dict[str, str] | None:
    """The parameters that a command of a stage sets; guided answers are one text."""
    parameters = SAMCONFIG[stage].get(command, {}).get("parameters", {})
    found = parameters.get("parameter_overrides")
    pairs = shlex.split(found) if isinstance(found, str) else found
    return None if pairs is None else dict(pair.split("=", 1) for pair in pairs)


@pytest.mark.parametrize("stage", STAGES)
def test_samconfig_sets_only_parameters_that_exist(stage):
    for command in SAMCONFIG[stage]:
        assert set(overrides(stage, command) or {}) <= set(PARAMETERS)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_deployed_on_the_architecture_it_is_built_for(stage):
    everywhere = overrides(stage, "global") or {}
    default = {"Architecture": PARAMETERS["Architecture"]["Default"]}
    built, deployed = (
        default | (everywhere if (own := overrides(stage, command)) is None else own)
        for command in ("build", "deploy")
    )
    assert built["Architecture"] == deployed["Architecture"]


def test_every_architecture_has_its_layer():
    dependencies = ROOT / "layers/dependencies"
    makefiles = {makefile.parent.name for makefile in dependencies.glob("*/Makefile")}
    assert makefiles == set(PARAMETERS["Architecture"]["AllowedValues"])


# ------------------------------------------------------------------- requirements

LISTS = sorted(path.stem for path in (ROOT / "requirements").glob("*.in"))


def pins(name: str) -> dict[str, str]:
    """Versions in one of the lists, by the one spelling of a name (PEP 503)."""
    found = re.findall(
        r"^([\w.-]+)(?:\[\w+\])?==([\w.]+)", read(f"requirements/{name}"), re.MULTILINE
    )
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_pinned_with_hashes_and_without_addresses(name):
    text = read(f"requirements/{name}.txt")
    assert "://" not in text
    for entry in re.split(r"\n(?=[\w])", text.split("make requirements\n")[1]):
        assert re.match(r"[\w.-]+(\[[\w,]+\])?==[\w.]+ ", entry), entry
        assert "--hash=sha256:" in entry, entry


@pytest.mark.parametrize("name", LISTS)
def test_a_list_holds_what_its_source_requires(name):
    assert pins(f"{name}.in").items() <= pins(f"{name}.txt").items(), (
        f"requirements/{name}.in has changed: run `make requirements`"
    )


def test_development_uses_the_versions_of_the_layer():
    assert pins("layer.txt").items() <= pins("dev.txt").items()
    link = ROOT / "layers/dependencies/requirements.txt"
    assert link.resolve() == ROOT / "requirements/layer.txt"


def test_the_layer_leaves_out_what_lambda_brings():
    names = pins("layer.txt").keys()
    assert names
    assert not names & {"boto3", "botocore", "s3transfer", "urllib3"}


def test_every_list_is_compiled_by_the_same_script():
    script = read("requirements/compile.sh")
    assert sorted(re.findall(r"^compile (\w+) ", script, re.MULTILINE)) == LISTS
    assert {path.stem for path in (ROOT / "requirements").glob("*.txt")} == set(LISTS)
