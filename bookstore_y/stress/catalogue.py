"""The scenarios' names, and what a run has to prepare for each. Importing it patches nothing."""

from __future__ import annotations

from dataclasses import dataclass

FAULTS = {
    "kill": "the server gets SIGKILL, and starts again on the same disk",
    "stop": "the server gets SIGTERM, and starts again on the same disk",
    "outage": "the bucket cannot be reached for a fifth of the time",
}
"""What can be done to a server of ours in the middle of the load."""


@dataclass(frozen=True)
class About:
    """One scenario: what happens, and what it needs."""

    name: str
    summary: str
    faults: tuple[str, ...] = ()
    """Those that belong to it; others can be asked for."""
    servers: int = 1
    cells: int = 4
    """Cells of each notebook that everybody types into."""
    alone: bool = False
    """Whether each user has a notebook of their own."""


_ALL = (
    About("typing", "text inserted and deleted in the same cells"),
    About("cells", "cells inserted, moved and deleted"),
    About("sources", "cell sources replaced"),
    About("outputs", "outputs that stream from execution"),
    About("storms", "all leave and join at the same moments, half of them in a new tab"),
    About("offline", "long edits without a connection, then back"),
    About("readers", "a large notebook with one writer and many readers", cells=400),
    About("writers", "many notebooks with one writer each", alone=True),
    About("two-servers", "the same document through two servers that share a bucket", servers=2),
    About("stopped", "typing while the server gets SIGTERM and comes back", ("stop",)),
    About("killed", "typing while the server gets SIGKILL and comes back", ("kill",)),
    About("outage", "typing while the bucket is away", ("outage",)),
    About("mixed", "text, cells, sources, outputs and lost connections together"),
    About("everything", "mixed, with a SIGKILL in an outage of the bucket", ("kill", "outage")),
)

CATALOGUE = {about.name: about for about in _ALL}
"""All scenarios by name; `scenarios.py` has a class for each."""

SHORT = tuple(about.name for about in _ALL if about.name != "mixed")
"""Those that `--scenario all` runs; `everything` has all of `mixed`."""
