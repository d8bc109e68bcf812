"""The pictures of docs/styles.md, regenerated with a running service.

`make run`, and beside it

    sh local/venv.sh python -m docs.pictures http://127.0.0.1:3000
"""

import base64
import sys
from pathlib import Path
from typing import Any

from local import http

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
    """Request each picture, fetch it and write it to its file."""
    for name, fields in PICTURES.items():
        made = http.post(f"{address}/generate", {**COMMON, **fields})
        found = http.get(f"{address}{made.headers['Location']}")
        (FOLDER / name).write_bytes(http.get(found.json["qr_code"]).body)


if __name__ == "__main__":
    main(sys.argv[1])
