"""The directive `traits`: a table of a class's configurable traits, read off the class."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from traitlets import HasTraits, TraitType

_HEADINGS = ("Name", "Type", "Default", "Meaning")
_WIDTHS = (24, 12, 18, 46)


class TraitsTable(SphinxDirective):
    """One row for each trait that the class itself defines, in the order of its source."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module, name = self.arguments[0].rsplit(".", 1)
        cls = getattr(import_module(module), name)
        traits = cls.class_own_traits(config=True)
        # class_own_traits sorts by name; the class's dictionary is in the order of its source.
        ordered = [traits[key] for key in vars(cls) if key in traits]
        return [self._table([_HEADINGS, *(_row(cls, trait) for trait in ordered)])]

    def _table(self, rows: list[tuple[str, ...]]) -> nodes.table:
        group = nodes.tgroup(cols=len(_WIDTHS))
        group += [nodes.colspec(colwidth=width) for width in _WIDTHS]
        head, body = nodes.thead(), nodes.tbody()
        for number, texts in enumerate(rows):
            row = nodes.row()
            for column, text in enumerate(texts):
                code = number > 0 and column in (0, 2) and text
                shown = nodes.literal(text=text) if code else nodes.Text(text)
                row += nodes.entry("", nodes.paragraph("", "", shown))
            (body if number else head).append(row)
        group += [head, body]
        return nodes.table("", group)


def _row(cls: type[HasTraits], trait: TraitType[Any, Any]) -> tuple[str, str, str, str]:
    kind = type(trait).__name__.removeprefix("Caseless").removesuffix("Enum")
    named = {"Unicode": "str", "Str": "str", "Int": "int", "Float": "float", "Bool": "bool"}
    default = _default(cls, trait)
    return str(trait.name), named.get(kind, kind), default, str(trait.help).replace("`", "")


def _default(cls: type[HasTraits], trait: TraitType[Any, Any]) -> str:
    dynamic = getattr(cls, f"_default_{trait.name}", None)
    value = trait.default_value
    if dynamic is not None and not str(trait.name).startswith("s3_"):  # those read the environment
        value = trait.get(cls(), cls)
    return "" if value == "" else repr(value)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("traits", TraitsTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
