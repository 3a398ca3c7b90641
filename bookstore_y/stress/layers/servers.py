"""A real Jupyter server: clients made of pycrdt, and of Yjs under Node, in one room."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from pycrdt import Array, Channel, Doc, Provider, Text

from ...archive.archive import Archive
from ...errors import BookstoreError
from ...keys import Document
from ...settings import BookstoreSettings
from ..address import Address
from ..server import Server
from ..stores import bucket_settings, s3_store, sqlite_store
from ._embedded import embedded_s3
from ._result import Edits, LayerResult, judged
from ._writer import Writer, all_edits, writers_of
from .node import NodeUnavailable, folder

_PATH = "layers/rooms.ipynb"
_CELLS = 3
_PAUSE = 0.02
"""Seconds between two edits of a client, at most."""
_CONVERGE_WITHIN = 30.0
_ANSWER_WITHIN = 120.0
_LONGEST_ANSWER = 1 << 28

Texts = dict[str, str]


def run(clients: int, edits: int, seed: int) -> LayerResult:
    """jupyter-collaboration with its own store; this package's extension is off."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bookstore-stress-") as directory:
        copies, done, notes = _in_a_room(Path(directory), sqlite_store(), clients, edits, seed)
    return judged("jupyter-collaboration", clients, began, done, copies, notes=notes)


def run_bucket(clients: int, edits: int, seed: int) -> LayerResult:
    """The whole: jupyter-collaboration with S3YStore, and what is in the bucket afterwards."""
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="bookstore-stress-") as directory,
        embedded_s3(Path(directory)) as endpoint_url,
    ):
        room, done, notes = _in_a_room(
            Path(directory), s3_store(endpoint_url), clients, edits, seed
        )
        copies: dict[str, str | Exception] = dict(room)
        try:
            copies["bucket"] = anyio.run(_archived, bucket_settings(endpoint_url))
        except BookstoreError as error:
            copies["bucket"] = error
    return judged("bucket", clients, began, done, copies, notes=notes)


def _in_a_room(
    directory: Path,
    settings: Mapping[str, Mapping[str, Any]],
    clients: int,
    edits: int,
    seed: int,
) -> tuple[Texts, Edits, list[str]]:
    """Copies of all clients, what they did, and notes. The server has stopped afterwards."""
    notes = []
    scripts: Path | None = None
    try:
        scripts = folder()
    except NodeUnavailable as error:
        notes.append(f"All clients are pycrdt's. {error}")
    server = Server("layers", directory / "server", settings)
    notebook = server.root / _PATH
    notebook.parent.mkdir(parents=True)
    notebook.write_text(json.dumps(_notebook()), encoding="utf-8")
    try:
        server.start()
        copies, done = anyio.run(_crowd, server.address, scripts, clients, edits, seed, notes)
        if wrong := server.stop():
            notes.append(wrong)
    finally:
        server.kill()
    return copies, done, notes


async def _crowd(
    address: Address, scripts: Path | None, clients: int, edits: int, seed: int, notes: list[str]
) -> tuple[Texts, Edits]:
    of_yjs = 0 if scripts is None else clients // 2
    docs = [Doc[Any]() for _ in range(clients - of_yjs)]
    writers = writers_of(len(docs), seed)
    share = edits * len(docs) // clients
    async with AsyncExitStack() as stack:
        yjs: _Yjs | None = None
        if scripts is not None:
            arguments = [address.url, _PATH, of_yjs, edits - share, seed, _PAUSE * 1000]
            process = _node(scripts, arguments, address.token)
            yjs = _Yjs(await stack.enter_async_context(process))
            await yjs.answer("synced")
            notes.append(f"{len(docs)} clients are pycrdt's, {of_yjs} are Yjs's under Node.")
        session = await stack.enter_async_context(aiohttp.ClientSession())
        for doc in docs:
            await stack.enter_async_context(_joined(session, address, doc))
        done = Edits()
        async with anyio.create_task_group() as group:
            for number, (writer, doc) in enumerate(zip(writers, docs, strict=True)):
                own = share // len(docs) + (number < share % len(docs))
                group.start_soon(_write, writer, doc, own)
            if yjs is not None:
                answer = await yjs.ask("write", "written")
                done.add(Edits(set(answer["made"]), set(answer["deleted"])))
        done.add(all_edits(writers))
        copies: Texts = {}
        with anyio.move_on_after(_CONVERGE_WITHIN):
            while not copies or len(set(copies.values())) > 1:
                await anyio.sleep(0.05)
                now = {
                    writer.name: _text([str(source) for source in _sources(doc)])
                    for writer, doc in zip(writers, docs, strict=True)
                }
                if yjs is not None:
                    answer = await yjs.ask("read", "read")
                    now |= {name: _text(sources) for name, sources in answer["copies"].items()}
                copies = now
        if yjs is not None:
            await yjs.quit()
    return copies, done


async def _write(writer: Writer, doc: Doc[Any], edits: int) -> None:
    for _ in range(edits):
        writer.edit(writer.chance.choice(_sources(doc)))
        await anyio.sleep(writer.chance.uniform(0, _PAUSE))


def _sources(doc: Doc[Any]) -> list[Text]:
    cells: Array[Any] = doc.get("cells", type=Array)
    return [cell["source"] for cell in cells]


def _text(sources: list[str]) -> str:
    return "\n\n".join(sources)


async def _archived(settings: BookstoreSettings) -> str:
    async with Archive(settings) as archive:
        update = await archive.load(Document(_PATH, "notebook"))
    doc = Doc[Any]()
    doc.apply_update(update)
    return _text([str(source) for source in _sources(doc)])


# -- pycrdt's clients --------------------------------------------------------------------------


class _Room(Channel):
    """A room's websocket, as pycrdt's `Provider` wants it."""

    def __init__(self, path: str, websocket: aiohttp.ClientWebSocketResponse[Any]) -> None:
        self._path = path
        self._websocket = websocket

    @property
    def path(self) -> str:
        return self._path

    async def send(self, message: bytes) -> None:
        await self._websocket.send_bytes(message)

    async def recv(self) -> bytes:
        return await self._websocket.receive_bytes()

    async def __anext__(self) -> bytes:
        async for message in self._websocket:
            if message.type is aiohttp.WSMsgType.BINARY:
                data: bytes = message.data
                return data
        raise ConnectionError(
            f"The server closed the room {self._path} with {self._websocket.close_code}."
        )


@asynccontextmanager
async def _joined(
    session: aiohttp.ClientSession, address: Address, doc: Doc[Any]
) -> AsyncIterator[None]:
    headers = {"Authorization": f"token {address.token}"}
    async with session.put(
        f"{address.url}/api/collaboration/session/{quote(_PATH)}",
        json={"format": "json", "type": "notebook"},
        headers=headers,
    ) as response:
        response.raise_for_status()
        answer = await response.json()
    room = f"json:notebook:{answer['fileId']}"
    url = f"{address.url}/api/collaboration/room/{room}?sessionId={answer['sessionId']}"
    async with (
        session.ws_connect(url, headers=headers, max_msg_size=0) as websocket,
        Provider(doc, _Room(room, websocket)) as provider,
    ):
        with anyio.fail_after(_ANSWER_WITHIN):
            await provider.synced.wait()
        yield


# -- Yjs's clients -----------------------------------------------------------------------------


class _Yjs:
    """`room.mjs`, which says at its top what it is told and what it answers."""

    def __init__(self, process: Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("Node has no pipes.")
        self._input = process.stdin
        self._output = BufferedByteReceiveStream(process.stdout)

    async def ask(self, question: str, phase: str) -> dict[str, Any]:
        """The answer to a line. Raises `RuntimeError` if Node ends or says something else."""
        await self._input.send(f"{question}\n".encode())
        return await self.answer(phase)

    async def answer(self, phase: str) -> dict[str, Any]:
        """What it says next."""
        try:
            with anyio.fail_after(_ANSWER_WITHIN):
                line = await self._output.receive_until(b"\n", _LONGEST_ANSWER)
        except (anyio.EndOfStream, anyio.IncompleteRead, TimeoutError) as error:
            raise RuntimeError(f"Yjs under Node did not come to say {phase!r}.") from error
        answer: dict[str, Any] = json.loads(line)
        if answer["phase"] != phase:
            raise RuntimeError(f"Yjs under Node said {answer['phase']!r} in place of {phase!r}.")
        return answer

    async def quit(self) -> None:
        """Have all clients leave."""
        await self._input.send(b"quit\n")


@asynccontextmanager
async def _node(scripts: Path, arguments: list[Any], token: str) -> AsyncIterator[Process]:
    """The process of `room.mjs`, which ends on leaving. Its standard error is ours."""
    process = await anyio.open_process(
        ["node", "room.mjs", *map(str, arguments)],
        cwd=scripts,
        env={**os.environ, "JUPYTER_TOKEN": token},
        stderr=None,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.aclose()


def _notebook() -> dict[str, Any]:
    cells = [
        {"id": f"cell{number}", "cell_type": "markdown", "source": "", "metadata": {}}
        for number in range(_CELLS)
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
