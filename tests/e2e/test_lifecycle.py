"""What `make run` promises about processes and data when it stops and restarts."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing

import pytest

from local import http
from local.processes import alive, wait_until
from local.project import ROOT
from proof.stores import Stores
from tests.support.launcher import Launcher

ALL_SERVERS = ["PostgreSQL", "Valkey", "S3", "API"]


def get(url):
    """Return status and body."""
    answer = http.get(url)
    return answer.status, answer.body


def create_code(url):
    body = {"data": "https://example.com/lifecycle"}
    return http.post(f"{url}/generate", body).json["qr_id"]


def image_of(url, code):
    """Return status and body of the image that retrieve redirects to."""
    found = http.get(f"{url}/retrieve/{code}", Accept="image/png")
    assert found.status == 302
    return get(found.headers["Location"])


def all_gone(pids):
    return wait_until(lambda: not any(map(alive, pids)), 10)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Yield a system for this module only: its tests stop, kill and restart it."""
    launcher = Launcher(tmp_path_factory.mktemp("own"))
    yield launcher
    launcher.discard()


@pytest.fixture
def running(own):
    return own.start() if own.ended else own


def test_sigterm_and_sigkill_end_every_process_and_lose_no_code(running):
    code = create_code(running.url)
    image = image_of(running.url, code)
    assert image[0] == 200
    assert image[1].startswith(b"\x89PNG")

    family = running.family()
    assert {running.recorded[name]["pid"] for name in ALL_SERVERS} < set(family)
    assert running.end(signal.SIGTERM) == 0
    assert all_gone(family)

    running.start()
    assert image_of(running.url, code) == image

    family = running.family()
    assert running.end(signal.SIGKILL) == -signal.SIGKILL
    assert all_gone(family)

    running.start()
    assert image_of(running.url, code) == image


def test_a_second_launcher_of_a_folder_names_the_first_one(running):
    second = running.run("run", "--port", "0")
    assert second.returncode == 1
    assert f"Process {running.pid} serves {running.url} already" in second.stderr
    assert get(f"{running.url}/health")[0] == 200


def test_a_port_in_use_is_reported_with_an_alternative(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        launcher = Launcher(tmp_path / "state", port)
        refused = launcher.run("run", "--port", str(port))
    assert refused.returncode == 1
    assert f"Port {port} is in use" in refused.stderr
    assert f"make run PORT={port + 1}" in refused.stderr


def test_a_killed_database_is_reported_and_restarted(running):
    assert get(f"{running.url}/health")[0] == 200
    killed = running.recorded["PostgreSQL"]["pid"]
    os.kill(killed, signal.SIGKILL)
    assert wait_until(lambda: get(f"{running.url}/health")[0] == 503, 10)
    assert wait_until(lambda: "PostgreSQL is back" in running.output, 30)
    assert "PostgreSQL ended; starting it again in 3 s" in running.output
    # The functions reconnect in the same processes.
    assert get(f"{running.url}/health")[0] == 200
    assert wait_until(lambda: running.recorded["PostgreSQL"]["pid"] != killed, 5)


def test_commands_use_the_running_system_and_print_only_the_answer(running):
    answer = running.run("invoke", "generate", "url")
    assert answer.returncode == 0, answer.stderr
    code = json.loads(json.loads(answer.stdout)["body"])["qr_id"]
    assert get(f"{running.url}/retrieve/{code}")[0] == 200

    cleanup = running.run("cleanup")
    assert json.loads(cleanup.stdout)["erased"] == 0


def test_commands_start_the_servers_they_need_and_stop_them(running):
    code = create_code(running.url)
    assert running.end(signal.SIGINT) == 0
    event = running.run("invoke", "retrieve", "health")
    assert json.loads(event.stdout)["statusCode"] == 200
    assert json.loads(running.run("migrate").stdout)["applied"] == []
    assert not any("pid" in running.recorded[name] for name in ALL_SERVERS)
    running.start()
    assert get(f"{running.url}/retrieve/{code}")[0] == 200


def audit(running):
    """Return exit status and output of `make audit`."""
    done = subprocess.run(
        [sys.executable, "-m", "proof.stores", "--state", str(running.state)],
        cwd=ROOT,
        env=running.environment() | {"PYTHONPATH": f"{ROOT}/layers/common"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


def test_the_audit_finds_a_code_whose_image_is_gone(running):
    code = create_code(running.url)
    status, output = audit(running)
    assert (status, output.splitlines()[-1]) == (0, "0 violations")
    with closing(
        Stores.of(json.loads((running.state / "env.json").read_text()))
    ) as stores:
        stores.s3.delete_object(Bucket=stores.bucket, Key=f"codes/{code}.png")
    broken = f"  {code} has no object\n1 violations\n"
    status, output = audit(running)
    assert (status, output.endswith(broken)) == (1, True)
    assert running.end(signal.SIGINT) == 0
    status, output = audit(running)
    assert (status, output.endswith(broken)) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("nothing", "url"),
            "There are: cleanup, generate, manage, migrate, pages, redirect, retrieve.",
        ),
        (("generate", "nothing"), "There are: base64, "),
    ],
)
def test_an_unknown_name_lists_the_valid_ones(running, arguments, message):
    answer = running.run("invoke", *arguments)
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert message in answer.stderr
    assert not (running.state / "logs" / "nothing.log").exists()
