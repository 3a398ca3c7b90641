"""One person restores a version while another types: her cursor stays, and her next keys land."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pycrdt import Assoc

from bookstore_y.local.waiting import eventually
from harness.jupyter.bookstore_api import BookstoreAPI
from harness.jupyter.disk import Disk
from harness.jupyter.marks import doubled
from harness.jupyter.notebooks import sample_notebook
from harness.jupyter.people import all_agree, all_connect, people
from harness.jupyter.process import JupyterProcess
from harness.jupyter.rtc_client import RTCClient
from harness.jupyter.stores import s3_store
from harness.servers import S3Server

pytestmark = [pytest.mark.e2e]

PATH = "work/tides.ipynb"
NewDisk = Callable[[], Disk]


@pytest.mark.parametrize("how", ["restore", "revert to checkpoint"])
async def test_a_restore_leaves_the_cursors_of_others_where_they_are(
    new_disk: NewDisk, moto_server: S3Server, moto_bucket: str, how: str
) -> None:
    config: dict[str, Any] = s3_store(moto_server, moto_bucket, checkpoint_max_delay=0.5)
    config["ServerApp"] |= {"contents_manager_class": "bookstore_y.BookstoreContentsArchiver"}
    config["ContentsManager"] = {"checkpoints_class": "bookstore_y.S3Checkpoints"}
    disk = new_disk()
    disk.place(PATH, sample_notebook())
    async with JupyterProcess(disk, config) as server, people(["ada", "ben"], PATH) as (ada, ben):
        bookstore = BookstoreAPI(server)
        await all_connect([ada, ben], server)
        ben.replace(1, "# Ben's cell\nlevel = read()\nplot(level)\n")
        ben.add_stream_output(1, "stdout", "old output\n")
        ada.request_save()
        kind = "snapshot" if how == "restore" else "save"

        async def old_version() -> str | None:
            for version in await bookstore.versions(PATH):
                if version["kind"] == kind:
                    found = await bookstore.version(PATH, version["version_id"])
                    if "read()" in found["model"]["content"]["cells"][1]["source"]:
                        return str(version["version_id"])
            return None

        version_id = await eventually(old_version, within=30, what="a version of what Ben typed")

        # What comes after the version: in Ben's cell before and behind his cursor, and elsewhere.
        ada.insert(1, 0, "# Ada's line\n")
        ada.append(1, "print(level)\n")
        ada.add_stream_output(1, "stdout", "new output\n")
        ada.append(3, "\n# more of Ada")
        ada.append_cell({"cell_type": "markdown", "metadata": {}, "source": "Ada's conclusion"})
        await all_agree([ada, ben])
        source = ben.texts()[1]
        cursor = source.sticky_index(str(source).index("read(") + len("read("), Assoc.BEFORE)

        if how == "restore":
            await bookstore.restore(PATH, version_id)
        else:
            await _revert(server, version_id)
        await ben.wait_until(lambda: "Ada" not in "".join(map(str, ben.texts())))

        assert str(source)[: cursor.get_index()].endswith("\nlevel = read(")
        for typed, key in enumerate("gauge"):
            source.insert(cursor.get_index() + typed, key)
        await ada.wait_until(lambda: "gauge" in ada.cell_text(1))
        assert ada.cell_text(1) == "# Ben's cell\nlevel = read(gauge)\nplot(level)\n"
        _, cell = ada.content()["cells"][:2]
        assert [each["text"] for each in cell["outputs"]][-1:] == ["old output\n"]
        await all_agree([ada, ben])
        assert doubled(ada.marks()) == {}


async def _revert(server: JupyterProcess, version_id: str) -> None:
    async with server.http() as http:
        checkpoints = (await http.get(f"/api/contents/{PATH}/checkpoints")).json()
        assert version_id in [each["id"] for each in checkpoints]
        response = await http.post(f"/api/contents/{PATH}/checkpoints/{version_id}")
    response.raise_for_status()


async def test_what_is_typed_while_a_version_is_restored_stays_in_its_place(
    new_disk: NewDisk, moto_server: S3Server, moto_bucket: str
) -> None:
    config = s3_store(moto_server, moto_bucket, checkpoint_max_delay=0.5)
    disk = new_disk()
    disk.place(PATH, sample_notebook())
    async with JupyterProcess(disk, config) as server, people(["ada", "ben"], PATH) as (ada, ben):
        bookstore = BookstoreAPI(server)
        await all_connect([ada, ben], server)
        ada.append(3, "\n# first")

        async def newest() -> str | None:
            versions = await bookstore.snapshots(PATH)
            for version in versions[:1]:
                found = await bookstore.version(PATH, version["version_id"])
                if "# first" in found["model"]["content"]["cells"][3]["source"]:
                    return str(version["version_id"])
            return None

        version_id = await eventually(newest, within=30, what="a version")
        ada.append(3, "\n# second")
        await all_agree([ada, ben])
        await ben.disconnect()
        typed = [ben.mark(1) for _ in range(20)]
        await bookstore.restore(PATH, version_id)
        await ben.connect(server)
        await _sees(ada, typed)
        await all_agree([ada, ben])
        assert ada.cell_text(1).endswith("".join(typed))
        assert "# second" not in ada.cell_text(3)
        assert doubled(ada.marks()) == {}


async def _sees(client: RTCClient, typed: list[str]) -> None:
    await client.wait_for_marks(set(typed))
