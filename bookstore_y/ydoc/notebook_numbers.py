"""Numbers in notebooks that jupyter_ydoc 4.2 (`ynotebook.py`, `utils.cast_all`) can't hold.

JSON as Python writes it has numbers that Yjs or jupyter_ydoc have not:

- Yjs holds NaN and infinities. jupyter_ydoc raises when it reads them back, since it tries to make
  an int of every float.
- jupyter_ydoc makes an int of a float such as 1e300. The file then has 301 digits in its place,
  and pycrdt panics when it loads them.
- Yjs holds integers of 64 bits at most, and pycrdt panics at longer ones. It also rounds those just
  below 2^63 up, to one that is too long.

`Notebook` takes the place of jupyter_ydoc's class, and holds all of them. A long integer is in the
document as its digits between two marks, and is an integer again when the document is read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import jupyter_ydoc
from jupyter_ydoc import YNotebook, ynotebook

_LIMIT = 2**63

_MARK = "\ufeff"
"""A space without width, which JavaScript's `Number()` skips (ECMA-262, "WhiteSpace")."""

_LONG = re.compile(_MARK + r"(-?[1-9]\d{18,4299})" + _MARK)
"""Of no more digits than Python makes an int of (`sys.int_info.default_max_str_digits`)."""


class Notebook(YNotebook):
    """jupyter_ydoc's notebook, which holds every number that a notebook file may."""

    def create_ycell(self, value: dict[str, Any]) -> Any:
        """The Y cell that says `value`."""
        return super().create_ycell(storable(value))

    def _cell_to_py(self, ycell: Any, meta: dict[str, Any] | None = None) -> dict[str, Any]:
        cell: dict[str, Any] = super()._cell_to_py(ycell, meta)
        for name, value in cell.items():
            if name == "outputs" and isinstance(value, list):
                for output in value:
                    _restore_output(output)
            elif name not in _TEXTS:
                cell[name] = _restored(value)
        return cell

    def _get(self, deduplicate: bool) -> Iterator[dict[str, Any] | None]:
        for notebook in super()._get(deduplicate):
            if notebook is not None:
                notebook["metadata"] = _restored(notebook["metadata"])
            yield notebook

    def _update_cell(self, old_cell: Any, new_cell: Any, old_ycell: Any) -> bool:
        # Both in one form, in which what is equal is found to be.
        return super()._update_cell(storable(old_cell), storable(new_cell), old_ycell)

    def _set_ycell_outputs(self, ycell: Any, outputs: list[dict[str, Any]]) -> None:
        super()._set_ycell_outputs(ycell, storable(outputs))


def install() -> None:
    """Have jupyter_ydoc, and whoever asks it for the class of a notebook, use `Notebook`.

    A class that another package has registered for notebooks stays, with the repaired `cast_all`.
    """
    ynotebook.cast_all = cast_all  # type: ignore[attr-defined, assignment]
    if jupyter_ydoc.ydocs.get("notebook") is YNotebook:
        jupyter_ydoc.ydocs["notebook"] = Notebook


def cast_all(value: Any, from_type: type, to_type: type) -> Any:
    """Make floats that are whole numbers ints, or ints floats, throughout a list or dict, in
    place. What would not be the same number stays. Every NaN is made the same object."""
    cast: Callable[[Any], Any] = _to_int if to_type is int else _to_float
    for place, item in enumerate(value) if isinstance(value, list) else value.items():
        if type(item) is from_type:
            value[place] = cast(item)
        elif isinstance(item, (list, dict)):
            cast_all(item, from_type, to_type)
    return value


def same_nans(value: Any) -> Any:
    """`value` with one object for every NaN in it: lists and dicts are equal that hold it."""
    return _mapped(value, _same_nan)


def storable(value: Any) -> Any:
    """`value` as pycrdt takes it. Shares what need not change with it, and changes nothing."""
    return _mapped(value, _storable)


def _restored(value: Any) -> Any:
    return _mapped(value, _from_document)


_TEXTS = ("id", "cell_type", "source", "text")
"""What is text in a cell or a stream, whatever it looks like."""


def _restore_output(output: Any) -> None:
    if not isinstance(output, dict):
        return
    is_stream = output.get("output_type") == "stream"
    for name, value in output.items():
        if not (is_stream and name in _TEXTS):
            output[name] = _restored(value)


def _mapped(value: Any, leaf: Callable[[Any], Any]) -> Any:
    """`value` with `leaf` of everything in it that is no list or dict; itself if all are the
    same."""
    if isinstance(value, dict):
        made = {name: _mapped(item, leaf) for name, item in value.items()}
        return value if all(made[name] is value[name] for name in made) else made
    if isinstance(value, list):
        items = [_mapped(item, leaf) for item in value]
        return value if all(map(_is, items, value)) else items
    return leaf(value)


def _is(one: Any, other: Any) -> bool:
    return one is other


def _to_int(value: float) -> float | int:
    if math.isnan(value):
        return math.nan
    return int(value) if value.is_integer() and -_LIMIT <= value < _LIMIT else value


def _to_float(value: int) -> Any:
    if not _fits(value):
        return _storable(value)
    return float(value) if float(value) == value else value


def _fits(value: int) -> bool:
    # The second is for those that pycrdt would round to 2^63.
    return -_LIMIT <= value < _LIMIT and float(value) < _LIMIT


def _same_nan(value: Any) -> Any:
    return math.nan if type(value) is float and math.isnan(value) else value


def _storable(value: Any) -> Any:
    if type(value) is int and not _fits(value):
        return f"{_MARK}{value}{_MARK}"
    return _same_nan(value)


def _from_document(value: Any) -> Any:
    if type(value) is str and value.startswith(_MARK):
        digits = _LONG.fullmatch(value)
        if digits is not None and not _fits(int(digits[1])):
            return int(digits[1])
    return value
