"""What the client does, in the cells of a notebook and from a script, on a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from bookstore_y import BookstoreClient, BookstoreError
from bookstore_y.client import NotFoundThere, RequestRefused, VersionList
from bookstore_y.errors import NotFound
from bookstore_y.local.waiting import eventually
from harness.jupyter.bookstore_api import BookstoreAPI
from harness.jupyter.disk import Disk
from harness.jupyter.notebooks import read_notebook, sample_notebook, sources
from harness.jupyter.people import all_connect, people
from harness.jupyter.process import JupyterProcess
from harness.jupyter.rtc_client import RTCClient
from harness.jupyter.stores import Config, s3_store
from harness.servers import S3Server, connect

from .conftest import PATH
from .kernel import CellFailed, Kernel
from .servers import running

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

FIRST, SECOND = "the first state", "the second state"


async def _type_twice(server: JupyterProcess, ada: RTCClient, path: str = PATH) -> None:
    """Make two versions of the notebook, whose first cell says FIRST, then SECOND."""
    bookstore = BookstoreAPI(server)
    for text in (FIRST, SECOND):
        known = len(await bookstore.versions(path))
        ada.insert(0, 0, f"{text}\n")

        async def more(known: int = known) -> bool:
            pending = (await bookstore.status())["pending_updates"]
            return len(await bookstore.versions(path)) > known and not pending

        await eventually(more, within=30, what=f"a version with {text!r}")


class TestInCells:
    """A notebook works on its own versions, on every S3 server."""

    @pytest.fixture
    def config(self, s3_server: S3Server, bucket_name: str) -> Config:
        return s3_store(s3_server, bucket_name, checkpoint_max_delay=0.3)

    @pytest.fixture
    async def server(self, disk: Disk, config: Config) -> AsyncIterator[JupyterProcess]:
        async with running(JupyterProcess(disk, config)) as server:
            yield server

    async def test_publishes_and_clones_as_with_nteract(
        self, disk: Disk, server: JupyterProcess, bucket_name: str
    ) -> None:
        key = f"published/{PATH}"
        disk.file("notes.txt").write_text("not a notebook")
        async with Kernel(server, PATH) as kernel:
            told = await kernel.run(
                "from bookstore_y import BookstoreClient\n"
                "book_store = BookstoreClient()\n"
                "published = book_store.publish()\n"
                "print(published.status_code, published.json()['s3_path'])"
            )
            assert told.text == f"200 s3://{bucket_name}/{key}\n"
            told = await kernel.run(
                "version = published.json()['versionID']\n"
                f"key, copy = {key!r}, 'work/copy.ipynb'\n"
                f"print(book_store.clone({bucket_name!r}, key).json()['path'],\n"
                "  book_store.clone(s3_key=key, version_id=version).json()['path'],\n"
                "  book_store.clone(s3_key=key, target_path=copy).json()['path'],\n"
                "  book_store.clone(s3_key=key, target_path=copy, overwrite=True).json()['path'])"
            )
            first, second, third, fourth = told.text.split()
            assert first == "tides.ipynb"
            assert second != first
            assert third == fourth == "work/copy.ipynb"
            for path in (first, second, third):
                assert sources(read_notebook(disk.file(path))) == sources(sample_notebook())
            told = await kernel.run(
                "gone = book_store.clone(s3_key='published/nowhere.ipynb')\n"
                "print(gone.status_code, bool(gone.json()['message']))\n"
                "print(book_store.publish('nowhere.ipynb').status_code)\n"
                "print(book_store.publish('notes.txt').status_code)"
            )
            assert told.text == "404 True\n404\n415\n"

    async def test_shows_compares_labels_and_restores_its_versions(
        self, disk: Disk, server: JupyterProcess
    ) -> None:
        async with Kernel(server, PATH) as kernel, people(["ada"], PATH) as (ada,):
            await all_connect([ada], server)
            await _type_twice(server, ada)
            shown = await kernel.run(
                "from bookstore_y import BookstoreClient\n"
                "client = BookstoreClient()\n"
                "versions = client.versions()\n"
                "versions"
            )
            assert f"of {PATH}" in shown.data["text/plain"]
            assert shown.data["text/html"].count("<tr>") >= 3
            shown = await kernel.run(
                f"first = [v for v in versions if {SECOND!r} not in repr(client.show(v))][0]\n"
                "client.diff(first)"
            )
            assert f"+ {SECOND}" in shown.data["text/plain"]
            assert f"+ {SECOND}</div>" in shown.data["text/html"]
            assert (await kernel.run("client.diff(first, first).changed")).data == {
                "text/plain": "False"
            }
            told = await kernel.run(
                "print(client.label(first, 'sent & “signed”').label)\n"
                "(found,) = client.versions(labelled=True)\n"
                "print(found.version_id == client.label(first, found.label).version_id)\n"
                "print(client.unlabel(first).label, list(client.versions(labelled=True)))"
            )
            assert told.text == "sent & “signed”\nTrue\nNone []\n"
            told = await kernel.run(
                "print(client.restore(first).origin == f'restore:{first.version_id}')"
            )
            assert told.text == "True\n"
            await ada.wait_until(lambda: SECOND not in ada.cell_text(0))
            assert FIRST in ada.cell_text(0)

    async def test_brings_a_deleted_notebook_back(self, disk: Disk, server: JupyterProcess) -> None:
        async with Kernel(server, PATH) as kernel, people(["ada"], "work/other.ipynb") as (ada,):
            disk.place("work/other.ipynb", sample_notebook())
            await all_connect([ada], server)
            await _type_twice(server, ada, "work/other.ipynb")
            await ada.disconnect()
            async with server.http() as http:
                (await http.delete("/api/contents/work/other.ipynb")).raise_for_status()
            await kernel.run("from bookstore_y import BookstoreClient\nclient = BookstoreClient()")

            async def undeleted() -> bool:
                told = await kernel.run("print(len(client.undelete('work/other.ipynb')))")
                return told.text != "0\n"

            await eventually(undeleted, within=30, what="something to undelete", interval=0.5)
            assert SECOND in sources(read_notebook(disk.file("work/other.ipynb")))[0]

    async def test_refusals_are_the_servers_own_sentences(self, server: JupyterProcess) -> None:
        async with Kernel(server, PATH) as kernel:
            await kernel.run("from bookstore_y import BookstoreClient\nclient = BookstoreClient()")
            for call in ("restore('nope')", "show('nope')", "diff('nope')", "label('nope', 'x')"):
                with pytest.raises(CellFailed, match=f"NotFoundThere: .*{PATH}"):
                    await kernel.run(f"client.{call}")


class TestFromAScript:
    """A program names the document; all else is the same."""

    @pytest.fixture
    async def server(self, disk: Disk, config: Config) -> AsyncIterator[JupyterProcess]:
        async with running(JupyterProcess(disk, config)) as server:
            yield server

    @pytest.fixture
    def client(self, server: JupyterProcess, here: None) -> BookstoreClient:
        """A client of `server` with the notebook for its document."""
        return BookstoreClient(path=PATH)

    async def test_publishes_an_earlier_version_and_the_live_document(
        self,
        server: JupyterProcess,
        client: BookstoreClient,
        moto_server: S3Server,
        moto_bucket: str,
    ) -> None:
        def published(answer: Any) -> str:
            assert answer.status_code == 200, answer.text
            stored = connect(moto_server).get_object(
                Bucket=moto_bucket,
                Key=f"published/{PATH}",
                VersionId=answer.json()["versionID"],
            )
            return sources(json.load(stored["Body"]))[0]

        async with people(["ada"], PATH) as (ada,):
            await all_connect([ada], server)
            await _type_twice(server, ada)
            versions = await asyncio.to_thread(client.versions)
            texts = await asyncio.to_thread(
                lambda: [sources(client.read(version))[0] for version in versions]
            )
            first = next(v for v, text in zip(versions, texts, strict=True) if SECOND not in text)
            answer = await asyncio.to_thread(client.publish, version_id=first)
            assert SECOND not in published(answer)
            ada.insert(0, 0, "not saved yet\n")

            async def live() -> bool:
                answer = await asyncio.to_thread(client.publish, live=True)
                return "not saved yet" in published(answer)

            await eventually(live, within=30, what="what the room says to be published")
        with pytest.raises(ValueError, match="not both"):
            client.publish(live=True, version_id=first)

    async def test_lists_by_pages_kinds_and_times(
        self, server: JupyterProcess, client: BookstoreClient
    ) -> None:
        async with people(["ada"], PATH) as (ada,):
            await all_connect([ada], server)
            await _type_twice(server, ada)

        def listed() -> None:
            everything = client.versions(limit=None)
            assert len(everything) >= 2
            assert everything.next is None
            pages = [client.versions(limit=1)]
            while (token := pages[-1].next) is not None:
                pages.append(client.versions(limit=1, after=token))
            assert [version for page in pages for version in page] == everything
            assert client.versions(kind="published") == []
            assert client.versions(kind=("snapshot", "save")) == everything
            soon = datetime.now(timezone.utc) + timedelta(days=1)
            assert client.versions(since=soon) == []
            assert client.versions(until=soon.replace(tzinfo=None)) == everything
            assert client.versions(since=soon.isoformat()) == []
            assert client.versions(author="nobody") == []
            assert client.versions(type="notebook") == everything
            assert client.versions(limit=0) == []
            newest = everything[0]
            assert client.show(at=soon).version.version_id == newest.version_id
            assert client.read() == client.read(newest) == client.read(newest.version_id)

        await asyncio.to_thread(listed)

    async def test_a_version_knows_which_document_it_is_of(
        self, server: JupyterProcess, client: BookstoreClient, disk: Disk
    ) -> None:
        path = "a b+c/50% \"of\" 'é' #?&;🎉.ipynb"
        disk.place(path, sample_notebook())
        async with people(["ada"], path) as (ada,):
            await all_connect([ada], server)
            await _type_twice(server, ada, path)

        def used() -> None:
            (newest, *_) = client.versions(path)
            assert SECOND in sources(client.read(newest))[0]
            assert client.label(newest, "x").document == path
            assert client.diff(newest).before.document == path
            with pytest.raises(NotFound):
                client.read(newest.version_id)  # of PATH, which has no version
            assert client.publish(path, version_id=newest).status_code == 200

        await asyncio.to_thread(used)

    async def test_reads_files_of_every_kind(
        self,
        server: JupyterProcess,
        client: BookstoreClient,
        moto_server: S3Server,
        moto_bucket: str,
    ) -> None:
        bodies = {"notes.txt": b"one\ntwo\n", "gauge.bin": b"\x00\xff\x01"}
        for path, body in bodies.items():
            connect(moto_server).put_object(Bucket=moto_bucket, Key=f"workspace/{path}", Body=body)
        read = {path: await asyncio.to_thread(client.read, None, path) for path in bodies}
        assert read == {"notes.txt": "one\ntwo\n", "gauge.bin": b"\x00\xff\x01"}

    async def test_takes_the_servers_bucket_unless_told_another(
        self, server: JupyterProcess, client: BookstoreClient, moto_bucket: str
    ) -> None:
        assert await asyncio.to_thread(lambda: client.default_bucket) == moto_bucket
        other = BookstoreClient("elsewhere")
        assert other.default_bucket == "elsewhere"
        answer = await asyncio.to_thread(other.clone, s3_key="published/a.ipynb")
        assert answer.status_code == 403
        assert "elsewhere" in answer.json()["message"]

    async def test_errors_are_one_family(
        self, server: JupyterProcess, client: BookstoreClient
    ) -> None:
        with pytest.raises(NotFoundThere, match=r"nowhere\.ipynb") as missing:
            await asyncio.to_thread(client.versions, "nowhere.ipynb")
        assert isinstance(missing.value, NotFound)
        assert isinstance(missing.value, BookstoreError)
        assert missing.value.status_code == 404
        with pytest.raises(RequestRefused, match="kind") as wrong:
            await asyncio.to_thread(client.versions, kind="nonsense")
        assert wrong.value.status_code == 400


class TestABucketOfNteracts:
    """What nteract's bookstore wrote is listed, read, restored, cloned and gone on with."""

    @pytest.fixture
    def written(self, moto_server: S3Server, moto_bucket: str) -> list[str]:
        """Ids of two versions of `workspace/PATH`, oldest first; one is `published/PATH`, too."""
        s3 = connect(moto_server)
        ids = []
        for text in (FIRST, SECOND):
            notebook = sample_notebook()
            notebook["cells"][0]["source"] = text
            body = json.dumps(notebook, indent=1)
            put = s3.put_object(Bucket=moto_bucket, Key=f"workspace/{PATH}", Body=body)
            ids.append(put["VersionId"])
        s3.put_object(Bucket=moto_bucket, Key=f"published/{PATH}", Body=body)
        return ids

    @pytest.fixture
    async def server(
        self, disk: Disk, config: Config, written: list[str]
    ) -> AsyncIterator[JupyterProcess]:
        notebook = sample_notebook()
        notebook["cells"][0]["source"] = SECOND
        disk.place(PATH, notebook)
        async with running(JupyterProcess(disk, config)) as server:
            yield server

    async def test_is_used_as_it_is(
        self, disk: Disk, server: JupyterProcess, here: None, written: list[str]
    ) -> None:
        client = BookstoreClient(path=PATH)

        def used() -> VersionList:
            versions = client.versions()
            assert [version.version_id for version in versions] == list(reversed(written))
            assert {version.kind for version in versions} == {"save"}
            newest, oldest = versions
            assert sources(client.read(oldest))[0] == FIRST
            assert f"+ {SECOND}" in repr(client.diff(oldest, newest))
            assert client.label(oldest, "from nteract's").label == "from nteract's"
            (published,) = client.versions(kind="published")
            assert sources(client.read(published))[0] == SECOND
            clone = client.clone(s3_key=f"published/{PATH}", target_path="clone.ipynb")
            assert clone.status_code == 200, clone.text
            assert client.restore(oldest).origin == f"restore:{oldest.version_id}"
            return client.versions()

        versions = await asyncio.to_thread(used)
        assert len(versions) > len(written)
        assert sources(read_notebook(disk.file("clone.ipynb")))[0] == SECOND
        assert sources(read_notebook(disk.file(PATH)))[0] == FIRST
        async with people(["ada"], PATH) as (ada,):
            await all_connect([ada], server)
            assert ada.cell_text(0) == FIRST
