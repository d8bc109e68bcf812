"""What the steps check."""

from local.http import Answer
from local.processes import LocalError


def check(condition: object, message: str) -> None:
    """Raise LocalError unless a condition is true."""
    if not condition:
        raise LocalError(message)


def expect(answer: Answer, status: int, **members: object) -> None:
    """Raise LocalError unless an answer has this status and these members."""
    found = answer.json if isinstance(answer.json, dict) else {}
    right = all(found.get(name) == value for name, value in members.items())
    check(answer.status == status and right, f"not {status} {members or ''}: {answer}")
