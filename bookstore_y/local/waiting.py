"""Waiting for a condition, with a bound; never sleeping for luck."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    check: Callable[[], Awaitable[T | None]], *, within: float, what: str, interval: float = ...
) -> T: ...
@overload
async def eventually(
    check: Callable[[], T | None], *, within: float, what: str, interval: float = ...
) -> T: ...
async def eventually(
    check: Callable[[], Any], *, within: float, what: str, interval: float = 0.05
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
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within:g} s: {what} (last seen: {value!r})")
        await asyncio.sleep(interval)
