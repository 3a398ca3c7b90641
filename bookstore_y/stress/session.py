"""Session: what a client must know to join a document's room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode


@dataclass(frozen=True)
class Session:
    """One answer of `PUT /api/collaboration/session/<path>` (jupyter_server_ydoc's handlers.py)."""

    file_format: str
    file_type: str
    file_id: str
    session_id: str

    @staticmethod
    def path(document: str) -> str:
        """The path of the request for a session on a document."""
        return f"/api/collaboration/session/{quote(document)}"

    @classmethod
    def of(cls, answer: dict[str, Any]) -> Session:
        """The session that an answer of the server grants."""
        return cls(answer["format"], answer["type"], answer["fileId"], answer["sessionId"])

    @property
    def room_id(self) -> str:
        """The room's name, `<format>:<type>:<file id>`."""
        return f"{self.file_format}:{self.file_type}:{self.file_id}"

    def websocket_url(self, url: str) -> str:
        """The address at which the server at `url` serves the room."""
        base = url.replace("http", "ws", 1)
        query = urlencode({"sessionId": self.session_id})
        return f"{base}/api/collaboration/room/{quote(self.room_id, safe=':')}?{query}"
