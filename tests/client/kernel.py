"""Kernel: a notebook's kernel on a real server, in which tests run cells."""

from __future__ import annotations

import json
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from anyio import fail_after
from websockets.asyncio.client import ClientConnection, connect

from harness.jupyter.process import JupyterProcess


class CellFailed(AssertionError):
    """The cell raised; the message is the exception's name and its own."""


@dataclass
class CellResult:
    """What a cell printed, and the value it ended in, by MIME type."""

    text: str = ""
    data: dict[str, str] = field(default_factory=dict)


class Kernel:
    """The kernel of the notebook at `path`, started as JupyterLab does: through a session.

    `session_path` is the path that the session is given, if it is another one.
    """

    def __init__(
        self, server: JupyterProcess, path: str, *, session_path: str | None = None
    ) -> None:
        self._server = server
        self._model = {
            "path": session_path or path,
            "name": path.rpartition("/")[2],
            "type": "notebook",
            "kernel": {"name": "python3"},
        }
        self._session: dict[str, Any] = {}
        self._stack = AsyncExitStack()
        self._socket: ClientConnection

    async def rename_session(self, path: str) -> None:
        """Tell the session that its notebook is elsewhere, as JupyterLab does after a rename."""
        async with self._server.http() as http:
            answer = await http.patch(
                f"/api/sessions/{self._session['id']}",
                json={"path": path, "name": path.rpartition("/")[2]},
            )
        answer.raise_for_status()

    async def run(self, code: str, *, within: float = 60.0) -> CellResult:
        """Run one cell and wait until the kernel is idle again. Raises `CellFailed`."""
        header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "version": "5.3"}
        header |= {"username": "", "session": uuid.uuid4().hex}
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        message = {"header": header, "content": content, "channel": "shell"}
        message |= {"parent_header": {}, "metadata": {}, "buffers": []}
        await self._socket.send(json.dumps(message))
        result = CellResult()
        failure = ""
        with fail_after(within):
            while True:
                told = json.loads(await self._socket.recv())
                content, kind = told["content"], told["header"]["msg_type"]
                if told["parent_header"].get("msg_id") != header["msg_id"]:
                    continue
                if kind == "stream":
                    result.text += content["text"]
                elif kind == "execute_result":
                    result.data = content["data"]
                elif kind == "error":
                    failure = f"{content['ename']}: {content['evalue']}"
                    result.text += "\n".join(content["traceback"])
                elif kind == "status" and content["execution_state"] == "idle":
                    break
        if failure:
            raise CellFailed(failure)
        return result

    async def __aenter__(self) -> Kernel:
        async with self._server.http() as http:
            answer = await http.post("/api/sessions", json=self._model)
        answer.raise_for_status()
        self._session = answer.json()
        base = self._server.url.replace("http", "ws", 1)
        kernel = self._session["kernel"]["id"]
        self._socket = await self._stack.enter_async_context(
            connect(
                f"{base}/api/kernels/{kernel}/channels",
                additional_headers={"Authorization": f"token {self._server.token}"},
                max_size=None,
                proxy=None,
            )
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()
        async with self._server.http() as http:
            await http.delete(f"/api/sessions/{self._session['id']}")
