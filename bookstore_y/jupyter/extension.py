"""The server extension: starts the archive with the server, and flushes it at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp
from traitlets.config import Config

from .. import store as stores
from ..errors import BookstoreError
from ..replication.checkpointer import Checkpointer
from ..replication.file_uploads import FileUploads
from ..secret import hide
from ..settings import BookstoreSettings
from ..store import S3YStore
from . import notices
from .checkpoints import S3Checkpoints
from .contents import Archiver, BookstoreContentsArchiver, BookstoreContentsMixin
from .contents_events import CONTENTS_EVENTS, announce
from .flushing import Flush
from .handlers import routes
from .handlers.collaboration import serve_rooms
from .handlers.contents import serve_workspace
from .services import Services
from .stopping import end_idle_workers_at_exit, stop_in_order, stopping_extensions
from .taken_names import respect_reserved

SETTLING = 1.0
"""Seconds after the start at which the bucket is looked for, unless a document is opened before:
to load the S3 client takes half a second of the time in which the server could answer."""

STATE_EVENTS = "https://schema.jupyter.org/bookstore_y/state/v1"
STATE_SCHEMA = Path(__file__).with_name("state.v1.yaml")
STATE_FIELDS = (
    "status",
    "error",
    "retrying_since",
    "pending_documents",
    "pending_updates",
    "pending_bytes",
    "last_checkpoint",
    "buffer",
)


class BookstoreExtension(ExtensionApp):
    """Archives collaborative documents in S3; configured by BookstoreSettings and S3YStore."""

    name = "bookstore_y"
    load_other_extensions = True
    classes = [  # noqa: RUF012 - traitlets' own way to list them
        BookstoreSettings,
        S3YStore,
        BookstoreContentsArchiver,
        S3Checkpoints,
    ]

    services: Services
    _checking: asyncio.Task[bool] | None = None
    _flushing: asyncio.Task[None] | None = None
    _undo_signals: Callable[[], None] = staticmethod(lambda: None)

    def update_config(self, config: Config) -> None:
        """Take in what the extension's own configuration file says, and log no secret of it."""
        hide(config)
        super().update_config(config)

    def initialize_settings(self) -> None:
        """Make the server the host of its stores, and hear of saves, renames and deletions."""
        serverapp: Any = self.serverapp
        settings = BookstoreSettings(parent=self)
        self.services = Services(serverapp, settings)
        stores.host = self.services.store_host
        self.settings.update({"bookstore_extension": self.services})
        serverapp.event_logger.register_event_schema(STATE_SCHEMA)
        serverapp.event_logger.register_event_schema(notices.SCHEMA)
        serverapp.event_logger.add_listener(
            schema_id=CONTENTS_EVENTS, listener=self._contents_event
        )

    def initialize_handlers(self) -> None:
        """The REST calls, and the files that are in the archive alone."""
        self.handlers.extend(routes())
        self._serve_workspace()

    def _serve_workspace(self) -> None:
        serverapp: Any = self.serverapp
        serve_workspace(serverapp.web_app, serverapp.base_url)

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        # Before anything is awaited: a tab may be there as soon as the server answers.
        serve_rooms(serverapp.web_app)
        self._undo_signals = stop_in_order(serverapp, self._is_flushing)
        end_idle_workers_at_exit()
        # Not before: another extension, as jupytext's does, may put its own manager in its place.
        manager: Any = serverapp.contents_manager
        manager.register_pre_save_hook(self.services.room_files.before_save)
        respect_reserved(manager)
        announce(manager, serverapp.event_logger)
        try:
            await self._open_archive()
        finally:
            # Whoever waits goes on, and is told by the store why the archive is not open.
            self.services.started.set()
            if self.services.checkpointer is None:
                self.services.workspace.fail()

    async def _open_archive(self) -> None:
        options = S3YStore("settings", config=self.config).buffer_options()
        checkpointer = Checkpointer.shared(self.services.settings, options)
        checkpointer.log = self.log
        checkpointer.authors_of = self.services.rooms.authors_of
        checkpointer.on_state = self._state_changed
        try:
            await checkpointer.__aenter__()
        except BookstoreError as error:
            self.services.failure = f"The archive has not started. {error}"
            raise
        self.services.checkpointer = checkpointer
        self._serve_workspace()  # handlers of extensions that were loaded since, too
        self.services.start_workspace(self.log, SETTLING)
        self._archive_saves(checkpointer)
        checkpointer.take_up_always()
        self._checking = asyncio.create_task(self._check(checkpointer))

    def _archive_saves(self, checkpointer: Checkpointer) -> None:
        manager = self._archiving_manager()
        saves = FileUploads(checkpointer, manager.archive_min_interval if manager else 0.0)
        checkpointer.path_changes.saves = self.services.saves = saves
        if manager is not None:
            manager.archiver = Archiver(saves, self._in_rooms)

    def _in_rooms(self, path: str) -> set[str]:
        return {name for room in self.services.rooms.of_path(path) for name in room.people}

    def _archiving_manager(self) -> BookstoreContentsMixin | None:
        serverapp: Any = self.serverapp
        manager = serverapp.contents_manager
        return manager if isinstance(manager, BookstoreContentsMixin) else None

    async def _check(self, checkpointer: Checkpointer) -> bool:
        if self.services.settings.s3_bucket:  # that there is none needs no S3 client to find out
            await asyncio.sleep(SETTLING)
        works = await checkpointer.health.check()
        if works:
            settings = self.services.settings
            self.log.info(
                "Archiving to %s under %r.",
                checkpointer.archive.bucket.where,
                settings.workspace_prefix,
            )
        return works

    async def _contents_event(self, logger: Any, schema_id: str, data: dict[str, Any]) -> None:
        action, path = data["action"], data["path"].strip("/")
        workspace = self.services.workspace
        if action in ("save", "copy"):
            workspace.saved(path)
        elif action == "delete":
            workspace.deleted(path)
        elif action == "rename":
            workspace.renamed(data["source_path"].strip("/"), path)
        if action == "save":
            self.services.room_files.saved(path)
        elif action in ("delete", "rename") and self.services.is_archiving:
            moves = self.services.path_changes
            try:
                if action == "delete":
                    await moves.delete(path)
                else:
                    await moves.rename(data["source_path"].strip("/"), path)
            except BookstoreError as error:
                # Nobody waits for an event's listener, so the log is where it can be told.
                self.log.error(  # noqa: TRY400 - the sentence is what counts
                    "The archive may not have followed the %s of %s: %s",
                    action,
                    data.get("source_path") or path,
                    error,
                )

    def _state_changed(self, state: dict[str, Any]) -> None:
        serverapp: Any = self.serverapp
        serverapp.event_logger.emit(
            schema_id=STATE_EVENTS, data={name: state[name] for name in STATE_FIELDS}
        )

    def _is_flushing(self) -> bool:
        return self._flushing is not None and not self._flushing.done()

    async def stop_extension(self) -> None:
        """Archive everything that is pending, within `shutdown_timeout`.

        A server may be told to stop again while this goes on: whoever comes later waits for it,
        too, as the event loop stops when the first of them returns.
        """
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush(stopping_extensions()))
        await asyncio.shield(self._flushing)
        self._undo_signals()

    async def _flush(self, others: set[asyncio.Task[Any]]) -> None:
        services = self.services
        if not services.is_archiving:
            return
        checkpointer, services.stopping = services.running(), True
        if self._checking is not None:
            self._checking.cancel()
        http_server = getattr(self.serverapp, "http_server", None)
        if http_server is not None:  # who comes now would type into what is not archived any more
            http_server.stop()
        ending = asyncio.gather(services.workspace.stop(), services.from_tabs.stop())
        flush = Flush(services.rooms, services.late_edits, checkpointer, services.saves, self.log)
        late: dict[str, str] = {}
        try:
            late = await flush.run(services.settings.shutdown_timeout, others)
        except Exception:  # whatever it is, what is pending is kept below
            self.log.exception("Flushing the archive failed:")
        await ending
        manager = self._archiving_manager()
        if manager is not None:
            manager.archiver = None
        services.saves = None
        for name, reason in late.items():
            self.log.error("Not archived before the server stopped: %s. %s", name, reason)
        await checkpointer.__aexit__()
        stores.host = None
