"""Asking a Jupyter server for a collaboration session."""

from __future__ import annotations

from typing import Protocol

import httpx

from bookstore_y.stress.session import Session


class Server(Protocol):
    """Where a Jupyter server is and how to get in."""

    @property
    def url(self) -> str: ...
    @property
    def token(self) -> str: ...


async def request_session(server: Server, path: str, file_format: str, file_type: str) -> Session:
    """Ask `server` for a session on the document at `path`.

    Raises `httpx.HTTPStatusError` when it refuses; 404 means that it knows no such file.
    """
    async with httpx.AsyncClient(base_url=server.url, timeout=60.0, trust_env=False) as http:
        response = await http.put(
            Session.path(path),
            json={"format": file_format, "type": file_type},
            headers={"Authorization": f"token {server.token}"},
        )
    response.raise_for_status()
    return Session.of(response.json())
