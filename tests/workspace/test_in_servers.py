"""Servers that start on an empty disk: what is on the way to them, and rooms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from bookstore_y.local.waiting import eventually
from harness.jupyter.bookstore_api import BookstoreAPI
from harness.jupyter.disk import Disk
from harness.jupyter.notebooks import peek_notebook, sample_notebook, sources
from harness.jupyter.people import all_connect, people
from harness.jupyter.process import JupyterProcess
from harness.jupyter.stores import s3_store
from harness.servers import S3Server, make_bucket

from .person import at_work, notebook

pytestmark = pytest.mark.e2e

NOWHERE = {"s3_endpoint_url": "http://127.0.0.1:1", "connect_timeout": 1.0, "max_attempts": 1}


def test_while_the_bucket_is_away_people_work_and_are_told(
    new_disk: Callable[[], Disk], moto_server: S3Server
) -> None:
    disk = new_disk()
    disk.file("here.txt").write_text("words")
    bucket = make_bucket(moto_server)
    with at_work(disk, moto_server, bucket, BookstoreSettings=NOWHERE) as person:
        assert person.listing() == {"here.txt": "file"}
        assert person.text("here.txt") == "words"
        answer = person.ask("GET", "lost.ipynb")
        assert answer.status_code == 503
        assert "lost.ipynb is not on this disk" in answer.json()["message"]
        page = person.http.get("/files/lost.ipynb")
        assert page.status_code == 503
        assert person.new("notebook").startswith("Untitled-2")
        assert person.new("directory").startswith("Untitled Folder-2")
        assert len({person.new("notebook") for _ in range(5)}) == 5
        assert person.save("new.ipynb", notebook("words")).status_code == 201
        assert person.ask("PATCH", "here.txt", json={"path": "there.txt"}).status_code == 503

        async def waits() -> bool:
            return bool(person.status()["state"] == "waiting" and person.status()["error"])

        asyncio.run(eventually(waits, within=30, what="the status to say that it waits"))


@pytest.mark.slow
async def test_a_notebook_is_opened_typed_in_and_opened_again_on_disk_after_disk(
    new_disk: Callable[[], Disk], moto_server: S3Server, moto_bucket: str
) -> None:
    path = "work/tides.ipynb"
    config = s3_store(moto_server, moto_bucket, checkpoint_max_delay=0.3)
    first = new_disk()
    first.place(path, sample_notebook())
    marks: set[str] = set()
    for round_ in range(3):
        disk = first if round_ == 0 else new_disk()
        async with JupyterProcess(disk, config) as server, people(["ada"], path) as [ada]:
            async with server.http() as http:
                listed = (await http.get("/api/contents/work")).json()["content"]
                assert [model["name"] for model in listed] == ["tides.ipynb"]
                opened = await http.get(f"/api/contents/{path}")
                assert opened.status_code == 200
                said = "\n".join(sources(opened.json()["content"]))
                assert all(mark in said for mark in marks)
            versions = await BookstoreAPI(server).versions(path) if round_ else []
            await all_connect([ada], server)
            await ada.wait_for_marks(marks)
            assert not round_ or await BookstoreAPI(server).versions(path) == versions
            assert "Another program changed the file" not in server.log_text()
            marks |= {ada.mark() for _ in range(5)}

            async def archived(server: JupyterProcess = server) -> bool:
                api = BookstoreAPI(server)
                status = await api.status()
                held = bool(await api.snapshots(path)) if status["documents"] else False
                return held and not status["pending_updates"]

            await eventually(archived, within=30, what="the marks in the bucket")
            await server.sigterm()


@pytest.mark.slow
async def test_a_file_that_is_removed_under_its_room_comes_back_as_the_room_has_it(
    new_disk: Callable[[], Disk], moto_server: S3Server, moto_bucket: str
) -> None:
    path = "tides.ipynb"
    disk = new_disk()
    disk.place(path, sample_notebook())
    config = s3_store(moto_server, moto_bucket, checkpoint_max_delay=0.3)
    async with JupyterProcess(disk, config) as server, people(["ada", "ben"], path) as both:
        await all_connect(both, server)
        ada, ben = both
        marks = {ada.mark() for _ in range(5)}
        await ben.wait_for_marks(marks)
        disk.file(path).unlink()
        async with server.http() as http:
            answer = await http.get(f"/api/contents/{path}")
        assert answer.status_code == 200
        said = "\n".join(sources(answer.json()["content"]))
        assert all(mark in said for mark in marks)
        marks |= {ben.mark() for _ in range(5)}
        await ada.wait_for_marks(marks)
        ada.request_save()

        def saved() -> bool:
            notebook = peek_notebook(disk.file(path))
            return notebook is not None and all(m in "\n".join(sources(notebook)) for m in marks)

        await eventually(saved, within=30, what="all marks in the file")
        assert set(ada.marks().values()) == {1}
        await server.sigterm()
