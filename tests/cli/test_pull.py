"""`jupyter bookstore pull`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_ydoc import YNotebook

from bookstore_y import Archive
from bookstore_y.archive.file_content import FileReader
from bookstore_y.keys import Document
from bookstore_y.tools.directory import Directory
from bookstore_y.tools.pulling import Pulled, Pulling
from harness.servers import S3Server, connect, s3_options

from .command import Bookstore, notebook


@pytest.fixture
def bookstore(
    moto_server: S3Server, moto_bucket: str, capsys: pytest.CaptureFixture[str]
) -> Bookstore:
    return Bookstore(moto_server, moto_bucket, capsys)


@pytest.fixture
def put(moto_server: S3Server, moto_bucket: str) -> Callable[[str, bytes], Any]:
    """Writes a key of the workspace as some other program might."""
    client = connect(moto_server)
    return lambda path, body: client.put_object(
        Bucket=moto_bucket, Key=f"workspace/{path}", Body=body
    )


def next_second() -> datetime:
    """A moment between what was written and what will be, whether the server's clock has fractions
    of a second (as Ceph's has) or not."""
    now = datetime.now(timezone.utc)
    time.sleep(1.02 - now.microsecond / 1e6)
    return now.replace(microsecond=999_000)


def tree(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): path.read_text()
        for path in directory.rglob("*")
        if path.is_file()
    }


def sources(notebook: str) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(notebook)["cells"]]


@pytest.fixture
def on_any_server(
    s3_server: S3Server, bucket_name: str, capsys: pytest.CaptureFixture[str]
) -> Bookstore:
    return Bookstore(s3_server, bucket_name, capsys)


def test_a_workspace_comes_as_it_is_and_as_it_was(on_any_server: Bookstore, tmp_path: Path) -> None:
    bookstore = on_any_server
    bookstore.save("read me.txt", "first")
    bookstore.checkpoint("project/r\u00e9sum\u00e9.ipynb", notebook("1 + 1"), "notebook")
    bookstore.save("old name.txt", "moved")
    bookstore.save("gone.txt", "deleted later")
    then = next_second()
    bookstore.save("read me.txt", "second")

    async def change(archive: Archive) -> None:
        await archive.renaming.rename_file("old name.txt", "new name.txt")
        await archive.delete_file("gone.txt")
        await archive.delete(Document("project/r\u00e9sum\u00e9.ipynb", "notebook"))

    bookstore.archive(change)
    bookstore.save("later.txt", "new")

    assert bookstore("pull", "/", tmp_path / "now").code == 0
    assert tree(tmp_path / "now") == {
        "read me.txt": "second",
        "new name.txt": "moved",
        "later.txt": "new",
    }
    assert bookstore("pull", "/", tmp_path / "then", "--at", then.isoformat()).code == 0
    past = tree(tmp_path / "then")
    assert sources(past.pop("project/r\u00e9sum\u00e9.ipynb")) == ["1 + 1"]
    assert past == {"read me.txt": "first", "old name.txt": "moved", "gone.txt": "deleted later"}


def test_a_notebook_is_written_as_nbformat_writes_it(bookstore: Bookstore, tmp_path: Path) -> None:
    body = notebook("print('two')\nprint('lines')")
    bookstore.checkpoint("a.ipynb", body, "notebook")
    bookstore("pull", "a.ipynb", tmp_path / "out")
    room = YNotebook()
    room.set(body)
    untyped: Any = nbformat
    untyped.write(untyped.from_dict(room.get()), tmp_path / "expected.ipynb")
    assert (tmp_path / "out/a.ipynb").read_bytes() == (tmp_path / "expected.ipynb").read_bytes()


def test_the_newest_of_snapshot_and_save_is_pulled(bookstore: Bookstore, tmp_path: Path) -> None:
    bookstore.checkpoint("snapshot.txt", "old")
    bookstore.save("save.txt", "old")
    next_second()
    bookstore.save("snapshot.txt", "the save")
    bookstore.checkpoint("save.txt", "the snapshot")
    bookstore("pull", "/", tmp_path)
    assert tree(tmp_path) == {"snapshot.txt": "the save", "save.txt": "the snapshot"}


def test_a_directory_is_not_those_whose_names_begin_alike(
    bookstore: Bookstore, tmp_path: Path
) -> None:
    bookstore.fill({path: path for path in ("a", "ab", "a.txt", "d/a", "d.d/b", "d-1/c", "d/e/f")})
    bookstore("pull", "d", tmp_path / "d")
    assert tree(tmp_path / "d") == {"d/a": "d/a", "d/e/f": "d/e/f"}
    bookstore("pull", "a", tmp_path / "a")
    assert tree(tmp_path / "a") == {"a": "a"}


def test_the_time_of_a_file_is_that_of_its_version(bookstore: Bookstore, tmp_path: Path) -> None:
    version = bookstore.save("a.txt", "text")
    next_second()
    bookstore("pull", "/", tmp_path)
    assert int((tmp_path / "a.txt").stat().st_mtime) == version.last_modified.timestamp()


def test_what_is_there_already_is_not_fetched_again(
    bookstore: Bookstore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookstore.save("a.txt", "text")
    bookstore.checkpoint("b.txt", "text")
    bookstore.save("c.txt", "text")
    bookstore("pull", "/", tmp_path)
    (tmp_path / "c.txt").unlink()
    fetched: list[str] = []
    read = FileReader.read_version

    async def counted(self: FileReader, version: Any) -> bytes:
        fetched.append(version.path)
        return await read(self, version)

    monkeypatch.setattr(FileReader, "read_version", counted)
    assert bookstore.json("pull", "/", tmp_path)["counts"] == {"same": 2, "written": 1}
    assert fetched == ["c.txt"]


def test_two_versions_of_one_second_are_told_apart(bookstore: Bookstore, tmp_path: Path) -> None:
    bookstore.checkpoint("a.txt", "one")
    bookstore("pull", "/", tmp_path)
    bookstore.checkpoint("a.txt", "two")
    bookstore("pull", "/", tmp_path, "--overwrite")
    assert tree(tmp_path) == {"a.txt": "two"}


def test_an_edited_file_is_kept_unless_overwriting_is_asked_for(
    bookstore: Bookstore, tmp_path: Path
) -> None:
    bookstore.save("a.txt", "archived")
    bookstore.save("same.txt", "same")
    (tmp_path / "a.txt").write_text("edited")
    (tmp_path / "a.txt").chmod(0o640)
    (tmp_path / "same.txt").write_text("same")
    ran = bookstore("pull", "/", tmp_path)
    assert ran.code == 1
    assert "a.txt" in ran.err
    assert "--overwrite" in ran.err
    assert "same.txt" not in ran.err
    assert (tmp_path / "a.txt").read_text() == "edited"
    assert bookstore("pull", "/", tmp_path, "--overwrite").code == 0
    assert (tmp_path / "a.txt").read_text() == "archived"
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_dry_run_writes_nothing_and_tells_all(bookstore: Bookstore, tmp_path: Path) -> None:
    bookstore.fill({f"{name}.txt": name for name in ("new", "other", "same")})
    (tmp_path / "other.txt").write_text("edited")
    (tmp_path / "same.txt").write_text("same")
    said = bookstore.json("pull", "/", tmp_path, "--dry-run")
    outcomes = {file["path"]: file["outcome"] for file in said["files"]}
    assert outcomes == {"new.txt": "written", "other.txt": "refused", "same.txt": "same"}
    assert tree(tmp_path) == {"other.txt": "edited", "same.txt": "same"}
    assert not bookstore("pull", "/", tmp_path / "not there", "--dry-run").code
    assert not (tmp_path / "not there").exists()


@pytest.mark.parametrize(
    "key", ["../outside", "a/../../outside", "/tmp/outside", "a//b", "./a", "a/./b"]
)
def test_a_key_that_is_no_path_is_told_and_the_others_come(
    bookstore: Bookstore, put: Callable[[str, bytes], Any], tmp_path: Path, key: str
) -> None:
    put(key, b"evil")
    bookstore.save("good.txt", "good")
    ran = bookstore("pull", "/", tmp_path / "in/out")
    assert ran.code == 1
    assert tree(tmp_path) == {"in/out/good.txt": "good"}
    assert "refused" in ran.err


def test_nothing_is_written_through_a_symbolic_link(bookstore: Bookstore, tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "f.txt").write_text("mine")
    (inside / "d").symlink_to(outside)
    (inside / "link.txt").symlink_to(outside / "f.txt")
    bookstore.fill(dict.fromkeys(("d/f.txt", "d/new.txt", "link.txt"), "theirs"))
    ran = bookstore("pull", "/", inside, "--overwrite")
    assert ran.code == 1
    assert "symbolic link" in ran.err
    assert tree(outside) == {"f.txt": "mine"}
    assert not (inside / "link.txt").is_symlink()  # replaced itself, not what it points to


def test_a_file_and_a_directory_of_one_name(
    bookstore: Bookstore, put: Callable[[str, bytes], Any], tmp_path: Path
) -> None:
    put("a", b"file")
    put("a/b", b"below")
    put("placeholder/", b"")
    ran = bookstore("pull", "/", tmp_path)
    assert ran.code == 1
    assert tree(tmp_path) == {"a": "file"}
    assert "placeholder" not in ran.err


def test_names_that_the_disk_refuses(bookstore: Bookstore, tmp_path: Path) -> None:
    bookstore.save(f"{'n' * 300}.txt", "long")
    bookstore.save("ok.txt", "ok")
    (tmp_path / "ok.txt").mkdir()
    bookstore.save("fine.txt", "fine")
    ran = bookstore("pull", "/", tmp_path)
    assert ran.code == 1
    assert "nnn.txt (refused)" in ran.err
    assert "ok.txt (refused)" in ran.err
    assert tree(tmp_path) == {"fine.txt": "fine"}


def test_names_that_the_locale_cannot_encode(
    bookstore: Bookstore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookstore.fill(dict.fromkeys(("café.txt", "plain.txt"), "text"))
    for name, value in s3_options(bookstore.server, bookstore.bucket).items():
        monkeypatch.setenv(f"JPYNB_{name.upper()}", value)
    for name, value in (("LC_ALL", "C"), ("PYTHONCOERCECLOCALE", "0"), ("PYTHONUTF8", "0")):
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "bookstore_y.cli", "pull", "/", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert "PYTHONUTF8=1" in ran.stderr
    assert tree(tmp_path) == {"plain.txt": "text"}


def test_names_that_are_one_on_the_disk(bookstore: Bookstore, tmp_path: Path) -> None:
    bookstore.fill({path: path for path in ("A.txt", "a.txt", "D/x", "d")})

    async def pull(archive: Archive) -> list[Pulled]:
        pulling = Pulling(archive, Directory(tmp_path, fold=str.casefold))
        return [pulled async for pulled in pulling.run(archive.files())]

    outcomes = {pulled.path: pulled.outcome for pulled in bookstore.archive(pull)}
    assert outcomes == {"A.txt": "written", "a.txt": "refused", "D/x": "written", "d": "refused"}
    assert tree(tmp_path) == {"A.txt": "A.txt", "D/x": "D/x"}


def test_a_damaged_snapshot_is_named_and_its_save_comes_in_its_place(
    bookstore: Bookstore, put: Callable[[str, bytes], Any], tmp_path: Path
) -> None:
    bookstore.save("both.txt", "the save")
    next_second()
    put("both.txt.file.y.zst", b"not a snapshot")
    put("alone.txt.file.y.zst", b"not a snapshot")
    put("untyped.y.zst", bookstore_update())
    bookstore.save("good.txt", "good")
    said = bookstore("pull", "/", tmp_path, "--json")
    assert said.code == 1
    files = {file["path"]: file for file in said.document["files"]}
    assert files["both.txt"]["outcome"] == "written"
    assert "not one whole zstd frame" in files["both.txt"]["reason"]
    assert files["alone.txt"]["outcome"] == "failed"
    assert "type" in files["untyped"]["reason"]
    assert tree(tmp_path) == {"both.txt": "the save", "good.txt": "good"}


def bookstore_update() -> bytes:
    import pycrdt

    from bookstore_y.ydoc.frame import compress

    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc.get("text", type=pycrdt.Text).insert(0, "text")
    return compress(doc.get_update())


def test_what_was_published(bookstore: Bookstore, tmp_path: Path) -> None:
    bookstore.checkpoint("a.ipynb", notebook("published"), "notebook")
    bookstore.save("draft.txt", "draft")

    async def publish(archive: Archive) -> None:
        await archive.publish("a.ipynb")

    bookstore.archive(publish)
    assert bookstore("pull", "/", tmp_path, "--published").code == 0
    (name,) = tree(tmp_path)
    assert name == "a.ipynb"
    assert sources((tmp_path / name).read_text()) == ["published"]


def test_a_workspace_at_the_root_of_the_bucket_leaves_out_what_was_published(
    moto_server: S3Server, moto_bucket: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bookstore = Bookstore(moto_server, moto_bucket, capsys, workspace_prefix="")
    bookstore.checkpoint("a.txt", "a")

    async def publish(archive: Archive) -> None:
        await archive.publish("a.txt")

    bookstore.archive(publish)
    bookstore("pull", "/", tmp_path)
    assert tree(tmp_path) == {"a.txt": "a"}


def test_nothing_to_pull(bookstore: Bookstore, tmp_path: Path) -> None:
    bookstore.save("a.txt", "a")
    ran = bookstore("pull", "b.txt", tmp_path)
    assert ran.code == 3
    assert "'b.txt'" in ran.err
    long_ago = datetime.now(timezone.utc) - timedelta(days=1)
    assert bookstore("pull", "/", tmp_path, "--at", long_ago.isoformat()).code == 3
    assert bookstore("pull", "/", tmp_path, "--at", "never").code == 2


def test_a_directory_that_cannot_be_one(bookstore: Bookstore, tmp_path: Path) -> None:
    bookstore.save("a.txt", "a")
    (tmp_path / "file").write_text("")
    assert bookstore("pull", "/", tmp_path / "file").code == 2
    assert "cannot be written into" in bookstore("pull", "/", tmp_path / "file/below").err


def test_an_endpoint_that_is_away_is_not_asked_for_every_file(
    bookstore: Bookstore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bookstore_y.errors import BucketUnavailable

    bookstore.fill({f"{index}.txt": "text" for index in range(40)})
    asked = 0

    async def away(self: FileReader, version: Any) -> bytes:
        nonlocal asked
        asked += 1
        raise BucketUnavailable("The bucket is down.")

    monkeypatch.setattr(FileReader, "read_version", away)
    ran = bookstore("pull", "/", tmp_path, "--BookstoreSettings.max_threads=1")
    assert ran.code == 4
    assert asked == 20
    assert list(tmp_path.iterdir()) == []


def test_no_part_of_a_file_is_left_behind(bookstore: Bookstore, tmp_path: Path) -> None:
    bookstore.fill({f"{index}.txt": "text" for index in range(20)})
    bookstore("pull", "/", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"{index}.txt" for index in range(20)}
