"""What the server says of itself, and of its REST calls."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from ... import __version__
from ...settings import BookstoreSettings
from .base import BookstoreHandler, call

_PACKAGED = Path(__file__).parents[1] / "openapi.yaml"
_IN_CHECKOUT = Path(__file__).parents[3] / "docs" / "openapi.yaml"


class StatusHandler(BookstoreHandler):
    """GET /api/bookstore: release, features, bucket and the state of the archive."""

    @call
    async def get(self) -> None:
        """Answer the state. Nothing in it is secret."""
        documents = self.documents
        settings = documents.settings
        answer: dict[str, Any] = {
            "release": __version__,
            "features": features(settings),
            "version": __version__,
            "bucket": settings.s3_bucket,
            "endpoint_url": settings.endpoint if settings.s3_endpoint_url else None,
            "workspace_prefix": settings.workspace_prefix,
            "published_prefix": settings.published_prefix,
            "status": "starting",
        }
        if documents.checkpointer is not None:
            answer.update(documents.checkpointer.status())
            saves = documents.checkpointer.moves.saves
            if saves is not None:
                answer.update(saves.status())
        self.answer(answer)


class DescriptionHandler(BookstoreHandler):
    """GET /api/bookstore/openapi.yaml: the OpenAPI description of these calls."""

    @call
    async def get(self) -> None:
        """Answer the file as it is."""
        file = _PACKAGED if _PACKAGED.exists() else _IN_CHECKOUT
        text = await asyncio.to_thread(file.read_text, encoding="utf-8")
        self.finish(text, set_content_type="application/yaml; charset=utf-8")


def features(settings: BookstoreSettings) -> dict[str, bool]:
    """Which features are configured, by the names that nteract's bookstore gave them.

    An empty workspace prefix is one; an empty published prefix would publish among it.
    """
    bucket = bool(settings.s3_bucket)
    return {
        "bookstore_valid": bucket,
        "archive_valid": bucket,
        "publish_valid": bucket and bool(settings.published_prefix),
        "s3_clone_valid": settings.enable_s3_cloning and bool(bucket or settings.clone_buckets),
        "fs_clone_valid": Path(settings.fs_cloning_basedir).is_absolute(),
    }
