"""Order: what one run of the load is to do, as its processes are told it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Order:
    """One run. The token of the servers is not in it, but in $JUPYTER_TOKEN."""

    scenario: str
    users: int
    documents: list[str]
    """Paths on the server."""
    servers: list[str]
    """Their URLs, without a slash at the end."""
    duration: float
    """Seconds of load, once everybody is in their rooms."""
    settle_seconds: float
    """Seconds that all copies may take to become equal afterwards."""
    spawn_rate: float
    """Users a second."""
    directory: Path
    seed: int = 0
    workers: int = 0
    """Those to wait for, here and elsewhere."""
    listen_host: str = "127.0.0.1"
    listen_port: int = 0
    """Where Locust's master listens for its workers."""
    web_host: str = "127.0.0.1"
    web_port: int | None = None

    @property
    def journal(self) -> Path:
        """The file to which the load appends what happens."""
        return self.directory / "load.jsonl"

    def write(self, path: Path) -> None:
        """Write it for `read`."""
        path.write_text(json.dumps(self.to_dict(), indent=1), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Order:
        """What `write` wrote."""
        return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {**asdict(self), "directory": str(self.directory)}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Order:
        """What `to_dict` returned."""
        return cls(**{**fields, "directory": Path(fields["directory"])})
