"""SAM with native functions. It fails if the SAM internals that we replace change."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from local import http
from local.native_sam import MAX_ENVIRONMENTS
from local.processes import (
    alive,
    descendants,
    free_port,
    kill,
    listening,
    wait_until,
)
from local.project import ROOT

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Toy:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: toy
      Handler: app.handler
      Runtime: python3.13
      Architectures: [FOREIGN]
      Timeout: 1
      Environment: {Variables: {COLOUR: !Ref Toy}}
      Layers: [!Ref Layer]
      Events:
        Any: {Type: Api, Properties: {Path: '/{what}', Method: get}}
  Layer:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layer}
    Metadata: {BuildMethod: python3.13}
"""
FUNCTION = """
import json, os, time
import shade

busy = False

def handler(event, context):
    global busy
    assert not busy, "two requests at once"
    busy = True
    try:
        match event.get("path"):
            case "/slow": time.sleep(0.2)
            case "/never": time.sleep(60)
            case "/exit": os._exit(3)
            case "/raise": raise ValueError("on purpose")
    finally:
        busy = False
    answer = {"pid": os.getpid(), "shade": shade.NAME, "env": dict(os.environ)}
    return {"statusCode": 200, "body": json.dumps(answer)}
"""


class Toy:
    """A project of one function and one layer, served by SAM."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "toy").mkdir()
        (folder / "layer" / "shade").mkdir(parents=True)
        self.shade("red")
        (folder / "toy" / "app.py").write_text(FUNCTION)
        foreign = "arm64" if os.uname().machine == "x86_64" else "x86_64"
        (folder / "template.yaml").write_text(TEMPLATE.replace("FOREIGN", foreign))
        variables = {"COLOUR": "blue", "AWS_ACCESS_KEY_ID": "AKIDTOY"}
        (folder / "env.json").write_text(json.dumps({"Parameters": variables}))
        self.port = free_port()

    def shade(self, name: str) -> None:
        code = self.folder / "layer" / "shade" / "__init__.py"
        code.write_text(f"NAME = {name!r}\n")

    def command(self, *arguments: str) -> list[str]:
        where = ["--template", str(self.folder / "template.yaml")]
        where += ["--env-vars", str(self.folder / "env.json")]
        return [sys.executable, "-m", "local.native_sam", "local", *arguments, *where]

    def get(self, path: str) -> tuple[int, dict]:
        url = f"http://127.0.0.1:{self.port}{path}"
        answer = http.get(url)
        return answer.status, answer.json


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    toy = Toy(tmp_path_factory.mktemp("toy"))
    with (toy.folder / "sam.log").open("wb") as log:
        sam = subprocess.Popen(
            toy.command("start-api", "--port", str(toy.port)),
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "AWS_SECRET_ACCESS_KEY": "of the shell"},
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: sam.poll() is not None or listening(toy.port), 30)
        assert sam.poll() is None, (toy.folder / "sam.log").read_text()
        yield toy
        family = [sam.pid, *descendants(sam.pid)]
        sam.kill()
        sam.wait()
        assert wait_until(lambda: not any(map(alive, family)), 5), (
            "processes of SAM still run"
        )
    finally:
        kill([sam.pid])


def test_a_function_has_its_layer_and_only_its_own_environment(toy):
    status, body = toy.get("/now")
    assert (status, body["shade"]) == (200, "red")
    assert body["env"]["COLOUR"] == "blue"
    assert body["env"]["AWS_ACCESS_KEY_ID"] == "AKIDTOY"
    assert "of the shell" not in body["env"].values()
    assert "HOME" not in body["env"]


def test_requests_share_a_limited_number_of_environments(toy):
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(toy.get("/slow")))
        for _ in range(3 * MAX_ENVIRONMENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for status, _ in answers} == {200}
    assert 1 < len({body["pid"] for _, body in answers}) <= MAX_ENVIRONMENTS


def test_an_edit_takes_effect_at_the_next_request(toy):
    toy.shade("green")
    assert toy.get("/now")[1]["shade"] == "green"


def test_a_runtime_killed_between_requests_is_replaced(toy):
    killed = toy.get("/now")[1]["pid"]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: not alive(killed), 5)
    status, body = toy.get("/now")
    assert status == 200
    assert body["pid"] != killed


@pytest.mark.parametrize(("how", "status"), [("/exit", 500), ("/raise", 502)])
def test_a_failed_function_answers_5xx_and_then_works_again(toy, how, status):
    assert toy.get(how)[0] == status
    assert toy.get("/now")[0] == 200


def test_the_templates_timeout_ends_a_function(toy):
    assert toy.get("/never")[0] == 502
    assert toy.get("/now")[0] == 200


def test_sam_local_invoke_prints_only_the_answer(toy, tmp_path):
    (tmp_path / "event.json").write_text('{"path": "/now"}')
    done = subprocess.run(
        toy.command("invoke", "Toy", "--event", str(tmp_path / "event.json")),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout)["statusCode"] == 200
