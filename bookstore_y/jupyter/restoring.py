"""Restoring: make a document and its file say again what an old version says."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from ..archive.archive import Archive
from ..archive.file_content import FileContent, notebook_bytes
from ..archive.restoring import SEARCHED
from ..archive.version import Version
from ..errors import DocumentNotFound, SnapshotError, UnsupportedDocument, VersionNotFound
from ..keys import Document
from ..ydoc import content
from ..ydoc.kinds import kind_of
from .rooms import Conflict, OpenRoom
from .server_files import model_type
from .services import Services

KINDS = ("snapshot", "save")
"""The kinds of versions that a document of the workspace has."""


async def restore(
    services: Services, path: str, version_id: str, type: str | None = None
) -> tuple[Version, bool]:
    """Make a document say again what a version says: in its live room, or without one.

    Any kind of version will do. `type` chooses among several rooms of one file. Returns the
    version that is now current, and whether anything changed. Raises `DocumentNotFound`,
    `VersionNotFound`, `Conflict`, `UnsupportedDocument`, and what keeps the bucket from use.
    """
    services.rooms.ready(path, type)  # what is just being opened may be waiting for the bucket
    await services.documents.bring_up_to_date(path)
    room = await services.documents.room(path, type)
    if room is not None:
        return await _restore_room(services, room, version_id)
    return await _restore_file(services, path, version_id, type)


async def undelete(services: Services, path: str) -> list[Version]:
    """Take the deletion of a document back, and write its file if it is not there.

    Returns the versions that are current again; none if it was not deleted. Raises
    `DocumentNotFound` when the bucket never held it, and `Conflict` while it is being opened.
    """
    services.rooms.ready(path)
    # The deletion may still be on its way to the bucket.
    await services.documents.bring_up_to_date(path)
    checkpointer = services.running()
    archive = checkpointer.archive
    versions = await archive.undelete(path)
    await checkpointer.path_changes.withdraw(path)  # or it would be deleted after all
    for document in services.documents.buffered(path):
        await checkpointer.forget(document)
    if not await services.files.exists(path):
        services.files.check_target(path)
        room = await services.documents.room(path)
        if room is not None:
            await room.store.undeleted()
            await _write_from_room(services, room, path)
        else:
            await services.files.write(path, body_of(await archive.read(path)))
    return versions


async def _write_from_room(services: Services, room: OpenRoom, path: str) -> None:
    """Write the file that was deleted under its room, and send those in the room to a new one:
    this one is bound to the deleted file, and saves to nothing."""
    live = await services.rooms.live(room)
    services.rooms.dismiss(room, "The file is back; open it again.")
    body = await live.aget()
    known = await asyncio.to_thread(content.hash_of, body)
    if room.store.entry is not None:  # else the room, which nobody is in, has closed by now
        await room.store.file_is(known)
    await services.files.write(path, body)


def body_of(version: FileContent) -> Any:
    """What `ServerFiles.write` takes: a notebook's dict, a text, or bytes."""
    return version.raw() if version.format == "base64" else version.content


async def _restore_room(
    services: Services, room: OpenRoom, version_id: str
) -> tuple[Version, bool]:
    archive = services.archive
    document = room.document
    if document is None:
        raise Conflict("The document is just being opened; try again when it is.")
    old = await archive.find(document.path, version_id)
    if old.kind == "snapshot":
        update = await archive.load(document, version_id)
        body = await asyncio.to_thread(content.of_update, document.type, update)
    else:
        body = _for_room(document, await archive.content(old))
    live = await services.rooms.live(room)
    said = content.untrusted(body)
    there = await services.files.exists(document.path)
    held = await live.aget()
    same = await asyncio.to_thread(lambda: content.hash_of(held) == content.hash_of(said))
    if there and same:
        version, _ = await room.store.checkpoint_as("checkpoint")
        return version, False
    restored = await room.store.change(
        lambda: content.write(document.type, live.ydoc, said), f"restore:{version_id}"
    )
    if not there:  # it was deleted under its room
        await _write_from_room(services, room, document.path)
    version, is_new = restored
    if is_new:
        services.history_events.restored(document.path, old, version, set(room.people))
    return restored


def _for_room(document: Document, old: FileContent) -> Any:
    """A saved file's content as a room of this type takes it."""
    if kind_of(document.type).is_notebook != (old.type == "notebook") or old.format == "base64":
        if not kind_of(document.type).is_notebook and old.format != "base64":
            return old.raw().decode()  # a notebook that is open as a text
        raise UnsupportedDocument(
            f"{document} is open, and what that version holds is no content of its type; close "
            "it, and restore the file then."
        )
    return old.content


async def _restore_file(
    services: Services, path: str, version_id: str, type: str | None
) -> tuple[Version, bool]:
    checkpointer = services.running()
    archive = checkpointer.archive
    services.files.check_target(path)
    target = Document(path, type) if type else path
    document = await archive.resolve(target)
    old = await archive.read(path, version_id)
    newest = await _newest(archive, path)
    await _check_file(services, document, newest)
    version = await archive.restore(target if old.version.kind == "snapshot" else path, old)
    await checkpointer.path_changes.withdraw(path)  # a deletion that the bucket has refused
    for known in services.documents.buffered(path):
        await checkpointer.forget(known)
    await services.files.write(path, body_of(await archive.content(version)))
    changed = version.version_id not in {each.version_id for each in newest}
    if changed:
        services.history_events.restored(path, old.version, version, set())
    return version, changed


async def _newest(archive: Archive, path: str) -> list[Version]:
    """The newest version of each kind, deleted or not."""
    found: list[Version] = []
    for kind in KINDS:
        try:
            page = await archive.history(path, limit=1, kinds=(kind,))
        except DocumentNotFound:
            continue
        found += page.versions
    return found


async def _check_file(services: Services, document: Document, newest: list[Version]) -> None:
    """See that what the file holds is a version, since it is replaced now.

    Raises `Conflict` if it is not, so that it is opened before, which makes it one. Where a
    damaged version keeps it from being opened, the file becomes a version as it is.
    """
    path = document.path
    if not await services.files.exists(path):
        return
    archive = services.archive
    kind = document.type or model_type(path)
    body = await services.files.body(path, "notebook" if kind_of(kind).is_notebook else "file")
    known = set[str]()
    damaged = False
    for version in newest:
        try:
            known |= await _hashes_of(archive, kind, version)
        except SnapshotError:
            damaged = True
            known |= await _last_hashes_of(archive, kind, version)
    if await asyncio.to_thread(content.is_one_of, kind, body, known):
        return
    if not damaged:
        raise Conflict(
            f"The file {path} was changed by other means since it was last open, and restoring "
            "would overwrite that; open it once, so that its content becomes a version, and "
            "restore then."
        )
    await archive.save_file(path, await asyncio.to_thread(_bytes_of, body))


async def _hashes_of(archive: Archive, kind: str, version: Version) -> set[str]:
    """The hash of what a version says, and those of the files that it was loaded from or saved
    to. Raises a `SnapshotError` for one that cannot be read."""
    held = await archive.content(version)
    hashes = {await asyncio.to_thread(content.hash_of_file, kind, body_of(held))}
    if version.kind == "snapshot":
        room = Document(version.path, version.type)
        snapshot = await archive.load_snapshot(room, version.version_id)
        hashes.update(snapshot.facts.file_hashes)
    return hashes


async def _last_hashes_of(archive: Archive, kind: str, damaged: Version) -> set[str]:
    """The hashes of the newest version that can be read, before a damaged one of its kind."""
    page = await archive.history(damaged.path, limit=SEARCHED, kinds=(damaged.kind,))
    for version in page.versions:
        with contextlib.suppress(SnapshotError, VersionNotFound):
            return await _hashes_of(archive, kind, version)
    return set()


def _bytes_of(body: Any) -> bytes:
    """What `ServerFiles.body` gave, as it is in the file, about."""
    if isinstance(body, dict):
        return notebook_bytes(body)
    return body if isinstance(body, bytes) else str(body).encode()
