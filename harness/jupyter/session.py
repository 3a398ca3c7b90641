"""A collaboration session: what a client must know to join a document's room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote, urlencode

import httpx


class Server(Protocol):
    """Where a Jupyter server is and how to get in."""

    @property
    def url(self) -> str: ...
    @property
    def token(self) -> str: ...


@dataclass(frozen=True)
class Session:
    """One answer of `PUT /api/collaboration/session/<path>`."""

    file_format: str
    file_type: str
    file_id: str
    session_id: str

    @property
    def room_id(self) -> str:
        """The room's name, `<format>:<type>:<file id>`."""
        return f"{self.file_format}:{self.file_type}:{self.file_id}"

    def websocket_url(self, server: Server) -> str:
        """The address at which `server` serves the room."""
        base = server.url.replace("http", "ws", 1)
        query = urlencode({"sessionId": self.session_id})
        return f"{base}/api/collaboration/room/{quote(self.room_id, safe=':')}?{query}"


async def request_session(server: Server, path: str, file_format: str, file_type: str) -> Session:
    """Ask `server` for a session on the document at `path`.

    Raises `httpx.HTTPStatusError` when it refuses; 404 means that it knows no such file.
    """
    async with httpx.AsyncClient(base_url=server.url, timeout=60.0, trust_env=False) as http:
        response = await http.put(
            f"/api/collaboration/session/{quote(path)}",
            json={"format": file_format, "type": file_type},
            headers={"Authorization": f"token {server.token}"},
        )
    response.raise_for_status()
    answer = response.json()
    return Session(file_format, file_type, answer["fileId"], answer["sessionId"])
