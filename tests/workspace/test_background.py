"""What a starting server writes to its disk in the background, and what it asks of the bucket."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from pycrdt import Doc, Text

from bookstore_y import Archive, BookstoreError, BookstoreSettings
from bookstore_y.archive.current_files import CurrentFiles
from bookstore_y.archive.file_content import FileReader
from bookstore_y.archive.version import VersionMetadata
from bookstore_y.errors import BucketUnavailable
from bookstore_y.jupyter.bringing_back import Found, Source
from bookstore_y.jupyter.placing import Placer
from bookstore_y.jupyter.server_files import ServerFiles
from bookstore_y.jupyter.taken_names import respect_reserved
from bookstore_y.jupyter.workspace_on_disk import WorkspaceOnDisk
from bookstore_y.keys import Document
from bookstore_y.local.waiting import eventually
from bookstore_y.s3.requests import Requests
from bookstore_y.tools.directory import Directory

from ..support import Outage


class Server:
    """The files of one server: its disk, and what the archive holds of them."""

    def __init__(self, root: Path, settings: BookstoreSettings, archive: Archive) -> None:
        self.root = root
        self.manager = AsyncLargeFileManager(root_dir=str(root), delete_to_trash=False)
        respect_reserved(self.manager)
        serverapp: Any = SimpleNamespace(contents_manager=self.manager)
        self.placer = Placer(serverapp, ServerFiles(serverapp))
        self.workspace = WorkspaceOnDisk(settings, self.placer)
        self.moved: dict[str, str | None] = {}
        self.away: BookstoreError | None = None
        self._archive = archive
        self._settings = settings

    def start(self) -> None:
        bucket = self._archive.bucket
        source = Source(
            files=CurrentFiles(bucket, self._settings),
            reader=FileReader(bucket, self._settings),
            bring_up_to_date=self._nothing,
            now_at=lambda path: self.moved.get(path, path),
            archived_at=lambda path: path,
            away=lambda: self.away,
            note=lambda error: None,
        )
        self.workspace.start(source, self._nothing)

    async def _nothing(self, *_: Any) -> None:
        pass

    async def done(self) -> dict[str, Any]:
        """The state, when nothing more comes back by itself."""
        await eventually(
            lambda: self.workspace.status()["state"] in ("restored", "partial", "off"),
            within=60,
            what="the end of the background",
        )
        return self.workspace.status()

    def files(self) -> dict[str, bytes]:
        """What is on the disk, without what is hidden."""
        found = [path for path in self.root.rglob("*") if path.is_file()]
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in found
            if "/." not in f"/{path.relative_to(self.root)}"
        }


Start = Callable[..., Any]


@pytest.fixture
async def archive(settings: BookstoreSettings) -> AsyncIterator[Archive]:
    async with Archive(settings) as archive:
        yield archive


@pytest.fixture
def server(tmp_path: Path, settings: BookstoreSettings, archive: Archive) -> Start:
    """Starts a server on the disk, which is empty at first, or on another one."""

    @asynccontextmanager
    async def started(disk: str = "disk", **traits: Any) -> AsyncIterator[Server]:
        root = tmp_path / disk
        root.mkdir(exist_ok=True)
        for name, value in traits.items():
            setattr(settings, name, value)
        server = Server(root, settings, archive)
        server.start()
        try:
            yield server
        finally:
            await server.workspace.stop()

    return started


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the bucket from now on."""
    calls: list[str] = []
    call = Requests.call

    async def counted(self: Requests, what: str, request: Any) -> Any:
        calls.append(what)
        return await call(self, what, request)

    monkeypatch.setattr(Requests, "call", counted)
    return calls


async def save(archive: Archive, **files: bytes) -> None:
    for name, body in files.items():
        await archive.save_file(name.replace("__", "/").replace("_", "."), body)


async def test_an_empty_disk_takes_a_listing_and_a_request_a_file(
    server: Start, archive: Archive, requests: list[str]
) -> None:
    await save(archive, a_txt=b"a", deep__er__b_txt=b"b", c_bin=bytes(range(256)))
    requests.clear()
    async with server() as here:
        state = await here.done()
        assert state["state"] == "restored"
        assert state["restored"] == 3
        assert here.files() == {"a.txt": b"a", "deep/er/b.txt": b"b", "c.bin": bytes(range(256))}
    assert len(requests) == 1 + 3


async def test_a_kept_disk_takes_one_listing_and_nothing_changes(
    server: Start, archive: Archive, requests: list[str]
) -> None:
    await save(archive, a_txt=b"a", deep__b_txt=b"b")
    async with server() as here:
        await here.done()
    (here.root / "a.txt").write_bytes(b"changed here")
    requests.clear()
    async with server() as here:
        assert not (await here.workspace.children("")).files  # whoever looks need not wait
        state = await here.done()
        assert state["restored"] == 0
        assert here.files() == {"a.txt": b"changed here", "deep/b.txt": b"b"}
    assert len(requests) == 1


async def test_the_first_start_on_a_disk_that_has_files_leaves_them(
    server: Start, archive: Archive, tmp_path: Path
) -> None:
    await save(archive, a_txt=b"archived", b_txt=b"b")
    (tmp_path / "image").mkdir()
    (tmp_path / "image/a.txt").write_bytes(b"of the image")
    async with server("image") as here:
        await here.done()
        assert here.files() == {"a.txt": b"of the image", "b.txt": b"b"}


async def test_what_was_removed_from_a_kept_disk_does_not_come_back_by_itself(
    server: Start, archive: Archive
) -> None:
    await save(archive, a_txt=b"a", moved_txt=b"words", left__b_txt=b"b")
    async with server() as here:
        await here.done()
    (here.root / "a.txt").unlink()
    (here.root / "moved.txt").rename(here.root / "to.txt")
    async with server() as here:
        await here.done()
        assert here.files() == {"to.txt": b"words", "left/b.txt": b"b"}
        assert not (await here.workspace.children("")).files
        assert await here.workspace.bring_back("a.txt") is Found.FILE  # whoever asks gets it


async def test_a_folder_that_was_removed_from_a_kept_disk_does_not_come_back(
    server: Start, archive: Archive
) -> None:
    await save(archive, work__a_txt=b"a")
    async with server() as here:
        await here.done()
        shutil.rmtree(here.root / "work")
        assert await here.workspace.bring_back("work") is Found.NOTHING
        await save(archive, work__b_txt=b"of another server")
        assert await here.workspace.bring_back("work") is Found.DIRECTORY


async def test_what_others_archived_meanwhile_comes_to_a_kept_disk(
    server: Start, archive: Archive
) -> None:
    await save(archive, a_txt=b"a")
    async with server() as here:
        await here.done()
    await save(archive, b_txt=b"b")
    async with server() as here:
        await here.done()
        assert here.files() == {"a.txt": b"a", "b.txt": b"b"}


async def test_the_record_of_a_disk_is_of_one_archive(
    server: Start, archive: Archive, settings: BookstoreSettings
) -> None:
    await save(archive, a_txt=b"a")
    async with server() as here:
        await here.done()
    (here.root / "a.txt").unlink()
    async with server(workspace_prefix="another") as here:
        await here.done()
    async with server(workspace_prefix="workspace") as here:
        await here.done()
        assert here.files() == {"a.txt": b"a"}


async def test_deleted_files_stay_deleted(server: Start, archive: Archive) -> None:
    await save(archive, a_txt=b"a", b_txt=b"b", waiting_txt=b"words")
    await archive.delete_file("a.txt")
    async with server() as here:
        here.moved["waiting.txt"] = None  # its deletion has not reached the bucket
        await here.done()
        assert here.files() == {"b.txt": b"b"}


async def test_a_rename_that_the_bucket_has_not_followed_is_followed_here(
    server: Start, archive: Archive
) -> None:
    await save(archive, old_txt=b"words")
    async with server() as here:
        here.moved["old.txt"] = "new.txt"
        await here.done()
        assert here.files() == {"new.txt": b"words"}


async def test_a_snapshot_that_is_newer_than_the_save_is_what_comes_back(
    server: Start, archive: Archive, requests: list[str]
) -> None:
    await save(archive, notes_txt=b"saved", other_txt=b"saved")
    doc: Doc[Any] = Doc()
    doc["source"] = Text("typed")
    for path in ("notes.txt", "other.txt"):
        await archive.save(Document(path, "file"), doc.get_update(), VersionMetadata(lineage="one"))
    await asyncio.sleep(1.1)  # S3 tells time in seconds
    await save(archive, other_txt=b"saved later")
    async with server() as here:
        await here.done()
        assert here.files() == {"notes.txt": b"typed", "other.txt": b"saved later"}


async def test_a_file_that_cannot_be_read_is_told_and_holds_up_no_other(
    server: Start, archive: Archive
) -> None:
    await save(archive, a_txt=b"a")
    await archive.bucket.put("workspace/damaged.ipynb.notebook.y.zst", b"no snapshot", {})
    async with server() as here:
        state = await here.done()
        assert here.files() == {"a.txt": b"a"}
        assert state["state"] == "partial"
        assert list(state["failed"]) == ["damaged.ipynb"]
        with pytest.raises(BookstoreError):
            await here.workspace.bring_back("damaged.ipynb")


async def test_a_file_that_is_always_unavailable_holds_up_no_other(
    server: Start, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    await save(archive, **{f"{number}_txt": b"words" for number in range(20)})
    read = FileReader.read

    async def never(self: FileReader, file: Any) -> Any:
        if file.path == "7.txt":
            raise BucketUnavailable("It arrives damaged, and different each time.")
        return await read(self, file)

    monkeypatch.setattr(FileReader, "read", never)
    monkeypatch.setattr("bookstore_y.jupyter.workspace_on_disk.pause", lambda *_: 0.0)
    async with server() as here:
        state = await here.done()
        assert len(here.files()) == 19
        assert list(state["failed"]) == ["7.txt"]


async def test_a_save_stands_in_for_a_snapshot_that_cannot_be_read(
    server: Start, archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    await save(archive, a_txt=b"saved")
    await archive.bucket.put("workspace/a.txt.file.y.zst", b"no snapshot", {})
    async with server() as here:
        await here.done()
        assert here.files() == {"a.txt": b"saved"}
        assert "a.txt was brought back from an older version" in caplog.text


async def test_hidden_files_and_names_that_are_too_long_hold_up_no_other(
    server: Start, archive: Archive
) -> None:
    await archive.bucket.put(f"workspace/{'n' * 300}.txt", b"words", {})
    await archive.bucket.put("workspace/.config/x.txt", b"words", {})
    await archive.bucket.put("workspace/a//b.txt", b"words", {})
    await save(archive, a_txt=b"a")
    async with server() as here:
        state = await here.done()
        assert here.files() == {"a.txt": b"a"}
        assert set(state["failed"]) == {f"{'n' * 300}.txt", ".config/x.txt"}


async def test_a_disk_that_is_full_for_one_file_takes_the_others(
    server: Start, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    await save(archive, large_txt=b"x" * 1000, small_txt=b"x")
    write = Path.open

    def full(path: Path, *args: Any, **kwargs: Any) -> Any:
        file = write(path, *args, **kwargs)
        if path.name.endswith(".part") and path.parent.name == "disk":
            written = file.write

            def refusing(body: bytes) -> int:
                if len(body) > 100:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return int(written(body))

            return _Wrapped(file, refusing)
        return file

    monkeypatch.setattr("bookstore_y.tools.directory.Path.open", full)
    async with server() as here:
        state = await here.done()
        assert here.files() == {"small.txt": b"x"}
        assert "No space left" in state["failed"]["large.txt"]
    monkeypatch.undo()


class _Wrapped:
    """A file that refuses what is large."""

    def __init__(self, file: Any, write: Callable[[bytes], int]) -> None:
        self._file = file
        self.write = write

    def __enter__(self) -> _Wrapped:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


async def test_no_more_is_written_than_there_may_be_and_the_newest_first(
    server: Start, archive: Archive
) -> None:
    await save(archive, old_txt=b"x" * 600)
    await asyncio.sleep(1.1)
    await save(archive, new_txt=b"x" * 600)
    async with server(restore_max_bytes=1000) as here:
        state = await here.done()
        assert set(here.files()) == {"new.txt"}
        assert state["state"] == "partial"
        assert "restore_max_bytes" in state["error"]
        assert set((await here.workspace.children("")).files) == {"old.txt"}
        assert await here.workspace.bring_back("old.txt") is Found.FILE


async def test_a_file_that_is_made_at_the_same_moment_is_not_overwritten(
    server: Start, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    await save(archive, a_txt=b"archived")
    write = Directory.write

    def late(self: Directory, path: str, *args: Any, **kwargs: Any) -> None:
        (self.root / path).write_bytes(b"just saved")
        write(self, path, *args, **kwargs)

    monkeypatch.setattr(Directory, "write", late)
    async with server() as here:
        state = await here.done()
        assert here.files() == {"a.txt": b"just saved"}
        assert state["missing"] == 0
        assert not state["failed"]


async def test_many_who_ask_for_one_file_cost_one_reading(
    server: Start, archive: Archive, requests: list[str]
) -> None:
    await save(archive, a_txt=b"a")
    async with server(restore_workspace="never") as here:
        requests.clear()
        found = await asyncio.gather(*(here.workspace.bring_back("a.txt") for _ in range(20)))
        assert set(found) == {Found.FILE}
    assert len(requests) == 2


async def test_a_file_that_is_deleted_while_it_is_on_its_way_does_not_come(
    server: Start, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    await save(archive, a_txt=b"a")
    reading, going_on = asyncio.Event(), asyncio.Event()
    read = FileReader.read

    async def slow(self: FileReader, file: Any) -> Any:
        body = await read(self, file)
        reading.set()
        await going_on.wait()
        return body

    monkeypatch.setattr(FileReader, "read", slow)
    async with server() as here:
        await reading.wait()
        await here.workspace.hold("a.txt")
        here.workspace.deleted("a.txt")
        here.workspace.release("a.txt")
        going_on.set()
        await here.done()
        assert here.files() == {}


async def test_what_the_bucket_cannot_say_is_never_not_found(
    server: Start, archive: Archive, outage: Outage
) -> None:
    await save(archive, a_txt=b"a")
    outage.begin()
    async with server() as here:
        await eventually(
            lambda: here.workspace.status()["state"] == "waiting", within=30, what="the outage"
        )
        here.away = BucketUnavailable("The bucket is down.")
        with pytest.raises(BucketUnavailable, match=r"a\.txt is not on this disk"):
            await here.workspace.bring_back("a.txt")
        with pytest.raises(BookstoreError):
            await here.workspace.names("", "Untitled")
        assert not (await here.workspace.children("")).files
        here.away = None
        outage.end()
        await here.done()
        assert here.files() == {"a.txt": b"a"}


async def test_an_outage_after_the_listing_leaves_what_it_said(
    server: Start, archive: Archive, outage: Outage
) -> None:
    await save(archive, a_txt=b"a")
    async with server(restore_max_bytes=0) as here:
        await here.done()
        outage.begin()
        assert await here.workspace.bring_back("nowhere.txt") is Found.NOTHING
        assert await here.workspace.names("", "") == {"a.txt"}
        assert set((await here.workspace.children("")).files) == {"a.txt"}
        with pytest.raises(BucketUnavailable):
            await here.workspace.bring_back("a.txt")
