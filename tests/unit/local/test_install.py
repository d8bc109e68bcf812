"""When local/install.py installs, and what it says when it cannot."""

import importlib.util
import subprocess
import sys

import pytest

from local import install
from local.install import digest, is_current, place, stamp, unsuitable


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with nothing but requirements, which are installed by doing nothing."""
    for name in [*install.MAIN_FILES, "s3", "checkov", "lambda"]:
        file = name if "." in name else f"local/requirements-{name}.txt"
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(f"of {name}")
    monkeypatch.setattr(install, "PROJECT", tmp_path)
    monkeypatch.delenv("ENVIRONMENTS", raising=False)
    return tmp_path


@pytest.fixture
def installed(project, monkeypatch):
    """Runs the installation and tells which environments it made, and its exit code."""

    def installed(environments="", failing=()):
        made = []

        def start(name, environment):
            made.append(name)
            environment.mkdir(exist_ok=True)
            stamp(environment).unlink(missing_ok=True)
            return subprocess.Popen(["false" if name in failing else "true"])

        monkeypatch.setattr(install, "start", start)
        monkeypatch.setenv("ENVIRONMENTS", environments)
        code = install.main()
        return made, code

    return installed


def test_only_a_complete_installation_of_todays_requirements_is_current(tmp_path):
    assert not is_current("", tmp_path)  # interrupted: the stamp is written last
    stamp(tmp_path).write_text(digest("", tmp_path))
    assert is_current("", tmp_path)
    stamp(tmp_path).write_text("of yesterday")
    assert not is_current("", tmp_path)


def test_a_moved_environment_is_not_current(tmp_path):
    stamp(tmp_path).write_text(digest("", tmp_path))
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    assert not is_current("", moved)


def test_two_environments_are_always_made_and_more_when_asked_for(installed):
    assert installed() == (["", "s3"], 0)
    assert installed() == ([], 0)
    assert installed("checkov lambda checkov") == (["checkov", "lambda"], 0)
    assert installed("lambda") == ([], 0)


@pytest.mark.parametrize(
    ("file", "made"),
    [
        ("constraints.txt", [""]),
        ("layers/dependencies/requirements.txt", [""]),
        ("local/requirements-s3.txt", ["s3"]),
        ("local/requirements-checkov.txt", ["checkov"]),
    ],
)
def test_a_change_rebuilds_only_what_it_concerns(installed, project, file, made):
    installed("checkov lambda")
    (project / file).write_text("of today")
    assert installed("checkov lambda") == (made, 0)


def test_a_failed_installation_is_tried_again_and_the_others_are_not(installed, capsys):
    assert installed("checkov", failing=["s3"]) == (["", "s3", "checkov"], 1)
    assert "-s3: FAILED" in capsys.readouterr().err
    assert installed("checkov") == (["s3"], 0)


def test_requirements_changed_while_they_are_installed_are_not_taken_for_installed(
    installed, project, monkeypatch
):
    say = install.say

    def edit_and_say(message):
        (project / "local/requirements-s3.txt").write_text("of the last second")
        say(message)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(install, "say", edit_and_say)
        installed()
    assert installed() == (["s3"], 0)


def test_an_environment_that_there_is_none_of_is_named(installed, capsys):
    assert installed("chekov") == ([], 1)
    assert "there is no local/requirements-chekov.txt" in capsys.readouterr().err


def test_an_environment_stands_beside_the_main_one(tmp_path):
    assert place(tmp_path / "3.13", "checkov") == tmp_path / "3.13-checkov"
    assert place(tmp_path / "3.13", "") == tmp_path / "3.13"


def test_this_python_is_suitable():
    assert unsuitable() == ""


def test_a_python_without_ensurepip_is_told_which_package_brings_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "apt install python3." in unsuitable()


def test_another_system_is_told_that_linux_is_needed(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "needs Linux" in unsuitable()
