"""A running Jupyter server with a bucket, as HTTP clients and as its operator see it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
from traitlets.config import Config

from bookstore_y import BookstoreSettings, Version
from bookstore_y.archive.archive import Archive
from harness.jupyter.disk import Disk
from harness.jupyter.process import Application, JupyterProcess
from harness.jupyter.stores import s3_store
from harness.servers import S3Server, connect

Json = dict[str, Any]
ARCHIVER = "bookstore_y.BookstoreContentsArchiver"


@dataclass(frozen=True)
class RestServer:
    """One server, an HTTP client that is logged in to it, and its bucket."""

    process: JupyterProcess
    http: httpx.Client
    s3: S3Server
    bucket: str
    prefix: str

    @property
    def disk(self) -> Disk:
        """The server's disk."""
        return self.process.disk

    def stranger(self) -> httpx.Client:
        """A client that is not logged in; close it after use."""
        return httpx.Client(base_url=self.process.url, timeout=60.0, trust_env=False)

    def ask(self, method: str, call: str, path: str = "", **request: Any) -> httpx.Response:
        """Answer of `/api/bookstore/<call>/<path>`, whatever its status."""
        address = f"/api/bookstore/{call}" + (f"/{quote(path, safe='/')}" if path else "")
        return self.http.request(method, address, **request)

    def get(self, call: str, path: str = "", **query: Any) -> Json:
        """The JSON of a GET that succeeds."""
        return _json(self.ask("GET", call, path, params=query))

    def send(self, method: str, call: str, path: str = "", **body: Any) -> Json:
        """The JSON of a call that succeeds, whose body is a JSON object."""
        return _json(self.ask(method, call, path, json=body))

    def state(self, path: str, *, fresh: bool = False) -> Json:
        """How a document stands with the bucket."""
        answer = _json(self.ask("GET", "", params={"path": path, "fresh": int(fresh)}))
        state: Json = answer["document"]
        return state

    def save(self, path: str, notebook: Json) -> None:
        """Save a notebook as JupyterLab does, in a folder that is there."""
        self.disk.file(path).parent.mkdir(parents=True, exist_ok=True)
        address = f"/api/contents/{quote(path)}"
        model = {"type": "notebook", "format": "json", "content": notebook}
        self.http.put(address, json=model).raise_for_status()

    def archived(self, path: str, body: str | bytes | Json) -> Version:
        """The version that is made of a file in the bucket, by this program and not the server."""
        raw = json.dumps(body) if isinstance(body, dict) else body
        data = raw.encode() if isinstance(raw, str) else raw

        async def save(archive: Archive) -> Version | None:
            return await archive.save_file(path, data)

        version = self.in_archive(save)
        assert isinstance(version, Version), "the bucket held the same already"
        return version

    def in_archive(self, work: Any) -> Any:
        """What `work(archive)` returns, with an archive of this program's own on the bucket."""

        async def run() -> Any:
            options = s3_store(self.s3, self.bucket, prefix=self.prefix)["BookstoreSettings"]
            settings = BookstoreSettings(config=Config({"BookstoreSettings": options}))
            async with Archive(settings) as archive:
                return await work(archive)

        return asyncio.run(run())

    def object(self, key: str) -> bytes:
        """The current version of an object, by plain boto3."""
        answer = connect(self.s3).get_object(Bucket=self.bucket, Key=key)
        return answer["Body"].read()

    def object_or_nothing(self, key: str) -> str:
        """The same as text; empty if there is no such object."""
        s3 = connect(self.s3)
        try:
            return s3.get_object(Bucket=self.bucket, Key=key)["Body"].read().decode()
        except s3.exceptions.NoSuchKey:
            return ""

    def put_object(self, key: str, body: bytes) -> str:
        """Write an object by plain boto3; returns its version id."""
        written = connect(self.s3).put_object(Bucket=self.bucket, Key=key, Body=body)
        return written["VersionId"]


@contextmanager
def running(
    disk: Disk,
    s3: S3Server,
    bucket: str,
    *,
    prefix: str = "workspace",
    application: Application = "jupyter_server",
    **sections: Json,
) -> Iterator[RestServer]:
    """A server on `disk`; `sections` of its configuration are added to those it needs."""
    config = s3_store(s3, bucket, prefix=prefix)
    config["S3YStore"] = {"checkpoint_max_delay": 0.3}
    for section, traits in sections.items():
        config[section] = {**config.get(section, {}), **traits}
    process = JupyterProcess(disk, config, application=application)
    process.start()
    try:
        asyncio.run(process.wait_ready())
        headers = {"Authorization": f"token {process.token}"}
        with httpx.Client(
            base_url=process.url, headers=headers, timeout=60.0, trust_env=False
        ) as http:
            assert http.get("/api/bookstore").status_code != 404, "the extension was not loaded"
            yield RestServer(process, http, s3, bucket, prefix)
    finally:
        process.sigkill()
        print(process.log_tail())  # which pytest shows of tests that fail


def _json(answer: httpx.Response) -> Json:
    assert answer.is_success, f"{answer.status_code}: {answer.text[:500]}"
    value: Json = answer.json()
    return value
