"""Target: what is fuzzed, and with what it begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType


class Broken(AssertionError):
    """Something came out that is not documented, or did not hold."""


@dataclass(frozen=True)
class Target:
    """`run` is given bytes, and raises whatever it may not. `seeds` makes inputs to begin with."""

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    max_len: int = 4096


class only:
    """Let nothing out of a `with` but `Broken`: errors of these kinds end it, others break it."""

    def __init__(self, *errors: type[BaseException]) -> None:
        self._errors = errors

    def __enter__(self) -> None:
        return

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is None or isinstance(error, (Broken, KeyboardInterrupt, SystemExit)):
            return False
        if isinstance(error, self._errors):
            return True
        # A panic in pycrdt's Rust is no Exception.
        raise Broken(f"{type(error).__name__}: {error}") from error


def hold(condition: bool, what: str) -> None:
    """Raise `Broken` unless the condition holds."""
    if not condition:
        raise Broken(what)
