"""Signals stop a server in turn, not in the middle of whatever it is doing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bookstore_y.jupyter.stopping import stop_in_order

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has but two of the signals")

ALL = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT]


class App:
    """What of a ServerApp has to do with signals."""

    def __init__(self) -> None:
        self.doing = "nothing"
        self.calls: list[tuple[int, str]] = []
        self.called = asyncio.Event()
        self.warnings: list[str] = []
        self.log = self

    def _signal_stop(self, number: int, frame: object) -> None:
        self.calls.append((number, self.doing))
        self.called.set()

    def warning(self, message: str, *args: object) -> None:
        self.warnings.append(message % args)
        self.called.set()


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in ALL}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def take_over(app: Any, flushing: Callable[[], bool] = lambda: False) -> Callable[[], None]:
    """Begin as jupyter_server does; asyncio's own handler of SIGINT is none of a server's."""
    for number in ALL:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, app._signal_stop)
    return stop_in_order(app, flushing)


@pytest.mark.parametrize("number", ALL)
async def test_a_signal_stops_the_server_but_not_in_the_middle_of_a_line(
    number: signal.Signals,
) -> None:
    app = App()
    take_over(app)
    app.doing = "writing a line"
    os.kill(os.getpid(), number)
    for _ in range(1000):  # the interpreter would call it between any two of these
        pass
    app.doing = "nothing"
    await asyncio.wait_for(app.called.wait(), 10)
    assert app.calls == [(number, "nothing")]


@pytest.mark.parametrize("number", ALL)
async def test_another_signal_while_the_archive_is_flushed_changes_nothing(
    number: signal.Signals,
) -> None:
    app = App()
    take_over(app, lambda: True)
    os.kill(os.getpid(), number)
    await asyncio.wait_for(app.called.wait(), 10)
    assert app.calls == []
    assert number.name in app.warnings[0]


def other(number: int, frame: object) -> None:
    """Somebody else's handler."""


@pytest.mark.parametrize("handler", [signal.SIG_IGN, other])
async def test_what_is_ignored_or_somebody_elses_stays(handler: Any) -> None:
    for number in ALL:
        signal.signal(number, handler)
    stop_in_order(App(), lambda: False)  # type: ignore[arg-type]
    assert {signal.getsignal(number) for number in ALL} == {handler}


async def test_when_all_is_flushed_the_signals_are_what_they_were() -> None:
    app: Any = App()
    undo = take_over(app)
    assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    undo()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) == app._signal_stop


def test_a_signal_after_the_loop_is_closed_does_what_it_did_before() -> None:
    async def run() -> None:
        take_over(App())

    asyncio.run(run())
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
