"""`make sbom`: the bill of materials of what `sam build` made, in CycloneDX.

It lists what really lies in the layer of third-party packages, with licences, and the
libraries inside of wheels. That the packages are those of the layer's requirements.txt,
nothing more or less, is checked.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from local.project import ROOT

PACKAGES = ROOT / ".aws-sam/build/DependenciesLayer/python"
REQUIREMENTS = ROOT / "requirements/layer.txt"
BILL = ROOT / ".aws-sam/sbom.cdx.json"


def main() -> int:
    """Writes the bill; returns 1 when it does not hold what it is to hold, else 0."""
    if not PACKAGES.is_dir():
        print("There is no build: run `make build` first.", file=sys.stderr)
        return 1
    describe = ["git", "describe", "--always", "--dirty", "--tags"]
    version = subprocess.check_output(describe, cwd=ROOT, text=True).strip()
    required = pins(REQUIREMENTS.read_text())
    write_bill(PACKAGES, required, version, BILL)
    listed = components(BILL.read_text())
    for name in sorted(listed ^ required):
        where = "the layer" if name in listed else "requirements/layer.txt"
        print(f"{name} is in {where} only", file=sys.stderr)
    print(f"{BILL.relative_to(ROOT)}: {len(listed)} packages")
    return 1 if listed != required else 0


def write_bill(packages: Path, required: set[str], version: str, bill: Path) -> None:
    """Writes the bill of a folder of packages, which this version of us requires."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "pyproject.toml"
        project.write_text(
            f'[project]\nname = "qr-service"\nversion = "{version}"\n'
            f"dependencies = {json.dumps(sorted(required))}\n"
        )
        # What is installed is asked of an interpreter that sees nothing but the layer.
        command = [f"{sys.prefix}-pipeline/bin/cyclonedx-py", "environment", "-S"]
        command += ["--pyproject", str(project), "--output-reproducible"]
        command += ["--output-file", str(bill), f"{sys.base_prefix}/bin/python3"]
        environment = {**os.environ, "PYTHONPATH": str(packages)}
        subprocess.run(command, env=environment, check=True)
    whole = json.loads(bill.read_text())
    for each in whole["components"]:
        each["components"] = bundled(packages, f"{each['name']}=={each['version']}")
    bill.write_text(json.dumps(whole, indent=2) + "\n")


def bundled(packages: Path, package: str) -> list[dict[str, str]]:
    """Returns the libraries that a wheel brings inside, by its own bills (PEP 770)."""
    found = {}
    name = normal(package.partition("==")[0])
    for file in sorted(packages.glob("*.dist-info/sboms/*.json")):
        if normal(file.parts[-3].partition("-")[0]) == name:
            for each in json.loads(file.read_text())["components"]:
                kept = ("type", "name", "version", "purl")
                part = {key: each[key] for key in kept if key in each}
                reference = f"{package}/{part['name']}"
                found[reference] = {**part, "bom-ref": reference}
    return [part for part in found.values() if normal(part["name"]) != name]


def components(bill: str) -> set[str]:
    """Returns `name==version` of all that a bill lists."""
    return {
        f"{normal(each['name'])}=={each['version']}"
        for each in json.loads(bill)["components"]
    }


def pins(requirements: str) -> set[str]:
    """Returns `name==version` of all that a requirements.txt lists."""
    found = re.findall(r"^([\w.-]+)==([\w.]+)", requirements, re.MULTILINE)
    return {f"{normal(name)}=={version}" for name, version in found}


def normal(name: str) -> str:
    """Returns the one spelling of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
