"""The documented place of `tools.recovering`, for programs."""

from .tools.recovering import look, recover

__all__ = ["look", "recover"]
