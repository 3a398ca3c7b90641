"""Fixtures of the tests of the workspace on an empty disk."""

from __future__ import annotations

from ..rest.conftest import new_disk

__all__ = ["new_disk"]
