"""Words and figures for people, in plain text and HTML."""

from __future__ import annotations

import html
from collections.abc import Iterable
from datetime import datetime

_JOINERS = "\u200c\u200d"
"""They join and part letters and emoji, and hide nothing."""


def plain(text: str) -> str:
    """One line of `text` without what would move the cursor or turn the direction of reading."""
    return "".join(
        c if c.isprintable() or c in _JOINERS or c == "\t" else ascii(c)[1:-1] for c in text
    )


def escaped(text: str) -> str:
    """One line of `text` for HTML, inside and outside of attributes."""
    return html.escape(plain(text), quote=True)


def when(time: datetime) -> str:
    """A moment in this machine's time zone, to the second."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def size(count: int) -> str:
    """A number of bytes in three digits: `999 B`, `1.5 kB`, `12.3 MB`."""
    number = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            break
        number /= 1000
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"


def signed_lines(lines: Iterable[tuple[str, str]]) -> str:
    """Lines of a difference, `(sign, text)` each, as an HTML block."""
    colours = {"+": "rgba(46,160,67,.2)", "-": "rgba(248,81,73,.2)"}
    rows = []
    for sign, text in lines:
        colour = colours.get(sign)
        style = f"background:{colour};" if colour else "opacity:.75;"
        rows.append(f'<div style="{style}">{escaped(sign)} {escaped(text)}</div>')
    return (
        '<div style="font-family:monospace;white-space:pre-wrap;text-align:left">'
        + "".join(rows)
        + "</div>"
    )
