"""What the functions logged over a whole test run, and what must not be in it."""

import io
import json
from collections.abc import Iterable
from typing import Any

# Short texts occur by chance; those of this length and up are looked for.
_LEAST_LENGTH = 12


class Transcript(io.StringIO):
    """A log that knows the secrets of the requests behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: set[str] = set()

    def keep_out(self, *texts: str) -> None:
        """From now on these texts must not occur."""
        self.secrets.update(text for text in texts if len(text) >= _LEAST_LENGTH)

    def lines(self, start: int = 0) -> list[dict[str, Any]]:
        """The log lines behind a position of the text."""
        return [json.loads(line) for line in self.getvalue()[start:].splitlines()]

    def leaks(self, logs: Iterable[str] = ()) -> set[str]:
        """The secrets that stand in this log, or in one of the others."""
        texts = [self.getvalue(), *logs]
        return {
            secret
            for secret in self.secrets
            # As it is, and as JSON would write it.
            if any(secret in text or json.dumps(secret)[1:-1] in text for text in texts)
        }


transcript = Transcript()
