"""The real SAM CLI, its containers in this host's network.

    python -m local.containers.sam STATE local start-api ...

SAM itself ignores `--docker-network host`. Here a function's container shares the
host's network, so that it reaches the servers on 127.0.0.1 under the addresses that
everybody else uses, a presigned URL's among them. STATE is the folder of env.json.
"""

import json
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from docker.errors import DockerException, ImageNotFound
from docker.models.containers import Container, ContainerCollection
from samcli.local.docker.lambda_image import LambdaImage

from local.containers.engine import LABEL, LOCKS
from local.processes import free_port
from local.sam import run_cli


def on_host_network(
    kwargs: dict[str, Any], state: Path, api_port: int
) -> dict[str, Any]:
    """Return what SAM creates a container with, changed for the host's network."""
    ((_, port),) = kwargs.pop("ports").values()  # where SAM will look for the emulator
    emulator, *options = kwargs["entrypoint"]
    listen = ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    # Else a fixed one, which only the first of several containers would get.
    listen += ["--runtime-api-address", f"127.0.0.1:{api_port}"]
    # SAM overrides with --env-vars only what the template declares. The credentials are
    # Lambda's own and are not declared, so they are taken from there as well.
    given = json.loads((state / "env.json").read_text())["Parameters"]
    credentials = {k: v for k, v in given.items() if k.startswith("AWS_")}
    return {
        **kwargs,
        "network_mode": "host",
        "entrypoint": [emulator, *listen, *options],
        "environment": {**kwargs["environment"], **credentials},
        "labels": {**kwargs["labels"], LABEL: str(state)},
    }


def share_network(state: Path) -> list[Container]:
    """Make SAM create its containers that way; return the list they will be in."""
    create = ContainerCollection.create
    made = []

    def create_there(
        collection: ContainerCollection, image: str, command: Any = None, **kwargs: Any
    ) -> Container:
        there = on_host_network(kwargs, state, free_port())
        made.append(create(collection, image, command, **there))
        return made[-1]

    ContainerCollection.create = create_there
    return made


def build_once(folder: Path) -> None:
    """Make SAM build an image of layers once a start, not for each container.

    `folder` is emptied at each start, and holds which image was built for which name:
    another checkout gives its own the same one.
    """
    build = LambdaImage._build_image  # noqa: SLF001 - all else of it is to stay

    def build_unless_built(
        images: LambdaImage, base: str, tag: str, *others: Any, **options: Any
    ) -> None:
        built = folder / tag.replace("/", "_")
        try:
            if built.read_text() == images.docker_client.images.get(tag).id:
                return
        except (FileNotFoundError, ImageNotFound):
            pass
        build(images, base, tag, *others, **options)
        built.write_text(images.docker_client.images.get(tag).id)

    LambdaImage._build_image = build_unless_built  # noqa: SLF001


def interrupt_once(*_: object) -> NoReturn:
    """Interrupt, and let nothing interrupt what is done thereupon.

    The death of a parent is told once for each of its threads.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> None:
    """Run the SAM CLI with the arguments behind STATE."""
    state = Path(sys.argv.pop(1))
    made = share_network(state)
    build_once(state / LOCKS)
    # There SAM keeps its locks, which outlive it when it is killed, and then make
    # everybody with the same names of layers wait for five minutes.
    tempfile.tempdir = str(state / LOCKS)
    # SIGINT is how SAM is told to remove its containers; a shell may have it ignored.
    signal.signal(signal.SIGINT, interrupt_once)
    try:
        run_cli()
    finally:
        for container in made:  # SAM forgets one now and then
            with suppress(DockerException, OSError):  # gone, or the engine is
                container.remove(force=True)


if __name__ == "__main__":
    main()
