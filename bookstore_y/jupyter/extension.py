"""The server extension: starts the archive with the server, and flushes it before the end."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from jupyter_server.base.handlers import path_regex
from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp

from .. import store as stores
from ..checkpointer import Checkpointer
from ..errors import BookstoreError
from ..settings import BookstoreSettings
from ..store import S3YStore
from .documents import Documents
from .handlers import RestoreHandler, StatusHandler, VersionsHandler, session_handler

CONTENTS_EVENTS = "https://events.jupyter.org/jupyter_server/contents_service/v1"


class BookstoreExtension(ExtensionApp):
    """Archives collaborative documents in S3; configured by BookstoreSettings and S3YStore."""

    name = "bookstore_y"
    load_other_extensions = True
    classes = [BookstoreSettings, S3YStore]  # noqa: RUF012 - traitlets' own way to list them

    checkpointer: Checkpointer | None = None
    documents: Documents
    _checking: asyncio.Task[bool] | None = None

    def initialize_settings(self) -> None:
        """Make the server the host of its stores, and hear of saves, renames and deletions."""
        serverapp: Any = self.serverapp
        settings = BookstoreSettings(parent=self)
        self.documents = Documents(serverapp, settings)
        stores.host = self.documents
        self.settings.update({"bookstore_extension": self})
        serverapp.contents_manager.register_pre_save_hook(self.documents.before_save)
        serverapp.event_logger.add_listener(
            schema_id=CONTENTS_EVENTS, listener=self._contents_event
        )

    def initialize_handlers(self) -> None:
        """The REST calls; and the session request of collaboration, to bring back lost files."""
        self.handlers.extend(
            [
                (r"/api/bookstore/?", StatusHandler),
                (rf"/api/bookstore/versions{path_regex}", VersionsHandler),
                (rf"/api/bookstore/restore{path_regex}", RestoreHandler),
            ]
        )
        handler = session_handler()
        if handler is not None:
            # Extensions load by name, so this route comes before jupyter_server_ydoc's own.
            self.handlers.append((r"/api/collaboration/session/(.*)", handler))

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        db_path = S3YStore("settings", config=self.config).db_path
        checkpointer = Checkpointer.shared(self.documents.settings, db_path)
        checkpointer.log = self.log
        checkpointer.authors_of = self.documents.authors_of
        self.checkpointer = await checkpointer.__aenter__()
        self.documents.checkpointer = checkpointer
        # The server answers while the bucket is looked for.
        self._checking = asyncio.create_task(self._check(checkpointer))

    async def _check(self, checkpointer: Checkpointer) -> bool:
        works = await checkpointer.check()
        if works:
            settings = self.documents.settings
            self.log.info(
                "Archiving to %s under %r.",
                checkpointer.archive.bucket.where,
                settings.workspace_prefix,
            )
        return works

    async def _contents_event(self, logger: Any, schema_id: str, data: dict[str, Any]) -> None:
        if data["action"] == "save":
            self.documents.saved(data["path"])
        elif data["action"] == "delete" and self.checkpointer is not None:
            self.checkpointer.delete(data["path"].strip("/"))
        elif data["action"] == "rename" and self.checkpointer is not None:
            try:
                await self.checkpointer.rename(
                    data["source_path"].strip("/"), data["path"].strip("/")
                )
            except BookstoreError as error:
                # Nobody waits for an event's listener, so the log is where it can be told.
                self.log.error(  # noqa: TRY400 - the sentence is what counts
                    "The archive of %s did not follow its rename to %s: %s",
                    data["source_path"],
                    data["path"],
                    error,
                )

    async def stop_extension(self) -> None:
        """Archive everything that is pending, within `shutdown_timeout`."""
        checkpointer, self.checkpointer = self.checkpointer, None
        if checkpointer is None:
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.documents.settings.shutdown_timeout
        if self._checking is not None:
            self._checking.cancel()
        await self.documents.end_rooms(within=self.documents.settings.shutdown_timeout / 3)
        late = await checkpointer.flush(max(0.0, deadline - loop.time()))
        # What arrived meanwhile, from a kernel for instance.
        for store in self.documents.stores():
            store.detach()
        late = await checkpointer.flush(max(1.0, deadline - loop.time()))
        for name, reason in late.items():
            self.log.error("Not archived before the server stopped: %s. %s", name, reason)
        await checkpointer.__aexit__()
        stores.host = None
        _end_idle_workers_at_exit()


def _end_idle_workers_at_exit() -> None:
    """Let the process end although a request was still in flight when its loop stopped.

    jupyter_server reads and writes files in anyio's worker threads. Each lives as long as the
    task that made it, and none is a daemon, so a websocket that never answers its closing
    handshake keeps the interpreter waiting for ever, and Kubernetes kills the pod.
    """

    def end() -> None:
        try:
            from anyio._backends._asyncio import WorkerThread
        except ImportError:  # it is private, and may be gone
            return
        threading.main_thread().join()  # returns as soon as the interpreter begins to shut down
        for thread in threading.enumerate():
            if isinstance(thread, WorkerThread):
                thread.queue.put_nowait(None)

    threading.Thread(target=end, name="bookstore_y exit", daemon=True).start()
