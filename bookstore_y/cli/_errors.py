"""CommandError, and the exit code for each error."""

from __future__ import annotations

from ..errors import BookstoreError, BucketError, ConfigurationError, NotFound

DONE = 0
FAILED = 1
ASKED_WRONGLY = 2
NOT_FOUND = 3
BUCKET_UNUSABLE = 4
INTERRUPTED = 130
PIPE_CLOSED = 141

EXIT_CODES = {
    DONE: "done",
    FAILED: "failed",
    ASKED_WRONGLY: "wrong usage: an option, a path, a setting or a configuration file",
    NOT_FOUND: "not found: the bucket says that it has no such document or version",
    BUCKET_UNUSABLE: "the bucket can't be reached, doesn't exist, or refuses",
    INTERRUPTED: "interrupted by Ctrl-C",
    PIPE_CLOSED: "nothing reads the output any more",
}
"""What each exit code of `jupyter bookstore` says. Codes 130 and 141 are 128 + the signal's."""


class CommandError(Exception):
    """One message for a person; `exit_code` is one of those above."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class WrongUsage(CommandError):
    """Arguments that the parser of `command` ("" for that of all) does not take; `usage` has what
    it does."""

    def __init__(self, message: str, command: str, usage: str) -> None:
        super().__init__(message, ASKED_WRONGLY)
        self.command = command
        self.usage = usage


class OutputLost(CommandError):
    """Standard output is closed, or takes no more."""


def exit_code_of(error: CommandError | BookstoreError) -> int:
    """The exit code that an error means."""
    if isinstance(error, CommandError):
        return error.exit_code
    if isinstance(error, NotFound):
        return NOT_FOUND
    if isinstance(error, BucketError):
        return BUCKET_UNUSABLE
    if isinstance(error, (ConfigurationError, ValueError)):  # an unusable path, label or token
        return ASKED_WRONGLY
    return FAILED
