"""Contents managers that keep no plain files."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from jupyter_server.services.contents.checkpoints import AsyncCheckpoints, Checkpoints
from jupyter_server.services.contents.manager import AsyncContentsManager, ContentsManager
from tornado.web import HTTPError

Model = dict[str, Any]


class NoCheckpoints(Checkpoints):
    """Keeps none."""

    def delete_all_checkpoints(self, path: str) -> None: ...
    def rename_all_checkpoints(self, old_path: str, new_path: str) -> None: ...


class NoCheckpointsAtAll(AsyncCheckpoints):
    """Keeps none, asynchronously."""

    async def delete_all_checkpoints(self, path: str) -> None: ...
    async def rename_all_checkpoints(self, old_path: str, new_path: str) -> None: ...


class _Files:
    """Files and directories by path; a notebook is kept as JSON, as a database may do."""

    def __init__(self) -> None:
        self.models: dict[str, Model] = {"": {"type": "directory"}}

    def get(self, path: str, content: bool) -> Model:
        path = path.strip("/")
        kept = self.models.get(path)
        if kept is None:
            raise HTTPError(404, f"there is no {path}")
        now = datetime.now(timezone.utc)
        model = {
            "name": path.rpartition("/")[2],
            "path": path,
            "type": kept["type"],
            "writable": True,
            "created": now,
            "last_modified": now,
            "mimetype": None,
            "content": None,
            "format": None,
        }
        if content and kept["type"] == "directory":
            above = f"{path}/" if path else ""
            model["format"] = "json"
            model["content"] = [
                self.get(each, False)
                for each in self.models
                if each and each.startswith(above) and "/" not in each[len(above) :]
            ]
        elif content:
            model |= {"content": kept["content"], "format": kept["format"]}
        return model

    def save(self, model: Model, path: str) -> Model:
        path = path.strip("/")
        if path.rpartition("/")[0] not in self.models:
            raise HTTPError(404, f"there is no directory for {path}")
        if path.endswith(".ipynb") and model["type"] != "notebook":
            raise HTTPError(400, f"{path} is a notebook")
        if model["type"] == "directory" and path in self.models:
            return self.get(path, False)
        self.models[path] = {
            "type": model["type"],
            "content": model.get("content"),
            "format": model.get("format"),
        }
        return self.get(path, False)

    def is_directory(self, path: str) -> bool:
        return self.models.get(path.strip("/"), {}).get("type") == "directory"

    def is_file(self, path: str) -> bool:
        return self.models.get(path.strip("/"), {}).get("type") in ("file", "notebook")


class BlockingInMemory(ContentsManager):
    """A synchronous one."""

    checkpoints_class = NoCheckpoints

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._files = _Files()

    def get(
        self,
        path: str,
        content: bool = True,
        type: str | None = None,
        format: str | None = None,
        require_hash: bool = False,
    ) -> Model:
        return self._files.get(path, content)

    def save(self, model: Model, path: str = "") -> Model:
        self.run_pre_save_hooks(model=model, path=path)  # type: ignore[no-untyped-call]
        saved = self._files.save(model, path)
        self.emit({"action": "save", "path": path})  # type: ignore[no-untyped-call]
        return saved

    def delete_file(self, path: str) -> None:
        del self._files.models[path.strip("/")]

    def rename_file(self, old_path: str, new_path: str) -> None:
        self._files.models[new_path] = self._files.models.pop(old_path)

    def file_exists(self, path: str) -> bool:
        return self._files.is_file(path)

    def dir_exists(self, path: str) -> bool:
        return self._files.is_directory(path)

    def is_hidden(self, path: str) -> bool:
        return False


class InMemory(AsyncContentsManager):
    """An asynchronous one."""

    checkpoints_class = NoCheckpointsAtAll

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._files = _Files()

    async def get(
        self,
        path: str,
        content: bool = True,
        type: str | None = None,
        format: str | None = None,
        require_hash: bool = False,
    ) -> Model:
        return self._files.get(path, content)

    async def save(self, model: Model, path: str = "") -> Model:
        self.run_pre_save_hooks(model=model, path=path)  # type: ignore[no-untyped-call]
        saved = self._files.save(model, path)
        self.emit({"action": "save", "path": path})  # type: ignore[no-untyped-call]
        return saved

    async def delete_file(self, path: str) -> None:
        del self._files.models[path.strip("/")]

    async def rename_file(self, old_path: str, new_path: str) -> None:
        self._files.models[new_path] = self._files.models.pop(old_path)

    async def file_exists(self, path: str) -> bool:
        return self._files.is_file(path)

    async def dir_exists(self, path: str) -> bool:
        return self._files.is_directory(path)

    async def is_hidden(self, path: str) -> bool:
        return False
