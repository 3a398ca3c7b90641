"""BookstoreAPI: the project's REST interface, as any HTTP client sees it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from .jupyter_process import JupyterProcess

Json = dict[str, Any]


class BookstoreAPI:
    """`/api/bookstore` of one server. Every method raises `httpx.HTTPStatusError` on refusal."""

    def __init__(self, server: JupyterProcess) -> None:
        self._server = server

    async def status(self) -> Json:
        """What the server says about its bucket."""
        return await self._ask("GET", "/api/bookstore")

    async def versions(self, path: str) -> list[Json]:
        """The versions of the document at `path`, newest first."""
        answer = await self._ask("GET", f"/api/bookstore/versions/{quote(path)}")
        versions: list[Json] = answer["versions"]
        return versions

    async def snapshots(self, path: str) -> list[Json]:
        """The versions that are snapshots of the collaborative document, newest first."""
        return [version for version in await self.versions(path) if version["kind"] == "snapshot"]

    async def restore(self, path: str, version_id: str) -> Json:
        """Bring the content of one version of the document at `path` back."""
        return await self._ask(
            "POST", f"/api/bookstore/restore/{quote(path)}", {"version_id": version_id}
        )

    async def _ask(self, method: str, address: str, body: Json | None = None) -> Json:
        async with self._server.http() as http:
            response = await http.request(method, address, json=body)
        response.raise_for_status()
        answer: Json = response.json()
        return answer
