"""BookstoreAPI: the project's REST interface, as any HTTP client sees it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from bookstore_y.local.waiting import eventually

from .process import JupyterProcess

Json = dict[str, Any]


class BookstoreAPI:
    """`/api/bookstore` of one server. Every method raises `httpx.HTTPStatusError` on refusal."""

    def __init__(self, server: JupyterProcess) -> None:
        self._server = server

    async def status(self) -> Json:
        """What the server says about its bucket."""
        return await self._ask("GET", "/api/bookstore")

    async def until_started(self) -> None:
        """Wait until the server has done what it does by itself when it starts: it archives what
        an earlier process left, and whatever is pending by then."""

        async def started() -> bool:
            return bool((await self.status())["workspace"]["state"] in ("restored", "partial"))

        await eventually(started, within=60, what="the server to have its workspace")

    async def versions(self, path: str) -> list[Json]:
        """All versions of the document at `path` with their details, newest first."""
        versions: list[Json] = []
        query = "details=1&limit=1000"
        after = ""
        while True:
            page = await self._ask(
                "GET", f"/api/bookstore/versions/{quote(path)}?{query}&after={quote(after)}"
            )
            versions += page["versions"]
            if page["next"] is None:
                return versions
            after = page["next"]

    async def version(self, path: str, version_id: str) -> Json:
        """One version of the document at `path`, and its contents model."""
        query = f"version_id={quote(version_id)}"
        return await self._ask("GET", f"/api/bookstore/version/{quote(path)}?{query}")

    async def snapshots(self, path: str) -> list[Json]:
        """The versions that are snapshots of the collaborative document, newest first."""
        return [version for version in await self.versions(path) if version["kind"] == "snapshot"]

    async def restore(self, path: str, version_id: str) -> Json:
        """Bring the content of one version of the document at `path` back."""
        return await self._ask(
            "POST", f"/api/bookstore/restore/{quote(path)}", {"version_id": version_id}
        )

    async def undelete(self, path: str) -> Json:
        """Take the deletion of the document at `path` back."""
        return await self._ask("POST", f"/api/bookstore/undelete/{quote(path)}")

    async def diff(self, path: str, before: str) -> Json:
        """What changed from a version of the document at `path` up to now."""
        return await self._ask("GET", f"/api/bookstore/diff/{quote(path)}?before={quote(before)}")

    async def publish(self, path: str, **model: Any) -> Json:
        """Publish the notebook at `path`: `live=True`, or a `version_id`, or a `content`."""
        address = f"/api/bookstore/publish/{quote(path)}"
        return await self._ask("PUT", address, {"type": "notebook", **model})

    async def _ask(self, method: str, address: str, body: Json | None = None) -> Json:
        async with self._server.http() as http:
            response = await http.request(method, address, json=body)
        response.raise_for_status()
        answer: Json = response.json()
        return answer
