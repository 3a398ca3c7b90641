"""A directory to write files from a bucket to, whatever their names are.

Names come from keys that anybody may have written: nothing is written outside the directory,
through a symbolic link, or over what is there already unless that is asked for.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from ..errors import BookstoreError, InvalidPath
from ..keys import check_path

_FATAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
"""What refuses one file for these reasons refuses all that follow."""

_NOT_WINDOWS = re.compile(
    r'.*[<>:"\\|?*].*|.*[. ]|(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?', re.IGNORECASE | re.DOTALL
)


class Refused(BookstoreError):
    """A file is not written; the message says why and what to do."""


class DirectoryUnusable(BookstoreError):
    """Nothing more can be written into the directory."""


class Directory:
    """The directory at `root`. `fold` makes equal those names that its disk takes to be one; it
    is found out by trying unless it is given."""

    def __init__(self, root: Path, *, fold: Callable[[str], str] | None = None) -> None:
        self.root = Path(os.path.realpath(root))
        self._fold = fold
        self._files: dict[str, str] = {}
        self._directories: dict[str, str] = {}

    def prepare(self) -> None:
        """Make the directory. Raises `DirectoryUnusable`."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._fold = self._fold or _folding(self.root)
        except OSError as error:
            raise DirectoryUnusable(
                f"Can't write to {self.root} ({error.strerror}); choose another directory."
            ) from None

    def claim(self, path: str) -> None:
        """Take a name for a file. Raises `Refused` if it cannot be a file's in this directory,
        or another file has taken it, or a name above or below it."""
        try:
            check_path(path)
            os.fsencode(path)
        except InvalidPath as error:
            raise Refused(str(error)) from None
        except UnicodeEncodeError:
            raise Refused(
                f"{path!r} can't be a file name here: the locale encodes file names as "
                f"{sys.getfilesystemencoding()}; use a UTF-8 locale, or set PYTHONUTF8=1."
            ) from None
        if os.name == "nt" and any(map(_NOT_WINDOWS.fullmatch, path.split("/"))):
            raise Refused(f"Windows doesn't allow the file name {path!r}.")
        fold = self._fold or str
        name = fold(path)
        above = [fold(str(parent)) for parent in PurePosixPath(path).parents][:-1]
        for taken in [self._files.get(each) for each in above]:
            if taken is not None:
                raise Refused(f"{path!r} would be below {taken!r}, which is a file.")
        other = self._files.get(name) or self._directories.get(name)
        if other is not None:
            raise Refused(
                f"{path!r} and {other!r} have the same name on this disk; pull one of them into "
                "another directory."
            )
        self._files[name] = path
        self._directories.update(dict.fromkeys(above, path))

    def has(self, path: str) -> bool:
        """Whether there is anything at `path`."""
        return os.path.lexists(self.root / path)

    def holds(self, path: str, time_ns: int, size: int | None) -> bool:
        """Whether the file at `path` is one that was written with this time and size (in bytes;
        None: any), and was not changed since."""
        try:
            found = (self.root / path).lstat()
        except OSError:
            return False
        # NTFS keeps time in steps of 100 ns.
        same = found.st_mtime_ns // 100 == time_ns // 100 and size in (None, found.st_size)
        return same and stat.S_ISREG(found.st_mode)

    def says(self, path: str, body: bytes) -> bool:
        """Whether the file at `path` has these bytes."""
        target = self.root / path
        try:
            found = target.lstat()
            regular = stat.S_ISREG(found.st_mode) and found.st_size == len(body)
            return regular and self._is_inside(target) and target.read_bytes() == body
        except OSError:
            return False

    def write(self, path: str, body: bytes, time_ns: int, *, overwrite: bool) -> None:
        """Write a file whole or not at all, with this time of modification.

        Raises `Refused`, and `DirectoryUnusable` where no other file could be written either.
        """
        target = self.root / path
        try:
            self._make_parents(path)
            self._write(target, body, time_ns, overwrite)
        except (OSError, ValueError) as error:
            told = getattr(error, "strerror", None) or str(error)
            if getattr(error, "errno", None) in _FATAL:
                raise DirectoryUnusable(
                    f"{self.root} accepts no more files ({told}); free some space and try again."
                ) from None
            raise Refused(f"{path!r} cannot be written ({told}).") from None

    def _make_parents(self, path: str) -> None:
        place = self.root
        for segment in path.split("/")[:-1]:
            place = place / segment
            try:
                place.mkdir()
            except FileExistsError:
                if place.is_symlink():
                    raise Refused(
                        f"{path!r} is not written through {place}, which is a symbolic link; "
                        "remove the link, or pull into another directory."
                    ) from None
                if not place.is_dir():
                    raise Refused(f"{path!r} would be below {place}, which is a file.") from None

    def _is_inside(self, target: Path) -> bool:
        return Path(os.path.realpath(target.parent)) == target.parent

    def _write(self, target: Path, body: bytes, time_ns: int, overwrite: bool) -> None:
        try:
            found = target.lstat()
        except FileNotFoundError:
            found = None
        if found is not None and stat.S_ISDIR(found.st_mode):
            raise Refused(f"There is a directory at {target}.")
        if found is not None and not overwrite:
            raise _exists(target)
        part = target.with_name(f".bookstore-{secrets.token_hex(8)}.part")
        try:
            with part.open("xb") as file:
                file.write(body)
            os.utime(part, ns=(time_ns, time_ns))
            if found is None:
                _move(part, target)
            else:
                if stat.S_ISREG(found.st_mode):
                    part.chmod(stat.S_IMODE(found.st_mode))
                part.replace(target)
        finally:
            part.unlink(missing_ok=True)


def _exists(target: Path) -> Refused:
    return Refused(f"{target} exists with different content; add --overwrite to replace it.")


def _move(part: Path, target: Path) -> None:
    """Give a file its name, unless another has it by now."""
    try:
        target.hardlink_to(part)
    except FileExistsError:
        raise _exists(target) from None
    except OSError:  # a disk without hard links
        if os.path.lexists(target):
            raise _exists(target) from None
        part.replace(target)


def _folding(root: Path) -> Callable[[str], str]:
    """What the disk of `root` makes of names: their case, and how Unicode composes them."""
    mark = f".bookstore-{secrets.token_hex(8)}-\u00e9a"
    try:
        os.fsencode(mark)
    except UnicodeEncodeError:  # nor can it encode any name that could be composed otherwise
        mark = mark.replace("\u00e9", "")
    probe = root / mark
    probe.touch()
    try:
        decomposed = (root / unicodedata.normalize("NFD", mark)).exists()
        caseless = (root / mark.upper()).exists()
    finally:
        probe.unlink()

    def fold(name: str) -> str:
        name = unicodedata.normalize("NFD", name) if decomposed else name
        return name.casefold() if caseless else name

    return fold
