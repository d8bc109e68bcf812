"""The template, parsed; its intrinsic functions are not resolved."""

from typing import Any

from samcli.yamlhelper import yaml_parse

from local.project import ROOT
from local.project import TEMPLATE as TEMPLATE_FILE


def read(name: str) -> str:
    """Return the text of a file of the repository."""
    return (ROOT / name).read_text()


TEMPLATE = yaml_parse(TEMPLATE_FILE.read_text())
PARAMETERS = TEMPLATE["Parameters"]
RESOURCES = TEMPLATE["Resources"]


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of the resources of one type, by logical id."""
    return {
        name: resource["Properties"]
        for name, resource in RESOURCES.items()
        if resource["Type"] == kind
    }


FUNCTIONS = of_type("AWS::Serverless::Function")


def has_shared(name: str, member: str) -> bool:
    """Return whether a function has a property of Globals."""
    return member not in RESOURCES[name].get("IgnoreGlobals", [])
