"""The bucket's copies, and the last version that had an edit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pycrdt import Array, Doc

from bookstore_y import Archive, BookstoreSettings
from bookstore_y.archive.version import VersionMetadata
from bookstore_y.keys import Document
from bookstore_y.stress import marks
from bookstore_y.stress.bucket_copies import load, trace
from bookstore_y.stress.result import Failure
from harness.servers import S3Server, s3_options

PATH = "stress/a.ipynb"
MARK = marks.make("c1", 0, at=1)


@pytest.fixture
def settings(moto_server: S3Server, moto_bucket: str) -> BookstoreSettings:
    return BookstoreSettings(**s3_options(moto_server, moto_bucket))


async def a_version(settings: BookstoreSettings, *sources: str) -> str:
    """A version of these cells, by another program that keeps no history."""
    doc: Doc[Any] = Doc({"cells": Array([{"source": source} for source in sources])})
    async with Archive(settings) as archive:
        key = archive.key(Document(PATH, "notebook"))
        await archive.bucket.delete(key)
        saved = await archive.save(Document(PATH, "notebook"), doc.get_update(), VersionMetadata())
        return saved.version_id


def lost(mark: str) -> Failure:
    return Failure("lost", PATH, marks.author(mark), mark, "bucket")


async def test_the_last_version_that_had_an_edit_is_named(settings: BookstoreSettings) -> None:
    had = [await a_version(settings, MARK), await a_version(settings, MARK, "more")]
    await a_version(settings, "more")
    never = marks.make("c2", 0, at=1)
    first, second = await trace(settings, [lost(MARK), lost(never)])
    assert first.last_version == had[1]
    assert second.last_version is None
    assert str(first) == f"{PATH}: {MARK} of c1 lost in bucket; last in version {had[1]}"


async def test_a_version_that_has_it_twice_is_not_one_that_had_it(
    settings: BookstoreSettings,
) -> None:
    had = await a_version(settings, MARK)
    await a_version(settings, MARK, MARK)
    (failure,) = await trace(settings, [Failure("doubled", PATH, "c1", MARK, "bucket")])
    assert failure.last_version == had


async def test_what_is_compared_is_kept(settings: BookstoreSettings, tmp_path: Path) -> None:
    await a_version(settings, MARK)
    copies, missing = await load(settings, [PATH, "stress/none.ipynb"], tmp_path)
    (copy,) = copies
    assert (copy.holder, copy.document) == ("bucket", PATH)
    assert copy.content["cells"] == [{"source": MARK}]
    assert (tmp_path / "stress%2Fa.ipynb.bucket.y").exists()
    (sentence,) = missing
    assert sentence.startswith("stress/none.ipynb cannot be loaded from the bucket: ")
