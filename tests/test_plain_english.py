"""The words that a search can find; reviewers check the rest.

CONTRIBUTING.md, "Plain English", says what to write instead.
"""

import ast
import os
import re

import pytest

from local.project import ROOT

# Not ours, or not text; the tree may be a copy without a git repository, and somebody's
# home with a cache in it.
LEFT_OUT = re.compile(
    r"\.(?!github/|ci/|checkov\.yaml$|gitignore$|python-version$)|.*__pycache__/"
    r"|requirements/.*\.txt|docs/(pictures/|bench\.)|coverage\.xml|.*\.(pem|png|svg)$"
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
    r"|dies?|died|dying|dead|ask(?:s|ed|ing)?[ _]for|(?:is|are) made of"
    r"|whatever becomes of)(?![a-z])",
    re.IGNORECASE,
)
# Terms of the field, and names that others gave.
TERMS = re.compile(
    r"dead[- ]letters?|DeadLetter\w*|__enter__|enter_context", re.IGNORECASE
)
# What shows the words that are not used: the table, old messages, this search.
QUOTED = {
    "CONTRIBUTING.md": re.compile(r"^[|>].*$", re.MULTILINE),
    "CHANGELOG.md": re.compile(r"`[^`]+`"),
    "tests/test_plain_english.py": re.compile(r".+", re.DOTALL),
}
NEW_LINE = re.compile(r"\n[ \t]*(?:#|//|--|\*)?[ \t]*|[ \t]+")


@pytest.mark.parametrize("name", FILES)
def test_a_file_uses_plain_words(name):
    text = (ROOT / name).read_text(errors="replace")
    if name in QUOTED:
        text = QUOTED[name].sub("", text)
    # Lines are joined, so a phrase is found where it wraps.
    text = NEW_LINE.sub(" ", TERMS.sub("", text))
    found = [
        text[max(0, match.start() - 30) : match.end() + 30]
        for match in WORDS.finditer(text)
    ]
    assert found == [], "CONTRIBUTING.md, 'Plain English', says what to write instead"


def functions():
    """Yield every function of the tests with a docstring, and where it is."""
    for name in FILES:
        if not (name.startswith("tests/") and name.endswith(".py")):
            continue
        for node in ast.walk(ast.parse((ROOT / name).read_text())):
            if isinstance(node, ast.FunctionDef) and (text := ast.get_docstring(node)):
                decorators = {ast.unparse(each) for each in node.decorator_list}
                if not decorators & {"property", "cached_property"}:
                    yield f"{name}:{node.lineno} {node.name}", text


NOT_A_COMMAND = re.compile(
    r"(An?|All|Any|Both|Each|Every|How|If|In|It|No|None|Of|On|One|Our|Some|That|The"
    r"|These|This|Those|To|What|When|Where|Whether|Which|Who|With|\w+[a-rt-z]s)\b"
)


def test_a_docstring_of_a_helper_is_a_command():
    """PEP 257: "Return the rows", not "Returns the rows" or "The rows".

    For all other code ruff checks it (D401).
    """
    wrong = [
        f"{place}: {text.splitlines()[0]}"
        for place, text in functions()
        if " test_" not in place and NOT_A_COMMAND.match(text)
    ]
    assert wrong == []
