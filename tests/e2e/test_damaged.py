"""A notebook whose current version in the bucket is damaged is refused, and restored over."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from bookstore_y.local.waiting import eventually
from harness.jupyter.bookstore_api import BookstoreAPI
from harness.jupyter.disk import Disk
from harness.jupyter.notebooks import sample_notebook
from harness.jupyter.process import JupyterProcess
from harness.jupyter.rtc_client import RTCClient, SessionRefused
from harness.jupyter.stores import s3_store
from harness.servers import S3Server, connect

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

KEY = "workspace/a.ipynb.notebook.y.zst"


@pytest.mark.parametrize("file", ["as archived", "changed since", "lost"])
async def test_a_refused_notebook_opens_after_an_earlier_version_was_restored(
    new_disk: Callable[[], Disk], moto_server: S3Server, moto_bucket: str, file: str
) -> None:
    disk = new_disk()
    disk.place("a.ipynb", sample_notebook())
    config = s3_store(moto_server, moto_bucket, checkpoint_idle_delay=0.2, document_ttl=0.2)
    config["YDocExtension"].update(document_cleanup_delay=0.1, document_save_delay=0.1)
    async with JupyterProcess(disk, config) as server:
        api = BookstoreAPI(server)
        async with RTCClient("ada", "a.ipynb") as ada:
            await ada.connect(server)
            ada.replace(0, "ours")
            await eventually(lambda: _has_version(api), within=30, what="a version")
    s3 = connect(moto_server)
    good = s3.get_object(Bucket=moto_bucket, Key=KEY)
    s3.put_object(Bucket=moto_bucket, Key=KEY, Body=good["Body"].read()[:-10])
    if file == "lost":
        disk.file("a.ipynb").unlink()
    elif file == "changed since":
        disk.place("a.ipynb", {**sample_notebook(), "metadata": {"by": "another program"}})

    async with JupyterProcess(disk, config) as server:
        api = BookstoreAPI(server)
        async with RTCClient("ada", "a.ipynb") as ada:
            with pytest.raises((SessionRefused, httpx.HTTPStatusError)):
                await ada.connect(server)
        await api.restore("a.ipynb", good["VersionId"])
        async with RTCClient("ada", "a.ipynb") as ada:
            await ada.connect(server)
            assert ada.cell_text(0) == "ours"
        kinds = [version["kind"] for version in await api.versions("a.ipynb")]
        # What another program wrote to the file is a version, too.
        assert ("save" in kinds) == (file == "changed since")


async def _has_version(api: BookstoreAPI) -> bool:
    return bool(await api.snapshots("a.ipynb"))
