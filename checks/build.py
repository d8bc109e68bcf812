"""Proof that the output of `sam build` runs on Lambda, on both architectures.

The layers of both builds are checked by their files (`layers`). The build for this host
is also tried. Each handler is imported in a bare Python, which sees only the built
function, the two layers and Lambda's own packages, and not the virtual environment. The
import must use only bytecode, must write nothing, because Lambda's disk is read-only,
and must stay within the budgets of `make bench`.
"""

import compileall
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from samcli.yamlhelper import yaml_parse

from benchmarks.imports import NAIVE, compare_imports
from benchmarks.measure import OURS, Row, missed
from checks.layers import MACHINES, faults, files, machine_of, mebibytes
from local.project import BUILDS, architecture

BUILD = BUILDS / "build"
ROUNDS = 5
# Lambda's Python contains boto3 and what boto3 requires.
RUNTIME_MODULES = (
    "boto3",
    "botocore",
    "dateutil",
    "jmespath",
    "s3transfer",
    "six",
    "urllib3",
)
# Modules of the naive set that are neither in the layers nor in Lambda.
NAIVE_MODULES = ("annotated_types", "pydantic", "pydantic_core", "typing_inspection")
# -I and -S: no environment, no site-packages; -B: no bytecode is written.
PYTHON = [sys.executable, "-I", "-S", "-B"]

# Run by the bare interpreter: imports a handler, prints the sources that it compiles.
IMPORT_HANDLER = """
import importlib, json, sys
from importlib.machinery import SourceFileLoader
compiled, compile_source = [], SourceFileLoader.source_to_code
def source_to_code(loader, data, path, **options):
    compiled.append(path)
    return compile_source(loader, data, path, **options)
SourceFileLoader.source_to_code = source_to_code
sys.path[:0] = json.loads(sys.argv[2])
module, function = sys.argv[1].rsplit(".", 1)
assert callable(getattr(importlib.import_module(module), function))
print(json.dumps(compiled))
"""


class BuildError(Exception):
    """A faulty build, or one that cannot be tried; the message is for the terminal."""


@dataclass(frozen=True, slots=True)
class Handler:
    """A built function: its logical id, `module.function`, and its folder."""

    name: str
    entry: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Build:
    """The output of `sam build` for one machine."""

    folder: Path
    machine: str
    layers: tuple[Path, ...]
    handlers: tuple[Handler, ...]


def main() -> int:
    """Check both builds; return 0 if they pass, else 1."""
    try:
        failures = list(check())
    except BuildError as error:
        failures = [str(error)]
    for failure in failures:
        print(f"make build: {failure}", file=sys.stderr)
    return 1 if failures else 0


def check() -> Iterator[str]:
    """Yield failures; raise BuildError if nothing can be tried."""
    version: tuple[int, ...] = sys.version_info[:2]
    if version != (3, 13):  # Lambda's packages are taken from this environment
        raise BuildError("needs Python 3.13, like the runtime: make build PYTHON=...")
    if sys.platform != "linux" or architecture() not in MACHINES:
        raise BuildError(f"Lambda's packages do not load on {platform.platform()}")
    first = read(BUILD)
    (other,) = MACHINES.keys() - {first.machine}
    builds = {first.machine: first, other: build_for(other)}
    for build in builds.values():
        yield from layer_faults(build)
    yield from trial(builds[architecture()])


def read(folder: Path) -> Build:
    """Return a build; SAM names the folders after the logical ids."""
    if not (folder / "template.yaml").is_file():
        raise BuildError(f"there is no build in {folder}: run `sam build` first")
    template = yaml_parse((folder / "template.yaml").read_text())
    common = template["Globals"]["Function"]
    resources = template["Resources"]

    def of_type(kind: str) -> Iterator[tuple[str, dict[str, str]]]:
        for name, each in resources.items():
            if each["Type"] == f"AWS::Serverless::{kind}":
                yield name, each["Properties"]

    layers = tuple(folder / name / "python" for name, _ in of_type("LayerVersion"))
    handlers = tuple(
        Handler(name, properties.get("Handler", common["Handler"]), folder / name)
        for name, properties in of_type("Function")
    )
    machine = machine_of(*layers)
    if machine is None:
        raise BuildError(f"the layers in {folder} are not for one of {[*MACHINES]}")
    return Build(folder, machine, layers, handlers)


def build_for(machine: str) -> Build:
    """Build for that machine; return the build."""
    folder = BUILD.with_name(f"build-{machine}")
    options = {
        "--build-dir": str(folder),
        "--parameter-overrides": f"Architecture={machine}",
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
    build = read(folder)
    if build.machine != machine:
        raise BuildError(
            f"`sam build` for {machine} installed {build.machine} packages"
        )
    return build


def layer_faults(build: Build) -> Iterator[str]:
    """Print the sizes of a build's layers; yield their faults."""
    for layer in build.layers:
        name = f"{layer.parent.name} for {build.machine}"
        print(f"{name}: {mebibytes(layer):.1f} MiB")
        for fault in faults(layer, build.machine):
            yield f"{name}: {fault}"


def trial(build: Build) -> Iterator[str]:
    """Import each handler alone and print the cost; yield failures."""
    before = contents(build.folder)
    with linked(RUNTIME_MODULES) as runtime, linked(NAIVE_MODULES) as naive:
        path = (*build.layers, runtime)
        failures = [
            failure
            for handler in build.handlers
            if (failure := import_alone(handler, path))
        ]
        yield from failures
        if not failures:
            rows = measure(build.handlers, path, naive)
            print_table(rows)
            yield from missed(rows)
    if contents(build.folder) != before:
        yield f"importing wrote into {build.folder}, which Lambda does not allow"


def import_alone(handler: Handler, path: Sequence[Path]) -> str | None:
    """Return why the handler cannot be imported from bytecode; None if it can."""
    done = subprocess.run(
        [*PYTHON, "-c", IMPORT_HANDLER, handler.entry, folders(handler.folder, *path)],
        env={"LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()
        return f"{handler.name}: {handler.entry} cannot be imported alone: {reason[-1]}"
    own = f"{handler.folder.resolve()}/"  # too small to need bytecode
    compiled = [path for path in json.loads(done.stdout) if not path.startswith(own)]
    return f"{handler.name}: had to compile {', '.join(compiled)}" if compiled else None


def measure(
    handlers: Sequence[Handler], path: Sequence[Path], naive: Path
) -> list[Row]:
    """Return the cost of each import, and of the naive set on the same layers."""

    def program(imports: str, *path: Path) -> str:
        return f"sys.path[:0] = {folders(*path)}\n{imports}"

    functions = {
        handler.name.removesuffix("Function").lower(): program(
            f"import {handler.entry.rpartition('.')[0]}", handler.folder, *path
        )
        for handler in handlers
    }
    return list(
        compare_imports(functions, program(NAIVE, *path, naive), PYTHON, ROUNDS)
    )


def print_table(rows: Sequence[Row]) -> None:
    """Print one line per function."""
    print(f"{'import':<12}{'CPU ms':>8}{'of naive':>10}{'must be':>9}")
    for row in rows:
        ours, rival = row.values[OURS], row.values[row.rival]
        must = f"{row.budget.must:g}" if row.budget else ""
        print(f"{row.subject:<12}{ours:>8.0f}{ours / rival:>10.2f}{must:>9}")
    print(f"{'naive set':<12}{rival:>8.0f}")


def contents(folder: Path) -> Mapping[Path, int]:
    """Return the modification time of each file of a folder, in nanoseconds."""
    return {path: path.stat().st_mtime_ns for path in files(folder)}


def folders(*path: Path) -> str:
    """Return a module search path as JSON."""
    return json.dumps([str(folder.resolve()) for folder in path])


@contextmanager
def linked(names: Sequence[str]) -> Iterator[Path]:
    """Yield a folder with links to modules of this environment, compiled."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            spec = importlib.util.find_spec(name)
            if spec is None or spec.origin is None:
                raise BuildError(f"{name} is not installed: run `make install`")
            source = Path(spec.origin)
            bytecode = Path(folder) / "__pycache__"
            if source.name == "__init__.py":
                source = source.parent
            elif not bytecode.exists():
                bytecode.symlink_to(source.parent / bytecode.name)
            (Path(folder) / source.name).symlink_to(source)
            compile_module(source)
        yield Path(folder)


def compile_module(source: Path) -> None:
    """Write bytecode beside a module or package, which uv does not."""
    if source.is_dir():
        compileall.compile_dir(source, quiet=1)
    else:
        compileall.compile_file(source, quiet=1)


if __name__ == "__main__":
    sys.exit(main())
