"""The page GET /docs: functions/pages/docs.html, written by `make docs`.

It says in HTML what the OpenAPI document says, and shows each call as curl and Python,
ready to copy. It is one document: style and script are in it. page/ has its parts.
"""

import json
import shlex
from collections.abc import Iterator
from pprint import pformat
from typing import Any
from urllib.parse import urlencode

import jinja2
from markupsafe import Markup
from qr_service.edge.batch import REF

from docs import fields, openapi
from local.project import ROOT

PARTS = ROOT / "docs" / "page"
# Not shown: a HEAD, which is its GET without a body, and the way to this page.
METHODS = ("get", "post", "put", "patch", "delete")
LEFT_OUT = ("/", "/docs")
BODIES = {
    ("post", "/generate"): [*fields.rows(fields.FIELDS), *fields.content_rows()],
    ("post", "/generate/batch"): fields.rows((*fields.BATCH_FIELDS, REF)),
    ("patch", "/codes/{qr_id}"): fields.rows(fields.PATCH_FIELDS),
}
# What a reader replaces: their key, and the id and the slug of one of their codes.
API_KEY, QR_ID, SLUG = "API_KEY", "QR_ID", "SLUG"

PRINT = "print(answer.json())"

Call = dict[str, str]


def marked(text: str) -> Markup:
    """Return text as HTML; what stands between backticks is code."""
    code = Markup("<code>{}</code>")
    parts = enumerate(text.split("`"))
    return Markup().join(code.format(part) if n % 2 else part for n, part in parts)


def table(heads: list[str], rows: list[list[str]]) -> Markup:
    """Return an HTML table, which scrolls by itself where the screen is narrow."""
    head = Markup().join(Markup("<th scope=col>{}").format(each) for each in heads)
    body = Markup("\n").join(
        Markup("<tr>{}").format(
            Markup().join(Markup("<td>{}").format(marked(cell)) for cell in row)
        )
        for row in rows
    )
    return Markup(
        '<div class="wide" tabindex="0" role="region" aria-label="Table">'
        "<table><thead><tr>{}</thead><tbody>\n{}\n</tbody></table></div>"
    ).format(head, body)


def members(schema: dict[str, Any]) -> list[list[str]]:
    """Return a row for each member of a schema: name, type, what it is."""
    rows = []
    for name, each in schema["properties"].items():
        kind = each.get("type", "")
        kind = kind if isinstance(kind, str) else " or ".join(kind)
        values = each.get("enum", [each["const"]] if "const" in each else [])
        if values:
            kind = ", ".join(f"`{json.dumps(value)}`" for value in values)
        rows.append([f"`{name}`", kind, each.get("description", "")])
    return rows


def curl(
    method: str, address: str, headers: dict[str, str], body: Any, more: str = ""
) -> str:
    """Return a call as a command of curl."""
    lines = [f"curl {more}{shlex.quote(address)}"]
    if method not in ("GET", "POST"):
        lines[0] = lines[0].replace("curl", f"curl -X {method}", 1)
    lines += [f"-H {shlex.quote(f'{name}: {each}')}" for name, each in headers.items()]
    if body is not None:
        text = json.dumps(body, ensure_ascii=False)
        lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(text)}"]
    return " \\\n  ".join(lines)


def python(
    method: str, address: str, headers: dict[str, str], body: Any, then: str
) -> str:
    """Return a call as a program in Python."""
    lines = [f'    "{address}",']
    for name, value in (("headers", headers), ("json", body)):
        if value:
            text = pformat(value, width=76, sort_dicts=False).replace("\n", "\n    ")
            indent = "\n    " + " " * len(f"{name}=")
            lines.append(f"    {name}={text.replace(chr(10) + '    ', indent)},")
    return "\n".join(
        [
            "import requests",
            "",
            f"answer = requests.{method.lower()}(",
            *lines,
            "    timeout=30,",
            ")",
            "answer.raise_for_status()",
            then,
        ]
    )


def created() -> Iterator[Call]:
    """Yield the calls of POST /generate: the events below events/generate/."""
    for title, event in openapi.examples():
        query = event["multiValueQueryStringParameters"] or {}
        address = f"{openapi.BASE}/generate"
        address += f"?{urlencode(query, doseq=True)}" if query else ""
        headers = {"X-Api-Key": API_KEY}
        if key := event["headers"].get("Idempotency-Key"):
            headers["Idempotency-Key"] = key
        body = json.loads(event["body"])
        yield call(title, "POST", address, headers, body)


def call(
    title: str,
    method: str,
    address: str,
    headers: dict[str, str] | None = None,
    body: Any = None,
    *,
    more: str = "",
    then: str = PRINT,
) -> Call:
    """Return a call in both languages; `more` are options of curl."""
    return {
        "title": title,
        "curl": curl(method, address, headers or {}, body, more),
        "python": python(method, address, headers or {}, body, then),
    }


def at(path: str) -> str:
    """Return the address of a path of the API."""
    return openapi.BASE + path.format(qr_id=QR_ID, slug=SLUG)


KEY = {"X-Api-Key": API_KEY}
IMAGE, CODES, CODE = at("/retrieve/{qr_id}"), at("/codes"), at("/codes/{qr_id}")
SAVE = 'with open("code.png", "wb") as file:\n    file.write(answer.content)'
CALLS = {
    ("POST", "/generate"): list(created()),
    ("POST", "/generate/batch"): [
        call(
            "A batch, of which one item is wrong",
            "POST",
            at("/generate/batch"),
            {**KEY, "Idempotency-Key": "order 4711"},
            openapi.body_of("generate/batch"),
        )
    ],
    ("GET", "/retrieve/{qr_id}"): [
        call("The address of the image", "GET", IMAGE),
        call(
            "The image itself",
            "GET",
            f"{IMAGE}?redirect=1",
            more="--location --output code.png ",
            then=SAVE,
        ),
    ],
    ("GET", "/codes"): [
        call("The newest codes", "GET", CODES, KEY),
        call(
            "Codes that end soon",
            "GET",
            f"{CODES}?expires_before=2030-01-31T12:00:00Z&limit=100",
            KEY,
        ),
    ],
    ("GET", "/codes/{qr_id}"): [
        call(
            "A code",
            "GET",
            CODE,
            KEY,
            more="--include ",
            then='print(answer.headers["ETag"], answer.json())',
        )
    ],
    ("PATCH", "/codes/{qr_id}"): [
        call(
            "Another label, and thirty days from now on",
            "PATCH",
            CODE,
            {**KEY, "If-Match": '"1"'},
            openapi.body_of("manage/change"),
        )
    ],
    ("DELETE", "/codes/{qr_id}"): [
        call("The end of a code", "DELETE", CODE, KEY, then="print(answer.status_code)")
    ],
    ("GET", "/codes/{qr_id}/scans"): [
        call("The scans since a day", "GET", f"{CODE}/scans?from=2026-01-31", KEY)
    ],
    ("GET", "/s/{slug}"): [
        call(
            "Where a code leads, without going there",
            "GET",
            f"{at('/s/{slug}')}?preview=1",
            {"Accept": "application/json"},
        )
    ],
    ("GET", "/health"): [call("The state of the service", "GET", at("/health"))],
    ("GET", "/openapi.json"): [
        call("The document", "GET", at("/openapi.json"), then="print(answer.text)")
    ],
}


def routes(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what the page shows of each operation."""
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method in METHODS:
            if path in LEFT_OUT or method not in methods:
                continue
            operation = methods[method]
            bodies = []
            for status, response in operation["responses"].items():
                content = response.get("content", {}).get("application/json", {})
                name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
                if name:
                    rows = members(schemas[name])
                    bodies.append({"status": status, "members": rows})
            yield {
                "id": operation["operationId"],
                "method": method.upper(),
                "path": path,
                "summary": operation["summary"],
                "description": operation.get("description", ""),
                "key": "security" in operation,
                "parameters": [
                    [f"`{each['name']}`", each["in"], each["description"]]
                    for each in operation.get("parameters", [])
                ],
                "fields": BODIES.get((method, path), []),
                "answers": [
                    [status, response["description"]]
                    for status, response in operation["responses"].items()
                ],
                "bodies": bodies,
                "calls": CALLS[method.upper(), path],
            }


def text() -> str:
    """Return the page as it is committed."""
    document = openapi.document()
    problem = document["components"]["schemas"]["Problem"]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PARTS),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html").render(
        base=openapi.BASE,
        openapi=document["openapi"],
        info=document["info"],
        routes=list(routes(document)),
        problem={"description": problem["description"], "members": members(problem)},
        table=table,
        # They are ours, and an escaped style or script would not work.
        css=Markup("\n" + (PARTS / "page.css").read_text()),  # noqa: S704
        script=Markup("\n" + (PARTS / "page.js").read_text()),  # noqa: S704
    )
