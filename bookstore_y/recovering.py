"""The public name of `tools.recovering`."""

from .tools.recovering import look, recover

__all__ = ["look", "recover"]
