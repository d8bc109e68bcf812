"""All log lines of a test run, and the secrets that they must not contain."""

import io
import json
from collections.abc import Iterable
from typing import Any

# Shorter texts occur by chance, so they are not checked.
_LEAST_LENGTH = 12


class Transcript(io.StringIO):
    """A log, with the secrets of the requests that it records."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: set[str] = set()

    def keep_out(self, *texts: str) -> None:
        """Add texts that the log must not contain."""
        self.secrets.update(text for text in texts if len(text) >= _LEAST_LENGTH)

    def lines(self, start: int = 0) -> list[dict[str, Any]]:
        """Return the log lines after a position of the text."""
        return [json.loads(line) for line in self.getvalue()[start:].splitlines()]

    def leaks(self, logs: Iterable[str] = ()) -> set[str]:
        """Return the secrets that occur in this log, or in one of the others."""
        texts = [self.getvalue(), *logs]
        return {
            secret
            for secret in self.secrets
            # Unchanged, and as JSON escapes it.
            if any(secret in text or json.dumps(secret)[1:-1] in text for text in texts)
        }


transcript = Transcript()
