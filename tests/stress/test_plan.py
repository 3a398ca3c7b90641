"""Plans: what cannot be done is refused before anything starts, and the sentence says why."""

from __future__ import annotations

from typing import Any

import pytest

from bookstore_y.stress.address import Address
from bookstore_y.stress.catalogue import CATALOGUE
from bookstore_y.stress.network import Network
from bookstore_y.stress.plan import Plan, PlanRefused

THEIRS = Address("http://127.0.0.1:8888", "token")


def plan(scenario: str = "typing", store: str = "s3", **fields: Any) -> Plan:
    return Plan(scenario, store, users=4, documents=2, duration=10.0, **fields)


@pytest.mark.parametrize(
    ("scenario", "fields", "said"),
    [
        ("killed", {"server": THEIRS}, r"needs processes of our own \(kill\)"),
        ("typing", {"server": THEIRS, "faults": ("outage",)}, r"\(outage\)"),
        ("two-servers", {"server": THEIRS}, "a second server"),
        ("two-servers", {"store": "sqlite"}, "SQLiteYStore has none"),
        ("typing", {"remote_workers": 1, "listen": ("127.0.0.1", 5557)}, "--server"),
        ("typing", {"remote_workers": 1, "server": THEIRS}, "--listen"),
        ("typing", {"network": Network(rate=1e6), "server": THEIRS}, "reaches nothing else"),
    ],
)
def test_what_cannot_be_is_refused(scenario: str, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanRefused, match=said):
        plan(scenario, **fields)


def test_faults_are_those_of_the_scenario_and_those_asked_for() -> None:
    assert plan("killed", faults=("outage", "kill")).all_faults == ("kill", "outage")


def test_lone_writers_have_a_notebook_each() -> None:
    assert plan("writers").notebooks == 4
    assert plan("typing").notebooks == 2


def test_every_scenario_has_its_class() -> None:
    """In a process of its own: to import them patches what waits."""
    import subprocess
    import sys

    program = "from bookstore_y.stress.load import _classes; print(*sorted(_classes()))"
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert printed.stdout.split() == sorted(CATALOGUE)
