"""Whether what is being saved comes from the archive, which then need not archive it again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_from_archive: ContextVar[bool] = ContextVar("from_archive", default=False)


@contextlib.contextmanager
def saving_from_archive() -> Iterator[None]:
    """What is saved within this comes from the archive."""
    token = _from_archive.set(True)
    try:
        yield
    finally:
        _from_archive.reset(token)


def is_from_archive() -> bool:
    """Whether what is saved now comes from the archive."""
    return _from_archive.get()
