"""A document's current content: from its room, its file, or its newest version."""

from __future__ import annotations

import base64
from datetime import datetime, timezone
from typing import Any

from ..archive.file_content import FileContent
from ..archive.version import Version
from ..ydoc import content
from .server_files import model_type
from .services import Services


async def current_content(services: Services, path: str) -> FileContent:
    """The content of the file at `path`, of a version of kind `live` (its room) or `file`.

    Raises `DocumentNotFound` when there is neither a file nor a version.
    """
    room = await services.documents.room(path)
    if room is not None:
        body = await (await services.rooms.live(room)).aget()
        return _content(path, "live", content.untrusted(body))
    if not await services.files.exists(path):
        return await services.archive.read(path)
    body = await services.files.body(path, model_type(path))
    return _content(path, "file", content.untrusted(body))


def _content(path: str, kind: str, body: Any) -> FileContent:
    version = _version(path, kind)
    if isinstance(body, dict):
        return FileContent(version, "notebook", "json", body)
    if isinstance(body, bytes):
        return FileContent(version, "file", "base64", base64.b64encode(body).decode())
    return FileContent(version, "file", "text", str(body))


def _version(path: str, kind: str) -> Version:
    """Stands for what is no version yet, so it has no id."""
    return Version("", "", datetime.now(timezone.utc), 0, True, kind=kind, path=path)
