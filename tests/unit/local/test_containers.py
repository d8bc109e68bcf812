"""The part of local/containers that needs no engine."""

import json
import signal
import sys
import tempfile
from types import SimpleNamespace

import pytest
from docker.errors import DockerException, ImageNotFound
from docker.models.containers import ContainerCollection
from samcli.local.docker.lambda_image import LambdaImage

from local.containers import engine as engines
from local.containers import sam
from local.containers.engine import IMAGE, LABEL, engine, remove_containers
from local.containers.sam import build_once, on_host_network
from local.processes import LocalError


class Image:
    def __init__(self, number):
        self.id = number


class Engine:
    """An engine that has images, and can pull those in `registry`."""

    def __init__(self, *names, registry=()):
        self.present = {name: Image(name) for name in names}
        self.registry = registry
        self.images = self

    def get(self, name):
        if name not in self.present:
            raise ImageNotFound(name)
        return self.present[name]

    def pull(self, name):
        if name not in self.registry:
            raise DockerException("no such host")
        self.present[name] = Image(name)


def broken(**_):
    raise DockerException("connection refused")


def test_a_missing_engine_is_reported_with_what_to_install(monkeypatch):
    monkeypatch.setattr(engines.DockerClient, "from_env", broken)
    with pytest.raises(LocalError, match=r"(?s)refused.*apt install docker\.io"):
        engine()


def test_without_an_engine_there_is_nothing_to_remove(monkeypatch, tmp_path):
    monkeypatch.setattr(engines.DockerClient, "from_env", broken)
    remove_containers(tmp_path)


def test_the_containers_of_one_state_folder_are_removed(monkeypatch, tmp_path):
    removed = []
    container = SimpleNamespace(remove=lambda **options: removed.append(options))
    found = {f"{LABEL}={tmp_path}": [container]}
    client = SimpleNamespace(
        containers=SimpleNamespace(list=lambda filters, **_: found[filters["label"]]),
        ping=lambda: True,
        close=lambda: None,
    )
    monkeypatch.setattr(engines.DockerClient, "from_env", lambda **_: client)
    remove_containers(tmp_path)
    assert removed == [{"force": True}]


@pytest.mark.parametrize(
    ("present", "options"), [([IMAGE], ["--skip-pull-image"]), ([], [])]
)
def test_sam_pulls_nothing_if_the_image_exists(present, options):
    assert engines.image_options(Engine(*present)) == options


def test_the_image_is_pulled_once_with_a_message():
    messages = []
    client = Engine(registry=[IMAGE])
    engines.require_image(client, messages.append)
    engines.require_image(client, messages.append)
    assert messages == [f"Pulling {IMAGE}, once ..."]
    assert engines.image_options(client) == ["--skip-pull-image"]


def test_an_image_that_cannot_be_pulled_raises_an_error_with_the_reason():
    with pytest.raises(LocalError, match="cannot be pulled: no such host"):
        engines.require_image(Engine(), [].append)


def test_a_container_is_created_in_the_hosts_network(tmp_path):
    parameters = {
        "AWS_ACCESS_KEY_ID": "AKIDLOCAL",
        "DATABASE_URL": "postgresql://local",
    }
    (tmp_path / "env.json").write_text(json.dumps({"Parameters": parameters}))
    options = {
        "ports": {"8080": ("127.0.0.1", 5001)},
        "entrypoint": ["/var/rapid/aws-lambda-rie", "--log-level", "error"],
        "environment": {"AWS_ACCESS_KEY_ID": "defaultkey", "LOG_LEVEL": "INFO"},
        "labels": {"sam.cli.container.type": "lambda"},
        "mem_limit": "512m",
    }
    assert on_host_network(options, tmp_path, 5002) == {
        "network_mode": "host",
        "entrypoint": [
            "/var/rapid/aws-lambda-rie",
            *("--runtime-interface-emulator-address", "127.0.0.1:5001"),
            *("--runtime-api-address", "127.0.0.1:5002"),
            *("--log-level", "error"),
        ],
        "environment": {"AWS_ACCESS_KEY_ID": "AKIDLOCAL", "LOG_LEVEL": "INFO"},
        "labels": {"sam.cli.container.type": "lambda", LABEL: str(tmp_path)},
        "mem_limit": "512m",
    }


class Leftover:
    """A container that SAM did not remove; a signal arrives during its removal."""

    def __init__(self):
        self.removed = False

    def remove(self, force):
        signal.raise_signal(signal.SIGINT)
        self.removed = force


def test_leftover_containers_are_removed_despite_signals(monkeypatch, tmp_path):
    containers = [Leftover(), Leftover()]
    waiting = iter(containers)
    monkeypatch.setattr(ContainerCollection, "create", lambda *_: next(waiting))
    monkeypatch.setattr(sam, "on_host_network", lambda *_: {})
    monkeypatch.setattr(sam, "free_port", lambda: 1)
    monkeypatch.setattr(sam, "build_once", lambda _: None)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(sys, "argv", ["sam", str(tmp_path)])

    def run_cli():
        for _ in containers:
            ContainerCollection.create(None, "image")
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(sam, "run_cli", run_cli)
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt):
            sam.main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert all(each.removed for each in containers)


def test_an_image_of_layers_is_built_again_only_when_it_changed(monkeypatch, tmp_path):
    builds = []
    client = Engine()

    def build(images, base, tag, *_):
        builds.append(tag)
        client.present[tag] = Image(f"build {len(builds)}")

    monkeypatch.setattr(LambdaImage, "_build_image", build)
    build_once(tmp_path)
    images = LambdaImage(None, True, False, docker_client=client)
    for _ in range(2):
        images._build_image("base", "samcli/lambda-python:1", [], "arm64")
    assert len(builds) == 1
    client.present["samcli/lambda-python:1"] = Image("another checkout's")
    images._build_image("base", "samcli/lambda-python:1", [], "arm64")
    assert len(builds) == 2
    del client.present["samcli/lambda-python:1"]
    images._build_image("base", "samcli/lambda-python:1", [], "arm64")
    assert len(builds) == 3
