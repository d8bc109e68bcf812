"""`make docs`: write what is generated. A test compares it with what is committed."""

from docs import fields, openapi, page
from local.project import ROOT
from studio import build


def generated() -> dict[str, str]:
    """Return the text of each file, by its path in the repository."""
    return {
        **fields.generated(),
        "functions/pages/openapi.json": openapi.text(),
        "functions/pages/docs.html": page.text(),
        "functions/pages/studio.html": build.text(),
    }


if __name__ == "__main__":
    for name, text in generated().items():
        (ROOT / name).write_text(text)
