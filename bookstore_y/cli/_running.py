"""Running a command with a configured archive, opened and closed."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ..errors import BookstoreError, DocumentNotFound
from ._config import load_settings, require_bucket
from ._output import Output
from ._text import visible

if TYPE_CHECKING:
    from ..archive.archive import Archive

Work = Callable[["Archive", argparse.Namespace, Output], Awaitable[int]]
"""What a command does; it returns the exit code."""


def output(args: argparse.Namespace) -> Output:
    """Where the command of `args` prints."""
    return Output(args.command, as_json=getattr(args, "json", False))


def with_archive(args: argparse.Namespace, work: Work) -> int:
    """Run `work` on the archive that the configuration names, and return its exit code.

    Raises `CommandError` for configuration that cannot be used, and what `work` raises.
    """
    settings = load_settings(args)
    require_bucket(settings)
    out = output(args)

    async def run() -> int:
        from ..archive.archive import Archive

        async with Archive(settings) as archive:
            try:
                return await work(archive, args, out)
            except DocumentNotFound as error:
                hint = await _hint(archive, getattr(args, "path", None))
                raise DocumentNotFound(f"{error}{hint}") from error

    return asyncio.run(run())


async def _hint(archive: Archive, path: str | None) -> str:
    """A question to end a message with, if a path in the bucket is like the one that is not."""
    from ._near import path_like

    with contextlib.suppress(BookstoreError):
        like = None if path is None else await path_like(archive, path)
        if like is not None:
            return f" Did you mean {visible(like)!r}?"
    return ""
