"""What a document is called now that was open some time ago, on every S3 server."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from bookstore_y.archive.archive import Archive
from bookstore_y.keys import Document

from .conftest import Tick
from .documents import Writer

pytestmark = pytest.mark.any_server

A, B, C = (Document(f"{name}.md", "file") for name in "abc")
OURS, OTHER = "the file id of our disk", "that of another"


def _now() -> datetime:
    return datetime.now(timezone.utc)


async def _written(archive: Archive, document: Document = A, text: str = "ours") -> datetime:
    """When the document was opened that is at the path from now on."""
    opened = _now()
    await Writer(text).save(archive, document, file_id=OURS)
    return opened


async def test_a_document_that_stayed_is_where_it_was(archive: Archive) -> None:
    opened = await _written(archive)
    for since in (opened, _now()):
        assert await archive.tracing.whereabouts(A, since, OURS) == A


async def test_what_the_archive_never_had_is_nowhere(archive: Archive) -> None:
    await _written(archive)
    assert await archive.tracing.whereabouts(B, _now(), OURS) is None
    assert await archive.tracing.whereabouts(Document(A.path, "notebook"), _now(), OURS) is None


async def test_a_renamed_document_is_followed(archive: Archive, s3_clock: Tick) -> None:
    opened = await _written(archive)
    await s3_clock()
    await archive.renaming.rename(A, B)
    assert await archive.tracing.whereabouts(A, opened, OURS) == B
    await s3_clock()
    await archive.renaming.rename(B, C)
    for path, file_id in ((A, OURS), (A, OTHER), (B, OURS)):
        assert await archive.tracing.whereabouts(path, opened, file_id) == C


async def test_a_document_that_was_renamed_and_back_is_where_it_was(
    archive: Archive, s3_clock: Tick
) -> None:
    opened = await _written(archive)
    for source, target in ((A, B), (B, A)):
        await s3_clock()
        await archive.renaming.rename(source, target)
    assert await archive.tracing.whereabouts(A, opened, OURS) == A
    await s3_clock()
    await archive.delete(A)
    assert await archive.tracing.whereabouts(A, opened, OURS) is None


async def test_a_deleted_document_is_nowhere_until_it_is_undeleted(
    archive: Archive, s3_clock: Tick
) -> None:
    opened = await _written(archive)
    await s3_clock()
    await archive.delete(A)
    assert await archive.tracing.whereabouts(A, opened, OURS) is None
    await s3_clock()
    await archive.undelete(A.path)
    assert await archive.tracing.whereabouts(A, opened, OURS) == A


async def test_another_document_of_the_same_name_and_beginning_is_not_taken_for_it(
    archive: Archive,
) -> None:
    """All of it within a second, in which S3 does not tell what came first."""
    opened = await _written(archive, text="")
    await archive.delete(A)
    await Writer("").save(archive, A, file_id=OTHER)
    assert await archive.tracing.whereabouts(A, opened, OURS) is None
    assert await archive.tracing.whereabouts(A, opened, OTHER) == A


async def test_another_document_is_not_taken_for_one_that_no_version_was_made_of(
    archive: Archive, s3_clock: Tick
) -> None:
    opened = _now()
    await s3_clock()
    another = Writer("another")
    await another.save(archive, A, file_id=OTHER)
    assert await archive.tracing.whereabouts(A, opened, OURS) is None
    assert await archive.tracing.whereabouts(A, opened, OTHER) == A


async def test_a_document_that_a_tab_brought_is_found_by_its_ids_on_both_disks(
    archive: Archive, s3_clock: Tick
) -> None:
    opened = _now()
    await s3_clock()
    brought = Writer("brought")
    await brought.save(archive, A, file_id="here", former_file_id=OURS)
    for _ in range(2):
        assert await archive.tracing.whereabouts(A, opened, OURS) == A
        assert await archive.tracing.whereabouts(A, opened, "here") == A
        assert await archive.tracing.whereabouts(A, opened, OTHER) is None
        await brought.type(", and went on").save(archive, A, file_id="here")


async def test_a_document_whose_name_another_took_is_followed(
    archive: Archive, s3_clock: Tick
) -> None:
    opened = await _written(archive)
    await s3_clock()
    await archive.renaming.rename(A, B)
    await s3_clock()
    await Writer("another").save(archive, A, file_id=OTHER)
    assert await archive.tracing.whereabouts(A, opened, OURS) == B
    assert await archive.tracing.whereabouts(A, opened, OTHER) == A


async def test_a_document_that_was_displaced_is_nowhere(archive: Archive, s3_clock: Tick) -> None:
    opened = await _written(archive)
    await Writer("another").save(archive, B, file_id=OTHER)
    await s3_clock()
    await archive.renaming.rename(B, A)
    assert await archive.tracing.whereabouts(A, opened, OURS) is None
    assert await archive.tracing.whereabouts(B, opened, OTHER) == A


async def test_a_document_made_after_a_deletion_is_found(archive: Archive, s3_clock: Tick) -> None:
    await _written(archive)
    await archive.delete(A)
    await s3_clock()
    await s3_clock()
    opened = _now()
    await Writer("new").save(archive, A, file_id=OTHER)
    assert await archive.tracing.whereabouts(A, opened, OTHER) == A
