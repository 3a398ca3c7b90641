"""RTCClient: a person at a document, over a real websocket, with a Yjs document of their own."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any

from anyio import fail_after
from jupyter_ydoc import YNotebook, ydocs
from jupyter_ydoc.ybasedoc import YBaseDoc
from pycrdt import Decoder, Doc, Encoder, Map, Text, TransactionEvent, YSyncMessageType
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bookstore_y.jupyter.tab_sessions import TabSession, server_session_of
from bookstore_y.stress.room import RAW, Room
from bookstore_y.stress.session import Session

from .marks import find_marks, mark_text
from .session import Server, request_session

_UNKNOWN_SESSION = 1003


class SessionRefused(ConnectionError):
    """The server does not accept the session that the client came with."""


class RTCClient:
    """A websocket client of one document that keeps its Yjs document across connections.

    What is edited while it is not connected is sent at the next `connect`, to whichever server.
    """

    def __init__(
        self,
        name: str,
        path: str,
        *,
        file_format: str = "json",
        file_type: str = "notebook",
        awareness: dict[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.path = path
        self.doc: Doc[Any] = Doc()
        self.document: YBaseDoc = ydocs.get(file_type, ydocs["file"])(self.doc)
        self.made: list[str] = []
        """Every mark this client has made, in order."""
        self.refusals: list[str] = []
        """Why servers refused the sessions this client came with, in order."""
        self.close_code: int | None = None
        self.close_reason = ""

        self._file_format = file_format
        self._file_type = file_type
        self._session: Session | None = None
        self._socket: ClientConnection | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._synced = asyncio.Event()
        self._closed = asyncio.Event()
        self._closed.set()
        self._changed = asyncio.Event()
        self._room = Room(self.doc, self._say, user=awareness)
        self._subscription = self.doc.observe(self._on_transaction)

    # --- the connection ---

    @property
    def client_id(self) -> int:
        """The id under which this client's edits stand in the document's history."""
        return self.doc.client_id

    @property
    def conflicts(self) -> int:
        """How often a server said that it could not apply what this client sent."""
        return self._room.conflicts

    @property
    def connected(self) -> bool:
        """Whether the websocket is open."""
        return not self._closed.is_set()

    @property
    def session(self) -> Session:
        """The session of the last connection."""
        if self._session is None:
            raise RuntimeError("the client has not been connected yet")
        return self._session

    async def connect(self, server: Server, *, within: float = 30.0) -> None:
        """Join the document's room on `server` and wait until both have what the other had.

        A client that was connected before comes back with its old session first, as a browser
        does. Where the server refuses that, it takes a new session and keeps its document.
        """
        if self._session is not None:
            try:
                await self._join(server, self._session, within)
            except SessionRefused as refusal:
                self.refusals.append(str(refusal))
            else:
                return
        self._session = await request_session(server, self.path, self._file_format, self._file_type)
        await self._join(server, self._session, within)

    async def come_back(self, server: Server, *, within: float = 30.0) -> None:
        """Join the room again with the session of the last connection, and no other.

        Raises `ConnectionError` when the server does not let the client in.
        """
        await self._join(server, self.session, within)

    def takes_session_of(self, other: RTCClient) -> None:
        """Come back as `other` would, with what this client holds."""
        self._session = other.session

    def session_is_of(self, *, server: str | None = None, model: str | None = None) -> None:
        """Have the client come with the session of a server of other releases."""
        given = self.session.session_id
        said = TabSession.from_id(given)
        if said is None:
            raise RuntimeError(f"the session {given!r} says nothing of releases")
        other = replace(said, server=server or said.server, model=model or said.model)
        named = other.to_id(server_session_of(given))
        self._session = replace(self.session, session_id=named)

    async def disconnect(self) -> None:
        """Leave the room, keeping the document."""
        if self._socket is not None:
            await self._socket.close()
        await self._end_tasks()

    async def wait_closed(self, within: float = 30.0) -> None:
        """Wait until the server has closed the connection."""
        with fail_after(within):
            await self._closed.wait()
        await self._end_tasks()

    def request_save(self) -> None:
        """Ask the server to save the file now, as the save button does."""
        message = Encoder()
        message.write_var_uint(RAW)
        message.write_var_string("save")
        message.write_var_uint(1)
        self._outbox.put_nowait(message.to_bytes())

    async def __aenter__(self) -> RTCClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.disconnect()

    # --- the document ---

    def content(self) -> Any:
        """The document's content as it would be saved: a notebook's dict, a file's text."""
        return self.document.source

    def texts(self) -> list[Text]:
        """The texts that a person types into: the cells of a notebook, or the one of a file."""
        if self._file_type == "notebook":
            return [cell["source"] for cell in self.doc["cells"]]
        return [self.doc["source"]]

    def cell_text(self, index: int) -> str:
        """The source of one cell."""
        return str(self.texts()[index])

    def append(self, index: int, text: str) -> None:
        """Type `text` at the end of a cell."""
        target = self.texts()[index]
        target += text

    async def type_text(self, index: int, text: str, *, pause: float = 0.0) -> None:
        """Type `text` at the end of a cell, one character after the other."""
        for character in text:
            self.append(index, character)
            await asyncio.sleep(pause)

    def insert(self, index: int, position: int, text: str) -> None:
        """Type `text` into a cell, `position` bytes of UTF-8 after its beginning."""
        self.texts()[index].insert(position, text)

    def replace(self, index: int, text: str) -> None:
        """Replace the whole source of a cell."""
        target = self.texts()[index]
        with self.doc.transaction():
            target.clear()
            target += text

    def append_cell(self, cell: dict[str, Any]) -> None:
        """Add a cell, given as in a notebook file, at the end of the notebook."""
        self._notebook.append_cell(cell)

    def delete_cell(self, index: int) -> None:
        """Delete one cell of the notebook."""
        del self._notebook.ycells[index]

    def add_stream_output(self, index: int, name: str, text: str) -> None:
        """Add what a kernel printed to the outputs of a code cell."""
        output = {"output_type": "stream", "name": name, "text": Text(text)}
        self._notebook.ycells[index]["outputs"].append(Map(output))

    def mark(self, index: int | None = None) -> str:
        """Type the next mark of this client and return it; into one text after the other."""
        text = mark_text(self.name, len(self.made))
        self.append(len(self.made) % len(self.texts()) if index is None else index, text)
        self.made.append(text)
        return text

    def marks(self) -> Counter[str]:
        """The marks in the document and how often each is there."""
        return find_marks(str(text) for text in self.texts())

    def state_vector(self) -> dict[int, int]:
        """Client id -> number of its operations that this document holds."""
        decoder = Decoder(self.doc.get_state())
        return {
            decoder.read_var_uint(): decoder.read_var_uint() for _ in range(decoder.read_var_uint())
        }

    async def wait_until(self, predicate: Callable[[], bool], within: float = 20.0) -> None:
        """Wait until `predicate()` holds, asking again after each change of the document.

        Raises `TimeoutError` after `within` seconds.
        """
        with fail_after(within):
            while not predicate():
                await self._changed.wait()

    async def wait_for_marks(self, expected: set[str], within: float = 30.0) -> None:
        """Wait until every mark of `expected` is in the document; say which are not."""
        try:
            await self.wait_until(lambda: expected <= self.marks().keys(), within)
        except TimeoutError:
            missing = sorted(expected - self.marks().keys())
            raise TimeoutError(
                f"{self.name} misses {len(missing)} of {len(expected)} marks: {missing[:10]}"
            ) from None

    # --- within ---

    @property
    def _notebook(self) -> YNotebook:
        if not isinstance(self.document, YNotebook):
            raise TypeError(f"{self.path} is not a notebook")
        return self.document

    async def _join(self, server: Server, session: Session, within: float) -> None:
        if self.connected:
            raise RuntimeError(f"{self.name} is connected already")
        try:
            socket = await connect(
                session.websocket_url(server.url),
                additional_headers={"Authorization": f"token {server.token}"},
                max_size=None,
                ping_interval=None,
                open_timeout=within,
                proxy=None,
            )
        except InvalidStatus as error:
            raise SessionRefused(f"HTTP {error.response.status_code}") from error
        self._socket = socket
        self._outbox = asyncio.Queue()
        self._synced.clear()
        self._closed.clear()
        self.close_code, self.close_reason = None, ""
        self._room.greet()
        self._tasks = [
            asyncio.create_task(self._receive(socket)),
            asyncio.create_task(self._send(socket)),
        ]
        try:
            await self._wait_synced(within)
        except BaseException:
            await self.disconnect()
            raise

    async def _wait_synced(self, within: float) -> None:
        waiters = [
            asyncio.create_task(self._synced.wait()),
            asyncio.create_task(self._closed.wait()),
        ]
        try:
            await asyncio.wait(waiters, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiters:
                waiter.cancel()
        if self._closed.is_set():
            said = f"closed with {self.close_code}: {self.close_reason}"
            if self.close_code == _UNKNOWN_SESSION:
                raise SessionRefused(said)
            raise ConnectionError(said)
        if not self._synced.is_set():
            raise TimeoutError(f"{self.name} was not synchronized within {within:g} s")

    async def _receive(self, socket: ClientConnection) -> None:
        try:
            async for message in socket:
                if isinstance(message, bytes) and (
                    self._room.receive(message) == YSyncMessageType.SYNC_STEP2
                ):
                    self._synced.set()
                    self._announce_change()
        except ConnectionClosed:
            pass
        finally:
            self.close_code = socket.close_code
            self.close_reason = socket.close_reason or ""
            self._closed.set()
            self._announce_change()

    async def _send(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.send(await self._outbox.get())

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self._socket = None

    def _say(self, message: bytes) -> None:
        if self.connected:
            self._outbox.put_nowait(message)

    def _on_transaction(self, event: TransactionEvent) -> None:
        self._announce_change()

    def _announce_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
