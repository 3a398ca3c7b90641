"""`jupyter bookstore clone`: copy an object of the bucket to a file."""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BookstoreError, DocumentNotFound
from ._errors import ASKED_WRONGLY, NOT_FOUND, CommandError
from ._options import accept_version_ids, add_command, complete
from ._output import Output
from ._running import with_archive
from ._text import visible
from ._versions import MIN_PREFIX

if TYPE_CHECKING:
    from ..archive.archive import Archive

_TRIES = 1000
"""Names that are tried before one is asked to name another."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command."""
    parser = add_command(
        subparsers,
        "clone",
        run,
        help="copy an object of the bucket, published or not, to a file",
        description="Copy an object of the bucket to a file. For a snapshot, write the file "
        "that the snapshot belongs to. An existing file stays: the clone's name "
        "gets a number.",
    )
    parser.add_argument(
        "key",
        metavar="KEY",
        help="its key, such as published/report.ipynb, or s3://BUCKET/KEY. Other buckets must "
        "be in BookstoreSettings.clone_buckets",
    )
    target = parser.add_argument(
        "target",
        metavar="TARGET",
        nargs="?",
        type=Path,
        default=Path(),
        help="file, or existing directory (default: the current one)",
    )
    complete(target, "file")
    parser.add_argument(
        "--version", metavar="VERSION", help="a version id, or its first characters"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it exists")
    accept_version_ids(parser)


def run(args: argparse.Namespace) -> int:
    """Clone; 0."""
    return with_archive(args, _clone)


async def _clone(archive: Archive, args: argparse.Namespace, out: Output) -> int:
    bucket, key = _source(args.key, archive.bucket.name)
    version_id = args.version
    if version_id is not None and bucket == archive.bucket.name:
        version_id = await _whole_id(archive, key, version_id)
    try:
        fetched = await archive.fetch(key, bucket=bucket, version_id=version_id)
    except DocumentNotFound as error:
        meant = await _meant(archive, key) if bucket == archive.bucket.name else None
        hint = f" Did you mean {visible(meant)}?" if meant else ""
        raise CommandError(f"{error}{hint}", NOT_FOUND) from None
    name = fetched.version.path.rpartition("/")[2]
    target = args.target / name if args.target.is_dir() else args.target
    try:
        written = _write(target, fetched.raw(), overwrite=args.overwrite)
    except OSError as error:
        raise CommandError(
            f"Could not write {visible(target)} ({error.strerror}); name another file or directory."
        ) from None
    version = fetched.version
    out.document({"path": str(written), "bucket": bucket, "key": key, "version": version.to_dict()})
    out.say(
        f"Cloned {visible(f's3://{bucket}/{key}')}, version {visible(version.version_id)}, to "
        f"{visible(written)}."
    )
    return 0


def _source(key: str, configured: str) -> tuple[str, str]:
    """The bucket and the key that an argument names. Raises `CommandError`."""
    bucket = configured
    if key.startswith("s3://"):
        bucket, _, key = key.removeprefix("s3://").partition("/")
    if not bucket or not key or key.endswith("/"):
        raise CommandError("Name an object by its key or as s3://BUCKET/KEY.", ASKED_WRONGLY)
    return bucket, key


async def _meant(archive: Archive, path: str) -> str | None:
    """The key of what was published or saved under `path`, if there is any."""
    for prefix in (archive.settings.published_prefix, archive.settings.workspace_prefix):
        with contextlib.suppress(BookstoreError):  # it is a guess
            await archive.bucket.head(prefix + path)
            return prefix + path
    return None


async def _whole_id(archive: Archive, key: str, prefix: str) -> str:
    if len(prefix) < MIN_PREFIX:
        raise CommandError(
            f"{prefix!r} is too short for a version id; give {MIN_PREFIX} characters or more.",
            ASKED_WRONGLY,
        )
    found = [
        version.version_id
        async for version in archive.bucket.listing.versions(key)
        if version.version_id.startswith(prefix) and not version.is_delete_marker
    ]
    if not found:
        raise CommandError(
            f"{visible(key)} has no version whose id starts with {prefix!r}.", NOT_FOUND
        )
    if prefix not in found and len(found) > 1:
        listed = "\n".join(f"  {version_id}" for version_id in found[:8])
        raise CommandError(
            f"{prefix!r} matches {len(found):,} version ids of {visible(key)}; give more "
            f"characters:\n{listed}",
            ASKED_WRONGLY,
        )
    return prefix if prefix in found else found[0]


def _write(target: Path, body: bytes, *, overwrite: bool) -> Path:
    """Write a new file, under the first name that is free; or in place of the one there is.
    Returns its path. Raises `OSError`."""
    if overwrite:
        if target.is_dir():
            raise CommandError(f"{visible(target)} is a directory; name a file.", ASKED_WRONGLY)
        return _replace(target, body)
    for name in _names(target):
        try:
            with name.open("xb") as file:
                file.write(body)
        except FileExistsError:
            continue
        return name
    raise CommandError(f"{_TRIES} names after {visible(target)} are taken; name another file.")


def _replace(target: Path, body: bytes) -> Path:
    # Whoever reads it meanwhile has the old file or the new one.
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:40]}-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(body)
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
        Path(name).chmod(mode)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return target


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _names(target: Path) -> Iterator[Path]:
    yield target
    for count in range(1, _TRIES):
        yield target.with_name(f"{target.stem}-{count}{target.suffix}")
