"""The real SAM CLI, with its containers in the host's network.

    python -m local.containers.sam STATE local start-api ...

SAM itself ignores `--docker-network host`. Here a function's container shares the
host's network, so it reaches the servers on 127.0.0.1 under the addresses that all
others use, a presigned URL's among them. STATE is the folder of env.json.
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
from local.native_sam import credentials_in, run_cli
from local.processes import free_port


def on_host_network(
    kwargs: dict[str, Any], state: Path, api_port: int
) -> dict[str, Any]:
    """Return SAM's options of a new container, changed for the host's network."""
    ((_, port),) = kwargs.pop("ports").values()  # where SAM will look for the emulator
    emulator, *options = kwargs["entrypoint"]
    listen = ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    # The default is a fixed port, which only the first container would get.
    listen += ["--runtime-api-address", f"127.0.0.1:{api_port}"]
    given = json.loads((state / "env.json").read_text())["Parameters"]
    return {
        **kwargs,
        "network_mode": "host",
        "entrypoint": [emulator, *listen, *options],
        "environment": {**kwargs["environment"], **credentials_in(given)},
        "labels": {**kwargs["labels"], LABEL: str(state)},
    }


def share_network(state: Path) -> list[Container]:
    """Make SAM create containers in the host's network; return the list of them."""
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
    """Make SAM build an image of layers once per start, not for each container.

    `folder` is emptied at each start, and records which image was built for which
    name: another checkout's image has the same name.
    """
    build = LambdaImage._build_image  # noqa: SLF001 - the rest of it stays

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
    """Interrupt, and ignore further signals during clean-up.

    The kernel signals the end of a parent once for each of its threads.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> None:
    """Run the SAM CLI with the arguments after STATE."""
    state = Path(sys.argv.pop(1))
    made = share_network(state)
    build_once(state / LOCKS)
    # SAM keeps its locks there. Those of a killed SAM stay, and every project with the
    # same layer names would wait for five minutes.
    tempfile.tempdir = str(state / LOCKS)
    # On SIGINT SAM removes its containers; a shell may have set it to be ignored.
    signal.signal(signal.SIGINT, interrupt_once)
    try:
        run_cli()
    finally:
        for container in made:  # SAM sometimes leaves one behind
            with suppress(DockerException, OSError):  # already removed, or no engine
                container.remove(force=True)


if __name__ == "__main__":
    main()
