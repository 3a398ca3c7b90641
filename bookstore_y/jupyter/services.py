"""The server extension's parts, as one object for its handlers."""

from __future__ import annotations

import asyncio
from typing import Any

from anyio import fail_after
from jupyter_server.serverapp import ServerApp

from ..archive.archive import Archive
from ..archive.current_files import CurrentFiles
from ..archive.file_content import FileReader
from ..errors import ConfigurationError
from ..replication.checkpointer import Checkpointer
from ..replication.file_uploads import FileUploads
from ..replication.path_changes import PathChanges
from ..settings import BookstoreSettings
from .bringing_back import Source
from .documents import Documents
from .from_tabs import FromTabs
from .history_events import HistoryEvents
from .late_edits import LateEditsKeeper
from .moved_files import MovedFiles
from .newest_versions import NewestVersions
from .notices import Notices
from .outside_changes import OutsideChanges
from .placing import Placer
from .returning_tabs import ReturningTabs
from .room_files import RoomFiles
from .rooms import Rooms
from .server_files import ServerFiles
from .store_host import StoreHost
from .workspace_on_disk import WorkspaceOnDisk

STARTING = 30.0
"""Seconds that a request waits at most for the archive to open: a server answers before that."""


class Services:
    """The parts of one server's extension. Each is given the few others that it needs."""

    def __init__(self, serverapp: ServerApp, settings: BookstoreSettings) -> None:
        self.serverapp = serverapp
        self.settings = settings
        self.checkpointer: Checkpointer | None = None
        """None until the archive is open."""
        self.saves: FileUploads | None = None
        """Uploads of saved files, while the server runs."""
        self.stopping = False
        """Whether the server has begun to stop."""
        self.started = asyncio.Event()
        """Set once the archive is open, or is known not to open in this process."""
        self.failure: str | None = None
        """Why the archive could not be started, in a sentence."""
        self.rooms = Rooms(serverapp)
        self.files = ServerFiles(serverapp)
        self.documents = Documents(self.rooms, self.files, self.running)
        self.newest_versions = NewestVersions()
        self.history_events = HistoryEvents(serverapp)
        self.notices = Notices(serverapp)
        self.late_edits = LateEditsKeeper(self.notices, self._if_open, serverapp.log)
        self.room_files = RoomFiles(self.rooms, self.files, self._if_open, serverapp.log)
        placer = Placer(serverapp, self.files, self.room_files.beside_room)
        self.workspace = WorkspaceOnDisk(settings, placer)
        self.moved_files = MovedFiles(self.rooms, self.files, self._file_ids, self._if_open)
        self.from_tabs = FromTabs(
            placer, self.rooms, self._file_ids, self._is_unknown, serverapp.log
        )
        self.returning_tabs = ReturningTabs(
            self.files,
            self._file_ids,
            self.workspace.bring_back,
            self.documents.whereabouts,
            self.from_tabs,
        )
        self.store_host = StoreHost(
            serverapp,
            settings,
            self._file_ids,
            rooms=self.rooms,
            files=self.files,
            room_files=self.room_files,
            moved_files=self.moved_files,
            outside_changes=OutsideChanges(self.rooms, serverapp, self.moved_files.open_file),
            from_tabs=self.from_tabs,
            late_edits=self.late_edits,
        )

    def running(self) -> Checkpointer:
        """The checkpointer. Raises `ConfigurationError` when the server is starting."""
        if self.checkpointer is None:
            raise ConfigurationError("The server is starting; try again in a moment.")
        return self.checkpointer

    @property
    def is_archiving(self) -> bool:
        """Whether the archive is open and the server has not begun to stop."""
        return self.checkpointer is not None and not self.stopping

    @property
    def archive(self) -> Archive:
        """The archive. Raises like `running`."""
        return self.running().archive

    @property
    def path_changes(self) -> PathChanges:
        """The renames and deletions that the bucket is to follow. Raises like `running`."""
        return self.running().path_changes

    def _if_open(self) -> Checkpointer | None:
        return self.checkpointer

    def _file_ids(self) -> Any:
        """jupyter_server_fileid's manager, whose extension may load after this one."""
        return self.serverapp.web_app.settings["file_id_manager"]

    async def _is_unknown(self, path: str) -> bool:
        """Whether neither the archive nor this disk has, or has ever had, anything at a path.
        Raises a `BookstoreError` when that is not known."""
        self.running()
        if self.workspace.has_had(path) or not self.settings.s3_bucket:
            return False
        return await self.documents.is_unknown(path)

    async def wait_started(self) -> None:
        """Wait for the archive to open. Raises `ConfigurationError` when it takes too long."""
        try:
            with fail_after(STARTING):
                await self.started.wait()
        except TimeoutError:
            raise ConfigurationError(
                "The server is still starting and cannot open documents yet; try again in a moment."
            ) from None

    def start_workspace(self, log: Any, delay: float) -> None:
        """Begin, after so many seconds, to bring back what the archive holds and the disk does
        not. What people ask for does not wait for that."""
        checkpointer = self.running()
        bucket, settings = checkpointer.archive.bucket, self.settings
        source = Source(
            files=CurrentFiles(bucket, settings),
            reader=FileReader(bucket, settings),
            bring_up_to_date=self.documents.bring_up_to_date,
            now_at=lambda path: checkpointer.path_changes.now_at(path),
            archived_at=lambda path: checkpointer.path_changes.archived_at(path),
            away=lambda: checkpointer.health.error,
            note=checkpointer.health.note,
        )
        self.workspace.log = log
        self.workspace.start(source, self.documents.checkpoint_all, delay)
