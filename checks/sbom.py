"""`make sbom`: the bill of materials of the output of `sam build`, in CycloneDX.

It lists the packages that the layer of third-party packages contains, with licences,
and the libraries inside wheels. It also checks that these packages are exactly those of
the layer's requirements.txt.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from local.project import BUILDS, ROOT

PACKAGES = BUILDS / "build/DependenciesLayer/python"
REQUIREMENTS = ROOT / "requirements/layer.txt"
BILL = BUILDS / "sbom.cdx.json"


def main() -> int:
    """Write the bill; return 0 if it lists exactly the required packages, else 1."""
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
    """Write the bill of a folder of packages, which our `version` requires."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "pyproject.toml"
        project.write_text(
            f'[project]\nname = "qr-service"\nversion = "{version}"\n'
            f"dependencies = {json.dumps(sorted(required))}\n"
        )
        # The packages are listed by an interpreter that sees only the layer.
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
    """Return the libraries inside a wheel, from the wheel's own bills (PEP 770)."""
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
    """Return `name==version` of each package in a bill."""
    return {
        f"{normal(each['name'])}=={each['version']}"
        for each in json.loads(bill)["components"]
    }


def pins(requirements: str) -> set[str]:
    """Return `name==version` of each package in a requirements.txt."""
    found = re.findall(r"^([\w.-]+)==([\w.]+)", requirements, re.MULTILINE)
    return {f"{normal(name)}=={version}" for name, version in found}


def normal(name: str) -> str:
    """Return the normalized name of a distribution (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
