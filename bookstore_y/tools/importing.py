"""What all imports share: their results and their limits.

Nothing in the bucket that is newer, or of another history, is put aside by an import unless that is
asked for. What has been imported is recognized, so that an import can be run again, and goes on
where it broke off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import BookstoreError, BucketUnavailable

if TYPE_CHECKING:
    from ..archive.archive import Archive

OUTAGE = 20
"""Items in a row that an unavailable bucket may cost before the others are not tried."""


@dataclass(frozen=True)
class Imported:
    """What became of one document or file.

    `written`: it is a new version now. `beneath`: it is a version, and the newer one that the
    bucket had is still current. `same`: the bucket has it already. `left out`: as asked, or as
    usual. `skipped`: the bucket has something else, or it cannot be told what it is. `failed`:
    it cannot be read or written. Whatever has a `reason`, but for what was left out, is not all
    in the bucket as its newest version. `size` is in bytes, of the file or update.
    """

    source: str
    path: str
    outcome: str
    size: int = 0
    reason: str = ""

    @property
    def is_well(self) -> bool:
        """Whether nothing has to be done about it."""
        return not self.reason or self.outcome == "left out"

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {**vars(self), "reason": self.reason or None}


class Importing:
    """An import into an archive, which ends when the bucket stays unavailable."""

    def __init__(self, archive: Archive, *, force: bool, dry_run: bool) -> None:
        self._archive = archive
        self._force = force
        self._dry_run = dry_run
        self._outages = 0

    def _note(self, error: BookstoreError) -> str:
        """The words of an error; raises it if it is one outage too many."""
        if isinstance(error, BucketUnavailable):
            self._outages += 1
            if self._outages >= OUTAGE:
                raise error
        else:
            self._outages = 0
        return str(error)
