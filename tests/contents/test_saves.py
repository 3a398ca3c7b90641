"""Saved files on their way to the bucket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from bookstore_y import Archive, BookstoreSettings
from bookstore_y.errors import AccessDenied
from bookstore_y.local.waiting import eventually
from bookstore_y.replication.checkpointer import Checkpointer
from bookstore_y.replication.file_uploads import FileUploads
from bookstore_y.replication.pending_upload import Save

from ..support import NEVER, Outage
from .files import SavedFiles

PATH = "work/notes.txt"


class HeldPuts:
    """Holds each `Archive.save_file` on its way to the bucket until it is let go."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.reached = asyncio.Event()
        self.let_go = asyncio.Event()
        save_file = Archive.save_file

        async def held(archive: Archive, *args: object, **kwargs: object) -> object:
            self.reached.set()
            await self.let_go.wait()
            keep: Callable[..., Awaitable[object]] = save_file
            return await keep(archive, *args, **kwargs)

        patch.setattr(Archive, "save_file", held)


def nothing_pending(saves: FileUploads) -> Callable[[], bool]:
    return lambda: saves.status()["pending_saves"] == 0


async def test_each_save_is_a_version(saves: FileUploads, files: SavedFiles) -> None:
    for words in (b"one", b"two", b"three"):
        saves.submit(PATH, Save(words))
        await saves.settle(PATH)
    assert files.bodies(PATH) == [b"one", b"two", b"three"]


async def test_submitting_waits_for_nothing(saves: FileUploads, outage: Outage) -> None:
    outage.begin()
    saves.submit(PATH, Save(lambda: b"made in a thread"))
    assert saves.status()["pending_saves"] == 1


async def test_while_a_version_is_written_the_newest_save_waits_and_wins(
    saves: FileUploads, files: SavedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    puts = HeldPuts(monkeypatch)
    saves.submit(PATH, Save(b"first"))
    await puts.reached.wait()
    for words in (b"second", b"third", b"last"):
        saves.submit(PATH, Save(words))
    puts.let_go.set()
    await eventually(nothing_pending(saves), "all to be written")
    assert files.bodies(PATH) == [b"first", b"last"]


async def test_identical_content_makes_no_version(saves: FileUploads, files: SavedFiles) -> None:
    for words in (b"same", b"same", b"same"):
        saves.submit(PATH, Save(words))
        await saves.settle(PATH)
    assert files.bodies(PATH) == [b"same"]


async def test_authors_origin_and_type_are_kept(saves: FileUploads, archive: Archive) -> None:
    saves.submit(PATH, Save(b"words", ("Ada", "Zoë"), "restore:abc", "text/plain"))
    await saves.settle(PATH)
    page = await archive.history(PATH, details=True)
    (version,) = page.versions
    assert (version.authors, version.origin) == (("Ada", "Zoë"), "restore:abc")


async def test_an_interval_calms_autosave_and_keeps_the_last_save(
    checkpointer: Checkpointer, files: SavedFiles
) -> None:
    saves = FileUploads(checkpointer, min_interval=NEVER)
    saves.submit(PATH, Save(b"first"))
    await eventually(nothing_pending(saves), "the first to be written at once")
    for words in (b"second", b"last"):
        saves.submit(PATH, Save(words))
    saves.submit("work/other.txt", Save(b"another file's first"))
    await eventually(lambda: saves.status()["pending_saves"] == 1, "the other file to be written")
    await saves.settle("work/other.txt")
    assert files.bodies(PATH) == [b"first"]
    assert await saves.flush(10.0) == {}
    assert files.bodies(PATH) == [b"first", b"last"]


async def test_an_interval_passes(checkpointer: Checkpointer, files: SavedFiles) -> None:
    saves = FileUploads(checkpointer, min_interval=0.2)
    saves.submit(PATH, Save(b"first"))
    await eventually(nothing_pending(saves), "the first to be written")
    saves.submit(PATH, Save(b"second"))
    await eventually(nothing_pending(saves), "the second to be written")
    assert files.bodies(PATH) == [b"first", b"second"]


async def test_what_an_outage_keeps_from_the_bucket_is_written_after_it(
    saves: FileUploads, files: SavedFiles, outage: Outage
) -> None:
    outage.begin()
    for words in (b"one", b"two"):
        saves.submit(PATH, Save(words))
    await eventually(lambda: PATH in saves.status()["failing_saves"], "the reason to be told")
    assert saves.status()["failing_saves"][PATH] == "The bucket is down."
    outage.end()
    await eventually(nothing_pending(saves), "all to be written")
    assert files.bodies(PATH) == [b"two"]
    assert saves.status()["failing_saves"] == {}


async def test_one_file_that_is_refused_does_not_hold_up_others(
    saves: FileUploads, files: SavedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file: Callable[..., Awaitable[object]] = Archive.save_file

    async def refusing(archive: Archive, path: str, *args: object, **kwargs: object) -> object:
        if path == "secret.txt":
            raise AccessDenied("You may not write this key.")
        return await save_file(archive, path, *args, **kwargs)

    monkeypatch.setattr(Archive, "save_file", refusing)
    saves.submit("secret.txt", Save(b"hidden"))
    saves.submit(PATH, Save(b"open"))
    await saves.settle(PATH)
    assert files.bodies(PATH) == [b"open"]
    await eventually(
        lambda: saves.status()["failing_saves"] == {"secret.txt": "You may not write this key."},
        "the refusal to be told",
    )


async def test_flushing_names_what_could_not_be_archived(
    saves: FileUploads, outage: Outage
) -> None:
    outage.begin()
    saves.submit(PATH, Save(b"words"))
    assert await saves.flush(0.3) == {PATH: "The bucket is down."}


async def test_a_path_that_cannot_be_a_key_is_told_of_and_left_alone(
    saves: FileUploads, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            saves.submit("notes.y.zst", Save(b"words"))
    assert saves.status()["pending_saves"] == 0
    assert [record.getMessage().split(".")[0] for record in caplog.records] == [
        "A saved file is not archived"
    ]


async def test_a_file_over_the_limit_is_told_of(
    saves: FileUploads,
    settings: BookstoreSettings,
    files: SavedFiles,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.max_document_size = 4
    saves.submit(PATH, Save(b"12345"))
    await eventually(nothing_pending(saves), "it to be given up")
    assert files.bodies(PATH) == []
    assert "max_document_size" in caplog.text


async def test_without_a_bucket_nothing_is_kept() -> None:
    async with Checkpointer(BookstoreSettings(s3_bucket="")) as checkpointer:
        saves = FileUploads(checkpointer)
        saves.submit(PATH, Save(b"words"))
        await eventually(nothing_pending(saves), "it to be given up")
        assert checkpointer.status()["status"] == "not configured"


# -- renames and deletions -----------------------------------------------------------------------


async def test_a_rename_moves_the_saved_file(
    saves: FileUploads, checkpointer: Checkpointer, files: SavedFiles, archive: Archive
) -> None:
    saves.submit(PATH, Save(b"words"))
    await saves.settle(PATH)
    await checkpointer.path_changes.rename("work", "done")
    await checkpointer.path_changes.follow_all()
    assert files.current(PATH) is None
    assert files.current("done/notes.txt") == b"words"
    assert len((await archive.history("done/notes.txt")).versions) == 2


async def test_a_save_that_waits_goes_to_the_new_name(
    saves: FileUploads, checkpointer: Checkpointer, files: SavedFiles, outage: Outage
) -> None:
    outage.begin()
    saves.submit(PATH, Save(b"words"))
    await eventually(lambda: bool(saves.status()["failing_saves"]), "the first try to fail")
    await checkpointer.path_changes.rename(PATH, "work/renamed.txt")
    outage.end()
    await eventually(nothing_pending(saves), "all to be written")
    assert files.bodies("work/renamed.txt") == [b"words"]
    assert files.bodies(PATH) == []


async def test_a_save_that_is_being_written_goes_to_the_new_name(
    saves: FileUploads,
    checkpointer: Checkpointer,
    files: SavedFiles,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    puts = HeldPuts(monkeypatch)
    saves.submit(PATH, Save(b"words"))
    await puts.reached.wait()
    await checkpointer.path_changes.rename(PATH, "work/renamed.txt")
    saves.submit("work/renamed.txt", Save(b"more words"))
    puts.let_go.set()
    await eventually(nothing_pending(saves), "all to be written")
    await checkpointer.path_changes.follow_all()
    assert files.current(PATH) is None
    assert files.current("work/renamed.txt") == b"more words"


async def test_a_deletion_is_a_marker_after_the_last_save(
    saves: FileUploads, checkpointer: Checkpointer, files: SavedFiles, outage: Outage
) -> None:
    outage.begin()
    saves.submit(PATH, Save(b"the last words"))
    await eventually(lambda: bool(saves.status()["failing_saves"]), "the first try to fail")
    await checkpointer.path_changes.delete("work")
    assert saves.status()["pending_saves"] == 0
    outage.end()
    await eventually(lambda: not checkpointer.path_changes.waiting, "the bucket to follow")
    assert files.bodies(PATH) == [b"the last words"]
    assert files.markers(PATH) == 1


async def test_a_file_made_after_a_deletion_stays(
    saves: FileUploads, checkpointer: Checkpointer, files: SavedFiles, outage: Outage
) -> None:
    saves.submit(PATH, Save(b"the old file"))
    await saves.settle(PATH)
    outage.begin()
    await checkpointer.path_changes.delete(PATH)
    saves.submit(PATH, Save(b"the new file"))
    outage.end()
    await eventually(nothing_pending(saves), "all to be written")
    assert files.current(PATH) == b"the new file"
    assert files.markers(PATH) == 1


@pytest.mark.parametrize("name", ["a" * 1100, "b" * 1010 + "/c.txt"])
async def test_paths_too_long_for_a_key_hold_up_nothing(
    saves: FileUploads, checkpointer: Checkpointer, files: SavedFiles, name: str
) -> None:
    saves.submit(PATH, Save(b"words"))
    await saves.settle(PATH)
    await checkpointer.path_changes.rename(name, "short")
    await checkpointer.path_changes.rename("work", name)
    await checkpointer.path_changes.delete(name)
    await checkpointer.path_changes.follow_all()
    assert files.current(PATH) == b"words"


async def test_a_file_whose_name_is_taken_is_a_version_first(
    saves: FileUploads, checkpointer: Checkpointer, files: SavedFiles, outage: Outage
) -> None:
    outage.begin()
    saves.submit("draft.txt", Save(b"draft"))
    saves.submit("final.txt", Save(b"replaced"))
    await checkpointer.path_changes.rename("draft.txt", "final.txt")
    outage.end()
    await eventually(nothing_pending(saves), "all to be written")
    await eventually(lambda: not checkpointer.path_changes.waiting, "the bucket to follow")
    assert files.bodies("final.txt") == [b"replaced", b"draft"]
    assert files.current("draft.txt") is None


async def test_the_status_names_a_file_that_can_be_no_version_until_it_is_gone(
    saves: FileUploads, checkpointer: Checkpointer
) -> None:
    checkpointer.path_changes.saves = saves
    saves.submit("bell\a.txt", Save(b"rung"))
    status = checkpointer.status()
    assert status["status"] == "retrying"
    assert list(status["failing_saves"]) == ["bell\a.txt"]
    assert saves.state_of("bell\a.txt")[1] is not None
    await checkpointer.path_changes.delete("bell\a.txt")
    assert checkpointer.status()["status"] == "ok"


async def test_the_status_forgets_a_file_that_was_too_large_when_it_is_a_version(
    saves: FileUploads, settings: BookstoreSettings
) -> None:
    settings.max_document_size = 4
    saves.submit(PATH, Save(b"too long"))
    await eventually(lambda: PATH in saves.status()["failing_saves"], "the reason to be told")
    saves.submit(PATH, Save(b"fits"))
    await eventually(lambda: not saves.status()["failing_saves"], "the version to count")
