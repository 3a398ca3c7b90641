"""The server's status, and the description of its REST calls."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from ..._version import __version__
from ...errors import BookstoreError
from ...keys import check_path
from ...replication.checkpointer import Checkpointer
from ...settings import BookstoreSettings
from ..configuration import archives_nothing, not_in_use
from ..newest_versions import AGE, WHILE_PENDING
from ..services import Services
from .arguments import Query, path_of
from .base import BookstoreHandler, call

PATIENCE = 3.0
"""Seconds that the bucket has to tell a document's newest version."""

_PACKAGED = Path(__file__).parents[1] / "openapi.yaml"
_IN_CHECKOUT = Path(__file__).parents[3] / "docs" / "openapi.yaml"


class StatusHandler(BookstoreHandler):
    """GET /api/bookstore: release, features, bucket and the state of the archive."""

    @call
    async def get(self) -> None:
        """Answer the state; with `?path=`, that document's, too, of which the newest version may
        be some seconds old without `fresh`. Nothing in it is secret."""
        services = self.services
        query = Query(self)
        path, fresh = query.text("path"), query.flag("fresh")
        name = None if path is None else path_of(path)
        if name is not None:
            check_path(name)
        settings = services.settings
        answer: dict[str, Any] = {
            "release": __version__,
            "features": features(settings),
            "version": __version__,
            "bucket": settings.s3_bucket,
            "endpoint_url": settings.endpoint if settings.s3_endpoint_url else None,
            "workspace_prefix": settings.workspace_prefix,
            "published_prefix": settings.published_prefix,
            "status": "starting",
            "error": None,
        }
        if services.checkpointer is not None:
            answer.update(services.checkpointer.status())
            answer["workspace"] = services.workspace.status()
            answer["notices"] = services.notices.recent(name)
            if name is not None:
                answer["document"] = await _state_of(
                    services, services.checkpointer, name, fresh=fresh
                )
        self._add_problems(answer)
        self.answer(answer)

    def _add_problems(self, answer: dict[str, Any]) -> None:
        """Say what keeps the archive from being what the configuration asks for."""
        serverapp = self.services.serverapp
        problem = self.services.failure or not_in_use(serverapp)
        other = archives_nothing(serverapp)
        answer["problems"] = [each for each in (problem, other) if each is not None]
        if problem is not None and not answer.get("error"):
            answer["status"], answer["error"] = "not configured", problem


class DescriptionHandler(BookstoreHandler):
    """GET /api/bookstore/openapi.yaml: the OpenAPI description of these calls."""

    @call
    async def get(self) -> None:
        """Answer the file as it is."""
        file = _PACKAGED if _PACKAGED.exists() else _IN_CHECKOUT
        text = await asyncio.to_thread(file.read_text, encoding="utf-8")
        self.finish(text, set_content_type="application/yaml; charset=utf-8")


async def _state_of(
    services: Services, checkpointer: Checkpointer, path: str, *, fresh: bool
) -> dict[str, Any]:
    """How one document stands with the bucket, which is asked only while it works."""
    entries = [entry for entry in checkpointer.entries.values() if entry.document.path == path]
    saves = checkpointer.path_changes.saves
    pending, failed = (False, None) if saves is None else saves.state_of(path)
    errors = [failed, *(entry.error for entry in entries), checkpointer.health.error]
    error = next((str(error) for error in errors if error is not None), None)
    updates = sum(entry.pending for entry in entries)
    newest = None
    there = checkpointer.path_changes.archived_at(path)
    if checkpointer.health.error is None and there is not None:
        written = *(entry.facts.version_id for entry in entries), saves and saves.written(path)
        age = 0.0 if fresh else WHILE_PENDING if updates or pending else AGE
        asking = services.newest_versions.of(checkpointer.archive, there, written, age)
        try:
            newest = await asyncio.wait_for(asking, PATIENCE)
        except BookstoreError as problem:
            error = error or str(problem)
        except (TimeoutError, asyncio.TimeoutError):
            pass  # it goes on; whoever asks next may have it, or hear that nothing is answered
    return {
        "path": path,
        "pending_updates": updates,
        "pending_save": pending,
        "path_changes": checkpointer.path_changes.listed(path),
        "error": error,
        "newest": newest and newest.to_dict(),
    }


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
