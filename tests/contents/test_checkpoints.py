"""Jupyter's checkpoints in the bucket, with a contents manager of each kind."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.services.contents.largefilemanager import (
    AsyncLargeFileManager,
    LargeFileManager,
)
from jupyter_server.utils import ensure_async
from nbformat import sign, v4
from tornado.web import HTTPError
from traitlets.config import Config

from bookstore_y import Archive, S3Checkpoints
from bookstore_y.archive.version import VersionMetadata
from bookstore_y.errors import AccessDenied
from bookstore_y.jupyter import checkpoint_list
from bookstore_y.jupyter import checkpoints as module
from bookstore_y.keys import Document
from harness.servers import S3Server, s3_options

from ..support import Outage, Typist, config_for
from .files import SavedFiles

TEXT = "work/notes.txt"
NOTEBOOK = "work/tides.ipynb"


def _notebook(*cells: Any) -> Any:
    return v4.new_notebook(cells=list(cells))  # type: ignore[no-untyped-call]


class Files:
    """Someone who works with the files of a contents manager, whichever kind it is."""

    def __init__(self, manager: Any) -> None:
        self.manager = manager

    async def write(self, path: str, words: str) -> None:
        model: dict[str, Any] = {"type": "file", "format": "text", "content": words}
        if path.endswith(".ipynb"):
            notebook = _notebook(v4.new_code_cell(words, id="only"))  # type: ignore[no-untyped-call]
            model = {"type": "notebook", "format": "json", "content": notebook}
        await ensure_async(self.manager.save(model, path))

    async def read(self, path: str) -> str:
        content = (await ensure_async(self.manager.get(path, content=True)))["content"]
        return content if isinstance(content, str) else content["cells"][0]["source"]

    async def checkpoint(self, path: str) -> dict[str, Any]:
        return await ensure_async(self.manager.create_checkpoint(path))

    async def checkpoints(self, path: str) -> list[dict[str, Any]]:
        return await ensure_async(self.manager.list_checkpoints(path))

    async def restore(self, path: str, id: str) -> None:
        await ensure_async(self.manager.restore_checkpoint(id, path))

    async def forget(self, path: str, id: str) -> None:
        await ensure_async(self.manager.delete_checkpoint(id, path))

    async def rename(self, source: str, target: str) -> None:
        await ensure_async(self.manager.rename(source, target))

    async def delete(self, path: str) -> None:
        await ensure_async(self.manager.delete(path))

    async def written(self, path: str, *contents: str) -> list[dict[str, Any]]:
        """A checkpoint of each of these contents."""
        made = []
        for words in contents:
            await self.write(path, words)
            made.append(await self.checkpoint(path))
        return made


@pytest.fixture(params=[LargeFileManager, AsyncLargeFileManager], ids=["sync", "async"])
def people(request: pytest.FixtureRequest, config: Config, tmp_path: Path) -> Files:
    root = tmp_path / "root"
    (root / "work").mkdir(parents=True)
    config.ContentsManager.checkpoints_class = S3Checkpoints
    config.FileContentsManager.delete_to_trash = False
    return Files(request.param(root_dir=str(root), config=config))


@pytest.mark.parametrize("path", [TEXT, NOTEBOOK])
async def test_a_checkpoint_is_a_version_of_the_saved_file(
    people: Files, files: SavedFiles, path: str
) -> None:
    await people.write(path, "one")
    made = await people.checkpoint(path)
    assert await people.checkpoints(path) == [made]
    assert len(files.bodies(path)) == 1
    assert files.metadata(path)["origin"] == "checkpoint"


async def test_they_are_listed_oldest_first_as_jupyterlab_expects(people: Files) -> None:
    made = await people.written(TEXT, "one", "two", "three")
    assert await people.checkpoints(TEXT) == made


async def test_only_the_newest_are_listed(people: Files) -> None:
    people.manager.checkpoints.max_checkpoints = 2
    made = await people.written(TEXT, "one", "two", "three")
    assert await people.checkpoints(TEXT) == made[1:]


async def test_identical_content_is_the_same_checkpoint(people: Files) -> None:
    first, second = await people.written(TEXT, "same", "same")
    assert first == second
    assert await people.checkpoints(TEXT) == [first]


async def test_a_file_that_has_none_lists_none(people: Files) -> None:
    await people.write(TEXT, "words")
    assert await people.checkpoints(TEXT) == []


async def test_a_saved_notebook_has_one_without_being_asked(
    people: Files, files: SavedFiles
) -> None:
    await people.write(NOTEBOOK, "first")
    await people.write(NOTEBOOK, "second")
    assert len(await people.checkpoints(NOTEBOOK)) == 1
    assert len(files.bodies(NOTEBOOK)) == 1


@pytest.mark.parametrize("path", [TEXT, NOTEBOOK])
async def test_restoring_writes_the_old_content_over_the_file(people: Files, path: str) -> None:
    old, *_ = await people.written(path, "old", "new")
    await people.restore(path, old["id"])
    assert await people.read(path) == "old"


async def test_binary_files_come_back_byte_by_byte(people: Files, tmp_path: Path) -> None:
    file = tmp_path / "root" / "work" / "map.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n\xff")
    made = await people.checkpoint("work/map.png")
    file.write_bytes(b"something else")
    await people.restore("work/map.png", made["id"])
    assert file.read_bytes() == b"\x89PNG\r\n\x1a\n\xff"


async def test_what_is_restored_is_not_trusted(people: Files) -> None:
    output = {
        "output_type": "display_data",
        "metadata": {},
        "data": {"text/html": "<script>alert(1)</script>"},
    }
    cell = v4.new_code_cell("draw()", id="only", outputs=[output])  # type: ignore[no-untyped-call]
    cell["metadata"]["trusted"] = True
    model = {"type": "notebook", "format": "json", "content": _notebook(cell)}
    await ensure_async(people.manager.save(model, NOTEBOOK))
    made = await people.checkpoint(NOTEBOOK)
    nobody_has_signed: Any = sign.MemorySignatureStore
    people.manager.notary.store = nobody_has_signed()
    await people.write(NOTEBOOK, "other")
    await people.restore(NOTEBOOK, made["id"])
    read = (await ensure_async(people.manager.get(NOTEBOOK)))["content"]
    assert not read["cells"][0]["metadata"].get("trusted")


async def test_nbdime_is_given_what_a_checkpoint_holds(people: Files) -> None:
    checkpoints: Any = people.manager.checkpoints
    made = await people.written(NOTEBOOK, "one", "two")
    for asked, words in ((made[0], "one"), (made[1]["id"], "two")):
        model = await ensure_async(checkpoints.get_notebook_checkpoint(asked, NOTEBOOK))
        assert words in json.dumps(model["content"]["cells"])
    made = await people.written(TEXT, "plain")
    model = await ensure_async(checkpoints.get_file_checkpoint(made[0]["id"], TEXT))
    assert model["content"] == "plain"


async def test_deleting_one_removes_that_version_for_good(people: Files, files: SavedFiles) -> None:
    one, two, three = await people.written(TEXT, "one", "two", "three")
    await people.forget(TEXT, two["id"])
    assert await people.checkpoints(TEXT) == [one, three]
    assert files.bodies(TEXT) == [b"one", b"three"]


# -- renames and deletions -----------------------------------------------------------------------


async def test_they_follow_a_renamed_file(people: Files, files: SavedFiles) -> None:
    made = await people.written(TEXT, "one", "two")
    await people.rename(TEXT, "work/renamed.txt")
    assert await people.checkpoints("work/renamed.txt") == made
    assert await people.checkpoints(TEXT) == []
    assert files.current(TEXT) is None
    await people.restore("work/renamed.txt", made[0]["id"])
    assert await people.read("work/renamed.txt") == "one"


async def test_they_follow_a_renamed_directory(people: Files) -> None:
    made = await people.written(TEXT, "one", "two")
    await people.rename("work", "done")
    assert await people.checkpoints("done/notes.txt") == made


async def test_renaming_to_and_fro_changes_nothing(people: Files) -> None:
    made = await people.written(TEXT, "one", "two")
    await people.rename(TEXT, "work/renamed.txt")
    await people.rename("work/renamed.txt", TEXT)
    assert await people.checkpoints(TEXT) == made


async def test_after_a_rename_identical_content_is_the_checkpoint_from_before(
    people: Files,
) -> None:
    (made,) = await people.written(TEXT, "words")
    await people.rename(TEXT, "work/renamed.txt")
    assert await people.checkpoint("work/renamed.txt") == made


async def test_a_file_that_takes_a_name_does_not_take_over_its_checkpoints(people: Files) -> None:
    await people.written(TEXT, "another file's")
    await people.delete(TEXT)
    made = await people.written("work/draft.txt", "one", "two")
    await people.rename("work/draft.txt", TEXT)
    assert await people.checkpoints(TEXT) == made


async def test_deleting_the_file_hides_them_and_can_be_undone(
    people: Files, files: SavedFiles, archive: Archive
) -> None:
    made = await people.written(TEXT, "one", "two")
    await people.delete(TEXT)
    assert await people.checkpoints(TEXT) == []
    assert files.markers(TEXT) == 1
    await archive.undelete(TEXT)
    assert await people.checkpoints(TEXT) == made


async def test_a_new_file_of_a_deleted_ones_name_starts_with_none(people: Files) -> None:
    await people.written(TEXT, "the old file's")
    await people.delete(TEXT)
    (made,) = await people.written(TEXT, "the new file's")
    assert await people.checkpoints(TEXT) == [made]


# -- what goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize("id", ["nothing", "version-AAAA", "version-&", ""])
async def test_an_unknown_checkpoint_is_not_found(people: Files, id: str) -> None:
    await people.written(TEXT, "words")
    for call in (people.restore, people.forget):
        with pytest.raises(HTTPError) as refused:
            await call(TEXT, id)
        assert refused.value.status_code == 404
    assert await people.read(TEXT) == "words"


async def test_a_version_of_another_file_is_not_found(people: Files, files: SavedFiles) -> None:
    (other,) = await people.written("work/other.txt", "other")
    await people.written(TEXT, "words")
    for call in (people.restore, people.forget):
        with pytest.raises(HTTPError) as refused:
            await call(TEXT, other["id"])
        assert refused.value.status_code == 404
    assert files.bodies("work/other.txt") == [b"other"]


async def test_a_snapshot_is_no_checkpoint(people: Files, archive: Archive) -> None:
    await people.written(TEXT, "words")
    snapshot = await archive.save(
        Document(TEXT, "unicode"), Typist().type("typed"), VersionMetadata()
    )
    with pytest.raises(HTTPError) as refused:
        await people.forget(TEXT, snapshot.version_id)
    assert refused.value.status_code == 404
    assert (await archive.load(Document(TEXT, "unicode"))) != b""


async def test_an_outage_is_told(people: Files, outage: Outage) -> None:
    (made,) = await people.written(TEXT, "words")
    outage.begin()
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: people.checkpoint(TEXT),
        lambda: people.restore(TEXT, made["id"]),
        lambda: people.forget(TEXT, made["id"]),
    ]
    for call in calls:
        with pytest.raises(HTTPError) as refused:
            await call()
        assert (refused.value.status_code, refused.value.log_message) == (
            503,
            "The bucket is down.",
        )


async def test_a_refusal_is_told(people: Files, outage: Outage) -> None:
    await people.write(TEXT, "words")
    outage.begin(AccessDenied("These credentials may not write."))
    with pytest.raises(HTTPError) as refused:
        await people.checkpoint(TEXT)
    assert refused.value.status_code == 403


async def test_in_an_outage_what_was_listed_last_is_listed(people: Files, outage: Outage) -> None:
    (made,) = await people.written(TEXT, "words")
    await people.checkpoints(TEXT)
    outage.begin()
    assert await people.checkpoints(TEXT) == [made]


@pytest.mark.parametrize("path", [TEXT, "work/not-a-key.y.zst"])
async def test_where_nothing_can_be_known_a_stand_in_is_listed_so_that_files_open(
    people: Files, outage: Outage, path: str
) -> None:
    await people.write(path, "words")
    outage.begin()
    (stand_in,) = await people.checkpoints(path)
    assert stand_in["id"] == module.STAND_IN
    with pytest.raises(HTTPError):
        await people.restore(path, stand_in["id"])
    assert await people.read(path) == "words"


async def test_saving_renaming_and_deleting_go_on_in_an_outage(
    people: Files, outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    outage.begin()
    with caplog.at_level(logging.WARNING):
        await people.write(NOTEBOOK, "words")
        await people.rename(NOTEBOOK, "work/renamed.ipynb")
        await people.delete("work/renamed.ipynb")
    assert "has not followed the rename of work/tides.ipynb" in caplog.text
    assert "has not followed the deletion of work/renamed.ipynb" in caplog.text


async def test_a_notebook_saved_in_an_outage_gets_its_checkpoint_with_a_later_save(
    people: Files, outage: Outage
) -> None:
    outage.begin()
    await people.write(NOTEBOOK, "words")
    outage.end()
    await people.write(NOTEBOOK, "more words")
    assert len(await people.checkpoints(NOTEBOOK)) == 1


async def test_a_directory_has_none(people: Files) -> None:
    with pytest.raises(HTTPError) as refused:
        await people.checkpoint("work")
    assert refused.value.status_code == 400


async def test_what_is_no_notebook_is_not_restored_over_one(
    people: Files, archive: Archive
) -> None:
    await people.write(NOTEBOOK, "words")
    version = await archive.save_file(NOTEBOOK, b"no notebook")
    assert version is not None
    with pytest.raises(HTTPError) as refused:
        await people.restore(NOTEBOOK, version.version_id)
    assert refused.value.status_code == 422
    assert await people.read(NOTEBOOK) == "words"


async def test_without_a_bucket_it_is_said(tmp_path: Path) -> None:
    config = Config({"ContentsManager": {"checkpoints_class": S3Checkpoints}})
    people = Files(AsyncLargeFileManager(root_dir=str(tmp_path), config=config))
    await people.write("notes.txt", "words")
    with pytest.raises(HTTPError) as refused:
        await people.checkpoint("notes.txt")
    assert refused.value.status_code == 503
    assert "c.BookstoreSettings.s3_bucket" in str(refused.value.log_message)


async def test_they_work_on_each_s3_server(
    s3_server: S3Server, bucket_name: str, tmp_path: Path
) -> None:
    config = config_for(s3_server, bucket_name)
    config.ContentsManager.checkpoints_class = S3Checkpoints
    people = Files(AsyncLargeFileManager(root_dir=str(tmp_path), config=config))
    one, two = await people.written("notes.txt", "one", "two")
    assert all(re.fullmatch(r"[\w-]+", made["id"]) for made in (one, two))
    await people.rename("notes.txt", "renamed.txt")
    assert await people.checkpoints("renamed.txt") == [one, two]
    await people.restore("renamed.txt", one["id"])
    assert await people.read("renamed.txt") == "one"
    await people.forget("renamed.txt", two["id"])
    with pytest.raises(HTTPError) as refused:
        await people.restore("renamed.txt", two["id"])
    assert refused.value.status_code == 404


PROGRAM = """
import sys
from jupyter_server.services.contents.largefilemanager import LargeFileManager
from traitlets.config import Config
from bookstore_y import S3Checkpoints

settings = dict(zip(sys.argv[2::2], sys.argv[3::2]))
config = Config(BookstoreSettings=settings, ContentsManager={"checkpoints_class": S3Checkpoints})
manager = LargeFileManager(root_dir=sys.argv[1], config=config)
manager.save({"type": "file", "format": "text", "content": "words"}, "notes.txt")
made = manager.create_checkpoint("notes.txt")
assert manager.list_checkpoints("notes.txt") == [made]
"""


async def test_a_program_that_used_them_ends_without_a_word(
    moto_server: S3Server, moto_bucket: str, tmp_path: Path
) -> None:
    options = [word for option in s3_options(moto_server, moto_bucket).items() for word in option]
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "always::ResourceWarning", "-c", PROGRAM, str(tmp_path), *options],
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = [line for line in done.stderr.splitlines() if "Warning" in line or "unclosed" in line]
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert [line for line in said if "Deprecation" not in line] == []


# -- ids -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "version_id", ["abc_DEF-123", "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e", "a+b/c=", "version-1", "null"]
)
def test_every_version_id_passes_the_route_of_checkpoints(version_id: str) -> None:
    checkpoint_id = checkpoint_list.checkpoint_id_of(version_id)
    assert re.fullmatch(r"[\w-]+", checkpoint_id)
    assert checkpoint_list.version_id_of(checkpoint_id) == version_id
