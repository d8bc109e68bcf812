"""Proof that what `sam build` made runs alone: every handler imports in a bare Python.

That Python sees the built function, the two built layers and what Lambda brings, and
nothing of the virtual environment. Compiled packages load only on the machine they are
for, so a build for another one is repeated for this host before it is tried.
"""

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from samcli.yamlhelper import yaml_parse

BUILD = Path(".aws-sam/build")
HOST_BUILD = Path(".aws-sam/build-host")
# Lambda's Python brings boto3 and what boto3 requires.
RUNTIME_MODULES = (
    "boto3",
    "botocore",
    "dateutil",
    "jmespath",
    "s3transfer",
    "six",
    "urllib3",
)
ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64"}

# Run by the bare interpreter: its arguments are a handler and the folders of its path.
IMPORT_HANDLER = """
import importlib, json, sys, time
sys.path[:0] = json.loads(sys.argv[2])
module, function = sys.argv[1].rsplit(".", 1)
start = time.perf_counter()
assert callable(getattr(importlib.import_module(module), function))
print(f"{1000 * (time.perf_counter() - start):.0f} ms")
"""


class BuildError(Exception):
    """The build cannot be tried, or does not hold; the message is for the terminal."""


@dataclass(frozen=True, slots=True)
class Handler:
    """A built function: its logical id, `module.function`, and the path it gets."""

    name: str
    entry: str
    path: tuple[Path, ...]


def main() -> int:
    """Returns 0 when every handler of the build imports alone, else 1."""
    try:
        python = find_python()
        build = build_for_host(BUILD)
        with runtime_modules() as runtime:
            failures = [
                failure
                for handler in handlers(build)
                if (failure := import_alone(python, handler, runtime))
            ]
    except BuildError as error:
        failures = [str(error)]
    for failure in failures:
        print(f"local.built: {failure}", file=sys.stderr)
    return 1 if failures else 0


def handlers(build: Path) -> list[Handler]:
    """Returns the built functions; SAM names each one's folder after it."""
    template = yaml_parse((build / "template.yaml").read_text())
    common = template["Globals"]["Function"]
    resources = template["Resources"]

    def entry(name: str) -> str:
        properties = resources[name]["Properties"]
        return str(properties.get("Handler", common["Handler"]))

    def of_type(kind: str) -> list[str]:
        return [name for name, each in resources.items() if each["Type"] == kind]

    layers = [
        build / name / "python" for name in of_type("AWS::Serverless::LayerVersion")
    ]
    return [
        Handler(name, entry(name), (build / name, *layers))
        for name in of_type("AWS::Serverless::Function")
    ]


def import_alone(python: str, handler: Handler, runtime: Path) -> str | None:
    """Returns why the handler does not import, or None when it does."""
    path = json.dumps([str(folder.resolve()) for folder in (*handler.path, runtime)])
    done = subprocess.run(
        # -I and -S: no environment, no site-packages; -B: Lambda's disk is read-only.
        [python, "-I", "-S", "-B", "-c", IMPORT_HANDLER, handler.entry, path],
        env={"LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode == 0:
        print(f"{handler.name}: {handler.entry} imports alone, {done.stdout.strip()}")
        return None
    reason = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
    return f"{handler.name}: {handler.entry} does not import alone: {reason}"


def build_for_host(build: Path) -> Path:
    """Returns the build, or one for this host's machine when it is for another."""
    if not (build / "template.yaml").is_file():
        raise BuildError(f"there is no build in {build}: run `sam build` first")
    machine = platform.machine()
    if sys.platform != "linux" or machine not in ARCHITECTURES:
        raise BuildError(f"Lambda's packages do not load on {sys.platform} {machine}")
    if list((build / "DependenciesLayer").rglob(f"*-{machine}-linux-gnu.so")):
        return build
    print(f"The build is for another machine; building for {machine} to try it.")
    options = {
        "--build-dir": str(HOST_BUILD),
        "--parameter-overrides": f"Architecture={ARCHITECTURES[machine]}",
    }
    done = subprocess.run(
        [sys.executable, "-m", "samcli", "build", *chain(*options.items())],
        env={**os.environ, "SAM_CLI_TELEMETRY": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BuildError(f"`sam build` for {machine} failed:\n{done.stdout}")
    return HOST_BUILD


def find_python() -> str:
    """Returns an interpreter of the runtime's version, whatever runs this module."""
    if sys.version_info[:2] == (3, 13):
        return sys.executable
    python = shutil.which("python3.13")
    # A shim on PATH may stand for a version that is not installed.
    if python:
        tried = subprocess.run([python, "-V"], capture_output=True, check=False)
        if tried.returncode == 0:
            return python
    raise BuildError("needs Python 3.13, the runtime's, as python3.13 on PATH")


@contextmanager
def runtime_modules() -> Iterator[Path]:
    """Gives a folder with links to what Lambda brings, taken from this environment."""
    with tempfile.TemporaryDirectory() as folder:
        for name in RUNTIME_MODULES:
            spec = importlib.util.find_spec(name)
            if spec is None or spec.origin is None:
                raise BuildError(f"{name} is not installed: run `make install`")
            source = Path(spec.origin)
            if source.name == "__init__.py":
                source = source.parent
            (Path(folder) / source.name).symlink_to(source)
        yield Path(folder)


if __name__ == "__main__":
    sys.exit(main())
