"""What every scenario is given, and what it answers."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields
from pathlib import Path

from ..servers import NAMES, Servers


@dataclass
class Result:
    """What one scenario did on one S3 server, and what came of it."""

    scenario: str
    server: str = "-"
    kills: int = 0
    """SIGKILLs of a process under test, or of the S3 server."""
    acknowledged: int = 0
    """Updates that were acknowledged, by the list kept outside the process under test."""
    faults: int = 0
    """Network faults injected."""
    conflicts: int = 0
    """Checkpoints that met another writer's version."""
    lost: int = 0
    doubled: int = 0
    unhandled: int = 0
    """Tracebacks in the logs of the processes under test."""
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    """What else was measured, and what a failure looks like."""
    failures: list[str] = field(default_factory=list)
    """Promises broken besides the counts above; empty is what it should be."""

    @property
    def passed(self) -> bool:
        """Whether nothing was lost, doubled, unhandled or otherwise broken."""
        return not (self.lost or self.doubled or self.unhandled or self.failures)

    def __add__(self, other: Result) -> Result:
        """Both counted together, under this one's name and server."""
        added = {
            each.name: getattr(self, each.name) + getattr(other, each.name)
            for each in fields(self)
            if each.name not in ("scenario", "server")
        }
        return Result(self.scenario, self.server, **added)


@dataclass(frozen=True)
class Context:
    """What a scenario runs with. All that it does by chance follows from `seed`."""

    seed: int
    scale: float
    """1.0 is the bounded run; a longer one does that many times as much."""
    servers: Servers
    scratch: Path
    """An empty directory of the run's own, removed afterwards unless something failed."""
    server_names: tuple[str, ...] = NAMES
    """The servers that were chosen, for scenarios that run on any."""

    def random(self, name: str) -> random.Random:
        """The generator of one scenario, the same for the same seed."""
        return random.Random(f"{self.seed}/{name}")

    def directory(self, name: str) -> Path:
        """A directory of one scenario's own."""
        directory = self.scratch / name
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def times(self, count: int) -> int:
        """`count` as it is at scale 1, at least once."""
        return max(1, round(count * self.scale))


Scenario = Callable[[Context], Awaitable[list[Result]]]


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began
