"""A person who works with the files of a server on an empty disk."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx

from bookstore_y.local.waiting import eventually
from harness.jupyter.disk import Disk
from harness.jupyter.notebooks import sample_notebook
from harness.servers import S3Server, connect

from ..rest.server import Json, RestServer, running

MANAGERS = {
    "default": "jupyter_server.services.contents.largefilemanager.AsyncLargeFileManager",
    "blocking": "jupyter_server.services.contents.largefilemanager.LargeFileManager",
    "archiver": "bookstore_y.BookstoreContentsArchiver",
    "custom": "tests.workspace.managers.InMemory",
    "blocking custom": "tests.workspace.managers.BlockingInMemory",
}
"""Contents managers, as a configuration names them."""


def notebook(words: str) -> Json:
    """A notebook that says so in its first cell."""
    content = sample_notebook()
    content["cells"][0]["source"] = words
    return content


def notebook_bytes(words: str) -> bytes:
    """The same as a file."""
    return json.dumps(notebook(words), indent=1).encode()


class Person:
    """What a person's browser asks a server."""

    def __init__(self, server: RestServer) -> None:
        self.server = server
        self.http = server.http

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """The answer of `/api/contents/<path>`, whatever its status."""
        return self.http.request(method, f"/api/contents/{quote(path)}", **request)

    def listing(self, directory: str = "") -> dict[str, str]:
        """What the file browser shows of a directory: types by name."""
        answer = self.ask("GET", directory)
        answer.raise_for_status()
        return {model["name"]: model["type"] for model in answer.json()["content"]}

    def text(self, path: str) -> str:
        """A text file, as an editor opens it."""
        answer = self.ask("GET", path, params={"type": "file", "format": "text"})
        answer.raise_for_status()
        return str(answer.json()["content"])

    def bytes(self, path: str) -> bytes:
        """A file's bytes."""
        answer = self.ask("GET", path, params={"type": "file", "format": "base64"})
        answer.raise_for_status()
        return base64.b64decode(answer.json()["content"])

    def new(self, kind: str, directory: str = "") -> str:
        """Make something new; returns the path that it got."""
        body = {"type": kind} | ({"ext": ".txt"} if kind == "file" else {})
        answer = self.ask("POST", directory, json=body)
        answer.raise_for_status()
        return str(answer.json()["path"]).strip("/")

    def save(self, path: str, content: str | Json) -> httpx.Response:
        """Save a file or notebook, as an upload does."""
        text = {"type": "file", "format": "text", "content": content}
        book = {"type": "notebook", "format": "json", "content": content}
        return self.ask("PUT", path, json=book if isinstance(content, dict) else text)

    def status(self) -> Json:
        """How far the workspace is."""
        answer: Json = self.http.get("/api/bookstore").json()
        workspace: Json = answer.get("workspace", {"state": "starting"})
        return workspace

    async def restored(self) -> Json:
        """Wait until the background is done; returns the workspace's state."""

        async def is_done() -> bool:
            return self.status()["state"] in ("restored", "partial", "off")

        await eventually(is_done, within=60, what="the workspace on the disk")
        return self.status()


def archive(s3: S3Server, bucket: str, files: dict[str, bytes]) -> None:
    """Have files in the bucket as an earlier server saved them."""
    client = connect(s3)
    for path, body in files.items():
        client.put_object(Bucket=bucket, Key=f"workspace/{path}", Body=body)


def archived(s3: S3Server, bucket: str, path: str) -> list[bytes | None]:
    """What the bucket says a file is, and was: newest first; None for each delete marker."""
    client = connect(s3)
    key = f"workspace/{path}"
    listed = client.list_object_versions(Bucket=bucket, Prefix=key)
    found: list[tuple[Any, bytes | None]] = [
        (marker["LastModified"], None)
        for marker in listed.get("DeleteMarkers", [])
        if marker["Key"] == key
    ]
    for version in listed.get("Versions", []):
        if version["Key"] == key:
            body = client.get_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
            found.append((version["LastModified"], body["Body"].read()))
    return [body for _, body in sorted(found, key=lambda each: each[0], reverse=True)]


@contextmanager
def at_work(
    disk: Disk, s3: S3Server, bucket: str, manager: str = "default", **sections: Any
) -> Iterator[Person]:
    """A person at a server on `disk`."""
    server = {"contents_manager_class": MANAGERS[manager], **sections.pop("ServerApp", {})}
    with running(
        disk,
        s3,
        bucket,
        ServerApp=server,
        FileContentsManager={"delete_to_trash": False},
        **sections,
    ) as running_server:
        yield Person(running_server)
