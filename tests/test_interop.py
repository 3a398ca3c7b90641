"""What is in the bucket is read without anything of this package."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_ydoc import YNotebook

from bookstore_y.archive.archive import Archive
from bookstore_y.archive.version import VersionMetadata
from bookstore_y.keys import Document
from bookstore_y.settings import BookstoreSettings
from bookstore_y.ydoc.summary import lineage_of
from harness.jupyter.notebooks import normalized, sample_notebook
from harness.servers import S3Server, s3_options

from .yjs import Read

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

DOCUMENT = Document("Gezeiten 🌊.ipynb", "notebook")
KEY = "workspace/Gezeiten 🌊.ipynb.notebook.y.zst"


async def save(server: S3Server, bucket: str, notebook: YNotebook) -> None:
    update = notebook.ydoc.get_update()
    async with Archive(BookstoreSettings(**s3_options(server, bucket))) as archive:
        await archive.save(DOCUMENT, update, VersionMetadata(lineage=lineage_of(update)))


def zstd(*arguments: str, data: bytes) -> bytes:
    """What the `zstd` command-line tool makes of `data`."""
    if shutil.which("zstd") is None:
        pytest.skip("needs the zstd command-line tool")
    done = subprocess.run(["zstd", *arguments], input=data, capture_output=True, check=True)
    return done.stdout


def as_saved(content: dict[str, Any]) -> dict[str, Any]:
    """The notebook that the roots `cells` and `meta` of a document spell."""
    for cell in content["cells"]:
        cell.pop("execution_state", None)  # the room's, not the file's
    return normalized({**content["meta"], "cells": content["cells"]})


async def test_a_snapshot_is_read_by_the_zstd_tool_and_by_yjs(
    s3_server: S3Server, bucket_name: str, boto3_client: S3Client, yjs_read: Read
) -> None:
    notebook = YNotebook()
    notebook.set(sample_notebook())
    await save(s3_server, bucket_name, notebook)

    frame = boto3_client.get_object(Bucket=bucket_name, Key=KEY)["Body"].read()
    update = zstd("--decompress", "--stdout", data=frame)
    content = yjs_read(update, {"cells": "array", "meta": "map"})

    assert update == notebook.ydoc.get_update()
    assert as_saved(content) == normalized(sample_notebook())


async def test_what_the_zstd_tool_and_yjs_people_wrote_is_read(
    s3_server: S3Server, bucket_name: str, boto3_client: S3Client
) -> None:
    notebook = YNotebook()
    notebook.set(sample_notebook())
    frame = zstd("--compress", "--stdout", "-19", data=notebook.ydoc.get_update())
    boto3_client.put_object(Bucket=bucket_name, Key=KEY, Body=frame)

    async with Archive(BookstoreSettings(**s3_options(s3_server, bucket_name))) as archive:
        update = await archive.load(DOCUMENT.path)

    read = YNotebook()
    read.ydoc.apply_update(update)
    assert normalized(read.get()) == normalized(sample_notebook())


def test_the_zstd_tool_finds_a_sound_frame_with_its_size_and_checksum() -> None:
    from bookstore_y.ydoc.frame import compress

    notebook = YNotebook()
    notebook.set(sample_notebook())
    frame = compress(notebook.ydoc.get_update())

    zstd("--test", data=frame)
    with pytest.raises(subprocess.CalledProcessError):
        zstd("--test", data=frame[:-1] + bytes([frame[-1] ^ 1]))
