"""Waiting for a condition, with a time limit."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    check: Callable[[], Awaitable[T | None]],
    what: str,
    within: float = ...,
    *,
    interval: float = ...,
) -> T: ...
@overload
async def eventually(
    check: Callable[[], T | None], what: str, within: float = ..., *, interval: float = ...
) -> T: ...
async def eventually(
    check: Callable[[], Any], what: str, within: float = 20.0, *, interval: float = 0.02
) -> Any:
    """Return the first true value of `check()`, asked every `interval` seconds.

    `check` may be a coroutine function. Raises `TimeoutError`, naming `what` was waited for and
    the last value seen, when `within` seconds pass without one.
    """
    deadline = time.monotonic() + within
    while True:
        value = check()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        _check_time(deadline, what, within, value)
        await asyncio.sleep(interval)


def wait_until(
    check: Callable[[], T | None], what: str, within: float = 20.0, *, interval: float = 0.02
) -> T:
    """The same for code that is not asynchronous."""
    deadline = time.monotonic() + within
    while True:
        value = check()
        if value:
            return value
        _check_time(deadline, what, within, value)
        time.sleep(interval)


def _check_time(deadline: float, what: str, within: float, last: object) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError(f"not within {within:g} s: {what} (last seen: {last!r})")
