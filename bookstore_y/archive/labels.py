"""Labels of versions, stored as object tags.

Tags can be changed without making a version, and lifecycle rules can spare what has one.
"""

from __future__ import annotations

import re

from ..errors import InvalidLabel

TAG = "bookstore-label"
"""The tag's key."""

MAX_VALUE = 256
"""S3's limit on a tag's value, in characters (User Guide, "Categorizing your storage")."""

_PLAIN = re.compile(r"[\w +\-.:/@]")
_ESCAPED = re.compile(r"(?:=[0-9A-F]{2})+")


def to_tag(label: str) -> str:
    """The tag's value for a label. A character that S3 does not take in tags is its UTF-8 bytes,
    each as `=` and two hexadecimal digits. Raises `InvalidLabel`."""
    label = " ".join(label.split())
    if not label:
        raise InvalidLabel("The label is empty; give it some text, or remove the label.")
    try:
        value = "".join(c if _is_plain(c) else _escaped(c) for c in label)
    except UnicodeEncodeError:
        raise InvalidLabel(f"The label {label!r} is not Unicode text; choose another.") from None
    if len(value) > MAX_VALUE:
        raise InvalidLabel(
            f"The label needs {len(value)} characters, and S3 allows {MAX_VALUE}; shorten it."
        )
    return value


def from_tags(tags: dict[str, str]) -> str | None:
    """The label among a version's tags; None if it has none."""
    value = tags.get(TAG)
    if not value:
        return None
    return _ESCAPED.sub(lambda match: _unescaped(match[0]), value)


def _is_plain(character: str) -> bool:
    # moto takes ASCII alone, AWS all letters and digits of the basic plane at least.
    return character.isascii() and _PLAIN.fullmatch(character) is not None


def _escaped(character: str) -> str:
    return "".join(f"={byte:02X}" for byte in character.encode())


def _unescaped(run: str) -> str:
    return bytes.fromhex(run.replace("=", "")).decode("utf-8", "replace")
