"""Findings of a check, and what to do about them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from ...errors import BookstoreError

Status = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True)
class Finding:
    """What one check found. `remedy` says what to do, and is empty when all is well."""

    check: str
    status: Status
    message: str
    remedy: str = ""

    def to_dict(self) -> dict[str, str]:
        """JSON types."""
        return asdict(self)


def failed(check: str, error: BookstoreError) -> Finding:
    """The error's sentence, parted into what happened and what to do."""
    message, _, remedy = str(error).rpartition("; ")
    if not message:
        message, remedy = remedy, ""
    return Finding(check, "failed", sentence(message), sentence(remedy))


def sentence(text: str) -> str:
    """The text with a capital and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:].rstrip(".") + "." if text else ""
