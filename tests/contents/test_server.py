"""Archiving on save, and checkpoints, in real servers over HTTP."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

import httpx
import pytest

from bookstore_y.local.waiting import eventually
from harness.jupyter.disk import Disk
from harness.jupyter.notebooks import sample_notebook
from harness.jupyter.people import all_connect
from harness.jupyter.process import JupyterProcess
from harness.jupyter.rtc_client import RTCClient
from harness.servers import S3Server, connect, make_bucket

from ..e2e.bucket import Bucket
from ..rest.server import RestServer, running
from .files import SavedFiles

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ARCHIVER = "bookstore_y.BookstoreContentsArchiver"
MANAGERS = {
    "archiver": ARCHIVER,
    "blocking": "tests.contents.managers.Blocking",
}
PATH = "work/tides.ipynb"


class Person:
    """Someone whose browser works with the files of a server."""

    def __init__(self, server: RestServer) -> None:
        self.server = server
        self.http = server.http
        self.files = SavedFiles(connect(server.s3), server.bucket)

    def save(self, path: str, content: Any, **model: Any) -> httpx.Response:
        plain = {"type": "file", "format": "text", "content": content}
        notebook = {"type": "notebook", "format": "json", "content": content}
        body = (notebook if isinstance(content, dict) else plain) | model
        return self.http.put(f"/api/contents/{path}", json=body)

    def directory(self, path: str) -> None:
        self.http.put(f"/api/contents/{path}", json={"type": "directory"}).raise_for_status()

    def checkpoint(self, path: str) -> dict[str, Any]:
        answer = self.http.post(f"/api/contents/{path}/checkpoints")
        answer.raise_for_status()
        checkpoint: dict[str, Any] = answer.json()
        return checkpoint

    def checkpoints(self, path: str) -> list[dict[str, Any]]:
        answer = self.http.get(f"/api/contents/{path}/checkpoints")
        answer.raise_for_status()
        listed: list[dict[str, Any]] = answer.json()
        return listed

    def restore(self, path: str, checkpoint: str) -> httpx.Response:
        return self.http.post(f"/api/contents/{path}/checkpoints/{checkpoint}")

    async def archived(self, path: str, body: bytes | None) -> None:
        """Wait until the bucket has a file as it is."""
        await eventually(
            lambda: self.files.current(path) == body, within=20, what=f"{path} in the bucket"
        )


def notebook(words: str) -> dict[str, Any]:
    content = sample_notebook()
    content["cells"][0]["source"] = words
    return content


@contextmanager
def _person(
    disk: Disk, s3: S3Server, bucket: str, manager: str = ARCHIVER, **sections: Any
) -> Iterator[Person]:
    server = {
        "contents_manager_class": manager,
        "jpserver_extensions": {"bookstore_y.jupyter": True},
        "identity_provider_class": "tests.contents.managers.Ada",
    }
    checkpoints = {"checkpoints_class": "bookstore_y.S3Checkpoints"}
    with running(
        disk,
        s3,
        bucket,
        ServerApp=server | sections.pop("ServerApp", {}),
        ContentsManager=checkpoints | sections.pop("ContentsManager", {}),
        FileContentsManager={"delete_to_trash": False},
        **sections,
    ) as running_server:
        yield Person(running_server)


@asynccontextmanager
async def _newcomer(disk: Disk, s3: S3Server, bucket: str, **config: Any) -> AsyncIterator[Person]:
    """A person with a server that one test has for itself."""
    with ExitStack() as stack:
        yield await asyncio.to_thread(stack.enter_context, _person(disk, s3, bucket, **config))


@pytest.fixture(scope="module", params=list(MANAGERS.values()), ids=list(MANAGERS))
def person(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, moto_server: S3Server
) -> Iterator[Person]:
    disk = Disk(tmp_path_factory.mktemp("contents"))
    with _person(disk, moto_server, make_bucket(moto_server), request.param) as person:
        person.directory("work")
        yield person


# -- archiving on save ---------------------------------------------------------------------------


async def test_a_saved_notebook_is_archived_byte_by_byte(person: Person) -> None:
    content = notebook("rising")
    content["cells"][0].setdefault("metadata", {})["trusted"] = True
    assert person.save(PATH, content).status_code in (200, 201)
    on_disk = person.server.disk.file(PATH).read_bytes()
    await person.archived(PATH, on_disk)
    assert b"trusted" not in on_disk
    assert person.files.metadata(PATH)["authors"] == "Ada"


async def test_text_and_binary_files_are_archived(person: Person) -> None:
    person.save("work/notes.txt", "grüße\r\n")
    person.save("work/map.png", base64.b64encode(b"\x89PNG\xff").decode(), format="base64")
    await person.archived("work/notes.txt", "grüße\r\n".encode())
    await person.archived("work/map.png", b"\x89PNG\xff")


async def test_an_upload_in_chunks_is_archived_after_the_last(person: Person) -> None:
    for chunk, words in ((1, b"one "), (2, b"two "), (-1, b"three")):
        encoded = base64.b64encode(words).decode()
        person.save("work/big.bin", encoded, format="base64", chunk=chunk, name="big.bin")
    await person.archived("work/big.bin", b"one two three")
    assert person.files.bodies("work/big.bin") == [b"one two three"]


async def test_copies_are_archived(person: Person) -> None:
    person.directory("copied")
    person.save("copied/a.txt", "words")
    answer = person.http.post("/api/contents/work", json={"copy_from": "copied/a.txt"})
    await person.archived(answer.json()["path"], b"words")
    answer = person.http.post("/api/contents", json={"copy_from": "copied"})
    assert answer.status_code == 201
    await person.archived(f"{answer.json()['path'].strip('/')}/a.txt", b"words")


async def test_renames_and_deletions_are_followed(person: Person) -> None:
    person.directory("drafts")
    person.save("drafts/a.txt", "words")
    await person.archived("drafts/a.txt", b"words")
    person.http.patch("/api/contents/drafts", json={"path": "done"}).raise_for_status()
    await person.archived("done/a.txt", b"words")
    await person.archived("drafts/a.txt", None)
    person.http.delete("/api/contents/done/a.txt").raise_for_status()
    await person.archived("done/a.txt", None)
    assert person.files.bodies("done/a.txt") == [b"words"]
    back = person.http.post("/api/bookstore/undelete/done/a.txt")
    assert back.status_code == 200
    assert person.files.current("done/a.txt") == b"words"


async def test_what_pre_save_hooks_leave_is_archived(new_disk: Any, moto_server: S3Server) -> None:
    hook = {"pre_save_hook": "tests.contents.managers.without_outputs"}
    bucket = make_bucket(moto_server)
    async with _newcomer(new_disk(), moto_server, bucket, ContentsManager=hook) as person:
        content = notebook("print(1)")
        stream = {"output_type": "stream", "name": "stdout", "text": "secret"}
        cell = {"cell_type": "code", "source": "", "metadata": {}, "id": "c", "outputs": [stream]}
        content["cells"].append(cell | {"execution_count": None})
        person.save("tides.ipynb", content)
        on_disk = person.server.disk.file("tides.ipynb").read_bytes()
        await person.archived("tides.ipynb", on_disk)
        assert b"secret" not in on_disk


async def test_saves_in_worker_threads_are_archived(new_disk: Any, moto_server: S3Server) -> None:
    threads = "tests.contents.managers.InWorkerThreads"
    async with _newcomer(
        new_disk(), moto_server, make_bucket(moto_server), manager=threads
    ) as person:
        person.save("notes.txt", "words")
        await person.archived("notes.txt", b"words")
        assert person.files.metadata("notes.txt")["authors"] == "Ada"


async def test_what_a_live_room_saves_is_by_those_who_are_in_it(
    new_disk: Callable[[], Disk], moto_server: S3Server
) -> None:
    disk = new_disk()
    disk.place(PATH, sample_notebook())
    async with (
        _newcomer(disk, moto_server, make_bucket(moto_server)) as person,
        RTCClient("ben", PATH, awareness={"user": {"name": "Ben"}}) as ben,
        RTCClient("cleo", PATH, awareness={"user": {"name": "Cleo"}}) as cleo,
    ):
        await all_connect([ben, cleo], person.server.process)
        mark = ben.mark()
        await cleo.wait_for_marks({mark})
        await eventually(
            lambda: mark in (person.files.current(PATH) or b"").decode(),
            within=20,
            what="the room's save in the bucket",
        )
        assert person.files.metadata(PATH)["authors"].split(",") == ["Ben", "Cleo"]


# -- checkpoints ---------------------------------------------------------------------------------


async def test_checkpoints_over_http(person: Person) -> None:
    path = "work/checked.ipynb"
    person.save(path, notebook("old"))
    # A synchronous contents manager cannot wait for the archiver, which may be writing the same.
    await eventually(lambda: person.files.bodies(path), within=20, what="the save in the bucket")
    made = person.checkpoint(path)
    assert made in person.checkpoints(path)
    person.save(path, notebook("new"))
    await eventually(
        lambda: len(person.files.bodies(path)) == 2, within=20, what="the save in the bucket"
    )
    assert person.checkpoint(path)["id"] == person.checkpoints(path)[-1]["id"] != made["id"]
    assert person.restore(path, made["id"]).status_code == 204
    saved = person.http.get(f"/api/contents/{path}").json()["content"]
    assert saved["cells"][0]["source"] == "old"
    gone = person.http.delete(f"/api/contents/{path}/checkpoints/{made['id']}")
    assert gone.status_code == 204
    assert made not in person.checkpoints(path)
    assert person.restore(path, made["id"]).status_code == 404


async def test_a_restored_checkpoint_is_a_version_that_says_so(person: Person) -> None:
    path = "work/forward.txt"
    person.save(path, "old")
    await person.archived(path, b"old")
    made = person.checkpoint(path)
    person.save(path, "new")
    await person.archived(path, b"new")
    person.restore(path, made["id"]).raise_for_status()
    await person.archived(path, b"old")
    assert person.files.bodies(path) == [b"old", b"new", b"old"]
    assert person.files.metadata(path)["origin"] == f"restore:{made['id']}"


async def test_checkpoints_follow_a_rename(person: Person) -> None:
    path = "work/renamed-later.txt"
    person.save(path, "words")
    await person.archived(path, b"words")  # or a blocking manager may make a version beside it
    made = person.checkpoint(path)
    person.http.patch(f"/api/contents/{path}", json={"path": "work/by-now.txt"}).raise_for_status()

    # A blocking manager cannot wait for the bucket to follow, and may ask in the middle of that.
    listed: list[dict[str, Any]] = []

    def follows() -> bool:
        listed[:] = person.checkpoints("work/by-now.txt")
        return listed == [made]

    with contextlib.suppress(TimeoutError):
        await eventually(follows, within=20, what="the checkpoint under the new name")
    assert listed == [made]


# -- what goes wrong -----------------------------------------------------------------------------

IMPATIENT = {"connect_timeout": 1.0, "max_attempts": 1, "shutdown_timeout": 4.0}


async def test_an_outage_is_told_and_nothing_is_lost(
    new_disk: Callable[[], Disk], bucket: Bucket
) -> None:
    async with _newcomer(
        new_disk(), bucket.server, bucket.name, BookstoreSettings=IMPATIENT
    ) as person:
        person.save("notes.ipynb", notebook("first"))
        made = person.checkpoint("notes.ipynb")
        bucket.down()
        assert person.save("notes.ipynb", notebook("second")).status_code == 200
        assert person.save("new.ipynb", notebook("new")).status_code == 201
        for answer in (
            person.http.post("/api/contents/notes.ipynb/checkpoints"),
            person.restore("notes.ipynb", made["id"]),
        ):
            assert answer.status_code == 503
            assert bucket.name in answer.json()["message"]
        assert len(person.checkpoints("notes.ipynb")) == len(person.checkpoints("new.ipynb")) == 1
        bucket.up()
        root = person.server.disk.root
        await person.archived("notes.ipynb", (root / "notes.ipynb").read_bytes())
        await person.archived("new.ipynb", (root / "new.ipynb").read_bytes())
        person.restore("notes.ipynb", made["id"]).raise_for_status()
        assert json.loads((root / "notes.ipynb").read_text())["cells"][0]["source"] == ["first"]


async def test_a_stopping_server_names_what_it_could_not_archive(
    new_disk: Callable[[], Disk], bucket: Bucket
) -> None:
    async with _newcomer(
        new_disk(), bucket.server, bucket.name, BookstoreSettings=IMPATIENT
    ) as person:
        bucket.down()
        person.save("notes.txt", "words")
        process = person.server.process
        await process.sigterm()
        assert "Not archived before the server stopped: the last save of notes.txt." in (
            process.log_text()
        )


async def test_a_stopping_server_archives_what_an_interval_holds_back(
    new_disk: Callable[[], Disk], bucket: Bucket
) -> None:
    interval = {"archive_min_interval": 3600.0}
    async with _newcomer(
        new_disk(), bucket.server, bucket.name, BookstoreContentsMixin=interval
    ) as person:
        person.save("notes.txt", "first")
        await person.archived("notes.txt", b"first")
        person.save("notes.txt", "last")
        await person.server.process.sigterm()
        assert person.files.bodies("notes.txt") == [b"first", b"last"]


@pytest.mark.parametrize("how", ["checkpoint", "clone"])
async def test_what_is_replaced_was_archived_though_an_interval_held_it_back(
    new_disk: Callable[[], Disk], moto_server: S3Server, how: str
) -> None:
    bucket = make_bucket(moto_server)
    interval = {"BookstoreContentsArchiver": {"archive_min_interval": 60.0}}
    async with _newcomer(new_disk(), moto_server, bucket, **interval) as person:
        person.save("notes.txt", "first").raise_for_status()
        await person.archived("notes.txt", b"first")
        checkpoint = person.checkpoint("notes.txt")["id"]
        person.save("notes.txt", "the work").raise_for_status()
        if how == "checkpoint":
            assert person.restore("notes.txt", checkpoint).status_code == 204
        else:
            person.http.post(
                "/api/bookstore/clone",
                json={
                    "s3_bucket": bucket,
                    "s3_key": "workspace/notes.txt",
                    "target_path": "notes.txt",
                    "overwrite": True,
                },
            ).raise_for_status()
    bodies = person.files.bodies("notes.txt")
    assert b"the work" in bodies


async def test_without_the_extension_it_says_what_to_enable(new_disk: Callable[[], Disk]) -> None:
    server = {
        "contents_manager_class": ARCHIVER,
        "jpserver_extensions": {"bookstore_y.jupyter": False},
    }
    async with JupyterProcess(new_disk(), {"ServerApp": server}) as process:
        await eventually(
            lambda: "jupyter server extension enable bookstore_y.jupyter" in process.log_text(),
            within=10,
            what="the log to say what to enable",
        )
        async with process.http() as http:
            model = {"type": "file", "format": "text", "content": "words"}
            assert (await http.put("/api/contents/notes.txt", json=model)).status_code == 201


async def test_without_a_bucket_files_are_saved_and_the_status_says_why_not_archived(
    new_disk: Callable[[], Disk], bucket: Bucket
) -> None:
    unset = {"s3_bucket": ""}
    async with _newcomer(new_disk(), bucket.server, bucket.name, BookstoreSettings=unset) as person:
        assert person.save("notes.ipynb", notebook("words")).status_code == 201
        answer = person.http.get("/api/bookstore").json()
        assert answer["status"] == "not configured"
        assert "c.BookstoreSettings.s3_bucket" in answer["error"]


async def test_jupytext_puts_its_manager_on_top_and_both_files_of_a_pair_are_archived(
    new_disk: Callable[[], Disk], moto_server: S3Server, moto_bucket: str
) -> None:
    pytest.importorskip("jupytext")
    extensions = {"bookstore_y.jupyter": True, "jupyterlab_jupytext": True}
    async with _newcomer(
        new_disk(), moto_server, moto_bucket, ServerApp={"jpserver_extensions": extensions}
    ) as person:
        content = notebook("# A pair") | {"metadata": {"jupytext": {"formats": "ipynb,py:percent"}}}
        person.save("demo.ipynb", content).raise_for_status()
        script = person.server.disk.file("demo.py").read_bytes()
        await person.archived("demo.py", script)
        await person.archived("demo.ipynb", person.server.disk.file("demo.ipynb").read_bytes())
