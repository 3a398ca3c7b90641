"""A version in cold storage, and one whose details are denied, on the command line."""

from __future__ import annotations

import pytest

from bookstore_y.errors import AccessDenied
from bookstore_y.s3.bucket import Bucket
from harness.servers import S3Server, connect

from .commands import Commands
from .conftest import Save


@pytest.fixture
def cold(moto_server: S3Server, on_moto: str, save: Save) -> str:
    """The id of an old version of `notes.txt` that is in GLACIER."""
    s3, key = connect(moto_server), "workspace/notes.txt"
    put = s3.put_object(Bucket=on_moto, Key=key, Body=b"old", StorageClass="GLACIER")
    save("notes.txt", b"new")
    return put["VersionId"]


@pytest.mark.parametrize("options", [[], ["--details"]])
def test_it_is_listed_and_marked(
    jupyter_bookstore: Commands, cold: str, options: list[str]
) -> None:
    (line,) = (
        line
        for line in jupyter_bookstore.ok("versions", "notes.txt", *options).splitlines()
        if cold in line
    )
    assert "save, cold" in line
    listed = jupyter_bookstore.versions("notes.txt", *options)
    assert {version["version_id"]: version["cold"] for version in listed}[cold] is True


@pytest.mark.parametrize("command", ["show", "restore", "diff"])
def test_reading_it_says_what_to_do(jupyter_bookstore: Commands, cold: str, command: str) -> None:
    version = ["--version", cold] if command == "show" else [cold]
    more = ["--no-server"] if command == "restore" else []
    ran = jupyter_bookstore(command, "notes.txt", *version, *more)
    assert ran.code == 4
    assert "cold storage" in ran.err
    assert "aws s3api restore-object" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_details_that_are_denied_are_not_known_and_the_rest_is_listed(
    jupyter_bookstore: Commands, on_moto: str, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = save("notes.txt", b"text", "Ann")

    async def refuse(*args: object) -> None:
        raise AccessDenied("S3 refused it (AccessDenied); allow s3:GetObjectVersion.")

    monkeypatch.setattr(Bucket, "details", refuse)
    monkeypatch.setattr(Bucket, "head", refuse)
    ran = jupyter_bookstore("versions", "notes.txt", "--details")
    assert ran.code == 0
    assert version.version_id in ran.out
    assert "not known" in ran.out
    assert "The details of 1 version are not known. S3 refused it" in ran.err
    assert (
        "s3:GetObjectVersion"
        in jupyter_bookstore.versions("notes.txt", "--details")[0]["details_error"]
    )
