"""What a release writes, kept for later ones to read: a bucket, a buffer file, a recovery file.

    python -m harness.written_by tests/data/0.2.0

`tests/formats` reads what is in each directory of tests/data. Run this for every release that
changes what is written; never write an older directory anew.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import tempfile
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import zstandard

from bookstore_y.local.waiting import eventually
from bookstore_y.stress.relay import Relay

from .jupyter.bookstore_api import BookstoreAPI
from .jupyter.disk import Disk
from .jupyter.notebooks import sample_notebook
from .jupyter.old_files import LOADS_OTHERWISE
from .jupyter.process import JupyterProcess
from .jupyter.rtc_client import RTCClient
from .jupyter.stores import Config, s3_store
from .servers import S3Server, Servers, connect, make_bucket

Json = dict[str, Any]

BUCKET = "kept"
PREFIX = "workspace"

NOTEBOOKS: dict[str, Json] = {
    "analysis.ipynb": sample_notebook(),
    "nbformat-4.4.ipynb": LOADS_OTHERWISE["format 4.4"],
    "nbformat-3.ipynb": LOADS_OTHERWISE["format 3"],
    "draft.ipynb": LOADS_OTHERWISE["without ids"],
    "scrap.ipynb": LOADS_OTHERWISE["without ids"],
}
TEXTS = {
    "letters.txt": "süd 💾 \N{ZERO WIDTH JOINER}\n",
    "moving.md": "to be renamed\n",
    "leaving.md": "to be deleted\n",
    "stopping.md": "of a server whose buffer is in memory\n",
}
IMAGE = base64.b64decode(sample_notebook()["cells"][2]["outputs"][0]["data"]["image/png"])


async def write(directory: Path) -> None:
    """Write all of it to an empty directory."""
    servers = Servers()
    try:
        moto = servers.get("moto")
        make_bucket(moto, BUCKET)
        with tempfile.TemporaryDirectory() as scratch, Relay(moto.endpoint_url) as s3:
            writer = _Writer(Path(scratch), replace(moto, endpoint_url=s3.url), s3)
            await writer.leave_a_buffer_file(directory / "buffer.db.zst")
            await writer.leave_a_recovery_file(directory / "recovery")
            _dump(moto, directory / "bucket.json.zst")
            expected = json.dumps(writer.expected, indent=1, ensure_ascii=False) + "\n"
            (directory / "expected.json").write_text(expected, encoding="utf-8")
    finally:
        servers.stop()


class _Writer:
    """Servers that come to one bucket, and leave something behind."""

    def __init__(self, scratch: Path, server: S3Server, connection: Relay) -> None:
        self.expected: Json = {"archived": {}, "buffered": {}, "recovered": {}}
        """What each document says: in the bucket, and with what the files beside it hold."""
        self._scratch = scratch
        self._server = server
        self._connection = connection

    async def leave_a_buffer_file(self, target: Path) -> None:
        """Have a server archive documents of all kinds, and stop in the middle of an outage."""
        disk = Disk(self._scratch / "disk")
        buffer = disk.data / "buffer.db"
        for path, notebook in NOTEBOOKS.items():
            disk.place(path, notebook)
        for path, text in TEXTS.items():
            disk.file(path).write_text(text, encoding="utf-8")
        async with (
            AsyncExitStack() as stack,
            JupyterProcess(disk, self._config(db_path=str(buffer))) as server,
        ):
            paths = [*NOTEBOOKS, *TEXTS]
            clients = {path: await stack.enter_async_context(_client(path)) for path in paths}
            for client in clients.values():
                await client.connect(server)
                client.mark(0)
            await _all_archived(server)
            first = (await BookstoreAPI(server).snapshots("analysis.ipynb"))[-1]["version_id"]
            for client in clients.values():
                client.mark(0)
                client.request_save()
            await _all_archived(server)
            await self._use_the_archive(server, first)
            async with server.http() as http:
                for path in ("scrap.ipynb", "draft.ipynb"):
                    await clients.pop(path).disconnect()
                await _expect(http.delete("/api/contents/scrap.ipynb"))
                await _expect(
                    http.patch("/api/contents/draft.ipynb", json={"path": "report.ipynb"})
                )
                await _all_archived(server)
                self.expected["archived"] = {path: c.content() for path, c in clients.items()}

                self._connection.shut()
                await _expect(http.patch("/api/contents/moving.md", json={"path": "moved.md"}))
                await clients.pop("leaving.md").disconnect()
                await _expect(http.delete("/api/contents/leaving.md"))
                del clients["stopping.md"]
                for client in clients.values():
                    client.mark(0)
                clients["moved.md"] = clients.pop("moving.md")
                await _all_accepted(server, len(clients))
                self.expected["buffered"] = {path: c.content() for path, c in clients.items()}
                await server.sigterm()
        self._connection.open()
        _compress(buffer, target)

    async def leave_a_recovery_file(self, target: Path) -> None:
        """Have a server whose buffer is in memory stop in the middle of an outage."""
        disk = Disk(self._scratch / "other disk")
        path = "stopping.md"
        async with JupyterProcess(disk, self._config()) as server, _client(path) as client:
            await BookstoreAPI(server).until_started()
            await client.connect(server)
            self._connection.shut()
            client.mark(0)
            await _all_accepted(server, 1)
            self.expected["recovered"] = {path: client.content()}
            await server.sigterm()
        self._connection.open()
        (file,) = disk.path.rglob("recovery-*.db")
        kept = target / file.parent.name / f"{file.name}.zst"
        kept.parent.mkdir(parents=True)
        _compress(file, kept)

    async def _use_the_archive(self, server: JupyterProcess, version_id: str) -> None:
        """Publish a document, label and restore its version, and save a binary file."""
        api = BookstoreAPI(server)
        async with server.http() as http:
            await _expect(
                http.put(
                    "/api/bookstore/label/analysis.ipynb",
                    json={"version_id": version_id, "label": "as submitted, süd"},
                )
            )
            image = base64.b64encode(IMAGE).decode()
            model = {"type": "file", "format": "base64", "content": image}
            await _expect(http.put("/api/contents/image.png", json=model))
        await api.publish("analysis.ipynb", live=True)
        await api.restore("analysis.ipynb", version_id)

    def _config(self, **traits: Any) -> Config:
        config = s3_store(self._server, BUCKET, prefix=PREFIX, checkpoint_max_delay=0.3, **traits)
        config["BookstoreSettings"] |= {"shutdown_timeout": 2.0, "max_attempts": 1}
        config["ServerApp"]["contents_manager_class"] = "bookstore_y.BookstoreContentsArchiver"
        return config


def _client(path: str) -> RTCClient:
    if path.endswith(".ipynb"):
        return RTCClient("ada", path)
    return RTCClient("ada", path, file_format="text", file_type="file")


async def _expect(answer: Any) -> None:
    (await answer).raise_for_status()


async def _all_archived(server: JupyterProcess) -> None:
    api = BookstoreAPI(server)

    async def archived() -> bool:
        status = await api.status()
        return not (
            status["pending_updates"] or status["pending_saves"] or status["waiting_path_changes"]
        )

    await asyncio.sleep(1.0)  # what was typed and asked for has reached the server
    await eventually(archived, within=60, what="all of it to be archived")


async def _all_accepted(server: JupyterProcess, documents: int) -> None:
    api = BookstoreAPI(server)

    async def accepted() -> bool:
        return bool((await api.status())["pending_documents"] >= documents)

    await eventually(accepted, within=30, what="the server to have what was typed")


def _dump(server: S3Server, target: Path) -> None:
    """Write every version and delete marker of the bucket, each key's oldest first."""
    s3 = connect(server)
    listed = s3.list_object_versions(Bucket=BUCKET)
    entries: list[Json] = [{**v, "marker": False} for v in listed.get("Versions", [])]
    entries += [{**m, "marker": True} for m in listed.get("DeleteMarkers", [])]
    dumped = []
    for entry in sorted(entries, key=lambda e: (e["Key"], e["LastModified"], e["IsLatest"])):
        address: Any = {"Bucket": BUCKET, "Key": entry["Key"], "VersionId": entry["VersionId"]}
        one: Json = {
            "key": entry["Key"],
            "version_id": entry["VersionId"],
            "last_modified": entry["LastModified"].isoformat(),
        }
        if not entry["marker"]:
            answer = s3.get_object(**address)
            tags = s3.get_object_tagging(**address)["TagSet"]
            one |= {
                "body": base64.b64encode(answer["Body"].read()).decode(),
                "content_type": answer["ContentType"],
                "metadata": answer["Metadata"],
                "tags": {tag["Key"]: tag["Value"] for tag in tags},
            }
        dumped.append(one)
    target.write_bytes(zstandard.compress(json.dumps(dumped).encode(), 19))


def _compress(file: Path, target: Path) -> None:
    target.write_bytes(zstandard.compress(file.read_bytes(), 19))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m harness.written_by", description=__doc__)
    parser.add_argument("directory", type=Path)
    target = parser.parse_args().directory
    target.mkdir(parents=True)
    asyncio.run(write(target))
