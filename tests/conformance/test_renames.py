"""A document keeps its versions when its file is renamed, on every S3 server."""

from __future__ import annotations

import pytest

from bookstore_y.archive.archive import Archive
from bookstore_y.errors import DocumentNotFound, VersionNotFound
from bookstore_y.keys import Document

from .conftest import Tick
from .documents import Writer, content_of, text_in, typed_doc

pytestmark = pytest.mark.any_server

A, B, C = (Document(f"{name}.md", "file") for name in "abc")


class Named:
    """A text document that is edited, saved and renamed."""

    def __init__(self, archive: Archive, document: Document, tick: Tick, text: str = "") -> None:
        self.archive = archive
        self.document = document
        self.tick = tick
        self.writer = Writer(text)
        self.ids: list[str] = []
        """The version ids so far, newest first."""

    async def edit(self, text: str) -> str:
        saved = await self.writer.type(text).save(self.archive, self.document)
        self.ids.insert(0, saved.version_id)
        return saved.version_id

    async def rename(self, target: Document) -> str:
        await self.tick()
        await self.archive.renaming.rename(self.document, target)
        self.document = target
        current = await self.archive.load_snapshot(target)
        self.writer.parent, self.writer.parent_etag = current.version_id, current.etag
        self.ids.insert(0, current.version_id)
        return current.version_id


async def ids(archive: Archive, path: Document | str) -> list[str]:
    return [version.version_id for version in await archive.versions(path)]


async def test_a_rename_moves_the_document_and_leaves_a_delete_marker(
    archive: Archive, s3_clock: Tick
) -> None:
    doc = Named(archive, A, s3_clock)
    await doc.edit("one")

    await doc.rename(B)

    assert await text_in(archive, B) == "one"
    with pytest.raises(DocumentNotFound):
        await archive.load(A)
    newest, *_ = [v async for v in archive.bucket.listing.versions(archive.key(A))]
    assert newest.is_delete_marker
    assert await ids(archive, B) == doc.ids


async def test_a_rename_tells_what_it_wrote(archive: Archive) -> None:
    await Writer("one").save(archive, A)

    written = await archive.renaming.rename(A, B)

    assert written is not None
    current = await archive.load_snapshot(B)
    assert (written.version_id, written.etag) == (current.version_id, current.etag)
    [listed] = [v async for v in archive.bucket.listing.versions(archive.key(B))]
    assert (written.version_id, written.etag) == (listed.version_id, listed.etag)


async def test_saving_goes_on_after_a_rename(archive: Archive, s3_clock: Tick) -> None:
    doc = Named(archive, A, s3_clock)
    await doc.edit("one")
    written = await archive.renaming.rename(A, B)
    assert written is not None
    # As the checkpointer does it, from what the rename answered.
    doc.writer.parent, doc.writer.parent_etag = written.version_id, written.etag

    await doc.writer.type(" two").save(archive, B)

    assert await text_in(archive, B) == "one two"
    assert len(await archive.versions(B)) == 3


async def test_a_rename_says_where_it_came_from(archive: Archive, s3_clock: Tick) -> None:
    doc = Named(archive, A, s3_clock)
    first = await doc.edit("one")

    await doc.rename(B)

    newest = (await archive.versions(B, details=True))[0]
    assert (newest.origin, newest.parent) == ("renamed-from:a.md", first)
    assert newest.key == archive.key(B)
    assert (await archive.load_snapshot(B)).facts.lineage == doc.writer.lineage


async def test_what_is_not_there_is_not_renamed(archive: Archive) -> None:
    assert await archive.renaming.rename(A, B) is None

    assert [version async for version in archive.bucket.listing.under("")] == []


async def test_versions_follow_renames_there_and_back(archive: Archive, s3_clock: Tick) -> None:
    doc = Named(archive, A, s3_clock)
    await doc.edit("1")
    await doc.edit("2")
    for text, target in zip("345", [B, C, A], strict=True):
        await doc.rename(target)
        await doc.edit(text)

    for path in (A, "a.md"):
        versions = await archive.versions(path)
        assert [version.version_id for version in versions] == doc.ids
        assert [version.is_latest for version in versions] == [True] + 7 * [False]
        texts = [await text_in(archive, path, version_id) for version_id in doc.ids]
        assert texts == ["12345", "1234", "1234", "123", "123", "12", "12", "1"]
        assert await text_in(archive, path) == "12345"


async def test_a_version_from_before_a_rename_is_restored(archive: Archive, s3_clock: Tick) -> None:
    doc = Named(archive, A, s3_clock)
    first = await doc.edit("one")
    await doc.edit(" two")
    await doc.rename(B)

    for path in (B, "b.md"):
        await doc.archive.restore(path, first)
        assert await text_in(archive, path) == "one"
    with pytest.raises(DocumentNotFound):
        await archive.load(A)


async def test_details_of_versions_from_before_a_rename(archive: Archive, s3_clock: Tick) -> None:
    doc = Named(archive, A, s3_clock)
    await doc.writer.type("one").save(archive, A, authors=("Ada",))
    await doc.rename(B)

    _, oldest = await archive.versions(B, details=True)

    assert (oldest.key, oldest.authors, oldest.origin) == (archive.key(A), ("Ada",), "checkpoint")


async def test_a_new_document_under_an_old_name_is_not_mixed_up_with_the_one_renamed(
    archive: Archive, s3_clock: Tick
) -> None:
    old = Named(archive, A, s3_clock)
    old_id = await old.edit("old")
    await old.rename(B)
    new = Named(archive, A, s3_clock)
    new_id = await new.edit("new")

    assert await text_in(archive, A) == "new"
    assert await text_in(archive, B) == "old"
    assert await ids(archive, B) == old.ids
    assert (await ids(archive, A))[0] == new_id
    with pytest.raises(VersionNotFound):
        await archive.load(B, new_id)
    assert await text_in(archive, B, old_id) == "old"


async def test_a_new_document_that_begins_like_the_one_renamed_takes_nothing_of_it(
    archive: Archive, s3_clock: Tick
) -> None:
    template = Writer("# Report\n")
    for text, target in (("first", B), ("second", C)):
        writer = Writer(origin=template)
        await writer.type(text).save(archive, A)
        await archive.renaming.rename(A, target)
        await s3_clock()

    assert await text_in(archive, B) == "# Report\nfirst"
    assert await text_in(archive, C) == "# Report\nsecond"


async def test_the_new_documents_rename_does_not_lead_to_the_old_ones_versions(
    archive: Archive, s3_clock: Tick
) -> None:
    old = Named(archive, A, s3_clock)
    await old.edit("old")
    await old.rename(B)
    new = Named(archive, A, s3_clock)
    await new.edit("new")
    await new.rename(C)

    assert (await ids(archive, C))[:2] == new.ids
    assert await ids(archive, B) == old.ids


async def test_a_document_that_takes_the_place_of_another_keeps_its_versions(
    archive: Archive, s3_clock: Tick
) -> None:
    # The other's file was deleted while no server was there to notice.
    other = await Writer("other").save(archive, B)
    await s3_clock()
    doc = Named(archive, A, s3_clock)
    first = await doc.edit("one")

    await doc.rename(B)

    assert await text_in(archive, B) == "one"
    assert await text_in(archive, B, first) == "one"
    assert first in await ids(archive, B)
    assert await text_in(archive, B, other.version_id) == "other"


async def test_renames_within_one_second_are_followed_too(archive: Archive) -> None:
    ada = Writer("one")
    first = await ada.save(archive, A)
    for source, target in ((A, B), (B, C), (C, A)):
        await archive.renaming.rename(source, target)

    versions = await archive.versions(A)

    assert await text_in(archive, A) == "one"
    assert len(versions) == 4
    assert first.version_id in {version.version_id for version in versions}


async def test_a_directory_that_is_renamed_takes_its_documents_along(
    archive: Archive, s3_clock: Tick
) -> None:
    inside = ["old/a.md", "old/deep/b.md", "old/old/c.md", "old/1+1 = 2 ü🌊%25.md"]
    outside = ["old.md", "older/d.md", "Old/e.md"]
    first = {}
    for path in [*inside, *outside]:
        saved = await Writer(path).save(archive, Document(path, "file"))
        first[path] = saved.version_id
    gone = Document("old/gone.md", "file")
    await Writer("gone").save(archive, gone)
    await archive.bucket.delete(archive.key(gone))
    await s3_clock()

    found = await archive.snapshots.documents_under("old")
    for document in found:
        await archive.renaming.rename(document, Document("new" + document.path[3:], document.type))

    assert sorted(document.path for document in found) == sorted(inside)
    for path in inside:
        moved = "new" + path[3:]
        assert await text_in(archive, moved) == path
        assert await text_in(archive, moved, first[path]) == path
        assert len(await archive.versions(moved)) == 2
        with pytest.raises(DocumentNotFound):
            await archive.load(path)
    for path in outside:
        assert await text_in(archive, path) == path


async def test_all_rooms_of_a_file_are_found(archive: Archive) -> None:
    rooms = [Document("a.md", kind) for kind in ("file", "unicode")]
    for room in rooms:
        await Writer(room.type or "").save(archive, room)

    assert sorted(await archive.snapshots.documents_under("a.md")) == rooms


async def test_the_longest_path_fits_into_the_origin(archive: Archive) -> None:
    for path, target in (("🌊" * 250, B), ("a b" * 330, C)):
        source = Document(path, "file")
        first = await Writer("one").save(archive, source, authors=("Ada",) * 100)

        await archive.renaming.rename(source, target)

        stored = await archive.bucket.head(archive.key(target))
        size = sum(len(name) + len(value) for name, value in stored.metadata.items())
        assert size <= 2048
        assert await text_in(archive, target, first.version_id) == "one"


async def test_a_notebook_keeps_its_type(archive: Archive) -> None:
    source, target = Document("a.ipynb", "notebook"), Document("b.ipynb", "notebook")
    notebook = {"cells": [], "metadata": {"title": "x"}, "nbformat": 4, "nbformat_minor": 5}
    doc = typed_doc("notebook", notebook)
    await archive.save(source, doc.get_update(), Writer().facts())

    await archive.renaming.rename(source, target)

    assert await archive.resolve("b.ipynb") == target
    assert content_of("notebook", await archive.load("b.ipynb"))["metadata"]["title"] == "x"
