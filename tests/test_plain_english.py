"""The English of this repository: CONTRIBUTING.md, "Plain English", as far as it goes.

A search finds words, not riddles; the rest is for whoever reviews a change.
"""

import ast
import os
import re

import pytest

from local.project import ROOT

# Not ours, or not text; the tree may be a copy without a git repository.
LEFT_OUT = re.compile(
    r"\.(git|venv|aws-sam|local|hypothesis|\w+_cache)/|.*__pycache__/|\.coverage.*"
    r"|requirements/|docs/(pictures/|bench\.)|coverage\.xml|.*\.(pem|png|svg)$"
)


def texts() -> list[str]:
    """Return the names of the repository's text files."""
    found = []
    for folder, folders, files in os.walk(ROOT):
        place = os.path.relpath(folder, ROOT) + "/" if folder != str(ROOT) else ""
        folders[:] = [f for f in folders if not LEFT_OUT.match(f"{place}{f}/")]
        found += [f"{place}{f}" for f in files if not LEFT_OUT.match(f"{place}{f}")]
    return sorted(found)


FILES = texts()
WORDS = re.compile(
    r"(?<![a-z])(tells?|told|telling|outliv(?:es?|ed|ing)|thereupon|enter(?:s|ed|ing)?"
    r"|dies?|died|dying|dead|ask(?:s|ed|ing)?[ _]for)(?![a-z])",
    re.IGNORECASE,
)
# Terms of the field, and names that others gave.
TERMS = re.compile(r"dead[- ]letters?|DeadLetter\w*|__enter__", re.IGNORECASE)
# They show the words that are not used.
QUOTING = {"CHANGELOG.md", "CONTRIBUTING.md", "tests/test_plain_english.py"}


@pytest.mark.parametrize("name", [name for name in FILES if name not in QUOTING])
def test_a_file_uses_plain_words(name):
    lines = (ROOT / name).read_text().splitlines()
    found = [
        f"{number}: {match[0]}"
        for number, line in enumerate(lines, 1)
        for match in WORDS.finditer(TERMS.sub("", line))
    ]
    assert found == [], "CONTRIBUTING.md, 'Plain English', says what to write instead"


def functions():
    """Yield every function of the repository with a docstring, and where it is."""
    for name in FILES:
        if not name.endswith(".py"):
            continue
        for node in ast.walk(ast.parse((ROOT / name).read_text())):
            if isinstance(node, ast.FunctionDef) and (text := ast.get_docstring(node)):
                decorators = {ast.unparse(each) for each in node.decorator_list}
                if not decorators & {"property", "cached_property"}:
                    yield f"{name}:{node.lineno} {node.name}", text


NOUN_PHRASES = {
    "A", "An", "All", "Any", "Both", "Each", "Every", "How", "If", "In", "It", "No",
    "None", "Of", "On", "One", "Our", "Some", "That", "The", "Their", "These", "This",
    "Those", "To", "What", "When", "Where", "Whether", "Which", "Who", "With",
}  # fmt: skip


def test_a_docstring_of_a_function_is_a_command():
    """PEP 257: "Return the rows", not "Returns the rows" or "The rows"."""
    wrong = []
    for place, text in functions():
        # The titles of the rehearsal's steps say what is shown.
        if place.startswith("rehearsal/steps.py") or " test_" in place:
            continue
        first = text.split()[0].rstrip(".,:")
        if first in NOUN_PHRASES or (first.endswith("s") and first != "Pass"):
            wrong.append(f"{place}: {text.splitlines()[0]}")
    assert wrong == []
