"""SIGTERM is taken in turn, not in the middle of whatever the server is doing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from bookstore_y.jupyter.extension import take_sigterm_in_turn

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its loops take no signals")


async def test_the_handler_is_not_called_in_the_middle_of_a_line() -> None:
    doing, calls, called = "nothing", list[str](), asyncio.Event()

    def handler(number: int, frame: object) -> None:
        calls.append(doing)
        called.set()

    before = signal.signal(signal.SIGTERM, handler)
    try:
        take_sigterm_in_turn()
        doing = "writing a line"
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000):  # the interpreter would call it between any two of these
            pass
        doing = "nothing"
        await asyncio.wait_for(called.wait(), 10)
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)
    assert calls == ["nothing"]
