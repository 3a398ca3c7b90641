"""Archive Jupyter documents in a versioned S3 bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .archive.archive import Archive
    from .archive.version import Version
    from .client import BookstoreClient
    from .errors import BookstoreError
    from .jupyter.checkpoints import S3Checkpoints
    from .jupyter.contents import BookstoreContentsArchiver, BookstoreContentsMixin
    from .settings import BookstoreSettings
    from .store import S3YStore


__all__ = [
    "Archive",
    "BookstoreClient",
    "BookstoreContentsArchiver",
    "BookstoreContentsMixin",
    "BookstoreError",
    "BookstoreSettings",
    "S3Checkpoints",
    "S3YStore",
    "Version",
    "__version__",
]

_HOME = {
    "Archive": "archive.archive",
    "BookstoreClient": "client",
    "BookstoreContentsArchiver": "jupyter.contents",
    "BookstoreContentsMixin": "jupyter.contents",
    "BookstoreError": "errors",
    "BookstoreSettings": "settings",
    "S3Checkpoints": "jupyter.checkpoints",
    "S3YStore": "store",
    "Version": "archive.version",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562): aioboto3 alone takes half a second."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
