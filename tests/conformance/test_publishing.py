"""What publishing and fetching promise, on every S3 server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pycrdt import Map

from bookstore_y.archive.archive import Archive
from bookstore_y.archive.version import Version, VersionMetadata
from bookstore_y.errors import (
    BookstoreError,
    BucketNotAllowed,
    BucketNotFound,
    DocumentNotFound,
    InvalidPath,
    NotFound,
    UnsupportedDocument,
    VersionNotFound,
)
from bookstore_y.keys import Document
from bookstore_y.ydoc.summary import lineage_of
from harness.servers import S3Server, make_bucket

from .conftest import Configure, Tick
from .documents import Writer, text_of, typed_doc

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

pytestmark = pytest.mark.any_server

ROOM = Document("a.md", "file")


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


async def saved(archive: Archive, path: str, body: bytes, **more: Any) -> Version:
    version = await archive.save_file(path, body, **more)
    assert version is not None
    return version


async def published(archive: Archive, path: str) -> list[Version]:
    page = await archive.history(path, kinds=("published",), details=True)
    return list(page.versions)


async def raw(archive: Archive, path: str) -> bytes:
    return (await archive.fetch(f"published/{path}")).raw()


# -- publishing ---------------------------------------------------------------------------------


async def test_the_newest_is_published_unless_a_version_is_named(
    archive: Archive, s3_clock: Tick
) -> None:
    first = await saved(archive, "a.md", b"one", authors=("Ada",))
    second = await saved(archive, "a.md", b"two")

    for version_id, body, origin in [
        (None, b"two", second.version_id),
        (first.version_id, b"one", first.version_id),
        (second.version_id, b"two", second.version_id),
    ]:
        version = await archive.publish("a.md", version_id)
        assert (version.key, version.kind, version.path) == ("published/a.md", "published", "a.md")
        assert version.origin == f"publish:{origin}"
        assert version.is_latest
        assert await raw(archive, "a.md") == body
    assert [v.authors for v in await published(archive, "a.md")] == [(), ("Ada",), ()]
    assert len((await archive.history("a.md")).versions) == 2


async def test_publishing_the_same_again_makes_no_version(archive: Archive) -> None:
    await saved(archive, "a.md", b"one")
    checkpoint = await Writer("room").save(archive, ROOM)

    first = await archive.publish("a.md", checkpoint.version_id)
    again = await archive.publish("a.md", checkpoint.version_id)

    assert first.version_id == again.version_id
    assert [v.version_id for v in await published(archive, "a.md")] == [first.version_id]
    entries = [e async for e in archive.bucket.listing.versions("published/a.md.file.y.zst")]
    assert len(entries) == 1


async def test_a_snapshot_is_published_as_a_file_and_as_itself(archive: Archive) -> None:
    ada = Writer("one")
    first = await ada.save(archive, ROOM, authors=("Ada",))
    await ada.type(" two").save(archive, ROOM)

    version = await archive.publish("a.md", first.version_id)

    assert (await archive.fetch("published/a.md")).raw() == b"one"
    assert (await archive.fetch("published/a.md.file.y.zst")).raw() == b"one"
    assert version.authors == ("Ada",)
    snapshot = await archive.bucket.head("published/a.md.file.y.zst")
    facts = VersionMetadata.from_metadata(snapshot.metadata)
    assert (facts.origin, facts.parent) == (f"publish:{first.version_id}", first.version_id)
    assert (facts.lineage, facts.authors) == (ada.lineage, ("Ada",))
    assert text_of(await archive.load(ROOM)) == "one two"
    await archive.publish("a.md")
    for key in ("published/a.md", "published/a.md.file.y.zst"):
        assert (await archive.fetch(key)).raw() == b"one two"


async def test_a_notebook_is_published_as_jupyter_writes_it(archive: Archive) -> None:
    update = typed_doc("notebook", notebook("a = 1")).get_update()
    await archive.save(
        Document("a.ipynb", "notebook"), update, VersionMetadata(lineage=lineage_of(update))
    )

    await archive.publish("a.ipynb")

    stored = await archive.bucket.get("published/a.ipynb")
    assert stored.content_type == "application/x-ipynb+json"
    assert stored.body.endswith(b"}\n")
    assert [cell["source"] for cell in json.loads(stored.body)["cells"]] in (["a = 1"], [["a = 1"]])
    fetched = await archive.fetch("published/a.ipynb.notebook.y.zst")
    assert (fetched.type, fetched.version.path) == ("notebook", "published/a.ipynb")


async def test_a_save_is_published_byte_by_byte(archive: Archive) -> None:
    for path, body in {
        "a.ipynb": json.dumps(notebook("a = 1"), indent=4).encode(),
        "b.ipynb": b"no notebook",
        "c.bin": b"\xff\0\xfe",
        "d.txt": b"",
        "e.txt": b"\r\n",
    }.items():
        await saved(archive, path, body)

        await archive.publish(path)

        assert await raw(archive, path) == body


async def test_a_file_and_its_published_snapshot_never_disagree(archive: Archive) -> None:
    checkpoint = await Writer("from the room").save(archive, ROOM)
    save = await saved(archive, "a.md", b"from a save")
    first = await archive.publish("a.md", checkpoint.version_id)

    await archive.publish("a.md", save.version_id)
    with pytest.raises(DocumentNotFound):
        await archive.fetch("published/a.md.file.y.zst")
    assert await raw(archive, "a.md") == b"from a save"

    await archive.publish("a.md", checkpoint.version_id)
    assert (await archive.fetch("published/a.md.file.y.zst")).raw() == b"from the room"
    await archive.publishing.file("a.md", b"from a request")
    with pytest.raises(DocumentNotFound):
        await archive.fetch("published/a.md.file.y.zst")
    # The room itself and what was published before stay:
    assert text_of(await archive.load(ROOM)) == "from the room"
    assert (await archive.read("a.md", first.version_id)).raw() == b"from the room"


async def test_a_published_version_can_be_published_again(archive: Archive) -> None:
    old = await archive.publishing.file("a.md", b"old", authors=("Ada",))
    await archive.publishing.file("a.md", b"new")

    again = await archive.publish("a.md", old.version_id)

    assert await raw(archive, "a.md") == b"old"
    assert (again.origin, again.authors) == (f"publish:{old.version_id}", ("Ada",))
    assert len(await published(archive, "a.md")) == 3


async def test_a_version_from_before_a_rename_is_published_under_the_name_asked_for(
    archive: Archive, s3_clock: Tick
) -> None:
    checkpoint = await Writer("room").save(archive, ROOM)
    save = await saved(archive, "a.md", b"save")
    await s3_clock()
    await archive.renaming.rename(ROOM, Document("b.md", "file"))
    await archive.renaming.rename_file("a.md", "b.md")

    for version_id, body in ((checkpoint.version_id, b"room"), (save.version_id, b"save")):
        version = await archive.publish("b.md", version_id)
        assert (version.key, version.path) == ("published/b.md", "b.md")
        assert await raw(archive, "b.md") == body
    with pytest.raises(DocumentNotFound):
        await archive.fetch("published/a.md")


async def test_content_of_any_file_is_published(archive: Archive) -> None:
    version = await archive.publishing.file("dir/a b.ipynb", b"{}", authors=("Ada",))
    again = await archive.publishing.file("dir/a b.ipynb", b"{}")

    assert again.version_id == version.version_id
    assert (version.key, version.origin) == ("published/dir/a b.ipynb", "publish")
    assert version.authors == ("Ada",)
    for path in ("", "/a", "../a", "a.y.zst", "x" * 1025):
        with pytest.raises(InvalidPath):
            await archive.publishing.file(path, b"{}")


async def test_what_is_not_there_is_not_published(archive: Archive) -> None:
    save = await saved(archive, "a.md", b"one")

    with pytest.raises(DocumentNotFound):
        await archive.publish("b.md")
    with pytest.raises(VersionNotFound):
        await archive.publish("b.md", save.version_id)
    for version_id in ("", "unknown"):
        with pytest.raises(VersionNotFound):
            await archive.publish("a.md", version_id)
    await archive.delete_file("a.md")
    with pytest.raises(DocumentNotFound):
        await archive.publish("a.md")
    assert [entry async for entry in archive.bucket.listing.under("published/")] == []


@pytest.mark.parametrize("type", [None, "drawing"])
async def test_a_document_of_no_known_type_is_not_published(
    archive: Archive, type: str | None
) -> None:
    writer = Writer("one")
    writer.doc["shapes"] = Map({"a": "circle"})  # or it would be taken for a text
    await writer.save(archive, Document("a.md", type))

    with pytest.raises(UnsupportedDocument):
        await archive.publish(Document("a.md", type))
    assert [entry async for entry in archive.bucket.listing.under("published/")] == []


# -- fetching -----------------------------------------------------------------------------------


@pytest.fixture
def other_bucket(s3_server: S3Server) -> str:
    return make_bucket(s3_server)


async def test_any_object_of_the_configured_bucket_is_fetched(archive: Archive) -> None:
    first = await saved(archive, "a.md", b"one")
    await saved(archive, "a.md", b"two")
    await archive.bucket.put("elsewhere/x y+%.bin", b"\xff", {})
    await Writer("room").save(archive, ROOM)

    assert (await archive.fetch("workspace/a.md")).raw() == b"two"
    assert (await archive.fetch("workspace/a.md", version_id=first.version_id)).raw() == b"one"
    assert (await archive.fetch("elsewhere/x y+%.bin")).format == "base64"
    snapshot = await archive.fetch("workspace/a.md.file.y.zst")
    assert (snapshot.content, snapshot.version.path) == ("room", "workspace/a.md")
    named = await archive.fetch("workspace/a.md", bucket=archive.settings.s3_bucket)
    assert named.raw() == b"two"


async def test_another_bucket_must_be_allowed(
    configure: Configure, boto3_client: S3Client, bucket_name: str, other_bucket: str
) -> None:
    boto3_client.put_object(Bucket=other_bucket, Key="a.md", Body=b"theirs")

    for allowed in ([], ["another"], [other_bucket + "x"], [other_bucket[:-1]], [""]):
        async with Archive(configure(clone_buckets=allowed)) as archive:
            with pytest.raises(BucketNotAllowed, match="clone_buckets"):
                await archive.fetch("a.md", bucket=other_bucket)
    for allowed in ([other_bucket], ["x", other_bucket], ["*"]):
        async with Archive(configure(clone_buckets=allowed)) as archive:
            assert (await archive.fetch("a.md", bucket=other_bucket)).raw() == b"theirs"
            with pytest.raises(DocumentNotFound):
                await archive.fetch("a.md", bucket=bucket_name)


async def test_what_cannot_be_fetched_says_so(configure: Configure) -> None:
    async with Archive(configure(clone_buckets=["*"])) as archive:
        await saved(archive, "a.md", b"one")
        for key in ("none", "workspace/", "workspace/b.md.file.y.zst", "", "\ud800", "x" * 2000):
            with pytest.raises(NotFound):
                await archive.fetch(key)
        for version_id in ("", "unknown", "x" * 2000, "\ud800"):
            with pytest.raises(VersionNotFound):
                await archive.fetch("workspace/a.md", version_id=version_id)
        for bucket in ("has space", "../x", "\ud800", "x" * 300, "no-such-bucket-anywhere"):
            with pytest.raises(BucketNotFound):
                await archive.fetch("workspace/a.md", bucket=bucket)
        for key in ("a\0b", "/", "../../etc/passwd", "a\nb"):
            with pytest.raises(BookstoreError):
                await archive.fetch(key)
