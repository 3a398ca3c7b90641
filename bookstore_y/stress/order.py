"""Order: what one run of the load is to do, as its processes are told it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Order:
    """One run. The file it is written to holds the servers' tokens; it is for its owner alone."""

    scenario: str
    users: int
    documents: list[str]
    """Paths on the server."""
    servers: list[dict[str, str]]
    """`url` and `token` of each."""
    duration: float
    """Seconds of load, once everybody is in their rooms."""
    settle_seconds: float
    """Seconds that all copies may take to become equal afterwards."""
    spawn_rate: float
    """Users a second."""
    directory: Path
    seed: int = 0
    workers: int = 0
    host: str = "127.0.0.1"
    port: int = 0
    """Where Locust's master listens for its workers."""
    web_host: str = "127.0.0.1"
    web_port: int | None = None

    @property
    def journal(self) -> Path:
        """The file to which the load appends what happens."""
        return self.directory / "load.jsonl"

    def write(self, path: Path) -> None:
        """Write it for `read`."""
        path.touch(mode=0o600)
        path.write_text(json.dumps({**asdict(self), "directory": str(self.directory)}))

    @classmethod
    def read(cls, path: Path) -> Order:
        """What `write` wrote."""
        fields: dict[str, Any] = json.loads(path.read_text())
        return cls(**{**fields, "directory": Path(fields["directory"])})
