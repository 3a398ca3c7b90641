"""VersionList: the versions of a document, as a list that a notebook cell shows as a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, SupportsIndex, overload

from ..archive.version import Version
from ._text import escaped, plain, size, when

_COLUMNS = ("", "written", "kind", "by", "label", "origin", "size", "version id")
_WRAPPED = ("by", "label", "origin")


@dataclass(frozen=True)
class ListedVersion(Version):
    """A version as a server told of it. `document` is the path that was asked for, so that
    the client knows what the version is one of."""

    document: str = ""

    @classmethod
    def from_dict(cls, told: dict[str, Any], document: str) -> ListedVersion:
        """What `Version.to_dict` made; fields that this release does not know are left out."""
        known = {field.name for field in fields(cls) if field.init}
        values = {name: value for name, value in told.items() if name in known}
        values["last_modified"] = datetime.fromisoformat(told["last_modified"])
        values["authors"] = tuple(told.get("authors", ()))
        return cls(**{**values, "document": document})


class VersionList(list[ListedVersion]):
    """Versions of the document at `path`, newest first.

    `next` is what `versions(after=…)` takes to go on; None: there are no more.
    """

    def __init__(
        self, versions: Iterable[ListedVersion] = (), *, path: str = "", next: str | None = None
    ) -> None:
        super().__init__(versions)
        self.path = path
        self.next = next

    @overload
    def __getitem__(self, index: SupportsIndex) -> ListedVersion: ...
    @overload
    def __getitem__(self, index: slice) -> VersionList: ...
    def __getitem__(self, index: SupportsIndex | slice) -> ListedVersion | VersionList:
        if isinstance(index, slice):
            return VersionList(super().__getitem__(index), path=self.path)
        return super().__getitem__(index)

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                str(number),
                when(version.last_modified),
                f"{version.kind}, cold" if version.cold else version.kind,
                "not known" if version.details_error else ", ".join(version.authors),
                version.label or "",
                version.origin,
                size(version.size),
                version.version_id,
            )
            for number, version in enumerate(self)
        ]

    def _summary(self) -> str:
        count = f"{len(self)} version{'' if len(self) == 1 else 's'}"
        summary = f"{count} of {self.path}" + (", and there are more" if self.next else "")
        unread = next((v.details_error for v in self if v.details_error), "")
        return f"{summary}. The details of some are not known. {unread}" if unread else summary

    def __repr__(self) -> str:
        rows = [_COLUMNS, *(tuple(map(plain, row)) for row in self._rows())]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        return "\n".join([plain(self._summary()), *(lines if self else [])])

    def _repr_html_(self) -> str:
        styles = [
            "text-align:left" + ("" if name in _WRAPPED else ";white-space:nowrap")
            for name in _COLUMNS
        ]
        columns = list(zip(_COLUMNS, styles, strict=True))
        head = "".join(f'<th style="{style}">{name}</th>' for name, style in columns)
        body = "".join(f"<tr>{_cells(row, styles)}</tr>" for row in self._rows())
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"<p>{escaped(self._summary())}</p>" + (table if self else "")


def _cells(row: tuple[str, ...], styles: list[str]) -> str:
    return "".join(
        f'<td style="{style}"><bdi>{escaped(cell)}</bdi></td>'
        for cell, style in zip(row, styles, strict=True)
    )
