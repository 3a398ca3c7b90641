"""Plan: what one run is to be, checked before anything is started."""

from __future__ import annotations

from dataclasses import dataclass

from ..settings import BookstoreSettings
from .address import Address
from .catalogue import CATALOGUE, FAULTS, About
from .network import Network


class PlanRefused(ValueError):
    """What was asked for cannot be done; the message says why, and what can."""


@dataclass(frozen=True)
class Plan:
    """One run of a scenario against one store."""

    scenario: str
    store: str
    """`s3`, `sqlite`, or `server` for `server`."""
    users: int
    documents: int
    duration: float
    faults: tuple[str, ...] = ()
    """Besides those of the scenario."""
    server: Address | None = None
    """One that runs already, in place of ours."""
    bucket: BookstoreSettings | None = None
    """The bucket of that server, if it is known here."""
    workers: int = 0
    """Processes of this machine that share the load; with none, one has all of it."""
    remote_workers: int = 0
    """Further ones, which come from elsewhere to `listen`."""
    listen: tuple[str, int] | None = None
    web: tuple[str, int] | None = None
    """Host and port of Locust's page."""
    host: str = "127.0.0.1"
    """Where servers of ours listen."""
    network: Network | None = None
    """What the kernel does to the way between clients and server."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.server is not None and (self.all_faults or self.about.servers > 1):
            named = ", ".join(self.all_faults) or "a second server"
            raise PlanRefused(
                f"{self.scenario} needs processes of our own ({named}), and --server names one "
                "that is not ours; leave --server away, or choose another scenario."
            )
        if self.network is not None and (self.server or self.web or self.remote_workers):
            raise PlanRefused(
                "A bad network is in a namespace of its own, which reaches nothing else; leave "
                "--server, --web and --remote-workers away."
            )
        if self.server is None and self.remote_workers:
            raise PlanRefused(
                "Workers elsewhere cannot reach a server of ours, which listens on this machine "
                "alone; start one that they can reach, and name it with --server."
            )
        if self.remote_workers and self.listen is None:
            raise PlanRefused(
                "Workers elsewhere have to find this machine; say where it listens for them with "
                "--listen HOST:PORT."
            )
        if self.store == "sqlite" and self.about.servers > 1:
            raise PlanRefused(
                f"{self.scenario} has two servers share a bucket, and SQLiteYStore has none; run "
                "it with --store s3."
            )

    @property
    def about(self) -> About:
        """The scenario."""
        return CATALOGUE[self.scenario]

    @property
    def all_faults(self) -> tuple[str, ...]:
        """Those of the scenario and those asked for, each once."""
        return tuple(fault for fault in FAULTS if fault in {*self.about.faults, *self.faults})

    @property
    def notebooks(self) -> int:
        """How many notebooks there are."""
        return self.users if self.about.alone else self.documents
