"""The origin of a file's content while it is saved."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_origin: ContextVar[str] = ContextVar("origin", default="save")
_from_archive: ContextVar[bool] = ContextVar("from_archive", default=False)


@contextlib.contextmanager
def saving_as(origin: str) -> Iterator[None]:
    """What is saved within this has another origin than `save`."""
    token = _origin.set(origin)
    try:
        yield
    finally:
        _origin.reset(token)


def save_origin() -> str:
    """The origin of a version that is made of what is saved now."""
    return _origin.get()


@contextlib.contextmanager
def saving_from_archive() -> Iterator[None]:
    """What is saved within this comes from the archive, which need not archive it again."""
    token = _from_archive.set(True)
    try:
        yield
    finally:
        _from_archive.reset(token)


def is_from_archive() -> bool:
    """Whether what is saved now comes from the archive."""
    return _from_archive.get()
