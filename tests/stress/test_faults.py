"""Faults: what is due is done, once, and undone in the end."""

from __future__ import annotations

from typing import cast

from bookstore_y.stress.faults import Faults
from bookstore_y.stress.relay import Relay
from bookstore_y.stress.server import Server


class Noted:
    """A server and a relay that note what is asked of them."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> object:
        return lambda: self.asked.append(name)


def faults(noted: Noted, *names: str, duration: float = 100.0) -> Faults:
    return Faults(names, duration, [cast("Server", noted)], cast("Relay", noted))


def test_a_kill_comes_in_the_middle_of_the_outage() -> None:
    noted = Noted()
    due = faults(noted, "kill", "outage")
    for seconds in range(0, 101, 10):
        due.act(seconds)
    assert noted.asked == ["shut", "kill", "start", "open"]
    assert [event.kind for event in due.events] == [
        "outage begun",
        "server killed",
        "server started",
        "outage ended",
    ]


def test_a_stop_comes_after_a_kill() -> None:
    noted = Noted()
    due = faults(noted, "stop", "kill")
    due.act(100)
    assert noted.asked == ["kill", "start", "stop", "start"]


def test_an_outage_that_is_on_ends_with_the_load() -> None:
    noted = Noted()
    due = faults(noted, "kill", "outage")
    due.act(45)
    due.end()
    due.act(100)
    assert noted.asked == ["shut", "open"]
