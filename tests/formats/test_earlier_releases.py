"""What earlier releases wrote is read: buckets, buffer files and recovery files.

`harness/written_by.py` wrote each directory of tests/data, with the release it is named after.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pycrdt
import pytest
import pytest_asyncio
import zstandard
from jupyter_ydoc import ydocs
from moto.s3.models import s3_backends
from traitlets.config import Config

from bookstore_y import Archive, BookstoreSettings
from bookstore_y.archive.version import Version
from bookstore_y.buffer.recovery import BufferOptions
from bookstore_y.errors import DocumentNotFound
from bookstore_y.replication.checkpointer import Checkpointer
from harness.jupyter.notebooks import normalized
from harness.servers import S3Server, connect, s3_options
from harness.written_by import BUCKET, PREFIX

Json = dict[str, Any]

RELEASES = sorted(Path(__file__).parents[1].joinpath("data").iterdir())
ACCOUNT = "123456789012"
"""moto's own, where the credentials name none."""


@dataclass(frozen=True)
class Written:
    """What one release wrote: `bucket` has all versions and delete markers, oldest first."""

    directory: Path
    bucket: list[Json]
    expected: Json

    def buffer(self, target: Path) -> Path:
        """A copy of the buffer file."""
        return _decompressed(self.directory / "buffer.db.zst", target)

    def recovery(self, directory: Path) -> Path:
        """A copy of the recovery file, below a directory of such files."""
        (file,) = self.directory.glob("recovery/*/*.zst")
        return _decompressed(file, directory / file.parent.name / file.stem)


def _decompressed(file: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(zstandard.decompress(file.read_bytes()))
    return target


@pytest.fixture(params=RELEASES, ids=[release.name for release in RELEASES])
def written(request: pytest.FixtureRequest) -> Written:
    directory: Path = request.param
    bucket = json.loads(zstandard.decompress((directory / "bucket.json.zst").read_bytes()))
    return Written(directory, bucket, json.loads((directory / "expected.json").read_text()))


@pytest.fixture
def settings(moto_server: S3Server, written: Written) -> Iterator[BookstoreSettings]:
    """Settings for the bucket as it was, version ids and times included."""
    client = connect(moto_server)
    client.create_bucket(Bucket=BUCKET)
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    bucket = s3_backends[ACCOUNT]["aws"].buckets[BUCKET]
    for entry in written.bucket:
        _put_back(client, bucket, entry)
    options = {**s3_options(moto_server, BUCKET), "workspace_prefix": PREFIX, "max_attempts": 1}
    yield BookstoreSettings(config=Config({"BookstoreSettings": options}))
    listed = client.list_object_versions(Bucket=BUCKET)
    for each in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
        client.delete_object(Bucket=BUCKET, Key=each["Key"], VersionId=each["VersionId"])
    client.delete_bucket(Bucket=BUCKET)


def _put_back(client: Any, bucket: Any, entry: Json) -> None:
    key = entry["key"]
    if "body" in entry:
        client.put_object(
            Bucket=BUCKET,
            Key=key,
            Body=base64.b64decode(entry["body"]),
            ContentType=entry["content_type"],
            Metadata=entry["metadata"],
        )
    else:
        client.delete_object(Bucket=BUCKET, Key=key)
    version = bucket.keys.getlist(key)[-1]
    version._version_id = entry["version_id"]
    version.last_modified = datetime.fromisoformat(entry["last_modified"]).replace(tzinfo=None)
    if entry.get("tags"):
        tags = [{"Key": name, "Value": value} for name, value in entry["tags"].items()]
        client.put_object_tagging(
            Bucket=BUCKET, Key=key, VersionId=entry["version_id"], Tagging={"TagSet": tags}
        )


@pytest_asyncio.fixture
async def archive(settings: BookstoreSettings) -> AsyncIterator[Archive]:
    async with Archive(settings) as archive:
        yield archive


async def history(archive: Archive, path: str) -> list[Version]:
    """All versions of a file, newest first, with all that is known of each."""
    page = await archive.history(path, limit=1000, details=True)
    return list(page.versions)


async def says(archive: Archive, path: str) -> Any:
    """The content of a document's current version."""
    kind = "notebook" if path.endswith(".ipynb") else "file"
    return content_of(kind, await archive.load(path))


def plain(content: Any) -> Any:
    """Content without what a server adds or spells differently when it loads a file."""
    return normalized(content) if isinstance(content, dict) else content


def content_of(kind: str, update: bytes) -> Any:
    """What an update says, by jupyter_ydoc alone."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    document = ydocs[kind](doc)
    doc.apply_update(update)
    return plain(document.source)


def type_of(key: str) -> tuple[str, str]:
    """Path and type of the document whose snapshots are at a key."""
    path, _, kind = key.partition("/")[2].removesuffix(".y.zst").rpartition(".")
    return path, kind


# -- the bucket ----------------------------------------------------------------------------------


async def test_every_snapshot_of_a_document_says_what_yjs_alone_makes_of_it(
    archive: Archive, written: Written
) -> None:
    kinds = set()
    for entry in written.bucket:
        if "body" not in entry or not entry["key"].endswith(".y.zst"):
            continue
        path, kind = type_of(entry["key"])
        expected = content_of(kind, zstandard.decompress(base64.b64decode(entry["body"])))
        if entry["key"].startswith(f"{PREFIX}/"):
            read = await archive.read(path, entry["version_id"])
        else:
            read = await archive.fetch(entry["key"], version_id=entry["version_id"])
        assert plain(read.content) == expected, entry["key"]
        kinds.add(kind)
    assert kinds == {"notebook", "file"}


async def test_every_saved_or_published_file_comes_back_byte_by_byte(
    archive: Archive, written: Written
) -> None:
    published = 0
    for entry in written.bucket:
        key = entry["key"]
        if "body" not in entry or key.endswith(".y.zst") or "/.bookstore/" in key:
            continue
        if key.startswith(f"{PREFIX}/"):
            read = await archive.read(key.removeprefix(f"{PREFIX}/"), entry["version_id"])
        else:
            read = await archive.fetch(key, version_id=entry["version_id"])
            published += 1
        assert read.raw() == base64.b64decode(entry["body"]), key
    assert published


async def test_documents_say_what_was_last_typed_into_them(
    archive: Archive, written: Written
) -> None:
    for path, content in written.expected["archived"].items():
        assert await says(archive, path) == plain(content), path


async def test_notebooks_of_old_formats_stay_what_they_were(
    archive: Archive, written: Written
) -> None:
    minors = {
        path: (await says(archive, path))["nbformat_minor"]
        for path in ("analysis.ipynb", "nbformat-4.4.ipynb", "nbformat-3.ipynb")
    }
    assert minors["analysis.ipynb"] == 5
    assert minors["nbformat-4.4.ipynb"] == 4
    assert {path: (await says(archive, path))["nbformat"] for path in minors} == dict.fromkeys(
        minors, 4
    )


async def test_a_renamed_document_has_the_versions_from_before(
    archive: Archive, written: Written
) -> None:
    versions = await history(archive, "report.ipynb")
    assert {version.path for version in versions} == {"report.ipynb", "draft.ipynb"}
    assert any(version.origin == "renamed-from:draft.ipynb" for version in versions)
    assert await archive.load("report.ipynb")


async def test_a_deleted_document_is_gone_and_can_be_had_back(archive: Archive) -> None:
    with pytest.raises(DocumentNotFound):
        await archive.load("scrap.ipynb")
    last = (await history(archive, "scrap.ipynb"))[0].version_id
    before = await archive.read("scrap.ipynb", last)
    await archive.undelete("scrap.ipynb")
    assert await says(archive, "scrap.ipynb") == plain(before.content)


async def test_a_label_and_a_restoring_are_known(archive: Archive) -> None:
    versions = await history(archive, "analysis.ipynb")
    (labelled,) = [version for version in versions if version.label]
    assert labelled.label == "as submitted, süd"
    assert f"restore:{labelled.version_id}" in {version.origin for version in versions}


# -- the files beside it -------------------------------------------------------------------------


async def test_what_a_buffer_file_holds_is_archived_and_its_path_changes_are_followed(
    settings: BookstoreSettings, written: Written, tmp_path: Path
) -> None:
    buffer = written.buffer(tmp_path / "buffer.db")
    options = BufferOptions(str(buffer), str(tmp_path / "recovery"))
    async with Checkpointer(settings, options) as checkpointer:
        assert await checkpointer.flush(30) == {}
    async with Archive(settings) as archive:
        for path, content in written.expected["buffered"].items():
            assert await says(archive, path) == plain(content), path
        for gone in ("moving.md", "leaving.md"):
            with pytest.raises(DocumentNotFound):
                await archive.load(gone)


async def test_what_a_recovery_file_holds_is_archived_and_the_file_removed(
    settings: BookstoreSettings, written: Written, tmp_path: Path
) -> None:
    file = written.recovery(tmp_path)
    async with Checkpointer(settings, BufferOptions(recovery_dir=str(tmp_path))) as checkpointer:
        assert await checkpointer.flush(30) == {}
    assert not file.exists()
    async with Archive(settings) as archive:
        for path, content in written.expected["recovered"].items():
            assert await says(archive, path) == plain(content), path
