"""Paths of the project, and Lambda's name for this machine's architecture."""

import platform
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template.yaml"
FUNCTIONS = ROOT / "functions"
EVENTS = ROOT / "events"
BUILDS = ROOT / ".aws-sam"  # of the SAM CLI


def architecture() -> str:
    """Return this machine's architecture, by Lambda's name if it has one."""
    machine = platform.machine()
    return {"aarch64": "arm64"}.get(machine, machine)
