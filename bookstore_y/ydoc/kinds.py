"""The kinds of document, and what each needs besides its jupyter_ydoc class.

Any class that is registered in the entry point group `jupyter_ydoc` can be archived as it is: its
document gets a `Kind` of defaults. A kind that differs from those is added to `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pycrdt import Doc

from . import cell_ids, cell_marks


def _text_of(body: bytes) -> Any:
    return body.decode().replace("\r\n", "\n")  # as a room has it


def _notebook_of(body: bytes) -> Any:
    import nbformat

    untyped: Any = nbformat
    return untyped.reads(body.decode(), as_version=4)


def _as_nbformat_3(said: Any) -> Iterator[Any]:
    if isinstance(said.get("metadata"), dict):
        # A room that was loaded from nbformat 3 says so, and its file does not.
        converted = {"orig_nbformat": 3, "orig_nbformat_minor": 0}  # nbformat's v4/convert.py
        yield {**said, "metadata": {**said["metadata"], **converted}}


def _nothing(*_: Any) -> None:
    pass


@dataclass(frozen=True)
class Kind:
    """One kind of document, by the name that its class is registered under with jupyter_ydoc."""

    type: str | None
    suffix: str = ""
    """What the names of its files end with, where a room of it is the usual one for them."""
    is_notebook: bool = False
    """Whether the contents API has its files as notebooks, and its content is their JSON."""
    says_as_loaded: bool = False
    """Whether the class says what it loads as it is. The hash of a file can be made without it."""
    content_of: Callable[[bytes], Any] = _text_of
    """The content of a file, of its bytes. Raises whatever it likes for what is none."""
    adopt_ids: Callable[[Doc[Any], Doc[Any], Any], None] = _nothing
    """Gives a document that was built from content the ids of another that says the same."""
    adopt_marks: Callable[[Doc[Any], Any], None] = _nothing
    """Gives a document what its file was loaded with, and no file holds."""
    former_spellings: Callable[[Any], Iterator[Any]] = lambda said: iter(())
    """Other content that earlier releases may have made a hash of, for the same file."""


KINDS = {
    kind.type: kind
    for kind in (
        Kind(
            "notebook",
            suffix=".ipynb",
            is_notebook=True,
            says_as_loaded=True,
            content_of=_notebook_of,
            adopt_ids=cell_ids.adopt,
            adopt_marks=cell_marks.adopt,
            former_spellings=_as_nbformat_3,
        ),
        Kind("file", says_as_loaded=True),
        Kind("unicode", says_as_loaded=True),
    )
}


def kind_of(type: str | None) -> Kind:
    """The kind of that type; one of defaults unless it is in `KINDS`."""
    return KINDS.get(type) or Kind(type)


def usual_type(path: str) -> str:
    """The type of the room that a file of this name usually has."""
    usual = (each.type for each in KINDS.values() if each.suffix and path.endswith(each.suffix))
    return next(usual, None) or "file"
