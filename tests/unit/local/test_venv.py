"""How local/venv.sh finds its Python."""

import os
import shutil
import subprocess

import pytest

from local.stack import PROJECT

# Answers as a Python does that can run the installation.
WORKING = """#!/bin/sh
case "$1" in -c) exit 0 ;; *) echo "$0" >"$TRACE"; echo /nowhere ;; esac
"""
# pyenv's shim of a version that is not installed.
SHIM = "#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n"


@pytest.fixture
def chosen(tmp_path):
    """The Python chosen among those on PATH, or what was said when there is none."""
    (tmp_path / "local").mkdir()
    shutil.copy(PROJECT / "local" / "venv.sh", tmp_path / "local")
    (tmp_path / ".python-version").write_text("3.13\n")
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "cat", "dirname", "true"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))

    def chosen(pythons, python=""):
        for name, text in pythons.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)
        trace = tmp_path / "trace"
        done = subprocess.run(
            ["sh", str(tmp_path / "local" / "venv.sh"), "true"],
            env={
                "PATH": str(tmp_path / "bin"),
                "HOME": str(tmp_path),
                "TRACE": str(trace),
                "PYTHON": python,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return done.stderr
        return os.path.relpath(trace.read_text().strip(), tmp_path)

    return chosen


def test_the_version_of_the_file_is_preferred(chosen):
    both = {"bin/python3.13": WORKING, "bin/python3.12": WORKING}
    assert chosen(both) == "bin/python3.13"


def test_a_shim_that_fails_is_passed_over_for_what_pyenv_has(chosen):
    pyenv = {
        "bin/python3.13": SHIM,
        ".pyenv/versions/3.13.1/bin/python": WORKING,
        "bin/python3.12": WORKING,
    }
    assert chosen(pyenv) == ".pyenv/versions/3.13.1/bin/python"


def test_another_version_will_do(chosen):
    assert chosen({"bin/python3.13": SHIM, "bin/python3": WORKING}) == "bin/python3"


def test_the_callers_choice_wins(chosen, tmp_path):
    mine = tmp_path / "mine"
    both = {"bin/python3.13": WORKING, "mine": WORKING}
    assert chosen(both, python=str(mine)) == "mine"


def test_commands_of_the_environments_asked_for_are_found_after_the_main_ones(
    chosen, tmp_path
):
    for folder, names in {"main": ["a"], "main-more": ["a", "b"]}.items():
        for name in names:
            command = tmp_path / folder / "bin" / name
            command.parent.mkdir(parents=True, exist_ok=True)
            command.write_text(f"#!/bin/sh\necho {name} of {folder}\n")
            command.chmod(0o755)
    python = tmp_path / "bin" / "python3.13"
    python.write_text(f'#!/bin/sh\n[ "$1" = -c ] || echo {tmp_path}/main\n')
    python.chmod(0o755)
    done = subprocess.run(
        ["sh", str(tmp_path / "local" / "venv.sh"), "sh", "-c", "a; b"],
        env={"PATH": str(tmp_path / "bin"), "HOME": "/", "ENVIRONMENTS": "more"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout == "a of main\nb of main-more\n"


def test_a_missing_python_is_said_in_a_sentence(chosen):
    assert "Python 3.11 or newer is needed" in chosen({"bin/python3": SHIM})
    assert "PYTHON=/none does not run" in chosen({}, python="/none")
