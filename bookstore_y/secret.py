"""Settings whose values are never shown."""

from __future__ import annotations

from typing import Any

from traitlets import Unicode
from traitlets.config import Config

SECRETS = ("s3_secret_access_key", "s3_session_token")
"""The traits of `BookstoreSettings` whose values are secret."""


class Secret(str):
    """A text whose `repr` does not tell it. traitlets logs the whole configuration by that."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'" if self else "''"


class SecretUnicode(Unicode[str, str | bytes]):
    """A trait whose value is a `Secret`."""

    def validate(self, obj: Any, value: Any) -> str:
        """The same text, as a `Secret`. Raises `TraitError` for what is no text."""
        return Secret(super().validate(obj, value))


def hide(config: Config) -> None:
    """Replace the secrets in a configuration by values that the log does not tell.

    traitlets logs the configuration at DEBUG whenever it changes, which it does for each server
    extension (its `application.py`).
    """
    section: dict[str, Any] = config.get("BookstoreSettings") or {}
    for name in SECRETS:
        if isinstance(value := section.get(name), str):
            section[name] = Secret(value)
