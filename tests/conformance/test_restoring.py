"""What restoring and undeleting a file promise, whatever there is of it, on every S3 server."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from bookstore_y.archive.archive import Archive
from bookstore_y.archive.version import Version, VersionMetadata
from bookstore_y.errors import AccessDenied, DocumentNotFound, UnsupportedDocument, VersionNotFound
from bookstore_y.keys import Document
from bookstore_y.ydoc.summary import lineage_of

from .conftest import Tick
from .denials import deny
from .documents import Writer, content_of, text_in, typed_doc

pytestmark = pytest.mark.any_server

ROOM = Document("a.md", "file")
BOOK = Document("a.ipynb", "notebook")


def notebook(*sources: str) -> dict[str, Any]:
    cells: list[dict[str, Any]] = [
        {
            "id": f"cell-{n}",
            "cell_type": "code",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": source,
        }
        for n, source in enumerate(sources)
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def sources(content: Any) -> list[str]:
    return ["".join(cell["source"]) for cell in content["cells"]]


async def save(archive: Archive, path: str, body: bytes | dict[str, Any]) -> str:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    version = await archive.save_file(path, raw)
    assert version is not None
    return version.version_id


async def room(archive: Archive, document: Document, content: Any) -> str:
    """A checkpoint of a new document that says this."""
    assert document.type is not None
    update = typed_doc(document.type, content).get_update()
    saved = await archive.save(document, update, VersionMetadata(lineage=lineage_of(update)))
    return saved.version_id


async def raw(archive: Archive, path: str | Document, version_id: str | None = None) -> bytes:
    return (await archive.read(path, version_id)).raw()


async def versions(archive: Archive, path: str | Document, **which: Any) -> list[Version]:
    return list((await archive.history(path, details=True, **which)).versions)


# -- restoring ----------------------------------------------------------------------------------


async def test_a_file_of_saves_alone(archive: Archive) -> None:
    first = await save(archive, "a.bin", b"\xff one")
    second = await save(archive, "a.bin", b"two")

    version = await archive.restore("a.bin", first)

    assert await raw(archive, "a.bin") == b"\xff one"
    assert (version.kind, version.origin) == ("save", f"restore:{first}")
    assert (version.parent, version.is_latest) == (second, True)
    listed = await versions(archive, "a.bin")
    assert [v.version_id for v in listed] == [version.version_id, second, first]
    assert listed[0] == replace(version, last_modified=listed[0].last_modified)


async def test_a_file_of_snapshots_alone_gets_no_save(archive: Archive) -> None:
    ada = Writer("one")
    first = (await ada.save(archive, ROOM)).version_id
    await ada.type(" two").save(archive, ROOM)

    version = await archive.restore("a.md", first)

    assert (version.kind, version.origin) == ("snapshot", f"restore:{first}")
    assert await text_in(archive, ROOM) == "one"
    assert {v.kind for v in await versions(archive, "a.md")} == {"snapshot"}


@pytest.mark.parametrize("kind", ["snapshot", "save", "published"])
async def test_a_version_of_any_kind_is_restored_to_all_there_is(
    archive: Archive, kind: str
) -> None:
    ada = Writer("old")
    old = {"snapshot": (await ada.save(archive, ROOM)).version_id}
    old["save"] = await save(archive, "a.md", b"old")
    old["published"] = (await archive.publishing.file("a.md", b"old")).version_id
    await ada.type(" new").save(archive, ROOM)
    await save(archive, "a.md", b"old new")

    version = await archive.restore("a.md", old[kind])

    assert version.origin == f"restore:{old[kind]}"
    assert await text_in(archive, ROOM) == "old"
    [saved, *_] = await versions(archive, "a.md", kinds=("save",))
    assert (await raw(archive, "a.md", saved.version_id), saved.is_latest) == (b"old", True)
    assert saved.origin == f"restore:{old[kind]}"
    assert len(await versions(archive, "a.md")) == 6
    assert len(await versions(archive, "a.md", kinds=("published",))) == 1


async def test_what_was_only_published_becomes_a_save(archive: Archive) -> None:
    published = await archive.publishing.file("a.md", b"out")

    version = await archive.restore("a.md", published.version_id)

    assert (version.kind, version.key) == ("save", "workspace/a.md")
    assert await raw(archive, "a.md") == b"out"


async def test_restoring_what_is_current_makes_no_save(archive: Archive) -> None:
    for body in (b"one", json.dumps(notebook("x"), indent=3).encode()):
        path = "a.ipynb" if body.startswith(b"{") else "a.md"
        current = await save(archive, path, body)

        version = await archive.restore(path, current)

        assert version.version_id == current
        assert [v.version_id for v in await versions(archive, path)] == [current]


async def test_a_saved_notebook_comes_back_byte_by_byte(archive: Archive) -> None:
    old = json.dumps(notebook("a = 1"), indent=3).encode()
    first = await save(archive, "a.ipynb", old)
    await save(archive, "a.ipynb", notebook("b"))

    await archive.restore("a.ipynb", first)

    assert await raw(archive, "a.ipynb") == old


async def test_rooms_of_two_types_each_say_it_in_their_own_way(archive: Archive) -> None:
    text = Document("a.ipynb", "file")
    book = await room(archive, BOOK, notebook("a = 1"))
    source = await room(archive, text, json.dumps(notebook("a = 2")))
    saved = await save(archive, "a.ipynb", notebook("a = 3"))

    for version_id, wanted in ((book, "a = 1"), (source, "a = 2"), (saved, "a = 3")):
        await archive.restore("a.ipynb", version_id)
        assert sources((await archive.read(BOOK)).content) == [wanted]
        assert sources(json.loads((await archive.read(text)).content)) == [wanted]
        newest, *_ = await versions(archive, "a.ipynb", kinds=("save",))
        assert sources(json.loads(await raw(archive, "a.ipynb", newest.version_id))) == [wanted]


async def test_bytes_go_into_a_blob_and_a_save(archive: Archive) -> None:
    blob = Document("a.bin", "blob")
    await room(archive, blob, b"new")
    old = await save(archive, "a.bin", b"\xff\0")
    text = await save(archive, "a.bin", b"text")

    for version_id, wanted in ((old, b"\xff\0"), (text, b"text")):
        await archive.restore("a.bin", version_id)
        assert await raw(archive, blob) == wanted
        assert await raw(archive, "a.bin") == wanted


BROKEN = {
    "bytes": b"\xff",
    "text": b"<<<<<<< HEAD",
    "no cells": b'{"nbformat": 4}',
    "a cell that is a number": json.dumps({**notebook(), "cells": [1]}).encode(),
    "a source that is a dict": json.dumps({**notebook("x"), "cells": [{"source": {}}]}).encode(),
    "half a character": json.dumps(notebook("\ud83d")).encode(),
    "deep": b'{"cells": ' + b"[" * 5000 + b"]" * 5000 + b', "nbformat": 4}',
}


async def test_a_number_that_json_lacks_is_restored(archive: Archive) -> None:
    said = {**notebook("x"), "metadata": {"a": float("nan")}}
    old = await save(archive, "a.ipynb", json.dumps(said).encode())
    await room(archive, BOOK, notebook("now"))

    await archive.restore("a.ipynb", old)

    assert math.isnan((await archive.read(BOOK)).content["metadata"]["a"])


@pytest.mark.parametrize("what", BROKEN)
async def test_what_no_notebook_can_say_is_refused_before_anything_is_written(
    archive: Archive, what: str
) -> None:
    text = Document("a.ipynb", "file")
    broken = await save(archive, "a.ipynb", BROKEN[what])
    await save(archive, "a.ipynb", notebook("now"))
    await room(archive, text, json.dumps(notebook("now")))
    await room(archive, BOOK, notebook("now"))
    before = await versions(archive, "a.ipynb")

    with pytest.raises(UnsupportedDocument):
        await archive.restore("a.ipynb", broken)

    assert await versions(archive, "a.ipynb") == before
    assert sources((await archive.read(BOOK)).content) == ["now"]
    assert await raw(archive, "a.ipynb", broken) == BROKEN[what]


@pytest.mark.parametrize("what", BROKEN)
async def test_without_a_room_anything_that_was_saved_is_restored(
    archive: Archive, what: str
) -> None:
    broken = await save(archive, "a.ipynb", BROKEN[what])
    await save(archive, "a.ipynb", notebook("now"))

    await archive.restore("a.ipynb", broken)

    assert await raw(archive, "a.ipynb") == BROKEN[what]


async def test_a_deleted_file_is_restored_as_far_as_it_was_there(archive: Archive) -> None:
    ada = Writer("old")
    old = (await ada.save(archive, ROOM)).version_id
    await ada.type(" new").save(archive, ROOM)
    await save(archive, "a.md", b"old new")
    await archive.delete(ROOM)
    await archive.delete_file("a.md")

    await archive.restore("a.md", old)

    assert await text_in(archive, ROOM) == "old"
    [saved, _] = await versions(archive, "a.md", kinds=("save",))
    assert await raw(archive, "a.md", saved.version_id) == b"old"


async def test_what_was_deleted_of_a_living_file_stays_deleted(archive: Archive) -> None:
    ada = Writer("old")
    old = (await ada.save(archive, ROOM)).version_id
    await save(archive, "a.md", b"new")
    await archive.delete(ROOM)

    version = await archive.restore("a.md", old)

    assert version.kind == "save"
    assert await raw(archive, "a.md") == b"old"
    with pytest.raises(DocumentNotFound):
        await archive.load(ROOM)


async def test_a_version_from_before_a_rename(archive: Archive, s3_clock: Tick) -> None:
    ada = Writer("old")
    old = (await ada.save(archive, ROOM)).version_id
    await save(archive, "a.md", b"old")
    await s3_clock()
    await archive.renaming.rename(ROOM, Document("b.md", "file"))
    await archive.renaming.rename_file("a.md", "b.md")
    await save(archive, "b.md", b"new")

    await archive.restore("b.md", old)

    assert await text_in(archive, Document("b.md", "file")) == "old"
    [saved, *_] = await versions(archive, "b.md", kinds=("save",))
    assert (saved.path, await raw(archive, "b.md", saved.version_id)) == ("b.md", b"old")
    with pytest.raises(DocumentNotFound):
        await archive.read("a.md")


async def test_a_siblings_name_is_no_room(archive: Archive) -> None:
    first = await save(archive, "a.md", b"one")
    await save(archive, "a.md", b"two")
    for name in ("a.md.y.zst.bak", "a.md.unicode.y.zst.bak", "a.md.file.y.zst.md"):
        await save(archive, name, b"x")
        await room(archive, Document(name, "file"), "x")

    await archive.restore("a.md", first)

    assert await raw(archive, "a.md") == b"one"
    assert {v.kind for v in await versions(archive, "a.md")} == {"save"}
    assert await archive.snapshots.documents_under("a.md") == []
    await archive.delete_file("a.md")
    assert len(await archive.undelete("a.md")) == 1


async def test_a_room_alone_is_restored_without_the_file(archive: Archive) -> None:
    ada = Writer("old")
    old = (await ada.save(archive, ROOM)).version_id
    await ada.type(" new").save(archive, ROOM)
    saved = await save(archive, "a.md", b"old new")

    await archive.restore(ROOM, old)

    assert await text_in(archive, ROOM) == "old"
    assert [v.version_id for v in await versions(archive, "a.md", kinds=("save",))] == [saved]
    with pytest.raises(VersionNotFound):
        await archive.restore(ROOM, saved)


async def test_what_is_not_a_version_is_not_restored(archive: Archive) -> None:
    await save(archive, "a.md", b"one")
    other = await save(archive, "b.md", b"two")

    for path, version_id in (("a.md", other), ("a.md", ""), ("a.md", "x"), ("c.md", other)):
        with pytest.raises(VersionNotFound):
            await archive.restore(path, version_id)


async def test_a_restore_that_is_denied_says_so(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await save(archive, "a.md", b"one")
    await save(archive, "a.md", b"two")
    deny(archive, "put_object", monkeypatch)

    with pytest.raises(AccessDenied, match=r"a\.md"):
        await archive.restore("a.md", first)
    assert await raw(archive, "a.md") == b"two"


# -- undeleting ---------------------------------------------------------------------------------


async def test_all_of_a_deleted_file_comes_back(archive: Archive) -> None:
    rooms = [Document("a.md", type_) for type_ in ("file", "unicode")]
    last = {each: (await Writer(each.type or "").save(archive, each)).version_id for each in rooms}
    saved = await archive.save_file("a.md", b"saved", authors=("Ada",), content_type="text/plain")
    assert saved is not None
    for each in rooms:
        await archive.delete(each)
    await archive.delete_file("a.md")
    with pytest.raises(DocumentNotFound):
        await archive.read("a.md")

    back = await archive.undelete("a.md")

    found = {(v.kind, v.type): v for v in back}
    assert set(found) == {("snapshot", "file"), ("snapshot", "unicode"), ("save", None)}
    assert all(version.is_latest for version in back)
    for each in rooms:
        assert await text_in(archive, each) == each.type
        version = found["snapshot", each.type]
        assert (version.origin, version.parent) == (f"undelete:{last[each]}", last[each])
    assert found["save", None].parent == saved.version_id
    assert (await archive.bucket.head("workspace/a.md")).content_type == "text/plain"
    assert len(await versions(archive, "a.md")) == 6
    assert await archive.save_file("a.md", b"saved") is None


async def test_what_is_there_is_not_undeleted(archive: Archive) -> None:
    await Writer("one").save(archive, ROOM)
    await save(archive, "a.md", b"one")

    assert await archive.undelete("a.md") == []
    await archive.delete(ROOM)
    assert await archive.undelete("a.md") == []
    assert await raw(archive, "a.md") == b"one"
    await archive.delete_file("a.md")
    assert await archive.undelete("a.md") != []
    assert await archive.undelete("a.md") == []


async def test_what_never_was_cannot_be_undeleted(archive: Archive) -> None:
    await archive.publishing.file("a.md", b"published alone")
    await archive.bucket.delete("workspace/b.md")  # a marker of which nothing is left

    for path in ("a.md", "b.md", "c.md"):
        with pytest.raises(DocumentNotFound):
            await archive.undelete(path)
    assert await archive.files_under("b.md") == []


async def test_a_key_whose_versions_have_expired_stops_nothing(archive: Archive) -> None:
    version_id = await save(archive, "a.md", b"expired")
    await Writer("room").save(archive, ROOM)
    await archive.delete_file("a.md")
    await archive.delete(ROOM)
    await archive.bucket.delete("workspace/a.md", version_id)

    back = await archive.undelete("a.md")

    assert [v.kind for v in back] == ["snapshot"]
    assert await text_in(archive, ROOM) == "room"


async def test_the_last_before_the_last_deletion_comes_back(archive: Archive) -> None:
    for body in (b"one", b"two"):
        await save(archive, "a.md", body)
        for _ in range(3):
            await archive.bucket.delete("workspace/a.md")

    [back] = await archive.undelete("a.md")

    assert await raw(archive, "a.md") == b"two"
    assert len(await versions(archive, "a.md")) == 3
    assert back.origin.startswith("undelete:")


async def test_the_former_name_of_a_renamed_file_can_be_undeleted(
    archive: Archive, s3_clock: Tick
) -> None:
    await Writer("one").save(archive, ROOM)
    await save(archive, "a.md", b"one")
    await s3_clock()
    await archive.renaming.rename(ROOM, Document("b.md", "file"))
    await archive.renaming.rename_file("a.md", "b.md")
    await s3_clock()

    back = await archive.undelete("a.md")

    assert {v.path for v in back} == {"a.md"}
    for path in ("a.md", "b.md"):
        assert await raw(archive, path) == b"one"
        assert len(await versions(archive, path)) == 4
    # Each goes its own way from here:
    await save(archive, "a.md", b"two")
    assert len(await versions(archive, "b.md")) == 4


async def test_an_undeleted_document_goes_on_under_its_history(archive: Archive) -> None:
    ada = Writer("one")
    await ada.save(archive, ROOM)
    await archive.delete(ROOM)
    await archive.undelete("a.md")

    # Someone who still had it open, and knows nothing of it:
    await ada.type(" two").save(archive, ROOM)

    assert await text_in(archive, ROOM) == "one two"
    assert content_of("file", await archive.load(ROOM)) == "one two"
