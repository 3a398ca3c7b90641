"""Address: where a Jupyter server is."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Address:
    """Base URL of a Jupyter server, without a slash at its end, and its token."""

    url: str
    token: str = field(repr=False)
