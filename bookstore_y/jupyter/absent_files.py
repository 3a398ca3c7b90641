"""Absent files: in the archive but not on this server's disk."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..archive.current_files import CurrentFile
from ..replication.path_change import moved


class Children(NamedTuple):
    """What a directory holds of absent files, and directories that hold some; by name."""

    files: dict[str, CurrentFile]
    directories: frozenset[str]


class AbsentFiles:
    """Absent files by path, and the directories that they are in."""

    def __init__(self, files: Iterable[CurrentFile] = ()) -> None:
        self._files: dict[str, CurrentFile] = {}
        self._names: dict[str, set[str]] = {}
        for file in files:
            self.add(file.path, file)

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, path: str) -> bool:
        return path in self._files

    def get(self, path: str) -> CurrentFile | None:
        """The absent file at a path."""
        return self._files.get(path)

    def is_directory(self, path: str) -> bool:
        """Whether an absent file is below a path."""
        return path in self._names

    def add(self, path: str, file: CurrentFile) -> None:
        """A file is absent. `path` is where it belongs, which a rename may have changed."""
        self._files[path] = file
        while path:
            path, _, name = path.rpartition("/")
            names = self._names.setdefault(path, set())
            if name in names:
                return
            names.add(name)

    def discard(self, path: str) -> CurrentFile | None:
        """A file is absent no longer. Returns what was known of it."""
        file = self._files.pop(path, None)
        if file is None:
            return None
        while path and path not in self._files and path not in self._names:
            path, _, name = path.rpartition("/")
            self._names[path].discard(name)
            if self._names[path]:
                break
            del self._names[path]
        return file

    def below(self, path: str) -> list[str]:
        """The absent files at a path and below it, in no order."""
        if not path:
            return list(self._files)
        found = [path] if path in self._files else []
        for name in self._names.get(path, ()):
            found += self.below(f"{path}/{name}")
        return found

    def rename(self, source: str, target: str) -> None:
        """What is absent at a path, or below it, belongs to another one now."""
        for path in self.below(source):
            file = self.discard(path)
            if file is not None:
                self.add(moved(path, source, target) or target, file)

    def forget(self, path: str) -> None:
        """What was absent at a path, or below it, is no file any more."""
        for each in self.below(path):
            self.discard(each)

    def children(self, directory: str) -> Children:
        """What is absent in a directory."""
        above = f"{directory}/" if directory else ""
        names = self._names.get(directory, set())
        files = {name: self._files[above + name] for name in names if above + name in self._files}
        return Children(files, frozenset(name for name in names if above + name in self._names))
