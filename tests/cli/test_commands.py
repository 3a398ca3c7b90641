"""What people do with their history, command by command, on each S3 server."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bookstore_y import Archive
from bookstore_y.local.waiting import eventually

from .commands import Commands, notebook
from .conftest import Save

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

pytestmark = pytest.mark.usefixtures("on_each")

ODD = "Übung [bold]b[/bold] 100% + 'q' \"d\" cafe\u0301 🎉.txt"
"""Markup, quotes, what URLs are made of, decomposed Unicode and an emoji, in one name."""


def test_files_are_listed_by_path_and_deleted_ones_are_not(
    jupyter_bookstore: Commands, save: Save, boto3_client: S3Client, on_each: str
) -> None:
    for path in ("b.txt", "a/c.txt", "gone.txt"):
        save(path, b"text")
    boto3_client.delete_object(Bucket=on_each, Key="workspace/gone.txt")
    listed = jupyter_bookstore.json("ls")["files"]
    assert [file["path"] for file in listed] == ["a/c.txt", "b.txt"]
    (below,) = jupyter_bookstore.json("ls", "a")["files"]
    assert below["path"] == "a/c.txt"


def test_a_name_is_taken_and_printed_as_it_is(jupyter_bookstore: Commands, save: Save) -> None:
    version = save(ODD, b"odd")
    assert ODD in jupyter_bookstore.ok("ls")
    assert version.version_id in jupyter_bookstore.ok("versions", ODD)
    assert jupyter_bookstore.ok("show", ODD, "--raw") == "odd"


def test_a_moment_shows_what_there_was_then(jupyter_bookstore: Commands, save: Save) -> None:
    first = save("notes.txt", b"first")
    until_later(first.last_modified)
    then = datetime.now(timezone.utc).isoformat()
    until_later(datetime.now(timezone.utc))
    save("notes.txt", b"second")
    save("later.txt", b"later")
    assert jupyter_bookstore.ok("show", "notes.txt", "--at", then, "--raw") == "first"
    (file,) = jupyter_bookstore.json("ls", "--at", then)["files"]
    assert file["versions"][0]["version_id"] == first.version_id


def until_later(when: datetime) -> None:
    """S3 tells times by the second, so what comes next has to be in another one."""
    asyncio.run(
        eventually(
            lambda: datetime.now(timezone.utc).timestamp() > when.timestamp() + 1, "a second"
        )
    )


def test_versions_are_newest_first_as_many_as_asked_for(
    jupyter_bookstore: Commands, save: Save
) -> None:
    ids = [save("notes.txt", f"{i}".encode()).version_id for i in range(5)]
    assert [v["version_id"] for v in jupyter_bookstore.versions("notes.txt")] == ids[::-1]
    some = jupyter_bookstore.json("versions", "notes.txt", "--limit", "2")
    assert [v["version_id"] for v in some["versions"]] == ids[:2:-1]
    assert not some["complete"]
    assert len(jupyter_bookstore.versions("notes.txt", "--all")) == 5


def test_versions_are_found_by_author_label_and_time(
    jupyter_bookstore: Commands, save: Save
) -> None:
    ada = save("notes.txt", b"one", "Ada").version_id
    zoe = save("notes.txt", b"two", "Zoë").version_id
    jupyter_bookstore.ok("label", "notes.txt", zoe, "[b]sent to the board 🎉")
    (by,) = jupyter_bookstore.versions("notes.txt", "--author", "Ada")
    assert by["version_id"] == ada
    (labelled,) = jupyter_bookstore.versions("notes.txt", "--labelled")
    assert (labelled["version_id"], labelled["label"]) == (zoe, "[b]sent to the board 🎉")
    assert "[b]sent to the board 🎉" in jupyter_bookstore.ok("versions", "notes.txt", "--details")
    assert jupyter_bookstore.versions("notes.txt", "--until", "2020-01-01") == []
    assert len(jupyter_bookstore.versions("notes.txt", "--since", "1h")) == 2
    assert jupyter_bookstore.versions("notes.txt", "--kind", "snapshot", "--kind", "save")


def test_a_label_goes_as_it_came(jupyter_bookstore: Commands, save: Save) -> None:
    save("notes.txt", b"one")
    for unlabel in (
        ["unlabel", "notes.txt", "latest"],
        ["label", "notes.txt", "latest", "--remove"],
    ):
        jupyter_bookstore.ok("label", "notes.txt", "latest", "v1")
        assert jupyter_bookstore.json(*unlabel)["version"]["label"] is None
        assert jupyter_bookstore.versions("notes.txt", "--labelled") == []


def test_the_first_characters_of_an_id_name_a_version(
    jupyter_bookstore: Commands, save: Save
) -> None:
    first = save("notes.txt", b"first").version_id
    second = save("notes.txt", b"second").version_id
    length = next(n for n in range(4, 99) if first[:n] != second[:n])
    assert (
        jupyter_bookstore.ok("show", "notes.txt", "--version", first[:length], "--raw") == "first"
    )
    assert jupyter_bookstore.ok("show", "notes.txt", "--version", second, "--raw") == "second"


def test_a_notebook_is_compared_cell_by_cell(jupyter_bookstore: Commands, save: Save) -> None:
    first = save("a.ipynb", notebook("x = 1", "y = [1]")).version_id
    save("a.ipynb", notebook("x = 2", "y = [1]", "print('[red]new')"))
    said = jupyter_bookstore.ok("diff", "a.ipynb", first)
    assert "- x = 1\n+ x = 2\n" in said
    assert "+ print('[red]new')" in said
    assert "y = [1]" not in said
    document = jupyter_bookstore.json("diff", "a.ipynb", first, "latest")
    assert document["type"] == "notebook"
    assert document["changed"]


def test_a_text_is_compared_line_by_line(jupyter_bookstore: Commands, save: Save) -> None:
    first = save("a.py", b"same\nold\n").version_id
    second = save("a.py", b"same\nnew\n").version_id
    assert "  same\n- old\n+ new\n" in jupyter_bookstore.ok("diff", "a.py", first)
    assert "- new\n+ old\n" in jupyter_bookstore.ok("diff", "a.py", second, first)
    assert "They are the same." in jupyter_bookstore.ok("diff", "a.py", second)


def test_a_restored_version_is_the_newest_and_none_is_lost(
    jupyter_bookstore: Commands, save: Save
) -> None:
    first = save("a.ipynb", notebook("x = 1")).version_id
    save("a.ipynb", notebook("x = 2"))
    restored = jupyter_bookstore.json("restore", "a.ipynb", first)
    assert restored["restored"]["version_id"] == first
    assert restored["server"] is None
    versions = jupyter_bookstore.versions("a.ipynb", "--details")
    assert len(versions) == 3
    assert versions[0]["origin"] == f"restore:{first}"
    assert "x = 1" in jupyter_bookstore.ok("show", "a.ipynb")


def test_a_deleted_file_comes_back(
    jupyter_bookstore: Commands, save: Save, boto3_client: S3Client, on_each: str
) -> None:
    save("notes.txt", b"text")
    boto3_client.delete_object(Bucket=on_each, Key="workspace/notes.txt")
    assert jupyter_bookstore("show", "notes.txt").code == 3
    assert len(jupyter_bookstore.json("undelete", "notes.txt")["versions"]) == 1
    assert jupyter_bookstore.ok("show", "notes.txt", "--raw") == "text"
    assert "was not deleted" in jupyter_bookstore.ok("undelete", "notes.txt")


def test_what_was_published_is_cloned(
    jupyter_bookstore: Commands, save: Save, tmp_path: Path
) -> None:
    first = save("dir/a b.txt", b"first").version_id
    published = jupyter_bookstore.json("publish", "dir/a b.txt")["version"]["version_id"]
    save("dir/a b.txt", b"second")
    jupyter_bookstore.ok("publish", "dir/a b.txt")
    again = jupyter_bookstore.json("publish", "dir/a b.txt", "--version", first)
    assert again["version"]["key"] == "published/dir/a b.txt"
    key, here = "published/dir/a b.txt", str(tmp_path)
    assert Path(jupyter_bookstore.json("clone", key, here)["path"]).read_bytes() == b"first"
    assert Path(jupyter_bookstore.json("clone", key, here)["path"]).name == "a b-1.txt"
    jupyter_bookstore.ok("clone", key, here, "--version", published, "--overwrite")
    assert (tmp_path / "a b.txt").read_bytes() == b"first"
    assert sorted(p.name for p in tmp_path.glob("*.txt")) == ["a b-1.txt", "a b.txt"]
    (file,) = jupyter_bookstore.json("ls", "--published")["files"]
    assert file["path"] == "dir/a b.txt"


def test_all_is_well_with_a_good_bucket_and_nothing_is_left_in_it(
    jupyter_bookstore: Commands, boto3_client: S3Client, on_each: str
) -> None:
    said = jupyter_bookstore.json("doctor")
    assert said["ok"], said["findings"]
    assert {f["check"] for f in said["findings"]} >= {
        "settings",
        "credentials",
        "bucket",
        "clock",
        "versioning",
        "lifecycle",
        "right to list versions",
        "checksums",
        "conditional writes",
        "latency",
    }
    left = boto3_client.list_object_versions(Bucket=on_each)
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")


def test_lifecycle_rules_join_those_that_the_bucket_has(
    jupyter_bookstore: Commands, boto3_client: S3Client, on_each: str
) -> None:
    theirs = {
        "ID": "theirs",
        "Status": "Enabled",
        "Filter": {"Prefix": "logs/"},
        "Expiration": {"Days": 3},
    }
    boto3_client.put_bucket_lifecycle_configuration(
        Bucket=on_each,
        LifecycleConfiguration={"Rules": [theirs]},  # type: ignore[list-item]
    )
    asked = ("init", "--expire-noncurrent-days", "30", "--abort-uploads-days", "7")
    assert jupyter_bookstore.json(*asked, "--dry-run")["lifecycle"]["changed"]
    assert len(_rules(boto3_client, on_each)) == 1
    assert jupyter_bookstore.json(*asked)["lifecycle"]["changed"]
    assert {"theirs", "bookstore_y-expire-noncurrent"} < set(_rules(boto3_client, on_each))
    assert not jupyter_bookstore.json(*asked)["lifecycle"]["changed"]
    findings = jupyter_bookstore.json("doctor")["findings"]
    (rule,) = [finding for finding in findings if finding["check"] == "lifecycle"]
    assert rule["status"] == "warning"
    assert "30 days" in rule["message"]


def _rules(client: S3Client, bucket: str) -> list[str]:
    answer = client.get_bucket_lifecycle_configuration(Bucket=bucket)
    return [rule["ID"] for rule in answer["Rules"]]


def test_a_bucket_is_made_once(jupyter_bookstore: Commands, on_each: str) -> None:
    name = f"{on_each}-new"
    assert jupyter_bookstore("doctor", "--bucket", name).code == 1
    assert jupyter_bookstore.json("init", "--bucket", name, "--dry-run")["created"]
    assert jupyter_bookstore("ls", "--bucket", name).code == 4
    assert jupyter_bookstore.json("init", "--bucket", name)["created"]
    assert not jupyter_bookstore.json("init", "--bucket", name)["created"]
    assert jupyter_bookstore.json("doctor", "--bucket", name)["ok"]


def test_an_unversioned_bucket_is_told_of_and_mended(
    jupyter_bookstore: Commands, boto3_client: S3Client, on_each: str
) -> None:
    name = f"{on_each}-plain"
    boto3_client.create_bucket(Bucket=name)
    findings = jupyter_bookstore("doctor", "--bucket", name, "--json").json()["findings"]
    (versioning,) = [finding for finding in findings if finding["check"] == "versioning"]
    assert versioning["status"] == "failed"
    assert "init" in versioning["remedy"]
    assert jupyter_bookstore.json("init", "--bucket", name)["versioning_enabled"]
    assert boto3_client.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    assert jupyter_bookstore.json("doctor", "--bucket", name)["ok"]


def test_the_archive_s_own_snapshots_are_there_as_well(
    jupyter_bookstore: Commands, save: Save
) -> None:
    """A room's snapshot and a save of one file are one history."""
    save("a.ipynb", notebook("x = 1"))
    asyncio.run(_checkpoint("a.ipynb", "x = 2"))
    kinds = {version["kind"] for version in jupyter_bookstore.versions("a.ipynb")}
    assert kinds == {"save", "snapshot"}
    assert "x = 2" in jupyter_bookstore.ok("show", "a.ipynb")
    assert len(jupyter_bookstore.versions("a.ipynb", "--kind", "snapshot")) == 1


async def _checkpoint(path: str, source: str) -> None:
    from jupyter_ydoc import YNotebook

    from bookstore_y.archive.version import VersionMetadata
    from bookstore_y.keys import Document

    room = YNotebook()
    room.set({"cells": [{"cell_type": "code", "source": source, "id": "a", "metadata": {}}]})
    async with Archive() as archive:
        await archive.save(Document(path, "notebook"), room.ydoc.get_update(), VersionMetadata())
