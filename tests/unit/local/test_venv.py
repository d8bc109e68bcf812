"""How local/venv.sh finds Python, and when it installs which requirements.

Python, uv and pip are scripts that record their arguments.
"""

import os
import shutil
import subprocess

import pytest

from local.project import ROOT

TOOLS = (
    "sh",
    "cat",
    "cmp",
    "cp",
    "date",
    "dirname",
    "flock",
    "head",
    "mkdir",
    "mv",
    "sed",
    "uname",
)
LISTS = ("dev", "ministack", "checkov", "lambda", "uv")

# Replies like Python 3.13; its prefix is its own path.
PYTHON = """#!/bin/sh
case "$1" in -ISc) echo "3.13 $0"; exit 0 ;; esac
echo "$0 $*" >>"$TRACE"
[ "$2" != venv ] || mkdir -p .venv/uv
"""
# pyenv's shim of a version that is not installed.
SHIM = "#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n"
OLD = "#!/bin/sh\nexit 1\n"
# `uv venv` creates its last argument; `uv pip sync` fails for the lists in FAILING.
UV = """#!/bin/sh
echo "uv $1 $2 index=$UV_DEFAULT_INDEX" >>"$TRACE"
for last; do :; done
case "$1" in
venv) mkdir -p "$last/bin" ;;
pip) case " $FAILING " in *" $last "*) exit 1 ;; esac; echo "synced $last" >>"$TRACE" ;;
esac
"""
PIP = """#!/bin/sh
case "$*" in
"-m pip config list") echo "global.index-url='https://mirror.example/simple'" ;;
*--python*) echo "pip of $4 or $*" >>"$TRACE"; [ -z "$OFFLINE" ] ;;
esac
"""


class Project:
    """A project that has only requirement lists, and fake programs."""

    def __init__(self, folder):
        self.folder = folder
        self.trace = folder / "trace"
        self.write("local/venv.sh", (ROOT / "local" / "venv.sh").read_text())
        self.write(".python-version", "3.13\n")
        for name in LISTS:
            self.write(f"requirements/{name}.txt", f"what {name} has\n")
        self.write(".venv/uv/bin/uv", UV)
        self.write(".venv/uv/bin/python", PIP)
        self.write(".venv/uv/installed", "what uv has\n")
        (folder / "bin").mkdir()
        for tool in TOOLS:
            (folder / "bin" / tool).symlink_to(shutil.which(tool))

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def run(self, *command, **variables):
        """Run a command in the environment; return exit code, output and errors."""
        self.trace.write_text("")
        folder = str(self.folder)
        done = subprocess.run(
            ["sh", f"{folder}/local/venv.sh", *(command or ("sh", "-c", ":"))],
            env={
                "PATH": f"{folder}/bin",
                "HOME": folder,
                "TRACE": str(self.trace),
                **variables,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def synced(self, environments="", **variables):
        """Run a command; return the lists that were synced, and the exit code."""
        code, _, _ = self.run(ENVIRONMENTS=environments, **variables)
        lines = self.trace.read_text().splitlines()
        done = [line.split("/")[1] for line in lines if line.startswith("synced")]
        return [name.removesuffix(".txt") for name in done], code


@pytest.fixture
def project(tmp_path):
    project = Project(tmp_path)
    project.write("bin/python3.13", PYTHON)
    return project


# ------------------------------------------------------------- which Python is chosen


@pytest.fixture
def chosen(tmp_path):
    """Return a function that returns the Python chosen among some, or the error."""
    project = Project(tmp_path)

    def chosen(pythons, **variables):
        for name, text in pythons.items():
            project.write(name, text)
        code, _, complaint = project.run(**variables)
        if code:
            return complaint
        prefix = (tmp_path / ".venv/3.13/installed").read_text().split()[1]
        return os.path.relpath(prefix, tmp_path)

    return chosen


def test_the_version_in_the_file_is_preferred(chosen):
    both = {"bin/python3.13": PYTHON, "bin/python3.12": PYTHON}
    assert chosen(both) == "bin/python3.13"


def test_a_shim_that_fails_is_skipped_for_a_version_that_pyenv_has(chosen):
    pyenv = {
        "bin/python3.13": SHIM,
        ".pyenv/versions/3.13.1/bin/python": PYTHON,
        "bin/python3.12": PYTHON,
    }
    assert chosen(pyenv) == ".pyenv/versions/3.13.1/bin/python"


def test_another_version_is_accepted(chosen):
    assert chosen({"bin/python3.13": SHIM, "bin/python3": PYTHON}) == "bin/python3"


def test_the_callers_choice_wins(chosen, tmp_path):
    both = {"bin/python3.13": PYTHON, "mine": PYTHON}
    assert chosen(both, PYTHON=str(tmp_path / "mine")) == "mine"


def test_a_missing_python_is_reported_in_a_sentence(chosen):
    assert "Python 3.11 or newer is needed" in chosen({"bin/python3": OLD})
    assert "PYTHON=/none does not run" in chosen({}, PYTHON="/none")


def test_another_system_is_refused(chosen, tmp_path):
    (tmp_path / "bin/uname").unlink()
    mac = {"bin/uname": "#!/bin/sh\necho Darwin\n", "bin/python3.13": PYTHON}
    assert "This needs Linux" in chosen(mac)


# -------------------------------------------------------------- what is installed when


def test_two_environments_always_exist_and_more_if_requested(project):
    assert project.synced() == (["dev", "ministack"], 0)
    assert project.synced() == ([], 0)
    assert project.synced("checkov lambda") == (["checkov", "lambda"], 0)
    assert project.synced("lambda") == ([], 0)


@pytest.mark.parametrize("name", ["dev", "ministack", "checkov"])
def test_a_changed_list_is_installed_and_no_other(project, name):
    project.synced("checkov lambda")
    project.write(f"requirements/{name}.txt", "something else\n")
    assert project.synced("checkov lambda") == ([name], 0)


def test_a_moved_project_is_installed_again(project, tmp_path):
    project.synced()
    stamp = tmp_path / ".venv/3.13/installed"
    stamp.write_text(stamp.read_text().replace(str(tmp_path), "/elsewhere", 1))
    assert project.synced() == (["dev"], 0)


def test_if_uv_fails_pip_installs_the_same_list(project):
    failing = "requirements/ministack.txt"
    assert project.synced(FAILING=failing) == (["dev"], 0)
    assert f"--require-hashes --only-binary=:all: --no-deps -r {failing}" in (
        project.trace.read_text()
    )
    assert project.synced() == ([], 0)


def test_a_failed_installation_is_tried_again_and_the_others_are_not(project):
    failing = {"FAILING": "requirements/ministack.txt", "OFFLINE": "1"}
    done, code = project.synced(**failing)
    assert (done, code != 0) == (["dev"], True)
    assert project.synced() == (["ministack"], 0)


def test_uv_uses_the_index_that_pip_uses(project):
    project.synced()
    assert "index=https://mirror.example/simple" in project.trace.read_text()


def test_a_new_release_of_uv_is_installed_by_pip_first(project, tmp_path):
    project.write("requirements/uv.txt", "a newer uv\n")
    project.synced()
    assert f"{tmp_path}/bin/python3.13 -m venv --clear .venv/uv" in (
        project.trace.read_text()
    )
    assert (tmp_path / ".venv/uv/installed").read_text() == "a newer uv\n"


def test_an_environment_without_a_list_is_named(project):
    code, _, complaint = project.run(ENVIRONMENTS="chekov")
    assert code == 1
    assert "there is no requirements/chekov.txt" in complaint


def test_commands_of_further_environments_are_found_after_the_main_ones(project):
    project.synced("checkov")
    for folder, names in {"3.13": ["a"], "3.13-checkov": ["a", "b"]}.items():
        for name in names:
            text = f"#!/bin/sh\necho {name} of {folder}\n"
            project.write(f".venv/{folder}/bin/{name}", text)
    _, output, _ = project.run("sh", "-c", "a; b", ENVIRONMENTS="checkov")
    assert output == "a of 3.13\nb of 3.13-checkov\n"
