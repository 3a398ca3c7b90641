"""What `Archive` promises about one document, on every S3 server."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from jupyter_ydoc import ydocs
from pycrdt import Doc

from bookstore_y.archive.archive import Archive
from bookstore_y.archive.version import VersionMetadata
from bookstore_y.errors import (
    BucketNotFound,
    BucketUnavailable,
    ConfigurationError,
    CorruptSnapshot,
    DocumentNotFound,
    DocumentTooLarge,
    InvalidPath,
    SnapshotError,
    UnsupportedDocument,
    VersioningNotEnabled,
    VersionNotFound,
)
from bookstore_y.keys import Document
from bookstore_y.ydoc.frame import compress
from bookstore_y.ydoc.summary import lineage_of
from bookstore_y.ydoc.updates import EMPTY_UPDATE
from harness.servers import S3Server, free_port, make_bucket

from .conftest import Configure, Tick
from .documents import NOTES, Writer, content_of, text_in, text_of, typed_doc

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

pytestmark = pytest.mark.any_server

NOTES_KEY = "workspace/notes.md.file.y.zst"

UNUSABLE = [
    pytest.param(b"", id="empty"),
    pytest.param(b"not zstd at all", id="not zstd"),
    pytest.param(compress(EMPTY_UPDATE)[:-1], id="truncated"),
    pytest.param(compress(EMPTY_UPDATE) + b"\n", id="followed by more"),
    pytest.param(compress(b"not an update"), id="not Yjs"),
    pytest.param(compress(bytes(100)), id="zeros"),
]


# -- saving -----------------------------------------------------------------------------------


async def test_a_first_save_makes_a_first_version(archive: Archive) -> None:
    ada = Writer("one")

    saved = await ada.save(archive)
    [version] = await archive.versions(NOTES)

    assert saved.written
    assert saved.merged == ()
    assert (version.version_id, version.key) == (saved.version_id, NOTES_KEY)
    assert (version.kind, version.is_latest) == ("snapshot", True)
    assert await text_in(archive) == "one"


async def test_each_save_makes_a_version_and_keeps_those_before(archive: Archive) -> None:
    ada = Writer()
    ids = [(await ada.type(f"{n} ").save(archive)).version_id for n in range(3)]

    versions = await archive.versions(NOTES)

    assert [version.version_id for version in versions] == ids[::-1]
    assert [version.is_latest for version in versions] == [True, False, False]
    texts = [await text_in(archive, NOTES, version_id) for version_id in ids]
    assert texts == ["0 ", "0 1 ", "0 1 2 "]


async def test_what_is_written_is_what_the_layout_says(
    archive: Archive, boto3_client: S3Client, bucket_name: str
) -> None:
    ada = Writer("one")
    first = await ada.save(archive, authors=("Zoë Müller", "李 雷"), updates=7)
    await ada.type(" two").save(archive)

    stored = boto3_client.get_object(Bucket=bucket_name, Key=NOTES_KEY, VersionId=first.version_id)
    newest = boto3_client.head_object(Bucket=bucket_name, Key=NOTES_KEY)

    assert text_of(zstandard.decompress(stored["Body"].read())) == "one"
    metadata = stored["Metadata"]
    assert metadata.pop("write-id")
    assert metadata == {
        "format": "1",
        "lineage": ada.lineage,
        "updates": "7",
        "origin": "checkpoint",
        "authors": "Zo%C3%AB%20M%C3%BCller,%E6%9D%8E%20%E9%9B%B7",
    }
    assert newest["Metadata"]["parent"] == first.version_id


async def test_each_save_has_a_write_id_of_its_own(archive: Archive) -> None:
    ada = Writer("one")
    for _ in range(2):
        await ada.type("!").save(archive)

    loaded = [
        await archive.load_snapshot(NOTES, version.version_id)
        for version in await archive.versions(NOTES)
    ]

    assert len({snapshot.facts.write_id for snapshot in loaded}) == 2


async def test_a_snapshot_is_loaded_with_what_is_known_about_it(archive: Archive) -> None:
    ada = Writer("one")
    facts: dict[str, Any] = {
        "authors": ("Zoë, Müller", "🌊", "100%"),
        "updates": 12,
        "origin": "restore:abc",
        "file_id": str(uuid.UUID(int=5)),
        "file_hashes": ("0123456789abcdef", "fedcba9876543210"),
    }
    saved = await ada.save(archive, **facts)

    snapshot = await archive.load_snapshot(NOTES)

    assert {name: getattr(snapshot.facts, name) for name in facts} == facts
    assert snapshot.facts.lineage == ada.lineage
    assert (snapshot.version_id, snapshot.etag) == (saved.version_id, saved.etag)


async def test_long_lists_give_way_so_that_metadata_stays_within_2_kb(
    archive: Archive, boto3_client: S3Client, bucket_name: str
) -> None:
    authors = tuple(f"Författare nummer {n} 🌊" for n in range(200))
    hashes = tuple(f"{n:016x}" for n in range(200))
    origin = "renamed-from:" + "a" * 900

    await Writer("one").save(archive, authors=authors, file_hashes=hashes, origin=origin)

    metadata = boto3_client.head_object(Bucket=bucket_name, Key=NOTES_KEY)["Metadata"]
    assert sum(len(name) + len(value) for name, value in metadata.items()) <= 2048
    facts = (await archive.load_snapshot(NOTES)).facts
    assert facts.origin == origin
    assert facts.authors
    assert facts.authors == authors[: len(facts.authors)]
    assert facts.file_hashes
    assert facts.file_hashes == hashes[-len(facts.file_hashes) :]


async def test_an_author_whose_name_is_half_a_character_does_not_stop_the_save(
    archive: Archive,
) -> None:
    await Writer("one").save(archive, authors=("half \ud83c of an emoji", "Ada"))

    assert "Ada" in (await archive.load_snapshot(NOTES)).facts.authors


async def test_saving_what_is_there_already_adopts_it(
    archive: Archive, second_archive: Archive, s3_server: S3Server
) -> None:
    ada = Writer("one")
    first = await ada.save(archive)
    bob = Writer(origin=ada)
    bob.parent, bob.parent_etag = "", ""  # a server that has not asked the bucket yet

    adopted = await bob.save(second_archive)

    assert text_of(adopted.update) == await text_in(archive) == "one"
    versions = await archive.versions(NOTES)
    assert versions[0].version_id == adopted.version_id
    if s3_server.conditional_writes:  # else it finds out by writing
        assert not adopted.written
        assert [version.version_id for version in versions] == [first.version_id]
        assert (adopted.version_id, adopted.etag) == (first.version_id, first.etag)


async def test_an_adopter_learns_what_it_did_not_have(
    archive: Archive, second_archive: Archive
) -> None:
    ada = Writer("one")
    bob = Writer(origin=ada)
    await ada.type(" two").save(archive)

    adopted = await bob.save(second_archive)

    assert bob.text == "one two"
    assert text_of(adopted.update) == "one two"
    assert await text_in(archive) == "one two"


async def test_saving_onto_an_unusable_object_writes_and_keeps_it(
    archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    broken = await archive.bucket.put(NOTES_KEY, b"not a snapshot", {})

    saved = await Writer("one").save(archive)

    assert await text_in(archive) == "one"
    assert [v.version_id for v in await archive.versions(NOTES)] == [
        saved.version_id,
        broken.version_id,
    ]
    assert broken.version_id in caplog.text


async def test_saving_goes_on_after_the_document_was_deleted(archive: Archive) -> None:
    ada = Writer("one")
    await ada.save(archive)
    await archive.bucket.delete(NOTES_KEY)

    await ada.type(" two").save(archive)

    assert await text_in(archive) == "one two"
    assert len(await archive.versions(NOTES)) == 2


async def test_a_new_document_does_not_take_in_what_was_deleted_before_it(
    archive: Archive,
) -> None:
    ada = Writer("same beginnings")
    new = Writer(origin=ada)
    await ada.type(", deleted").save(archive)
    await archive.bucket.delete(NOTES_KEY)

    await new.type(", new").save(archive)

    assert await text_in(archive) == new.text == "same beginnings, new"


async def test_a_failed_save_can_be_tried_again(archive: Archive, configure: Configure) -> None:
    ada = Writer("one")
    settings = configure(
        s3_endpoint_url=f"http://127.0.0.1:{free_port()}", max_attempts=1, conditional_writes=True
    )
    async with Archive(settings) as unreachable:
        with pytest.raises(BucketUnavailable):
            await ada.save(unreachable)

    await ada.save(archive)

    assert await text_in(archive) == "one"
    assert len(await archive.versions(NOTES)) == 1


async def test_an_unversioned_bucket_is_not_saved_into_unless_allowed(
    configure: Configure, s3_server: S3Server
) -> None:
    name = make_bucket(s3_server, versioned=False)
    async with Archive(configure(s3_bucket=name)) as archive:
        with pytest.raises(VersioningNotEnabled):
            await Writer("one").save(archive)

    async with Archive(configure(s3_bucket=name, allow_unversioned=True)) as archive:
        ada = Writer("one")
        await ada.save(archive)
        await ada.type(" two").save(archive)
        assert await text_in(archive) == "one two"
        if s3_server.name != "moto":  # which refuses a HEAD of the version "null"
            assert [version.version_id for version in await archive.versions(NOTES)] == ["null"]


async def test_a_bucket_is_created_by_the_first_use(configure: Configure) -> None:
    for use in ("save", "read"):
        name = f"created-{uuid.uuid4().hex[:12]}"
        async with Archive(configure(s3_bucket=name, create_bucket=True)) as archive:
            if use == "save":
                await Writer("one").save(archive)
                assert await text_in(archive) == "one"
            else:
                with pytest.raises(DocumentNotFound):
                    await archive.load(NOTES)
        async with Archive(configure(s3_bucket=name)) as archive:
            await archive.check()


async def test_no_bucket_is_no_missing_document(configure: Configure) -> None:
    async with Archive(configure(s3_bucket="")) as archive:
        with pytest.raises(ConfigurationError):
            await archive.load(NOTES)
    async with Archive(configure(s3_bucket="no-such-bucket")) as archive:
        for attempt in (archive.load, archive.versions):
            with pytest.raises(BucketNotFound):
                await attempt(NOTES)


async def test_paths_that_cannot_be_keys_are_refused(archive: Archive) -> None:
    for path in ("", "/absolute", "../up", "nul\0", "\ud800", "a" * 1025):
        for attempt in (archive.load, archive.versions):
            with pytest.raises(InvalidPath):
                await attempt(path)
        with pytest.raises(InvalidPath):
            await archive.restore(path, "id")


# -- loading ----------------------------------------------------------------------------------


async def test_a_document_that_never_was_is_not_found(archive: Archive) -> None:
    await Writer("other").save(archive, Document("notes.md.bak", "file"))

    for path in (NOTES, "notes.md"):
        for attempt in (archive.load, archive.versions):
            with pytest.raises(DocumentNotFound, match=r"notes\.md"):
                await attempt(path)
        with pytest.raises(VersionNotFound, match=r"notes\.md"):
            await archive.load(path, "id")


@pytest.mark.parametrize(
    "version_id",
    ["", "null", "x", "no such", "../..", "ü🌊", "a&b=c#d", "x" * 1025, uuid.UUID(int=1).hex],
    ids=["empty", "null", "short", "space", "dots", "unicode", "url", "long", "hexadecimal"],
)
async def test_an_unknown_version_id_is_a_version_not_found(
    archive: Archive, version_id: str
) -> None:
    await Writer("one").save(archive)

    for path in (NOTES, "notes.md"):
        for attempt in (archive.load, archive.restore):
            with pytest.raises(VersionNotFound):
                await attempt(path, version_id)
    assert len(await archive.versions(NOTES)) == 1


async def test_another_documents_version_id_is_a_version_not_found(archive: Archive) -> None:
    await Writer("one").save(archive)
    other = await Writer("other").save(archive, Document("other.md", "file"))
    room = await Writer("other room").save(archive, Document("notes.md", "unicode"))

    for version_id in (other.version_id, room.version_id):
        for attempt in (archive.load, archive.restore):
            with pytest.raises(VersionNotFound):
                await attempt(NOTES, version_id)


async def test_a_deleted_document_is_not_found_but_its_versions_are(archive: Archive) -> None:
    saved = await Writer("one").save(archive)
    await archive.bucket.delete(NOTES_KEY)

    for path in (NOTES, "notes.md"):
        with pytest.raises(DocumentNotFound):
            await archive.load(path)
        assert await text_in(archive, path, saved.version_id) == "one"
        [version] = await archive.versions(path)
        assert (version.version_id, version.is_latest) == (saved.version_id, False)


@pytest.mark.parametrize("body", UNUSABLE)
async def test_an_unusable_object_is_corrupt_and_stops_nothing_else(
    archive: Archive, body: bytes
) -> None:
    good = await Writer("one").save(archive)
    broken = await archive.bucket.put(NOTES_KEY, body, {})
    other = Document("other.md", "file")
    await Writer("other").save(archive, other)

    for path in (NOTES, "notes.md"):
        with pytest.raises(CorruptSnapshot):
            await archive.load(path)
        with pytest.raises(CorruptSnapshot):
            await archive.load(path, broken.version_id)
    assert await text_in(archive, NOTES, good.version_id) == "one"
    assert await text_in(archive, other) == "other"
    listed = [version.version_id for version in await archive.versions(NOTES, details=True)]
    assert listed == [broken.version_id, good.version_id]


async def test_a_document_over_the_limit_is_refused(archive: Archive, configure: Configure) -> None:
    ada = Writer("x" * 100_000)
    await ada.save(archive)
    other = Document("other.md", "file")
    await Writer("short").save(archive, other)

    async with Archive(configure(max_document_size=50_000)) as strict:
        with pytest.raises(DocumentTooLarge, match="max_document_size"):
            await strict.load(NOTES)
        assert await text_in(strict, other) == "short"


async def test_saving_goes_on_after_someone_put_a_bomb(configure: Configure) -> None:
    async with Archive(configure(max_document_size=50_000)) as archive:
        bombs = [bytes(200_000), compress(bytes(1_000_000))]
        for n, bomb in enumerate(bombs):
            document = Document(f"{n}.md", "file")
            await archive.bucket.put(archive.key(document), bomb, {})

            await Writer("one").save(archive, document)

            assert await text_in(archive, document) == "one"
            assert len(await archive.versions(document)) == 2


async def test_an_object_of_another_program_is_a_version_too(archive: Archive) -> None:
    update = Writer("theirs").doc.get_update()
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(update)
    await archive.bucket.put(NOTES_KEY, frame, {"authors": "%%%,a", "updates": "many"})

    snapshot = await archive.load_snapshot(NOTES)
    [version] = await archive.versions(NOTES, details=True)

    assert text_of(snapshot.update) == "theirs"
    assert snapshot.facts.lineage == lineage_of(update)
    assert (version.origin, version.parent) == ("", "")


@pytest.mark.parametrize(
    "origin", ["renamed-from:/etc/passwd", "renamed-from:..", "renamed-from:=_w", "renamed-from:"]
)
async def test_an_origin_that_makes_no_sense_does_not_stop_the_listing(
    archive: Archive, origin: str
) -> None:
    saved = await Writer("one").save(archive, origin=origin)

    [version] = await archive.versions(NOTES, details=True)

    assert (version.version_id, version.origin) == (saved.version_id, origin)
    with pytest.raises(VersionNotFound):
        await archive.load(NOTES, "no-such-version")


async def test_a_plain_path_means_the_room_that_was_written_last(
    archive: Archive, s3_clock: Tick
) -> None:
    rooms = [Document("notes.md", kind) for kind in ("file", "unicode", None)]
    for room in rooms:
        await s3_clock()
        await Writer(str(room.type)).save(archive, room)
        assert await archive.resolve("notes.md") == room
        assert await text_in(archive, "notes.md") == str(room.type)

    await archive.bucket.delete(archive.key(rooms[2]))

    assert await archive.resolve("notes.md") == rooms[1]
    assert len(await archive.versions("notes.md")) == 3
    for version in await archive.versions("notes.md"):
        kind = await text_in(archive, "notes.md", version.version_id)
        assert version.key == archive.key(Document("notes.md", None if kind == "None" else kind))


async def test_a_plain_path_is_that_file_and_not_one_that_begins_alike(archive: Archive) -> None:
    for path in ("notes.md.bak", "notes.md/inner", "Notes.md", "notes.m", "notesxmd"):
        await Writer("other").save(archive, Document(path, "file"))

    with pytest.raises(DocumentNotFound):
        await archive.load("notes.md")


async def test_details_tell_who_and_why(archive: Archive) -> None:
    ada = Writer("one")
    first = await ada.save(archive, authors=("Ada", "Zoë, 🌊"))
    await ada.type("!").save(archive, origin="publish:x")

    plain = await archive.versions(NOTES)
    detailed = await archive.versions(NOTES, details=True)

    assert [(v.authors, v.parent, v.origin) for v in plain] == [((), "", ""), ((), "", "")]
    assert [(v.authors, v.parent, v.origin) for v in detailed] == [
        ((), first.version_id, "publish:x"),
        (("Ada", "Zoë, 🌊"), "", "checkpoint"),
    ]
    assert [v.version_id for v in plain] == [v.version_id for v in detailed]


async def test_a_version_is_json(archive: Archive) -> None:
    await Writer("one").save(archive, authors=("Ada",))

    [version] = await archive.versions(NOTES, details=True)
    said = version.to_dict()

    assert said["last_modified"] == version.last_modified.isoformat()
    assert (said["authors"], said["kind"], said["label"]) == (["Ada"], "snapshot", None)
    assert said["size"] == (await archive.bucket.head(NOTES_KEY)).size


async def test_any_facts_fit_into_metadata() -> None:
    facts = VersionMetadata(
        lineage="a" * 32, parent="b" * 64, authors=("c" * 5000, "d"), origin="e" * 1400
    )

    metadata = facts.to_metadata()

    assert sum(len(name) + len(value) for name, value in metadata.items()) <= 2048
    assert all(value.isascii() for value in metadata.values())
    assert VersionMetadata.from_metadata(metadata).origin == "e" * 1400


# -- restoring --------------------------------------------------------------------------------


def notebook(*sources: str) -> dict[str, Any]:
    """A notebook with one output a cell."""
    cells = [
        {
            "id": f"cell-{n}",
            "cell_type": "code",
            "metadata": {},
            "execution_count": n,
            "outputs": [{"output_type": "stream", "name": "stdout", "text": f"{source}!\n"}],
            "source": source,
        }
        for n, source in enumerate(sources)
    ]
    return {"cells": cells, "metadata": {"a": 1}, "nbformat": 4, "nbformat_minor": 5}


def said(type: str, update: bytes) -> Any:
    """What a document says: a file's text, or the sources and outputs of a notebook's cells."""
    content = content_of(type, update)
    if type != "notebook":
        return content
    return [
        (cell["source"], "".join("".join(output["text"]) for output in cell["outputs"]))
        for cell in content["cells"]
    ]


CASES = [
    pytest.param("file", "one\n", "one\ntwo\n", "three\n", id="file"),
    pytest.param(
        "notebook",
        notebook("a = 1", "b = 2"),
        notebook("a = 1", "b = 3", "c"),
        notebook("z"),
        id="notebook",
    ),
]


class Room:
    """A document of a jupyter_ydoc type, archived."""

    def __init__(self, archive: Archive, type: str, content: Any) -> None:
        self.archive = archive
        self.type = type
        self.document = Document(f"a.{type}", type)
        self.doc = typed_doc(type, content)
        self.lineage = lineage_of(self.doc.get_update())
        self.parent = self.parent_etag = ""

    async def save(self) -> str:
        facts = VersionMetadata(lineage=self.lineage, parent=self.parent)
        saved = await self.archive.save(
            self.document, self.doc.get_update(), facts, parent_etag=self.parent_etag
        )
        self.parent, self.parent_etag = saved.version_id, saved.etag
        return saved.version_id

    async def set(self, content: Any) -> str:
        ydocs[self.type](self.doc).set(content)
        return await self.save()

    async def now(self) -> Any:
        return said(self.type, await self.archive.load(self.document))


@pytest.mark.parametrize(("type", "old", "new", "newest"), CASES)
async def test_restoring_moves_forward(
    archive: Archive, type: str, old: Any, new: Any, newest: Any
) -> None:
    room = Room(archive, type, old)
    first = await room.save()
    second = await room.set(new)

    version = await archive.restore(room.document, first)

    assert await room.now() == said(type, typed_doc(type, old).get_update())
    listed = await archive.versions(room.document, details=True)
    assert [v.version_id for v in listed] == [version.version_id, second, first]
    assert replace(listed[0], last_modified=version.last_modified) == version
    assert (version.origin, version.parent) == (f"restore:{first}", second)
    assert version.is_latest
    facts = (await archive.load_snapshot(room.document)).facts
    assert facts.lineage == room.lineage


@pytest.mark.parametrize(("type", "old", "new", "newest"), CASES)
async def test_a_client_that_returns_neither_undoes_nor_doubles_what_was_restored(
    archive: Archive, type: str, old: Any, new: Any, newest: Any
) -> None:
    room = Room(archive, type, old)
    first = await room.save()
    await room.set(new)

    await archive.restore(room.document, first)
    update = await archive.load(room.document)
    returning: Doc[Any] = Doc()
    returning.apply_update(room.doc.get_update())
    returning.apply_update(update)

    wanted = said(type, typed_doc(type, old).get_update())
    assert said(type, returning.get_update()) == wanted
    # ... also if it saves what it knew, not having seen the restored version:
    await room.save()
    assert await room.now() == wanted


@pytest.mark.parametrize(("type", "old", "new", "newest"), CASES)
async def test_what_was_restored_can_be_edited_and_restored_again(
    archive: Archive, type: str, old: Any, new: Any, newest: Any
) -> None:
    room = Room(archive, type, old)
    first = await room.save()
    second = await room.set(new)
    await archive.restore(room.document, first)

    await archive.restore(room.document, second)
    assert await room.now() == said(type, typed_doc(type, new).get_update())
    snapshot = await archive.load_snapshot(room.document)
    room.doc.apply_update(snapshot.update)
    room.parent, room.parent_etag = snapshot.version_id, snapshot.etag
    await room.set(newest)

    assert await room.now() == said(type, typed_doc(type, newest).get_update())
    assert len(await archive.versions(room.document)) == 5


@pytest.mark.parametrize(("type", "old", "new", "newest"), CASES)
async def test_a_deleted_document_is_restored_as_the_version_says(
    archive: Archive, type: str, old: Any, new: Any, newest: Any
) -> None:
    room = Room(archive, type, old)
    first = await room.save()
    await room.set(new)
    await archive.bucket.delete(archive.key(room.document))

    version = await archive.restore(room.document, first)

    assert await room.now() == said(type, typed_doc(type, old).get_update())
    assert version.origin == f"restore:{first}"
    assert len(await archive.versions(room.document)) == 3


@pytest.mark.parametrize("damage", UNUSABLE)
async def test_a_damaged_version_is_restored_over(archive: Archive, damage: bytes) -> None:
    room = Room(archive, "file", "one\n")
    first = await room.save()
    await room.set("two\n")
    damaged = await archive.bucket.put(archive.key(room.document), damage, {})

    version = await archive.restore(room.document, first)

    assert await room.now() == "one\n"
    assert version.parent == damaged.version_id
    # Who had it open merges with it: it goes on where the last readable version was.
    snapshot = await archive.load_snapshot(room.document)
    assert snapshot.facts.lineage == room.lineage
    room.doc.apply_update(snapshot.update)
    assert said("file", room.doc.get_update()) == "one\n"


async def test_what_is_damaged_altogether_is_restored_from_what_was_saved(archive: Archive) -> None:
    document = Document("notes.md", "file")
    saved = await archive.save_file("notes.md", b"one\n")
    assert saved is not None
    await archive.bucket.put(archive.key(document), b"damage", {})
    await archive.bucket.put(archive.key(document), b"more damage", {})

    await archive.restore("notes.md", saved.version_id)

    assert said("file", await archive.load(document)) == "one\n"


@pytest.mark.parametrize(("type", "old", "new", "newest"), CASES)
async def test_a_client_that_returns_does_not_undo_what_was_restored_after_it_was_deleted(
    archive: Archive, type: str, old: Any, new: Any, newest: Any
) -> None:
    room = Room(archive, type, old)
    first = await room.save()
    await room.set(new)
    await archive.bucket.delete(archive.key(room.document))

    await archive.restore(room.document, first)
    returning: Doc[Any] = Doc()
    returning.apply_update(room.doc.get_update())
    returning.apply_update(await archive.load(room.document))

    assert said(type, returning.get_update()) == said(type, typed_doc(type, old).get_update())


async def test_restoring_takes_in_what_another_writer_saved_meanwhile(
    archive: Archive, second_archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = Writer("one")
    first = await ada.save(archive)
    await ada.type(" two").save(archive)
    bob = Writer(origin=ada)
    put = archive.bucket.put

    async def put_late(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.undo()
        await bob.type(" three").save(second_archive)
        return await put(*args, **kwargs)

    monkeypatch.setattr(archive.bucket, "put", put_late)
    await archive.restore(NOTES, first.version_id)

    assert await text_in(archive) == "one three"


async def test_trust_in_outputs_is_not_restored(archive: Archive) -> None:
    trusted = notebook("a = 1")
    trusted["cells"][0]["metadata"]["trusted"] = True
    room = Room(archive, "notebook", trusted)
    first = await room.save()
    await room.set(notebook("a = 2"))

    await archive.restore(room.document, first)

    content = content_of("notebook", await archive.load(room.document))
    assert "trusted" not in content["cells"][0]["metadata"]


async def test_a_corrupt_version_is_not_restored(archive: Archive) -> None:
    broken = await archive.bucket.put(NOTES_KEY, b"not a snapshot", {})
    await Writer("one").save(archive)

    with pytest.raises(SnapshotError):
        await archive.restore(NOTES, broken.version_id)
    assert await text_in(archive) == "one"
    assert len(await archive.versions(NOTES)) == 2


@pytest.mark.parametrize("type", [None, "drawing"])
async def test_a_document_of_no_known_type_cannot_be_restored(
    archive: Archive, type: str | None
) -> None:
    document = Document("a", type)
    ada = Writer("one")
    first = await ada.save(archive, document)
    await ada.type("!").save(archive, document)

    with pytest.raises(UnsupportedDocument):
        await archive.restore(document, first.version_id)
    assert len(await archive.versions(document)) == 2
    assert await text_in(archive, document, first.version_id) == "one"


async def test_a_document_that_never_was_cannot_be_restored(archive: Archive) -> None:
    for path in (NOTES, "notes.md"):
        with pytest.raises(VersionNotFound):
            await archive.restore(path, "no-such-version")
