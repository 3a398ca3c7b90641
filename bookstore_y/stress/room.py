"""Room: what a client says and hears in a document's room, whatever carries the messages."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pycrdt import (
    Awareness,
    Decoder,
    Doc,
    TransactionEvent,
    YMessageType,
    YSyncMessageType,
    create_awareness_message,
    create_sync_message,
    create_update_message,
    handle_sync_message,
    read_message,
)

RAW = 2
"""jupyter_server_ydoc's third kind of message: JSON, or a request in words."""


class Room:
    """A client's side of the protocol that jupyter_server_ydoc speaks in a room.

    `send` is given every message for the server, edits of `doc` as they are made among them.
    """

    def __init__(
        self, doc: Doc[Any], send: Callable[[bytes], None], *, user: dict[str, Any] | None = None
    ) -> None:
        self.conflicts = 0
        """How often the server said that it could not apply what this client sent."""
        self._doc = doc
        self._send = send
        self._applying = False
        self._awareness: Awareness | None = None
        if user is not None:
            self._awareness = Awareness(doc)
            self._awareness.set_local_state(user)
        self._subscription = doc.observe(self._on_transaction)

    def greet(self) -> None:
        """Say who is there, and ask for what the server has."""
        self.show()
        self.ask()

    def ask(self) -> None:
        """Ask for what the server has, and be asked for what it lacks."""
        self._send(create_sync_message(self._doc))

    def show(self, **fields: Any) -> None:
        """Tell the others who is there, and where; nothing of a client without a user."""
        if self._awareness is None:
            return
        state = {**(self._awareness.get_local_state() or {}), **fields}
        self._awareness.set_local_state(state)  # anew, since the others forget what gets old
        mine = [self._awareness.client_id]
        self._send(create_awareness_message(self._awareness.encode_awareness_update(mine)))

    def receive(self, message: bytes) -> YSyncMessageType | None:
        """Take in a message of the server. Returns its kind if it is one of synchronization."""
        kind = message[0]
        if kind == YMessageType.SYNC:
            return self._synchronize(message[1:])
        if kind == YMessageType.AWARENESS and self._awareness is not None:
            self._awareness.apply_awareness_update(read_message(message[1:]), "server")
        elif kind == RAW:
            said = json.loads(Decoder(message[1:]).read_var_string())
            self.conflicts += said.get("type") == "conflict"
        return None

    def _synchronize(self, message: bytes) -> YSyncMessageType:
        self._applying = True
        try:
            reply = handle_sync_message(message, self._doc)
        finally:
            self._applying = False
        if reply is not None:
            self._send(reply)
        return YSyncMessageType(message[0])

    def _on_transaction(self, event: TransactionEvent) -> None:
        if not self._applying:
            self._send(create_update_message(event.update))
