"""API keys on one machine: without any, nobody needs one; with some, as on AWS.

They are in keys.json of the state folder, by name. The name is the owner of what is
created with the key, as the id of the key is on AWS.
"""

import json
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samcli.yamlhelper import parse_yaml_file

from local.processes import LocalError
from local.project import TEMPLATE

FILE = "keys.json"
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
FORBIDDEN = {
    "type": "about:blank",
    "title": "Forbidden",
    "status": 403,
    "code": "forbidden",
    "detail": "The header X-Api-Key is missing or its key is unknown.",
}


def create(state: Path, name: str) -> str:
    """Create a key; return its value. Raises LocalError for a name that is taken."""
    if not NAME.fullmatch(name):
        raise LocalError(f"{name!r} is no name of a key: letters, digits, . _ and -")
    file, keys = state / FILE, read(state)
    if name in keys:
        raise LocalError(f"There is a key {name} already: {file}")
    keys[name] = secrets.token_urlsafe(30)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(keys, indent=2))
    draft.replace(file)
    return keys[name]


def guarded_routes(template: Path = TEMPLATE) -> set[tuple[str, str]]:
    """Return method and resource of the routes that need a key."""
    found = set()
    for resource in parse_yaml_file(str(template))["Resources"].values():
        for event in resource.get("Properties", {}).get("Events", {}).values():
            properties = event.get("Properties", {})
            if properties.get("Auth", {}).get("ApiKeyRequired"):
                found.add((properties["Method"], properties["Path"]))
    return found


def admit(
    event: Mapping[str, Any], keys: Mapping[str, str], guarded: set[tuple[str, str]]
) -> dict[str, Any] | None:
    """Return an event with the key's owner, None if API Gateway would refuse it."""
    admitted = dict(event)
    if not keys or (event.get("httpMethod"), event.get("resource")) not in guarded:
        return admitted
    headers = {name.lower(): value for name, value in (event["headers"] or {}).items()}
    given = headers.get("x-api-key", "").encode()
    for name, value in keys.items():
        if secrets.compare_digest(given, value.encode()):
            context = event["requestContext"]
            identity = {**context["identity"], "apiKeyId": name}
            admitted["requestContext"] = {**context, "identity": identity}
            return admitted
    return None


def refusal(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return API Gateway's answer to a request without a key."""
    request_id = event["requestContext"]["requestId"]
    return {
        "statusCode": FORBIDDEN["status"],
        "headers": {"Content-Type": "application/problem+json"},
        "body": json.dumps({**FORBIDDEN, "request_id": request_id}),
    }


def read(state: Path) -> dict[str, str]:
    """Return the keys of a state folder by name; none if it has none."""
    try:
        keys: dict[str, str] = json.loads((state / FILE).read_text())
    except FileNotFoundError:
        return {}
    return keys
