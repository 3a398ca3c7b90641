"""Relay: a TCP port before another one, that can be shut and opened again: an outage."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from urllib.parse import urlsplit

_PIECE = 1 << 16


class Relay:
    """Passes on what comes to a loopback port of its own, until it is shut: then connections
    end, and new ones are refused. Threads, one for each direction of each connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._scheme = parts.scheme
        self._port = 0
        self._listening: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it listens, or listened before it was shut."""
        return f"{self._scheme}://127.0.0.1:{self._port}"

    def open(self) -> None:
        """Listen, at the same port every time."""
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self._port))
        listening.listen(256)
        self._port = listening.getsockname()[1]
        self._listening = listening
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def shut(self) -> None:
        """Refuse connections from now on, and end those that are there."""
        listening, self._listening = self._listening, None
        if listening is not None:
            _end(listening)
        with self._lock:
            ending, self._open = self._open, set()
        for each in ending:
            _end(each)

    def __enter__(self) -> Relay:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shut()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                near, _ = listening.accept()
                far = socket.create_connection(self._target)
            except OSError:
                if self._listening is not listening:
                    return
                continue
            with self._lock:
                if self._listening is listening:
                    self._open |= {near, far}
            if self._listening is not listening:  # shut between the two
                _end(near)
                _end(far)
                return
            for source, target in ((near, far), (far, near)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE):
                target.sendall(piece)
        for each in (source, target):
            with self._lock:
                self._open.discard(each)
            _end(each)


def _end(connection: socket.socket) -> None:
    # Another thread may be waiting on it, which `close` alone would not wake.
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
