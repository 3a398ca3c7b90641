"""Seen files: the archive's files that this disk has had.

What the disk has had, and has no longer, was removed from it: with `rm` in a terminal, by `git
checkout`, or moved. It is not to come back by itself. A disk that is lost loses this record, too.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path

from ..archive.workspace import is_within
from ..errors import InvalidPath
from ..keys import check_path
from ..replication.path_change import moved
from ..settings import BookstoreSettings

DIRECTORY = ".bookstore_y"
"""Where the record is, below the server's root."""

_FILE = "seen"


class SeenFiles:
    """The paths that a disk has had, in a text file on that disk.

    The first line says of which archive. Each other one is a path that has been seen (`+`) or
    that was deleted or renamed with all below it (`-`), or says that the disk has all that the
    archive holds (`=`) or not (`~`). Without a `root`, or where it cannot be
    written, the record lasts as long as the process.
    """

    def __init__(self, root: Path | None, settings: BookstoreSettings) -> None:
        where = (settings.endpoint, settings.s3_bucket, settings.workspace_prefix)
        self._of = hashlib.sha256("\0".join(where).encode()).hexdigest()
        self._path = None if root is None else root / DIRECTORY / _FILE
        self._seen: set[str] = set()
        self._new: list[str] = []
        self.whole = False
        """Whether the disk had all that the archive held, when that was known last."""

    def __contains__(self, path: str) -> bool:
        return path in self._seen

    def load(self) -> None:
        """Read what was written before; nothing if it is of another archive."""
        lines: list[str] = []
        if self._path is not None:
            with contextlib.suppress(OSError, UnicodeDecodeError):
                # Not `splitlines`: a name may contain what else ends a line, such as U+2028.
                lines = self._path.read_text(encoding="utf-8").rstrip("\n").split("\n")
        if not lines or lines[0] != self._of:
            self._new = [f"+{path}" for path in self._seen]
            self._start()
            return
        before, self._seen = self._seen, set()
        for line in lines[1:]:
            if line.startswith("+"):
                self._seen.add(line[1:])
            elif line.startswith("-"):
                self._forget(line[1:])
            else:
                self.whole = line == "="
        if len(lines) > 2 * len(self._seen) + 1000:
            self._new = [*(f"+{path}" for path in self._seen), "=" if self.whole else "~"]
            self._start()
        self.add(before)

    def add(self, paths: Iterable[str]) -> None:
        """Files are on the disk. Those whose names cannot be archived are of no concern here."""
        new = [path for path in paths if path not in self._seen and _can_be_archived(path)]
        self._seen.update(new)
        self._new += [f"+{path}" for path in new]

    def note_whole(self, whole: bool) -> None:
        """Whether the disk has all that the archive holds."""
        if whole != self.whole:
            self.whole = whole
            self._new.append("=" if whole else "~")

    def forget(self, path: str) -> None:
        """A file or directory was deleted."""
        if self._forget(path):
            self._new.append(f"-{path}")

    def rename(self, source: str, target: str) -> None:
        """A file or directory was renamed."""
        below = [path for path in self._seen if is_within(path, source)]
        self.forget(source)
        self.add([target, *(moved(path, source, target) or target for path in below)])

    def flush(self) -> None:
        """Write what is new. A disk that does not take it has no record."""
        new, self._new = self._new, []
        if new and self._path is not None:
            with contextlib.suppress(OSError), self._path.open("a", encoding="utf-8") as file:
                file.write("".join(f"{line}\n" for line in new))

    def _forget(self, path: str) -> bool:
        below = [each for each in self._seen if is_within(each, path)]
        self._seen.difference_update(below)
        return bool(below)

    def _start(self) -> None:
        """Begin the file anew."""
        if self._path is None:
            return
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(exist_ok=True)
            # Nothing of it is for a repository that the workspace may be.
            (self._path.parent / ".gitignore").write_text("*\n", encoding="utf-8")
            part = self._path.with_name(f"{_FILE}.part")
            part.write_text(f"{self._of}\n", encoding="utf-8")
            part.replace(self._path)


def _can_be_archived(path: str) -> bool:
    try:
        check_path(path)
    except InvalidPath:
        return False
    return True
