"""Agreement between the files of this repository."""

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
from qr_service.edge.fields import Choice, Typed, read_all
from qr_service.edge.http import EXPOSED_HEADERS
from qr_service.edge.request import GenerateRequest, parse
from qr_service.engine.style import FORMATS, GRADIENT_TYPES, SHAPES
from qr_service.engine.symbol import ECIS, LEVELS
from qr_service.errors import BadField, BadRequest
from samcli.yamlhelper import yaml_parse

import functions.pages.app as pages
from docs import fields as declared
from docs import openapi
from docs.__main__ import generated
from tests.support.environment import ENVIRONMENT
from tests.support.examples import STATUS
from tests.support.template import (
    FUNCTIONS,
    PARAMETERS,
    RESOURCES,
    ROOT,
    TEMPLATE,
    has_shared,
    read,
)

# Read by Powertools itself, not by Settings.
POWERTOOLS = {
    "LOG_LEVEL",
    "POWERTOOLS_METRICS_NAMESPACE",
    "POWERTOOLS_SERVICE_NAME",
}
# They use neither the layers nor the network.
WITHOUT_LAYERS = {"pages", "verify"}
# Set by Lambda: the template must not set it.
FROM_LAMBDA = {"AWS_REGION"}


def routes() -> Iterator[tuple[str, str, Path]]:
    """Yield method, path and function folder of each route."""
    for function in FUNCTIONS.values():
        for event in function.get("Events", {}).values():
            if event["Type"] == "Api":
                properties = event["Properties"]
                folder = ROOT / function["CodeUri"]
                yield properties["Method"], properties["Path"], folder


ROUTES = list(routes())
GENERATED = generated()


def events_of(folder: Path) -> list[dict[str, Any]]:
    files = sorted((ROOT / "events" / folder.name).glob("*.json"))
    return [json.loads(file.read_text()) for file in files]


# ------------------------------------------------------------------------- routes


def routes_in(folder: Path) -> set[tuple[str, str]]:
    """Return method and path of each route that a handler has."""
    if folder.name == "pages":  # it has no router: three routes need none
        return {("GET", path) for path in ("/", *pages.DOCUMENTS)}
    source = (folder / "app.py").read_text()
    single = re.findall(r'@app\.(get|post|patch|delete)\("(/[^"]*)"\)', source)
    several = re.findall(r'@app\.route\("(/[^"]*)", method=\[([^\]]*)\]\)', source)
    return {(method.upper(), path) for method, path in single} | {
        (method, path)
        for path, methods in several
        for method in re.findall(r"[A-Z]+", methods)
    }


@pytest.mark.parametrize(("method", "path", "folder"), ROUTES)
class TestRoute:
    def test_has_a_handler(self, method, path, folder):
        assert (method, path) in routes_in(folder), (
            f"template.yaml routes {method} {path} to {folder.name}: add it to app.py"
        )

    def test_has_an_event(self, method, path, folder):
        found = [
            event
            for event in events_of(folder)
            if (event["httpMethod"], event["resource"]) == (method, path)
        ]
        assert found, f"add an event of {method} {path} to events/{folder.name}/"

    def test_is_documented(self, method, path, folder):
        assert f"`{method} {path}`" in read("docs/api.md"), "add a row to its routes"


def test_every_route_of_a_handler_is_in_the_template():
    routed = set()
    for folder in (ROOT / "functions").iterdir():
        routed |= routes_in(folder)
    assert routed == {(method, path) for method, path, _ in ROUTES}, (
        "a handler answers what no event of a function in template.yaml routes to it"
    )


def test_every_function_has_a_folder_and_events():
    folders = {Path(function["CodeUri"]).name for function in FUNCTIONS.values()}
    for parent in ("functions", "events"):
        assert {folder.name for folder in (ROOT / parent).iterdir()} == folders, (
            f"template.yaml's functions and the folders of {parent}/ differ"
        )
    for folder in folders:
        assert events_of(ROOT / "functions" / folder), f"events/{folder}/ is empty"


def test_every_http_event_has_an_expected_status():
    events = {
        f"{file.parent.name}/{file.stem}"
        for file in (ROOT / "events").rglob("*.json")
        if "httpMethod" in json.loads(file.read_text())
    }
    assert events == set(STATUS), "events/ (left), and tests/support/examples.py"


def test_api_events_are_consistent():
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


def test_every_throttle_is_for_a_route():
    settings = RESOURCES["Api"]["Properties"]["MethodSettings"]
    throttled = {(each["HttpMethod"], each["ResourcePath"]) for each in settings}
    # AWS::ApiGateway::Stage MethodSetting: / and the path, with ~1 for its slashes.
    existing = {(method, "/" + path.replace("/", "~1")) for method, path, _ in ROUTES}
    assert throttled <= existing | {("*", "/*")}, (
        "MethodSettings in template.yaml name a route that does not exist"
    )


def test_pages_of_other_origins_may_send_and_read_all_that_the_routes_use():
    """CORS in template.yaml and edge/http.py, against the routes and their headers."""
    cors = RESOURCES["Api"]["Properties"]["Cors"]

    def listed(name):
        return set(cors[name].strip("'").split(","))

    assert listed("AllowMethods") == {method for method, _, _ in ROUTES} | {"OPTIONS"}
    operations = [
        operation
        for methods in openapi.document()["paths"].values()
        for operation in methods.values()
    ]
    sent = {
        each["name"]
        for operation in operations
        for each in operation.get("parameters", [])
        if each["in"] == "header"
    }
    assert listed("AllowHeaders") == sent | {"Content-Type", "X-Api-Key"}
    answered = {
        name
        for operation in operations
        for response in operation["responses"].values()
        for name in response.get("headers", {})
    }
    assert set(EXPOSED_HEADERS.split(", ")) == answered


def test_gateway_problems_have_the_same_members_as_our_own():
    responses = RESOURCES["Api"]["Properties"]["GatewayResponses"]
    for name, response in responses.items():
        text = response["ResponseTemplates"]["application/json"]
        # API Gateway writes messageString with quotes.
        problem = json.loads(text.replace("$context.error.messageString", '"x"'))
        expected = {"type", "title", "code", "detail", "request_id"}
        if "StatusCode" in response:
            expected.add("status")
            assert problem["status"] == response["StatusCode"], name
        assert set(problem) == expected, name
        headers = response["ResponseParameters"]["Headers"]
        assert headers["Content-Type"] == "'application/problem+json'", name
        later = problem.get("status") == 429 or name == "DEFAULT_5XX"
        assert ("Retry-After" in headers) == later, name
        assert headers["Access-Control-Allow-Origin"]["Fn::Sub"], name
        assert f"`{problem['code']}`" in read("docs/api.md"), name


# ------------------------------------------------------------------------- folders

SERVICE = ROOT / "layers/common/qr_service"
USE_CASES = {"generation", "retrieval", "redirection", "management", "cleanup"}


def imports_of(source: Path) -> set[str]:
    """Return the service's modules that a file imports: `folder.module` or `module`."""
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


def test_the_engine_imports_only_errors_from_the_service():
    for source in (SERVICE / "engine").glob("*.py"):
        other = {name for name in imports_of(source) if not name.startswith("engine.")}
        assert other <= {"errors"}, f"{source} imports {other}: the engine is pure"


def test_contents_import_only_errors_from_the_service():
    for source in (SERVICE / "content").glob("*.py"):
        other = imports_of(source)
        assert other <= {"errors"}, f"{source} imports {other}: contents are pure"


def test_stores_import_nothing_from_the_edge():
    for source in (SERVICE / "stores").glob("*.py"):
        edge = {name for name in imports_of(source) if "edge" in name}
        assert not edge, f"{source} imports {edge}: stores know nothing of the edge"


def test_only_functions_import_use_cases():
    for source in SERVICE.rglob("*.py"):
        assert not imports_of(source) & USE_CASES, (
            f"{source} imports a use case, which only a function may"
        )
    for folder in (ROOT / "functions").iterdir():
        if folder.name not in WITHOUT_LAYERS:
            assert imports_of(folder / "app.py"), "imports_of finds imports"


# ------------------------------------------------------------- the body of generate

MODEL = RESOURCES["Api"]["Properties"]["Models"]["GenerateRequest"]
FIELDS = MODEL["properties"]


def data_url() -> str:
    file = BytesIO()
    Raster.new("1", (1, 1)).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


LOGO = data_url()
ODDITIES = [
    *LEVELS,
    *ECIS,
    *FORMATS,
    *SHAPES,
    *GRADIENT_TYPES,
    *(None, True, 1.5, "", "x", "24", [], {}, ["png"], 10**20),
    *("#12aB9f", "#12345g", "#1234567", "transparent", "Transparent", "black"),
    *({"to": "#12aB9f"}, {"type": "radial", "to": "#000000"}, {"type": "linear"}),
    *({"to": "#000"}, {"type": "conic", "to": "#000000"}, {"to": 1}),
    *({"to": "#000000", "from": "#ffffff"}, {"to": "transparent"}),
    *({"type": "tel", "number": "+1"}, {"type": "fax", "number": "+1"}),
    *(LOGO, LOGO.replace("png", "gif"), "https://example.com/logo.png"),
]


def boundaries(schema: Mapping[str, Any]) -> Iterator[Any]:
    """Yield values on both sides of a field's limits, and all its choices."""
    yield from schema.get("enum", [])
    for limit in {"minLength", "maxLength"} & schema.keys():
        length = schema[limit]
        yield from ("x" * each for each in (length - 1, length, length + 1))
    step = 1 if schema["type"] == "integer" else 0.001
    for limit in {"minimum", "maximum"} & schema.keys():
        value = schema[limit]
        yield from (value - step, value, value + step, str(value))


def parsed(fields: Mapping[str, Any]) -> GenerateRequest:
    """Return a parsed request without its digest, which differs for every body."""
    longest = PARAMETERS["MaxExpirationHours"]["MaxValue"]
    settings = Settings.from_env(
        ENVIRONMENT | {"MAX_EXPIRATION_HOURS": str(longest)},
    )
    text = {} if "content" in fields else {"data": "x"}
    request = parse(json.dumps(text | dict(fields)).encode(), settings)
    return replace(request, digest=b"")


def is_parsed(fields: Mapping[str, Any]) -> bool:
    try:
        parsed(fields)
    except BadRequest:
        return False
    return True


# What a field needs beside it.
NEEDS = {field.name: field.needs for field in declared.FIELDS}
NEEDED = {
    "": {},
    "dynamic": {"dynamic": True},
    "logo": {"logo": LOGO},
    "size_mm": {"size_mm": 30},
}


@pytest.mark.parametrize("name", FIELDS)
def test_the_model_and_the_function_accept_the_same_values(name):
    validator = Draft4Validator(MODEL)  # API Gateway's draft
    values = [*ODDITIES, *(v for each in FIELDS.values() for v in boundaries(each))]
    base = {"expiration_hours": 1, **NEEDED[NEEDS[name]]}
    if name != "content":
        base["data"] = "https://example.com"
    bodies = [{**base, name: value} for value in values]
    accepted = [body[name] for body in bodies if validator.is_valid(body)]
    assert accepted == [body[name] for body in bodies if is_parsed(body)], (
        f"{name}: GenerateRequest in template.yaml (left) and parse in edge/request.py"
    )
    assert 0 < len(accepted) < len(values)


def test_the_model_and_the_function_know_the_same_fields():
    with pytest.raises(BadRequest) as error:
        parsed({"unknown": 1})
    assert error.value.fields["allowed"] == list(FIELDS), (
        "parse in edge/request.py (left) and GenerateRequest in template.yaml"
    )
    with pytest.raises(BadRequest) as error:
        parse(b"{}", Settings.from_env(ENVIRONMENT))
    assert MODEL["oneOf"] == [
        {"required": [name]} for name in error.value.fields["allowed"]
    ]


def test_the_defaults_are_accepted_and_change_nothing():
    defaults = {
        name: field["default"] for name, field in FIELDS.items() if "default" in field
    }
    assert parsed(defaults) == parsed({})
    gradient = {"to": "#000000"}
    default = FIELDS["gradient"]["properties"]["type"]["default"]
    full = {**gradient, "type": default}
    assert parsed({"gradient": gradient}) == parsed({"gradient": full})


(CONTENT,) = (field for field in declared.FIELDS if isinstance(field, Typed))
MEMBERS = [each for kind in CONTENT.variants.values() for each in kind.members]


@pytest.mark.parametrize(
    "field", [*declared.FIELDS, *declared.PATCH_FIELDS, *MEMBERS], ids=lambda f: f.name
)
def test_the_example_of_a_field_is_accepted(field):
    field.check(field.name, field.example)
    assert field.example != field.default, "an example shows something else"


@pytest.mark.parametrize("name", sorted(GENERATED))
def test_what_is_generated_is_committed(name):
    assert (ROOT / name).read_text() == GENERATED[name], "run make docs"


def test_a_field_that_is_declared_is_everywhere(monkeypatch):
    kinds = ("calm", "loud")
    added = Choice("mood", "New.", example="loud", default="calm", choices=kinds)
    monkeypatch.setattr(declared, "FIELDS", (*declared.FIELDS, added))
    texts = generated()
    row = "| `mood` | `calm`, `loud` | `calm` | New. |"
    assert row in texts["docs/api.md"]
    model = yaml_parse(texts["template.yaml"])["Resources"]["Api"]["Properties"]
    assert model["Models"]["GenerateRequest"]["properties"]["mood"] == {
        "type": "string",
        "enum": ["calm", "loud"],
        "default": "calm",
    }
    assert read_all(declared.FIELDS, {"data": "x"})["mood"] == "calm"
    with pytest.raises(BadField, match="mood must be calm or loud"):
        read_all(declared.FIELDS, {"data": "x", "mood": "dull"})


def test_the_gateway_leaves_validation_to_the_function():
    events = FUNCTIONS["GenerateFunction"]["Events"].values()
    models = [event["Properties"].get("RequestModel") for event in events]
    validated = {"Model": "GenerateRequest", "Required": True, "ValidateBody": False}
    assert models == [validated, None]


# -------------------------------------------------------------------- environment


class RecordingEnvironment(dict[str, str]):
    """A mapping that records which names are read."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return super().__getitem__(name)


OWN_VARIABLES = {"DATABASE_URL"}  # each function has a role of its own
TEMPLATE_VARIABLES = OWN_VARIABLES | set(
    TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
)


def test_template_and_settings_agree_on_the_environment():
    environment = RecordingEnvironment(ENVIRONMENT)
    Settings.from_env(environment)
    assert environment.names - FROM_LAMBDA | POWERTOOLS == TEMPLATE_VARIABLES, (
        "template.yaml: Globals (left), and Settings in config.py"
    )


def test_template_and_documentation_agree_on_the_environment():
    rows = re.findall(
        r"^\| `([A-Z][A-Z0-9_]+)`", read("docs/configuration.md"), re.MULTILINE
    )
    assert sorted(rows) == sorted(TEMPLATE_VARIABLES), (
        "docs/configuration.md (left), and template.yaml: Globals"
    )


def test_no_function_of_the_layers_has_a_variable_of_its_own():
    for name, function in FUNCTIONS.items():
        own = function.get("Environment", {}).get("Variables", {})
        if Path(function["CodeUri"]).name in WITHOUT_LAYERS:
            for variable in own:
                assert f"`{variable}`" in read("docs/configuration.md")
            continue
        assert set(own) == OWN_VARIABLES, name


def test_functions_without_layers_import_nothing_of_them():
    for name in WITHOUT_LAYERS:
        assert not imports_of(ROOT / "functions" / name / "app.py")
        assert not has_shared(f"{name.title()}Function", "Layers")


# --------------------------------------------------------------------- documents

PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^):#]*)(#[^)]*)?\)", page.read_text()):
        linked = page.parent / target if target else page
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", linked.read_text(), re.MULTILINE)
            anchors = {
                "#" + re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
                for title in titles
            }
            assert anchor in anchors, f"{page.name} links to {target}{anchor}"


def test_the_readme_stays_short():
    assert len(read("README.md").splitlines()) <= 200, "move reference to docs/"


def test_commands_in_the_pages_exist():
    targets = set(re.findall(r"^([a-z-]+):.*##", read("Makefile"), re.MULTILINE))
    for page in PAGES:
        text = page.read_text()
        commands = re.findall(r"(?:`|^\$ )make ([a-z -]+)", text, re.MULTILINE)
        unknown = set(" ".join(commands).split()) - targets - {"k", "n"}
        assert not unknown, f"{page.name}: make {unknown}"


def test_files_named_in_the_architecture_exist():
    page = read("docs/architecture.md")
    named = re.findall(r"`([\w./-]+\.(?:py|md|yaml|sh|sql))`", page)
    new = {  # what the worked changes add
        "functions/manage/app.py",
        "functions/migrate/migrations/0004_language.sql",
        "layers/common/qr_service/management.py",
    }
    missing = {
        name
        for name in set(named) - new
        if not ((ROOT / name).exists() or (SERVICE / name).exists())
    }
    assert not missing, "docs/architecture.md names files that do not exist"


# ------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("parameter", "variable"),
    [
        ("DefaultExpirationHours", "DEFAULT_EXPIRATION_HOURS"),
        ("MaxExpirationHours", "MAX_EXPIRATION_HOURS"),
        ("TombstoneDays", "TOMBSTONE_DAYS"),
        ("GraceDays", "GRACE_DAYS"),
        ("UrlTtlSeconds", "URL_TTL_SECONDS"),
    ],
)
def test_settings_and_template_accept_the_same_range(parameter, variable):
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
    """Return whether Settings accept these values; the default is below the maximum."""
    try:
        Settings.from_env({**ENVIRONMENT, "DEFAULT_EXPIRATION_HOURS": "1", **changes})
    except Exception:  # noqa: BLE001  every error is a refusal
        return False
    return True


# ------------------------------------------------------------------- the deployment


def test_every_parameter_is_described_and_listed_in_order():
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    listed = [name for group in groups for name in group["Parameters"]]
    assert listed == list(PARAMETERS)
    assert all(parameter["Description"] for parameter in PARAMETERS.values())


SAMCONFIG = tomllib.loads(read("samconfig.toml"))
STAGES = ["default", "dev", "staging", "prod"]


def overrides(stage: str, command: str) -> dict[str, str] | None:
    """Return the parameters that a command of a stage sets, or None.

    `sam deploy --guided` saves them as one string.
    """
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
    """Return the versions in one of the lists, by normalized name (PEP 503)."""
    found = re.findall(
        r"^([\w.-]+)(?:\[\w+\])?==([\w.]+)", read(f"requirements/{name}"), re.MULTILINE
    )
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_pinned_with_hashes_and_without_urls(name):
    text = read(f"requirements/{name}.txt")
    assert "://" not in text
    for entry in re.split(r"\n(?=[\w])", text.split("make requirements\n")[1]):
        assert re.match(r"[\w.-]+(\[[\w,]+\])?==[\w.]+ ", entry), entry
        assert "--hash=sha256:" in entry, entry


@pytest.mark.parametrize("folder", ["readers", "node"])
def test_packages_of_node_are_pinned_with_hashes_and_without_urls(folder):
    text = read(f"benchmarks/{folder}/package-lock.json")
    assert "://" not in text
    packages = json.loads(text)["packages"]
    assert len(packages) > 4
    for name, package in packages.items():
        assert not name or package["integrity"].startswith("sha512-"), name


@pytest.mark.parametrize("name", LISTS)
def test_a_list_holds_what_its_source_requires(name):
    assert pins(f"{name}.in").items() <= pins(f"{name}.txt").items(), (
        f"requirements/{name}.in has changed: run `make requirements`"
    )


def test_development_uses_the_versions_of_the_layer():
    assert pins("layer.txt").items() <= pins("dev.txt").items()
    link = ROOT / "layers/dependencies/requirements.txt"
    assert link.resolve() == ROOT / "requirements/layer.txt"


def test_the_layer_leaves_out_what_lambda_provides():
    names = pins("layer.txt").keys()
    assert names
    assert not names & {"boto3", "botocore", "s3transfer", "urllib3"}


def test_every_list_is_compiled_by_the_same_script():
    script = read("requirements/compile.sh")
    assert sorted(re.findall(r"^compile (\w+) ", script, re.MULTILINE)) == LISTS
    assert {path.stem for path in (ROOT / "requirements").glob("*.txt")} == set(LISTS)
