"""How pytest-xdist's workers share the tests: a module to one worker, and a server to one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from harness.servers import NAMES

if TYPE_CHECKING:
    import pytest

_SLOW_TO_START = re.compile(rf"[\[-]({'|'.join(name for name in NAMES if name != 'moto')})[-\]]")


def unit(nodeid: str) -> str:
    """What the test goes with: all others of its server, or those of its module.

    moto costs nothing to start, so every worker has its own; the others start once.
    """
    module, _, name = nodeid.partition("::")
    server = _SLOW_TO_START.search(name)
    return server[1] if server else module


def longest_first(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """The tests by unit, so that no long one is left for the end, when the other workers are idle.

    The order within a unit stays.
    """
    units: dict[str, list[pytest.Item]] = {}
    for item in items:
        units.setdefault(unit(item.nodeid), []).append(item)
    ordered = sorted(units.items(), key=lambda entry: _length(*entry), reverse=True)
    return [item for _, tests in ordered for item in tests]


def _length(name: str, tests: list[pytest.Item]) -> tuple[bool, bool, int]:
    """How long a unit takes, for comparison."""
    longer = any(item.get_closest_marker("timeout") for item in tests)
    slow = sum(item.get_closest_marker("slow") is not None for item in tests)
    return name in NAMES, longer, 20 * slow + len(tests)


class Units(LoadScopeScheduling):  # type: ignore[misc]
    """Gives out unit by unit."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)

    def remove_node(self, node: Any) -> str | None:
        """Give out again what a worker that ended has not run: all but the test it ended in.

        xdist itself has every new worker begin with that one, and end in it.
        """
        units = self.assigned_work[node]
        ended_in: str | None = None
        for name in list(units):
            pending = [nodeid for nodeid, done in units[name].items() if not done]
            if pending and ended_in is None:
                ended_in = pending.pop(0)
                units[name][ended_in] = True
            if not pending:
                del units[name]
        super().remove_node(node)
        return ended_in

    def schedule(self) -> None:
        super().schedule()
        # A worker begins a test once it knows the next one, or that there is none.
        for node in self.nodes:
            self._reschedule(node)
