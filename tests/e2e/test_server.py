"""The server extension: what it says of a bad bucket, and how it follows renames and restores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from bookstore_y.local.waiting import eventually
from harness.jupyter.bookstore_api import BookstoreAPI
from harness.jupyter.disk import Disk
from harness.jupyter.notebooks import sample_notebook
from harness.jupyter.people import all_connect, all_leave, people
from harness.jupyter.process import JupyterProcess
from harness.jupyter.rtc_client import RTCClient
from harness.jupyter.s3_reader import S3Reader
from harness.jupyter.stores import Config, s3_store
from harness.servers import S3Server, connect, make_bucket

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

NewDisk = Callable[[], Disk]
PATH = "work/tides.ipynb"


@pytest.fixture
def disk(new_disk: NewDisk) -> Disk:
    """A disk with a notebook on it."""
    disk = new_disk()
    disk.place(PATH, sample_notebook())
    return disk


@pytest.fixture
def config(moto_server: S3Server, moto_bucket: str) -> Config:
    """Documents are archived soon, and rooms that everybody has left close soon."""
    config = s3_store(moto_server, moto_bucket, checkpoint_max_delay=0.3)
    config["YDocExtension"]["document_cleanup_delay"] = 0.1
    return config


@pytest.fixture
async def server(disk: Disk, config: Config) -> AsyncIterator[JupyterProcess]:
    """A running server on `disk` with `config`."""
    async with JupyterProcess(disk, config) as server:
        yield server
        print(server.log_tail())  # which pytest shows of tests that fail


@pytest.fixture
async def http(server: JupyterProcess) -> AsyncIterator[httpx.AsyncClient]:
    """A client that is logged in to `server`."""
    async with server.http() as http:
        yield http


@pytest.fixture
def bookstore(server: JupyterProcess) -> BookstoreAPI:
    """The REST interface of `server`."""
    return BookstoreAPI(server)


@pytest.fixture
async def ada(server: JupyterProcess) -> AsyncIterator[RTCClient]:
    """Someone who has the notebook open on `server`."""
    async with RTCClient("ada", PATH) as ada:
        await ada.connect(server)
        yield ada


def _with_settings(config: Config, **settings: Any) -> Config:
    return {**config, "BookstoreSettings": {**config["BookstoreSettings"], **settings}}


async def _status(server: JupyterProcess) -> dict[str, Any]:
    return await BookstoreAPI(server).status()


class TestStartUp:
    """A server without a valid bucket starts, and says what is wrong."""

    @pytest.mark.parametrize(
        ("settings", "says"),
        [
            pytest.param({"s3_bucket": ""}, "No bucket is set", id="no bucket set"),
            pytest.param({"s3_bucket": "not-there"}, "no such bucket", id="bucket missing"),
            pytest.param(
                {"s3_endpoint_url": "http://127.0.0.1:9"},
                "check the endpoint URL",
                id="unreachable",
            ),
        ],
    )
    async def test_says_what_is_wrong_and_what_to_do(
        self,
        disk: Disk,
        config: Config,
        moto_server: S3Server,
        settings: dict[str, Any],
        says: str,
    ) -> None:
        async with JupyterProcess(disk, _with_settings(config, **settings)) as server:

            async def said() -> str | None:
                error: str = (await _status(server))["error"] or ""
                return error if says in error else None

            error = await eventually(said, within=30, what=f"{says!r} in GET /api/bookstore")
            assert "set " in error or "check " in error
            log = server.log_text().splitlines()
            assert len([line for line in log if "Archiving is paused" in line]) == 1, log
            assert moto_server.secret_key not in server.log_text()

    async def test_refuses_a_bucket_without_versioning(
        self, disk: Disk, config: Config, moto_server: S3Server
    ) -> None:
        connect(moto_server).create_bucket(Bucket="unversioned")
        config = _with_settings(config, s3_bucket="unversioned")
        async with JupyterProcess(disk, config) as server:

            async def said() -> bool:
                return "Versioning is not enabled" in ((await _status(server))["error"] or "")

            await eventually(said, within=30, what="the reason in GET /api/bookstore")

    async def test_edits_without_a_bucket_are_archived_when_it_appears(
        self, disk: Disk, config: Config, moto_server: S3Server
    ) -> None:
        config = _with_settings(config, s3_bucket="appears-later")
        async with (
            JupyterProcess(disk, config) as server,
            people(["ada"], PATH) as (ada,),
        ):
            await all_connect([ada], server)
            ada.append(0, "typed without a bucket")

            async def pending() -> bool:
                return bool((await _status(server))["pending_updates"])

            await eventually(pending, within=15, what="the edit in the buffer")
            make_bucket(moto_server, "appears-later")

            async def archived() -> bool:
                status = await _status(server)
                return status["status"] == "ok" and not status["pending_updates"]

            await eventually(archived, within=60, what="the edit in the bucket")
            (version, *_) = await BookstoreAPI(server).versions(PATH)
            held = S3Reader(moto_server, "appears-later").snapshot(
                version["key"], version["version_id"]
            )
            assert "typed without a bucket" in held["cells"][0]["source"]

    async def test_refuses_to_open_what_it_cannot_look_up(self, disk: Disk, config: Config) -> None:
        config = _with_settings(config, s3_endpoint_url="http://127.0.0.1:9")
        async with JupyterProcess(disk, config) as server, people(["ada"], PATH) as (ada,):
            with pytest.raises((ConnectionError, TimeoutError)):
                await ada.connect(server, within=5)
            assert "check the endpoint URL and the network" in server.log_text()
            # Nothing was rebuilt from the file under a new history.
            assert (await _status(server))["pending_updates"] == 0


class TestRenames:
    """A document goes on under its new name, with its versions."""

    async def test_an_open_document_keeps_its_versions(
        self,
        server: JupyterProcess,
        ada: RTCClient,
        bookstore: BookstoreAPI,
        http: httpx.AsyncClient,
        moto_server: S3Server,
        moto_bucket: str,
    ) -> None:
        ada.append(0, "before the rename")

        async def archived(path: str, text: str) -> dict[str, Any] | None:
            versions = await bookstore.versions(path)
            if not versions:
                return None
            held = S3Reader(moto_server, moto_bucket).snapshot(
                versions[0]["key"], versions[0]["version_id"]
            )
            return versions[0] if text in held["cells"][0]["source"] else None

        async def old() -> dict[str, Any] | None:
            return await archived(PATH, "before the rename")

        first = await eventually(old, within=15, what="a version under the old name")
        answer = await http.patch(f"/api/contents/{PATH}", json={"path": "work/new name.ipynb"})
        answer.raise_for_status()
        ada.append(0, " and after it")

        async def new() -> dict[str, Any] | None:
            return await archived("work/new name.ipynb", " and after it")

        current = await eventually(new, within=15, what="a version under the new name")
        assert current["key"].endswith("new name.ipynb.notebook.y.zst")
        versions = await bookstore.versions("work/new name.ipynb")
        assert first["version_id"] in [version["version_id"] for version in versions]
        origins = [version["origin"] for version in versions]
        assert "renamed-from:work/tides.ipynb" in origins
        s3 = connect(moto_server)
        markers = s3.list_object_versions(Bucket=moto_bucket, Prefix=first["key"])
        assert markers["DeleteMarkers"][0]["IsLatest"]

        # Back to what it said before the rename, by the version id of the old name.
        await bookstore.restore("work/new name.ipynb", first["version_id"])
        await ada.wait_until(lambda: " and after it" not in ada.cell_text(0))
        assert "before the rename" in ada.cell_text(0)

    async def test_a_closed_document_in_a_renamed_folder_keeps_its_versions(
        self,
        server: JupyterProcess,
        ada: RTCClient,
        bookstore: BookstoreAPI,
        http: httpx.AsyncClient,
    ) -> None:
        ada.append(0, "in the old folder")
        await ada.disconnect()

        async def closed() -> bool:
            return "deleted" in server.log_text() and bool(await bookstore.versions(PATH))

        await eventually(closed, within=15, what="the room to close and a version")
        before = await bookstore.versions(PATH)
        answer = await http.patch("/api/contents/work", json={"path": "archive"})
        answer.raise_for_status()

        async def moved() -> bool:
            return len(await bookstore.versions("archive/tides.ipynb")) > len(before)

        await eventually(moved, within=15, what="the versions under the new folder")


class TestDeletions:
    """A deleted document is not brought back by who opens it, but by who restores it."""

    async def test_can_be_undone(
        self,
        disk: Disk,
        server: JupyterProcess,
        ada: RTCClient,
        bookstore: BookstoreAPI,
        http: httpx.AsyncClient,
        moto_server: S3Server,
        moto_bucket: str,
    ) -> None:
        async with people(["ben", "cleo"], PATH) as (ben, cleo):
            await all_connect([ben], server)
            ada.append(0, "worth keeping")
            await ben.wait_until(lambda: "worth keeping" in ben.cell_text(0))
            await all_leave([ada, ben])
            (await http.delete(f"/api/contents/{PATH}")).raise_for_status()
            s3 = connect(moto_server)

            def marked() -> bool:
                listed = s3.list_object_versions(Bucket=moto_bucket)
                return any(marker["IsLatest"] for marker in listed.get("DeleteMarkers", []))

            await eventually(marked, within=15, what="a delete marker")
            with pytest.raises((ConnectionError, TimeoutError)):
                await cleo.connect(server, within=3)
            assert not disk.file(PATH).exists()

            (version, *_) = await bookstore.versions(PATH)
            assert (await bookstore.restore(PATH, version["version_id"]))["changed"]
            assert "worth keeping" in disk.file(PATH).read_text()
            await all_connect([cleo], server)
            assert "worth keeping" in cleo.cell_text(0)


class TestTimeline:
    """JupyterLab's timeline slider works on what the store reads back."""

    async def test_has_a_step_for_each_edit_since_the_oldest_snapshot(
        self, ada: RTCClient, http: httpx.AsyncClient
    ) -> None:
        address = f"/api/collaboration/timeline/{PATH}?format=json&type=notebook"
        before = (await http.get(address)).json()["timestamps"]
        for number in range(5):
            ada.append(0, f"edit {number}\n")

        async def steps() -> list[float] | None:
            timestamps: list[float] = (await http.get(address)).json()["timestamps"]
            return timestamps if len(timestamps) >= len(before) + 5 else None

        timestamps = await eventually(steps, within=15, what="five more steps")
        assert timestamps == sorted(timestamps)


class TestAuthors:
    """A version says who was editing."""

    async def test_are_those_in_the_room(
        self, server: JupyterProcess, bookstore: BookstoreAPI
    ) -> None:
        state = {"user": {"name": "Ada Lovelace, née Byron", "username": "ada"}}
        async with RTCClient("ada", PATH, awareness=state) as ada:
            await ada.connect(server)
            ada.append(0, "by Ada")

            async def signed() -> bool:
                versions = await bookstore.versions(PATH)
                return any(
                    version["authors"] == ["Ada Lovelace, née Byron"] for version in versions
                )

            await eventually(signed, within=15, what="a version with its author")


class TestOfflineEdits:
    """What clients typed while the server was away joins what it had not saved to the file."""

    async def test_in_a_cell_that_the_file_does_not_have_are_kept(
        self, disk: Disk, config: Config
    ) -> None:
        config["S3YStore"] = {"db_path": str(disk.data / "buffer.db")}
        config["YDocExtension"]["document_save_delay"] = 600
        cell = {"cell_type": "markdown", "id": "new", "metadata": {}, "source": "a new cell"}
        async with people(["ada", "ben"], PATH) as (ada, ben):
            async with JupyterProcess(disk, config) as server:
                await all_connect([ada, ben], server)
                ada.append_cell(cell)
                ada.append(0, " rewritten beyond recognition, so that nothing like it is left")

                def seen() -> bool:
                    return "a new cell" in ben.cell_text(-1) and "recognition" in ben.cell_text(0)

                await ben.wait_until(seen)

                async def durable() -> bool:
                    return bool((await _status(server))["pending_updates"] >= 2)

                await eventually(durable, within=15, what="the edits in the buffer")
                server.sigkill()
            await all_leave([ada, ben])
            assert "a new cell" not in disk.file(PATH).read_text()
            ada.append(-1, ", typed on while the server was away")
            ada.insert(0, 5, "<offline>")
            text = ada.cell_text(0)
            async with JupyterProcess(disk, config) as server:
                await all_connect([ben], server)
                assert ben.cell_text(-1) == "a new cell"
                await all_connect([ada], server)
                await ben.wait_until(lambda: "typed on" in ben.cell_text(-1))
                assert ben.cell_text(-1) == "a new cell, typed on while the server was away"
                await ben.wait_until(lambda: ben.cell_text(0) == text)


class TestRestoring:
    """An old version comes back, with and without a room."""

    async def _edited_twice(
        self, server: JupyterProcess, bookstore: BookstoreAPI
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        async with people(["ada"], PATH) as (ada,):
            await all_connect([ada], server)
            found = []
            for text in ("# the first state\n", "# the second state\n"):
                ada.insert(0, 0, text)

                async def says(text: str = text) -> dict[str, Any] | None:
                    newest = next(iter(await bookstore.versions(PATH)), None)
                    if newest is None:
                        return None
                    held = await bookstore.version(PATH, newest["version_id"])
                    source = held["model"]["content"]["cells"][0]["source"]
                    return newest if text in source else None

                found.append(await eventually(says, within=15, what=f"a version with {text!r}"))
            await ada.disconnect()
        await eventually(
            lambda: f"Deleting file {PATH}" in server.log_text(),
            within=15,
            what="the room to close",
        )
        return found[0], found[1]

    async def test_without_a_room_the_file_says_it_too(
        self, disk: Disk, server: JupyterProcess, bookstore: BookstoreAPI
    ) -> None:
        first, second = await self._edited_twice(server, bookstore)
        answer = await bookstore.restore(PATH, first["version_id"])
        assert answer["changed"]
        assert answer["version"]["origin"] == f"restore:{first['version_id']}"
        assert answer["version"]["parent"] == second["version_id"]
        text = disk.file(PATH).read_text()
        assert "the first state" in text
        assert "the second state" not in text
        async with people(["ben"], PATH) as (ben,):
            await all_connect([ben], server)
            assert "the first state" in ben.cell_text(0)
            assert "the second state" not in ben.cell_text(0)

    async def test_a_file_with_unarchived_content_is_not_overwritten(
        self, disk: Disk, server: JupyterProcess, bookstore: BookstoreAPI
    ) -> None:
        first, _ = await self._edited_twice(server, bookstore)
        changed = sample_notebook()
        changed["cells"][0]["source"] = "by other means"
        disk.place(PATH, changed)
        with pytest.raises(httpx.HTTPStatusError) as refused:
            await bookstore.restore(PATH, first["version_id"])
        assert refused.value.response.status_code == httpx.codes.CONFLICT
        assert "Another program" in refused.value.response.json()["message"]
        assert "by other means" in disk.file(PATH).read_text()


class TestBadRequests:
    """Mistakes in a request get an answer that says so."""

    async def test_are_answered_with_what_is_wrong(
        self, server: JupyterProcess, http: httpx.AsyncClient
    ) -> None:
        restore = f"/api/bookstore/restore/{PATH}"
        expected = [
            (await http.post(restore, content=b"not JSON"), 400),
            (await http.post(restore, json=["a", "list"]), 400),
            (await http.post(restore, json={}), 400),
            (await http.post(restore, json={"version_id": 3}), 400),
            (await http.post(restore, json={"version_id": "nope"}), 404),
            (await http.post(restore, json={"version_id": "x" * 3000}), 404),
            (await http.get("/api/bookstore/versions/nowhere.ipynb"), 404),
            (await http.get("/api/bookstore/versions/"), 400),
            (await http.get("/api/bookstore/versions/a/%2e%2e/b"), 400),
            (await http.get("/api/bookstore/versions/nul%00"), 400),
            (await http.get(f"/api/bookstore/versions/{'x' * 1100}"), 400),
            (await http.get("/api/bookstore/versions/a?type=../b"), 400),
            (await http.get(f"/api/bookstore/versions/{PATH}"), 200),
        ]
        for answer, status in expected:
            assert answer.status_code == status, (answer.request.url, answer.text)
            if status != httpx.codes.OK:
                assert answer.json()["message"]
        assert "Traceback" not in server.log_text()

    async def test_strangers_get_nothing(self, server: JupyterProcess) -> None:
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as stranger:
            for address in ("/api/bookstore", f"/api/bookstore/versions/{PATH}"):
                answer = await stranger.get(address)
                assert answer.status_code == httpx.codes.FORBIDDEN
            posted = await stranger.post(
                f"/api/bookstore/restore/{PATH}", json={"version_id": "any"}
            )
            assert posted.status_code == httpx.codes.FORBIDDEN


class TestMetrics:
    """The archive's figures stand beside the server's own."""

    async def test_are_served(self, ada: RTCClient, http: httpx.AsyncClient) -> None:
        ada.append(0, "counted")

        async def figures() -> dict[str, float] | None:
            lines = (await http.get("/metrics")).text.splitlines()
            values = {
                name: float(value)
                for name, _, value in (line.rpartition(" ") for line in lines)
                if name.startswith("bookstore_")
            }
            written = values.get('bookstore_checkpoints_total{result="written"}', 0)
            return values if written and not values["bookstore_pending_updates"] else None

        values = await eventually(figures, within=15, what="a checkpoint in /metrics")
        assert values["bookstore_updates_total"] > 0
        assert values["bookstore_pending_bytes"] == 0
        assert values["bookstore_checkpoint_bytes_total"] > 0
        assert values["bookstore_checkpoint_seconds_count"] > 0
