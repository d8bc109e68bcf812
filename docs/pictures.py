"""Makes the pictures of README.md with a running service.

`make run`, and beside it

    sh local/venv.sh python docs/pictures.py http://127.0.0.1:3000
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

FOLDER = Path(__file__).parent / "pictures"
LOGO = base64.b64encode((FOLDER / "mark.png").read_bytes()).decode()

# File -> fields of the request, beside its data.
PICTURES: dict[str, dict[str, Any]] = {
    "plain.svg": {"format": "svg"},
    "rounded.png": {"shape": "rounded", "dark": "#1A237E", "light": "#FFF8E7"},
    "transparent.png": {"shape": "gapped", "dark": "#B71C1C", "light": "transparent"},
    "gradient.png": {
        "shape": "circle",
        "dark": "#0D47A1",
        "gradient": {"type": "radial", "to": "#7A0026"},
    },
    "logo.png": {
        "shape": "rounded",
        "dark": "#1B3A2B",
        "logo": f"data:image/png;base64,{LOGO}",
    },
}
COMMON = {"data": "https://example.com/menu", "module_size": 6}


def main(address: str) -> None:
    """Asks for each picture, fetches it and writes it to its file."""
    for name, fields in PICTURES.items():
        body = json.dumps({**COMMON, **fields}).encode()
        with urlopen(Request(f"{address}/generate", body)) as answer:  # noqa: S310
            location = answer.headers["Location"]
        with urlopen(f"{address}{location}?redirect=1") as image:  # noqa: S310
            (FOLDER / name).write_bytes(image.read())


if __name__ == "__main__":
    main(sys.argv[1])
