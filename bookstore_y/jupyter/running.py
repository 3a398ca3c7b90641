"""Running: what of this server's extension others in it may use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..replication.checkpointer import Checkpointer
    from ..replication.file_uploads import FileUploads
    from .documents import Documents


class Running(Protocol):
    """The server extension, as far as `S3Checkpoints` needs it."""

    checkpointer: Checkpointer | None
    saves: FileUploads | None
    documents: Documents
