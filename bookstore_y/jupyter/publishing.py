"""Publishing: what is in a room, in a version or in a request goes where all may read it."""

from __future__ import annotations

import asyncio
from typing import Any

from ..archive.file_content import notebook_bytes
from ..archive.version import Version
from ..errors import DocumentNotFound, UnsupportedDocument
from .server_files import untrusted
from .services import Services


async def publish_notebook(
    services: Services, path: str, notebook: dict[str, Any], authors: tuple[str, ...]
) -> Version:
    """Publish a notebook that a client sent. Raises `UnusableContent`."""
    raw = await asyncio.to_thread(notebook_bytes, untrusted(notebook))
    return await services.archive.publishing.file(path, raw, authors=authors)


async def publish_version(services: Services, path: str, version_id: str) -> Version:
    """Publish a version of the workspace. Raises `VersionNotFound`."""
    archive = services.archive
    version = await archive.find(path, version_id)
    if version.kind == "snapshot" and version.type not in (None, "notebook"):
        raise UnsupportedDocument(f"Version {version_id} of {path} is no notebook.")
    return await archive.publish(path, version_id)


async def publish_live(services: Services, path: str, authors: tuple[str, ...]) -> Version:
    """Publish what a notebook says now: in its room, or in its file if nobody has it open.

    Raises `DocumentNotFound` when there is no such file.
    """
    room = await services.documents.room(path, "notebook")
    if room is not None:
        archive = services.archive
        version, _ = await room.store.checkpoint_as("checkpoint")
        return await archive.publish(path, version.version_id)
    if not await services.files.exists(path):
        raise DocumentNotFound(
            f"There is no file {path} on this server to publish; check the path, or publish one "
            "of its versions by its id."
        )
    model = await services.files.read(path, "notebook")
    return await publish_notebook(services, path, model["content"], authors)
