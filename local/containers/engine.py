"""The container engine, and the image that functions run in, which is AWS's own."""

from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from docker import DockerClient
from docker.errors import DockerException, ImageNotFound

from local.processes import LocalError
from local.project import architecture

IMAGE = f"public.ecr.aws/lambda/python:3.13-{architecture()}"
LOCKS = "locks"  # of SAM, in the state folder
LABEL = "qr-service.state"  # on each container: the state folder it belongs to


def engine() -> DockerClient:
    """Connect to the engine at DOCKER_HOST or the default socket."""
    try:
        client = DockerClient.from_env(timeout=120)
        client.ping()
    except DockerException as error:
        raise LocalError(
            f"No container engine answers: {error}\n"
            "  Install and start one (on Debian and Ubuntu: apt install docker.io), and"
            " be root or in its group.\n"
            "  `make run` serves the same without containers."
        ) from error
    return client


def image_options(client: DockerClient) -> list[str]:
    """Return SAM's options for an image that exists; [] if it does not.

    Without them SAM would ask the registry each time, and pull silently.
    """
    try:
        client.images.get(IMAGE)
    except ImageNotFound:
        return []
    return ["--skip-pull-image"]


def require_image(client: DockerClient, say: Callable[[str], None]) -> None:
    """Pull the image unless it exists, and say so."""
    if image_options(client):
        return
    say(f"Pulling {IMAGE}, once ...")
    try:
        client.images.pull(IMAGE)
    except DockerException as error:
        raise LocalError(f"{IMAGE} cannot be pulled: {error}") from error


def remove_containers(state: Path) -> None:
    """Remove a state folder's containers, which a killed SAM leaves behind."""
    ours = {"label": f"{LABEL}={state}"}
    with suppress(LocalError, DockerException), closing(engine()) as client:
        for container in client.containers.list(
            all=True, filters=ours, ignore_removed=True
        ):
            with suppress(DockerException):  # SAM may be removing it, too
                container.remove(force=True)
