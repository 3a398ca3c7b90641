"""Preconditions of a write: what must be current at its key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class IfNew:
    """Write only if the key has no current version (RFC 9110, If-None-Match)."""

    def parameters(self) -> dict[str, Any]:
        """What PutObject takes."""
        return {"IfNoneMatch": "*"}


@dataclass(frozen=True)
class IfMatch:
    """Write only if the current version has this ETag (RFC 9110, If-Match)."""

    etag: str

    def parameters(self) -> dict[str, Any]:
        """What PutObject takes."""
        return {"IfMatch": self.etag}


Precondition = IfNew | IfMatch
