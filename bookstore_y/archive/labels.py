"""Labels of versions: a name that a person gives, kept as an object tag.

Tags can be changed without making a version, and lifecycle rules can spare what has one.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ..errors import InvalidLabel
from ..s3.bucket import Bucket
from .version import Version

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
        raise InvalidLabel("The label is empty; give a version a name, or take its label away.")
    try:
        value = "".join(c if _is_plain(c) else _escaped(c) for c in label)
    except UnicodeEncodeError:
        raise InvalidLabel(f"The label {label!r} is not Unicode text; give another.") from None
    if len(value) > MAX_VALUE:
        raise InvalidLabel(
            f"The label takes {len(value)} characters, and S3 allows {MAX_VALUE}; shorten it."
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


async def replace_label(bucket: Bucket, version: Version, tag: dict[str, str]) -> Version:
    """Give a version this tag of a label, or none, in place of what it has of them; its other tags
    stay."""
    tags = await bucket.tags(version.key, version.version_id)
    others = {name: value for name, value in tags.items() if name != TAG}
    await bucket.set_tags(version.key, version.version_id, {**others, **tag})
    return replace(version, label=from_tags(tag))
