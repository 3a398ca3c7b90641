"""CommandError: why a command cannot go on, to be shown to the person who ran it."""

from __future__ import annotations


class CommandError(Exception):
    """One message for a person; `exit_code` is 1 for a failure, 2 for what was asked wrongly."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
