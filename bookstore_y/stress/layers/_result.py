"""What a layer did with the edits that were made on it."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

MARK = re.compile("«([a-z]+[0-9]+-[0-9]+)🙂»")
"""An edit's text. Its characters take one, two and four bytes of UTF-8, and one and two units of
UTF-16, in which Yrs and Yjs count: an implementation that mixes them up tears marks."""


def mark(client: str, number: int) -> str:
    """The text of a client's edit."""
    return f"«{client}-{number}🙂»"


@dataclass
class Edits:
    """What clients did: marks, which all copies of the document are held against."""

    made: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    """Of those made, the ones that were deleted again."""

    def add(self, other: Edits) -> None:
        """Take in what others did."""
        self.made |= other.made
        self.deleted |= other.deleted


@dataclass(frozen=True)
class Copy:
    """One copy of the document, and what is wrong with it. Marks are named as `c1-17`."""

    name: str
    equal: bool = True
    """Whether it is the same as the first copy."""
    lost: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    undeleted: tuple[str, ...] = ()
    """Deleted, and there all the same."""
    error: str = ""
    """Why there is no copy; what was raised."""
    optional: bool = False
    """Whether Jupyter makes such a copy only if it is told to, or not at all: what is wrong with it
    is said, and does not count."""

    @property
    def right(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.equal and not (self.lost or self.doubled or self.undeleted or self.error)

    def __str__(self) -> str:
        wrong = [self.error] if self.error else []
        wrong += [
            f"{len(marks)} {what} ({', '.join(marks[:3])}{', …' if len(marks) > 3 else ''})"
            for what, marks in (
                ("lost", self.lost),
                ("doubled", self.doubled),
                ("deleted and back", self.undeleted),
            )
            if marks
        ]
        if not self.equal:
            wrong.append("differs from the first copy")
        said = f"{self.name}: {', '.join(wrong) or 'right'}"
        return (
            f"{said} (not counted: Jupyter does not do this by itself)" if self.optional else said
        )


@dataclass(frozen=True)
class LayerResult:
    """What one layer did. `skipped` says why it was not run; all else is then empty."""

    layer: str
    clients: int = 0
    edits: int = 0
    deleted: int = 0
    seconds: float = 0.0
    copies: tuple[Copy, ...] = ()
    notes: tuple[str, ...] = ()
    skipped: str | None = None

    @property
    def counted(self) -> list[Copy]:
        """The copies that Jupyter makes."""
        return [copy for copy in self.copies if not copy.optional]

    @property
    def converged(self) -> bool:
        """Whether all copies could be had, and are the same."""
        return all(copy.equal and not copy.error for copy in self.counted)

    @property
    def lost(self) -> int:
        """Edits that some copy lacks."""
        return len({name for copy in self.counted for name in copy.lost})

    @property
    def doubled(self) -> int:
        """Edits that some copy has more than once."""
        return len({name for copy in self.counted for name in copy.doubled})

    @property
    def undeleted(self) -> int:
        """Deleted edits that some copy has all the same."""
        return len({name for copy in self.counted for name in copy.undeleted})

    @property
    def passed(self) -> bool:
        """Whether it was run, with edits, and every copy is right."""
        return bool(self.copies) and self.edits > 0 and all(copy.right for copy in self.counted)

    def __str__(self) -> str:
        if self.skipped is not None:
            return f"{self.layer}: skipped. {self.skipped}"
        lines = [
            f"{self.layer}: {'converged' if self.converged else 'did not converge'}, "
            f"{self.lost} lost, {self.doubled} doubled, {self.undeleted} deleted and back; "
            f"{self.edits} edits ({self.deleted} deleted again) by {self.clients} clients, "
            f"{len(self.copies)} copies, {self.seconds:.1f} s"
        ]
        lines += [f"  {copy}" for copy in self.copies if not copy.right]
        lines += [f"  {note}" for note in self.notes]
        return "\n".join(lines)


def judged(
    layer: str,
    clients: int,
    began: float,
    edits: Edits,
    texts: Mapping[str, str | Exception],
    *,
    optional: Collection[str] = (),
    notes: Iterable[str] = (),
) -> LayerResult:
    """The result of a layer that began at `began`, by `time.monotonic`; see `compare`."""
    seconds = time.monotonic() - began
    copies = compare(edits, texts, optional)
    made, deleted = len(edits.made), len(edits.deleted)
    return LayerResult(layer, clients, made, deleted, seconds, copies, tuple(notes))


def compare(
    edits: Edits, texts: Mapping[str, str | Exception], optional: Collection[str] = ()
) -> tuple[Copy, ...]:
    """Hold each copy's text, by the copy's name, against the edits and against the first text.

    An exception stands for a copy that could not be had. `optional` names copies that do not count.
    """
    first = next((text for text in texts.values() if isinstance(text, str)), "")
    return tuple(
        replace(_copy(edits, name, text, first), optional=name in optional)
        for name, text in texts.items()
    )


def _copy(edits: Edits, name: str, text: str | Exception, first: str) -> Copy:
    if isinstance(text, Exception):
        return Copy(name, error=f"{type(text).__name__}: {text}".rstrip(": "))
    found = Counter(match[0] for match in MARK.finditer(text))
    return Copy(
        name,
        equal=text == first,
        lost=_names(edits.made - edits.deleted - found.keys()),
        doubled=_names(mark for mark, times in found.items() if times > 1),
        undeleted=_names(edits.deleted & found.keys()),
    )


def _names(marks: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(mark[1:-2] for mark in marks))
