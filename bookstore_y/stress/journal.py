"""Journal: what the load notes while it runs, read as it grows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Journal:
    """The lines of a file that another process appends to."""

    def __init__(self, path: Path) -> None:
        self.ticks: list[dict[str, Any]] = []
        """A crew's figures of a second."""
        self.events: dict[str, float] = {}
        """When each event happened, in seconds since the epoch."""
        self._path = path
        self._position = 0

    def read(self) -> None:
        """Take in what was appended since the last call."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._position)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # it is still being written
                self._position += len(line)
                said = json.loads(line)
                if "tick" in said:
                    self.ticks.append(said["tick"])
                else:
                    self.events[said["event"]] = said["at"]
