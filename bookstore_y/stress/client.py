"""Client: somebody in a notebook's room over its websocket, as JupyterLab is. Runs on gevent.

The caller has gevent patch the sockets, as `import locust` does; one thread has all clients, since
a pycrdt document belongs to the thread that made it.
"""

from __future__ import annotations

import random
import socket
import struct
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

import gevent  # type: ignore[import-untyped]
import requests
from gevent.event import Event  # type: ignore[import-untyped]
from gevent.queue import Empty, Queue  # type: ignore[import-untyped]
from jupyter_ydoc import YNotebook
from pycrdt import YSyncMessageType
from websocket import ABNF, WebSocket, WebSocketException, create_connection

from . import marks
from .address import Address
from .author import Author
from .room import Room
from .session import Session

T = TypeVar("T")

_BAD_SESSION = 1003
_PATIENCE = 30.0
"""Seconds that a request, a connection or a first synchronization may take."""
_PAUSES = (0.2, 1.5)
"""Seconds between two tries to connect, drawn anew each time so that not all come at once."""
_AWARENESS_INTERVAL = 15.0
"""Seconds after which a client says again that it is there, as y-protocols does."""


class Meter(Protocol):
    """Who is told what happens to clients."""

    def arrived(self, seconds: float, *, live: bool) -> None:
        """An edit of another client came, so long after it was made. `live`: both were connected
        all the while."""

    def requested(self, kind: str, seconds: float, error: Exception | None) -> None:
        """A `session` was asked for or a `room` joined; `error` says why that failed."""


class Closed(ConnectionError):
    """The server closed the websocket. `code` is the one of RFC 6455, None if it said none."""

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(f"The server closed the room with {code}: {reason}")
        self.code = code


class Client:
    """A person with a Yjs document of their own, which they keep while they are not connected.

    From `come` to `leave` it connects again whenever the connection is lost, as a browser's tab
    does, and what was edited meanwhile is sent then.
    """

    def __init__(
        self, name: str, document: str, address: Address, meter: Meter, chance: random.Random
    ) -> None:
        self.name = name
        self.document = document
        """Path of the notebook on the server."""
        self._conflicts = 0
        self.refusals = 0
        """How often a server did not accept the session that this client came with."""
        self._address = address
        self._meter = meter
        self._chance = chance
        self._wanted = Event()
        self._synced = Event()
        self._answered = Event()
        self._session: Session | None = None
        self._http = requests.Session()
        self._http.trust_env = False  # a server under test is not behind this machine's proxy
        self._http.headers["Authorization"] = f"token {address.token}"
        self._socket: WebSocket | None = None
        self._outbox = Queue()
        """Messages for the server, as bytes."""
        self._connected_at = 0.0
        self._open_tab()
        self.author = Author(name, self.notebook, chance, lambda: self.connected)
        self._life = gevent.spawn(self._live)

    # -- the connection ------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether it is in the room, and had from the server what that had."""
        return self._socket is not None and self._synced.is_set()

    @property
    def conflicts(self) -> int:
        """How often a server could not apply what this client sent."""
        return self._conflicts + self._room.conflicts

    @property
    def joined(self) -> bool:
        """Whether it was in the room once."""
        return self._connected_at > 0

    @property
    def error(self) -> BaseException | None:
        """What ended this client although nobody asked it to; None of one that lives."""
        error: BaseException | None = self._life.exception
        return error

    def come(self, within: float = _PATIENCE) -> bool:
        """Be in the room from now on. Returns whether that was so `within` seconds."""
        self._wanted.set()
        return bool(self._synced.wait(within))

    def leave(self, within: float = 5.0) -> None:
        """Leave the room, with the document in hand. After `within` seconds without the server's
        answer the connection is cut."""
        self._wanted.clear()
        websocket, self._socket = self._socket, None
        if websocket is None:
            return
        try:
            websocket.send_close()
        except (OSError, WebSocketException):
            pass  # it is closed already
        deadline = time.monotonic() + within
        while self._synced.is_set() and time.monotonic() < deadline:
            gevent.sleep(0.01)
        _cut(websocket)

    def close_tab(self) -> bool:
        """Leave once the server has said that it has everything, and forget the document.

        Returns False, and stays, when it does not say so.
        """
        self._answered.clear()
        self._room.ask()
        if not self.connected or not self._answered.wait(_PATIENCE) or not self.connected:
            return False
        self.leave()
        self._session = None
        self._conflicts = self.conflicts
        self._open_tab()
        self.author.notebook = self.notebook
        return True

    def point(self) -> None:
        """Tell the others where the cursor is, as happens with each edit and each click."""
        self._room.show(cursor={"at": self._chance.randrange(1000)})

    def end(self) -> None:
        """Leave, and never come back."""
        self.leave(within=1.0)
        self._life.kill()

    # -- within --------------------------------------------------------------------------------

    def _open_tab(self) -> None:
        self.notebook = YNotebook()
        user = {"user": {"name": self.name, "username": self.name}}
        self._room = Room(self.notebook.ydoc, self._say, user=user)

    def _live(self) -> None:
        while True:
            self._wanted.wait()
            try:
                self._stay()
            except Closed as closed:
                if closed.code == _BAD_SESSION:
                    self.refusals += 1
                    self._session = None
            except (OSError, WebSocketException, requests.RequestException):
                pass  # counted where it happened; a browser, too, tries again
            finally:
                self._synced.clear()
                self._socket = None
            gevent.sleep(self._chance.uniform(*_PAUSES) if self._wanted.is_set() else 0)

    def _stay(self) -> None:
        """Join the room and read what comes, until the connection ends."""
        if self._session is None:
            self._session = self._timed("session", self._request_session)
        began = time.monotonic()
        websocket = self._timed("connection", self._connect)
        self._socket, self._outbox = websocket, Queue()
        self._room.greet()
        sending = gevent.spawn(self._send, websocket, self._outbox)
        try:
            websocket.settimeout(_PATIENCE)
            while self._wanted.is_set():
                self._receive(websocket)
                if websocket.gettimeout() is not None and self.connected:
                    websocket.settimeout(None)
                    self._meter.requested("room", time.monotonic() - began, None)
        finally:
            sending.kill()
            _cut(websocket)

    def _request_session(self) -> Session:
        response = self._http.put(
            f"{self._address.url}{Session.path(self.document)}",
            json={"format": "json", "type": "notebook"},
            timeout=_PATIENCE,
        )
        response.raise_for_status()
        return Session.of(response.json())

    def _connect(self) -> WebSocket:
        assert self._session is not None  # noqa: S101 - asked for just before
        return create_connection(
            self._session.websocket_url(self._address.url),
            timeout=_PATIENCE,
            header=[f"Authorization: token {self._address.token}"],
            http_no_proxy=["*"],
            skip_utf8_validation=True,
            sockopt=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
            suppress_origin=True,
        )

    def _timed(self, kind: str, act: Callable[[], T]) -> T:
        began = time.monotonic()
        error: Exception | None = None
        try:
            return act()
        except (OSError, WebSocketException, requests.RequestException) as caught:
            error = caught
            raise
        finally:
            self._meter.requested(kind, time.monotonic() - began, error)

    def _send(self, websocket: WebSocket, outbox: Queue) -> None:
        try:
            while True:
                try:
                    websocket.send_binary(outbox.get(timeout=_AWARENESS_INTERVAL))
                except Empty:
                    self._room.show()
        except (OSError, WebSocketException):
            _cut(websocket)  # whoever receives hears of it

    def _receive(self, websocket: WebSocket) -> None:
        opcode, message = websocket.recv_data()
        if opcode == ABNF.OPCODE_CLOSE:
            code = struct.unpack("!H", message[:2])[0] if len(message) >= 2 else None
            raise Closed(code, message[2:].decode(errors="replace"))
        if opcode != ABNF.OPCODE_BINARY or not message:
            return
        now = time.time()
        kind = self._room.receive(message)
        if kind == YSyncMessageType.SYNC_STEP2:
            if not self._synced.is_set():
                self._connected_at = now
                self._synced.set()
            self._answered.set()
        elif kind == YSyncMessageType.SYNC_UPDATE:
            for arrival in marks.arrivals(message[1:]):
                live = not arrival.offline and arrival.made > self._connected_at
                self._meter.arrived(now - arrival.made, live=live)

    def _say(self, message: bytes) -> None:
        if self._socket is not None:
            self._outbox.put(message)


def _cut(websocket: WebSocket) -> None:
    """Close the connection without a word."""
    websocket.shutdown()  # type: ignore[no-untyped-call]
