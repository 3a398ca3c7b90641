"""Recovery: buffer files that outlive a process, and the server that adopts them.

Per bucket and prefix there is a directory of them, whatever the endpoint: a fail-over to another
changes nothing of what they hold. A server whose buffer is in memory writes one when it stops with
something left that it could not archive, or goes on in one when its memory gets too much; the next
server takes up what it finds there. A server with a buffer file of its own finds it again by its
name. What other endpoints and buckets left is taken up if it fits, see `recovery_fit.py`.
"""

from __future__ import annotations

import hashlib
import logging
import re
import sqlite3
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InvalidPath, UpdateBufferError
from ..settings import BookstoreSettings
from . import sqlite_file
from .database import Buffer
from .sqlite_file import MEMORY, BufferInUse, DamagedBuffer, NewerBuffer

HANDOVER = 3.0
"""Seconds to wait for a process that is about to end to let go of the buffer file: what is in it
and not yet in the bucket would be missing here."""

NEW_FILES = 100
"""Names that are tried for a buffer file before giving up."""


@dataclass(frozen=True)
class BufferOptions:
    """Where the buffer is, and how much of it may be in memory."""

    path: str = MEMORY
    recovery_dir: str = ""
    """Directory of recovery files; empty means below Jupyter's data directory."""
    limit: int = 32 * 1024 * 1024
    """Bytes."""


@dataclass(frozen=True)
class Stranger:
    """A recovery file of another endpoint, or of a bucket of another name."""

    path: Path
    same_place: bool
    """Whether bucket and prefix are those of this server."""
    same_name: bool
    """Whether the bucket has the same name; earlier releases named the rest after the endpoint,
    too."""


def base_of(recovery_dir: str) -> Path:
    """The directory below which recovery files are, in a directory for each bucket and prefix;
    without `recovery_dir` it is in Jupyter's data directory."""
    if recovery_dir:
        return Path(recovery_dir).expanduser().absolute()
    from jupyter_core.paths import jupyter_data_dir

    return Path(jupyter_data_dir()) / "bookstore_y"


def files_below(base: Path) -> list[Path]:
    """The recovery files of all buckets and prefixes, in use or not, the oldest first."""
    return sorted(base.glob("*/recovery-*.db"), key=_written_at)


class Recovery:
    """The files of one buffer, and of those before it."""

    def __init__(self, settings: BookstoreSettings, options: BufferOptions) -> None:
        self.options = options
        self.log: logging.Logger | logging.LoggerAdapter[Any] = logging.getLogger(
            "bookstore_y.recovery"
        )
        self._settings = settings
        self._absorbed: list[tuple[Path, sqlite3.Connection]] = []
        self._kept: tuple[Path, sqlite3.Connection] | None = None
        self._fitting: set[Path] = set()
        self._apart: set[Path] = set()

    @property
    def directory(self) -> Path:
        """Where recovery files for this bucket and prefix are."""
        settings = self._settings
        if not settings.s3_bucket:  # wherever it is to be, it has been nowhere yet
            return self._named("", "")
        return self._named(settings.s3_bucket, f"{settings.s3_bucket}|{settings.workspace_prefix}")

    def _named(self, bucket: str, place: str) -> Path:
        name = re.sub(r"[^A-Za-z0-9.-]", "_", bucket) or "no-bucket"
        return self._base() / f"{name}-{_digest(place)}"

    def _directories(self) -> set[Path]:
        """That of this bucket, its name in earlier releases, and that of no bucket yet."""
        settings = self._settings
        bucket = settings.s3_bucket
        former = f"{settings.s3_endpoint_url}|{bucket}|{settings.workspace_prefix}"
        return {self.directory, self._named(bucket, former if bucket else ""), self._named("", "")}

    @property
    def _mark(self) -> str:
        """What the names of files say of the endpoint, which may be anything."""
        return _digest(self._settings.s3_endpoint_url)[:8]

    def _base(self) -> Path:
        return base_of(self.options.recovery_dir)

    def new_file(self) -> str:
        """A name for a new recovery file."""
        return str(self.directory / f"recovery-{self._mark}-{uuid.uuid4().hex[:12]}.db")

    # -- what others left ----------------------------------------------------------------------

    def strangers(self) -> list[Stranger]:
        """Recovery files of other endpoints and buckets that are not decided on."""
        own = self._directories()
        known = self._fitting | self._apart
        found = []
        for path in sorted(self._base().glob("*/recovery-*.db")):
            marked = _MARKED.fullmatch(path.name)
            same_place = path.parent == self.directory
            same_endpoint = marked is None or marked[1] == self._mark
            ours = path.parent in own and (same_endpoint or not same_place)
            if not ours and path not in known:
                name = path.parent.name.rpartition("-")[0]
                same_name = name == self.directory.name.rpartition("-")[0]
                found.append(Stranger(path, same_place, same_name))
        return found

    def is_named(self, path: Path) -> bool:
        """Whether a file is where servers have recovery files, of whatever bucket."""
        return self._is_recovery_file(path)

    def is_own(self, path: Path) -> bool:
        """Whether a file is one that a server with these settings left."""
        strangers = {stranger.path for stranger in self.strangers()}
        return path.parent in self._directories() and path not in strangers

    def decide(self, stranger: Stranger, *, belongs: bool, final: bool) -> None:
        """Take a file up from now on, or leave it where it is; `final` says for good."""
        if belongs:
            self._fitting.add(stranger.path)
        elif final:
            self._apart.add(stranger.path)
            self.log.warning(
                "%s holds edits that belong to another bucket, so it is left alone: this "
                "bucket has other histories under the same names. `jupyter bookstore recover` "
                "shows and archives them.",
                stranger.path,
            )

    # -- at the start --------------------------------------------------------------------------

    def open(self) -> Buffer:
        """The buffer, with all that earlier processes have left. Raises `UpdateBufferError`."""
        buffer = self._open()
        own = buffer.path
        try:
            for path in self._found():
                if str(path) != own:
                    self._absorb(buffer, path)
        except BaseException:
            self.abandon(buffer)
            raise
        return buffer

    def abandon(self, buffer: Buffer) -> None:
        """Close the buffer as if it had never been opened."""
        buffer.close()
        for _, connection in self._absorbed:
            connection.close()
        self._absorbed.clear()

    def _open(self) -> Buffer:
        path = self.options.path
        if path != MEMORY:
            taken_up = self._is_recovery_file(Path(path))
            return Buffer(path, make=False) if taken_up else self._open_file(Path(path))
        for found in self._found():
            # What would not fit into memory is gone on with where it is.
            if _size(found) > self.options.limit:
                try:
                    return Buffer(str(found), make=False)
                except UpdateBufferError:
                    continue
        return Buffer()

    def _open_file(self, path: Path) -> Buffer:
        patience = time.monotonic() + HANDOVER
        number = 1
        while number < NEW_FILES:
            name = path if number == 1 else path.with_name(f"{path.name}-{number}")
            try:
                buffer = Buffer(str(name))
            except BufferInUse:
                if number > 1 or time.monotonic() > patience:
                    number += 1
                else:
                    time.sleep(0.02)
                continue
            except (NewerBuffer, DamagedBuffer) as error:
                self._set_aside(name, error)
                buffer = Buffer(str(name))
            if number > 1:
                self.log.warning(
                    "Another process uses the update buffer %s, so this one uses %s; set "
                    "c.S3YStore.db_path to a separate file for each server.",
                    path,
                    name,
                )
            return buffer
        raise UpdateBufferError(
            f"Other processes use the update buffer {path} and {NEW_FILES} files next to it; "
            "set c.S3YStore.db_path to a separate file for this server."
        )

    def _set_aside(self, path: Path, error: UpdateBufferError) -> None:
        newer = isinstance(error, NewerBuffer)
        aside = sqlite_file.set_aside(path, "newer-format" if newer else "damaged")
        advice = (
            "to archive its content, upgrade bookstore-y and rename the file back"
            if newer
            else "`sqlite3 <file> .recover` may show its content"
        )
        self.log.error(
            "%s; it was renamed to %s and replaced by a new one; %s.", error, aside, advice
        )

    def _found(self) -> list[Path]:
        """Recovery files, oldest first, and those beside a buffer file of a server's own."""
        strangers = {stranger.path for stranger in self.strangers()}
        found = [
            path
            for directory in self._directories()
            if directory.is_dir()
            for path in directory.glob("recovery-*.db")
            if path not in strangers | self._apart | self._fitting
        ]
        found += [path for path in self._fitting if path.exists()]
        found.sort(key=_written_at)
        own = self.options.path
        return found if own == MEMORY else [*found, *sqlite_file.siblings(Path(own))]

    def _is_recovery_file(self, path: Path) -> bool:
        return path.parent.parent == self._base() and _NAME.fullmatch(path.name) is not None

    @property
    def takes_up_one(self) -> bool:
        """Whether the buffer is one recovery file, which is to be archived."""
        return self._is_recovery_file(Path(self.options.path))

    def left_behind(self) -> list[Path]:
        """Recovery files there are now, in use or not, but for those that belong to this one."""
        own = {path for path, _ in self._absorbed} | {self._kept[0] if self._kept else None}
        found = [path for path in self._found() if self._is_recovery_file(path)]
        return [path for path in found if path not in own]

    def _absorb(self, buffer: Buffer, path: Path) -> None:
        try:
            other = sqlite_file.connect(str(path), make=False)
        except BufferInUse:
            return  # another process lives on it
        except UpdateBufferError as error:
            unreadable = isinstance(error, (NewerBuffer, DamagedBuffer))
            if unreadable and self._is_recovery_file(path):  # others may be anybody's
                self._set_aside(path, error)
                return
            if not sqlite_file.files_of(path):
                return  # another process has archived it meanwhile
            self.log.error(  # noqa: TRY400 - the sentence is what counts
                "What an earlier server left in %s is not archived: %s", path, error
            )
            return
        try:
            buffer.absorb(other)
        except (UpdateBufferError, InvalidPath, UnicodeDecodeError) as error:
            other.close()
            self.log.error(  # noqa: TRY400 - the sentence is what counts
                "What an earlier server left in %s is not archived: %s", path, error
            )
            return
        # Locked as long as it is open, so that no other process takes it up.
        self._absorbed.append((path, other))
        self.log.warning("Archiving edits that an earlier server left in %s.", path)
        if buffer.durable:
            self._remove_absorbed()

    # -- while it runs -------------------------------------------------------------------------

    def archived(self, buffer: Buffer) -> None:
        """All that the buffer holds is in the bucket: what it was taken from can go."""
        self._remove_absorbed()
        while buffer.left:
            sqlite_file.remove(buffer.left.pop())
        self._forget_kept()

    def _remove_absorbed(self) -> None:
        absorbed, self._absorbed = self._absorbed, []
        for path, connection in absorbed:
            sqlite_file.remove(path, connection)

    @property
    def waiting(self) -> bool:
        """Whether there are files that can go once all is in the bucket."""
        return bool(self._absorbed or self._kept)

    # -- at the end ----------------------------------------------------------------------------

    def keep(self, buffer: Buffer) -> Path:
        """Write all that the buffer holds to a recovery file, in place of an earlier one of this
        process. Raises `UpdateBufferError`."""
        path = Path(self.new_file())
        # Locked until this process ends, lest another takes it up while it may still be removed.
        kept = path, buffer.copy_to(str(path))
        self._forget_kept()
        self._kept = kept
        return path

    def _forget_kept(self) -> None:
        if self._kept is not None:
            sqlite_file.remove(*self._kept)
            self._kept = None

    def close(self, buffer: Buffer, *, archived: bool) -> None:
        """Close the buffer. `archived` says that all of it is in the bucket; otherwise it is in
        a file, its own or the one that was kept."""
        if archived:
            self.archived(buffer)
        self._remove_absorbed()
        if self._kept is not None:
            self._kept[1].close()
            self._kept = None
        configured = buffer.path == self.options.path
        buffer.close(
            remove=archived and (not configured or self._is_recovery_file(Path(buffer.path)))
        )


_NAME = re.compile(r"recovery-.+\.db")
_MARKED = re.compile(r"recovery-([0-9a-f]{8})-[0-9a-f]{12}\.db")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # other processes come and go
        return 0


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
