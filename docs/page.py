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

from docs import fields, openapi
from local.project import ROOT

PARTS = ROOT / "docs" / "page"
# Not shown: a HEAD, which is its GET without a body, and the way to this page.
METHODS = ("get", "post", "put", "patch", "delete")
LEFT_OUT = ("/", "/docs")
# What a reader replaces: their key, and the id of one of their codes.
API_KEY, QR_ID = "API_KEY", "QR_ID"

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
        yield {
            "title": title,
            "curl": curl("POST", address, headers, body),
            "python": python("POST", address, headers, body, "print(answer.json())"),
        }


def got(
    title: str, path: str, more: str = "", then: str = "print(answer.json())"
) -> Call:
    """Return a call of a GET."""
    address = openapi.BASE + path
    return {
        "title": title,
        "curl": curl("GET", address, {}, None, more),
        "python": python("GET", address, {}, None, then),
    }


def calls(path: str) -> list[Call]:
    """Return the examples of a path."""
    match path:
        case "/generate":
            return list(created())
        case "/retrieve/{qr_id}":
            place = f"/retrieve/{QR_ID}"
            return [
                got("The address of the image", place),
                got(
                    "The image itself",
                    f"{place}?redirect=1",
                    "--location --output code.png ",
                    'with open("code.png", "wb") as file:\n'
                    "    file.write(answer.content)",
                ),
            ]
        case "/health":
            return [got("The state of the service", path)]
        case _:
            return [got("The document", path, then="print(answer.text)")]


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
                "fields": fields.rows() if "requestBody" in operation else [],
                "answers": [
                    [status, response["description"]]
                    for status, response in operation["responses"].items()
                ],
                "bodies": bodies,
                "calls": calls(path),
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
