"""When local/install.py installs, and what it says when it cannot."""

import importlib.util
import sys

from local.install import digest, is_current, stamp, unsuitable


def test_only_a_complete_installation_of_todays_requirements_is_current(tmp_path):
    assert not is_current(tmp_path)  # interrupted: the stamp is written last
    stamp(tmp_path).write_text(digest(tmp_path))
    assert is_current(tmp_path)
    stamp(tmp_path).write_text("of yesterday")
    assert not is_current(tmp_path)


def test_a_moved_environment_is_not_current(tmp_path):
    stamp(tmp_path).write_text(digest(tmp_path))
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    assert not is_current(moved)


def test_this_python_is_suitable():
    assert unsuitable() == ""


def test_a_python_without_ensurepip_is_told_which_package_brings_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "apt install python3." in unsuitable()


def test_another_system_is_told_that_linux_is_needed(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "needs Linux" in unsuitable()
