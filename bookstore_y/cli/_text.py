"""Text that is safe to show in a terminal: sizes, and names with any characters."""

from __future__ import annotations

import unicodedata

_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Categories of what a terminal obeys or hides: controls, directions, surrogates, line ends."""

_JOINERS = "\u200c\u200d"
"""Format characters that emoji and several scripts are written with, and that move nothing."""


def visible(text: object) -> str:
    """`text` on one line, with every character that a terminal would obey shown as its escape."""
    return "".join(_shown(character) for character in str(text))


def visible_lines(text: str) -> str:
    """Like `visible`, for text whose line ends and tabs are its own."""
    return "".join(c if c in "\n\t" else _shown(c) for c in text.replace("\r\n", "\n"))


def size(count: int) -> str:
    """A number of bytes in three digits and a decimal unit."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def number(count: int, one: str, many: str | None = None) -> str:
    """A number and what it counts: `1 version`, `2,000 versions`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _shown(character: str) -> str:
    if unicodedata.category(character) not in _UNSEEN or character in _JOINERS:
        return character
    return character.encode("unicode_escape").decode()
