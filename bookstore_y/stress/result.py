"""What one run found, and several of them side by side in a JSON file.

Times are in seconds: `t` since the run began, latencies and lags as durations. None stands for
what could not be measured then, such as the memory of a server that was down.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 1
"""Version of the file's layout."""


@dataclass(frozen=True)
class Machine:
    """Where it ran, and with which packages."""

    system: str
    """`Linux 6.8.0 x86_64`."""
    cpus: int
    memory: int | None
    """Bytes of main memory."""
    python: str
    packages: dict[str, str]
    """Version by the name of the distribution."""


@dataclass(frozen=True)
class Latency:
    """Seconds from an edit in one client to its arrival in another, over `count` arrivals."""

    count: int
    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True)
class Sample:
    """What was measured in the interval that ended at `t`."""

    t: float
    latency: Latency | None = None
    """Of the arrivals in this interval; None without any."""
    edits_per_second: float = 0.0
    clients: int = 0
    """Clients connected at `t`."""
    checkpoint_lag: float | None = None
    """Age of the oldest edit that no version in the bucket holds; None where there is no bucket,
    or the server did not say."""
    pending_updates: int | None = None
    """Updates that no version in the bucket holds."""
    rss: int | None = None
    """Resident memory of the server's processes, in bytes."""
    loop_lag: float | None = None
    """The longest that the server's event loop was late, of all servers."""


@dataclass(frozen=True)
class Event:
    """Something that was done to the system under test."""

    t: float
    kind: str
    """`server killed`, `server stopped`, `server started`, `outage begun`, `outage ended`,
    `load ended`, `converged`."""
    detail: str = ""


@dataclass(frozen=True)
class Failure:
    """One edit that is not as it should be, or one copy of a document that differs."""

    what: str
    """`lost`, `doubled`, `not deleted` or `diverged`."""
    document: str
    client: str
    """Who made the edit; of a copy that differs, whose copy it is."""
    mark: str
    """The edit's unique mark; empty of a copy that differs."""
    where: str
    """The copies that show it: names of clients, `bucket`, `store`."""
    last_version: str | None = None
    """Id of the last version in the bucket that had the edit; None if none had it."""

    def __str__(self) -> str:
        if self.what == "diverged":
            return f"{self.document}: the copy of {self.client} differs from {self.where}"
        last = f"last in version {self.last_version}" if self.last_version else "in no version"
        return f"{self.document}: {self.mark} of {self.client} {self.what} in {self.where}; {last}"


@dataclass(frozen=True)
class Verdict:
    """Whether all copies of all documents say the same, and all that was typed, once."""

    converged: bool
    edits: int
    """Edits made, each with a mark of its own."""
    deleted: int
    """Of these, edits that were deleted on purpose, and are checked as gone."""
    lost: int
    doubled: int
    undeleted: int = 0
    """Edits that were deleted on purpose and are there all the same."""
    failures: list[Failure] = field(default_factory=list)
    """The first of them; the counts above are of all."""
    seconds_to_converge: float | None = None
    """From the end of the load until all copies were equal."""

    @property
    def passed(self) -> bool:
        """Whether something was edited, and nothing at all was wrong."""
        wrong = self.lost or self.doubled or self.undeleted or not self.converged
        return self.edits > 0 and not wrong


@dataclass(frozen=True)
class Result:
    """One run of one scenario against one store."""

    scenario: str
    store: str
    """`s3`, `sqlite`, or `server` for one that ran already, with whatever store it has."""
    users: int
    documents: int
    duration: float
    """Seconds of load."""
    faults: list[str]
    began: str
    """When the run began: ISO 8601, UTC."""
    machine: Machine
    latency: Latency | None
    """Of the whole run."""
    samples: list[Sample]
    events: list[Event]
    verdict: Verdict
    notes: list[str] = field(default_factory=list)
    """Sentences on what else was seen, or could not be measured."""
    artefacts: str | None = None
    """The directory with documents, logs and buffer, of a run that failed."""

    @property
    def title(self) -> str:
        """What tells it from others in the same report."""
        return f"{self.scenario} · {STORES.get(self.store, self.store)}"


STORES = {"s3": "S3YStore", "sqlite": "SQLiteYStore", "server": "a running server"}
"""How a report names the stores."""


def to_json(results: Sequence[Result]) -> dict[str, Any]:
    """The document that `write` writes."""
    return {"format": FORMAT, "results": [asdict(result) for result in results]}


def write(results: Sequence[Result], path: Path) -> None:
    """Write results as one JSON file."""
    path.write_text(json.dumps(to_json(results), indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> list[Result]:
    """The results in a file. Raises `ValueError` for one that is not ours, or newer."""
    document = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"{path} holds no stress results of format {FORMAT}; write it anew.")
    return [_result(each) for each in document["results"]]


def _result(fields: dict[str, Any]) -> Result:
    return Result(
        **{
            **fields,
            "machine": Machine(**fields["machine"]),
            "latency": _latency(fields["latency"]),
            "samples": [
                Sample(**{**sample, "latency": _latency(sample["latency"])})
                for sample in fields["samples"]
            ],
            "events": [Event(**event) for event in fields["events"]],
            "verdict": _verdict(fields["verdict"]),
        }
    )


def _verdict(fields: dict[str, Any]) -> Verdict:
    return Verdict(**{**fields, "failures": [Failure(**failure) for failure in fields["failures"]]})


def _latency(fields: dict[str, Any] | None) -> Latency | None:
    return None if fields is None else Latency(**fields)
