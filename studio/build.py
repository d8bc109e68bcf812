"""The page of the studio as it is served: one document, joined from its parts.

`make docs` writes it to functions/pages/studio.html: page.html with style.css, the
parts of script/ in their order, and all texts, texts.json. What the form's fields may
hold comes from the declarations with which the service checks them.
"""

import json
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from qr_service.edge.fields import Boolean, Choice, Field, Number, Typed
from qr_service.edge.request import generate_fields

PARTS = Path(__file__).parent
# Fields of the form whose limits are those of the service.
LIMITED = ("width", "size_mm", "dpi", "border", "logo_size", "label")


def text() -> str:
    """Return the page."""
    texts = json.loads((PARTS / "texts.json").read_text())
    parts = [part.read_text() for part in sorted((PARTS / "script").glob("*.js"))]
    constants = f"const TEXTS = {literal(texts)};\nconst SPEC = {literal(spec())};\n"
    script = '"use strict";\n' + constants + "\n".join(parts)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    # They are ours, and an escaped style or script would not work.
    return environment.from_string((PARTS / "page.html").read_text()).render(
        texts=texts,
        css=Markup("\n" + (PARTS / "style.css").read_text()),  # noqa: S704
        script=Markup("\n" + script),  # noqa: S704
    )


def literal(value: Any) -> str:
    """Return JSON that cannot end the script which it stands in."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def spec() -> dict[str, Any]:
    """Return what the form needs to know of the fields of `POST /generate`."""
    declared = {field.name: field for field in generate_fields(24, 24)}
    content = declared["content"]
    if not isinstance(content, Typed):
        raise TypeError("content is an object with a type")
    return {
        "contents": {
            name: [member(each) for each in variant.members]
            for name, variant in content.variants.items()
        },
        **{name: limits(declared[name]) for name in LIMITED},
    }


def limits(field: Field) -> dict[str, Any]:
    """Return the least and the most of a field, as far as it has them."""
    found = ((name, getattr(field, name, None)) for name in ("least", "most"))
    return {name: value for name, value in found if value is not None}


def member(field: Field) -> dict[str, Any]:
    """Return a member of a content: its kind, and what its input may hold."""
    found: dict[str, Any] = {"name": field.name, "kind": "text"}
    if field.required:
        found["required"] = True
    if field.default is not None:
        found["default"] = field.default
    match field:
        case Boolean():
            found["kind"] = "boolean"
        case Choice(choices=choices):
            found |= {"kind": "choice", "choices": list(choices)}
        case Number():
            found |= {"kind": "number", **limits(field)}
        case _:
            found["most_length"] = limits(field)["most"]
    return found
