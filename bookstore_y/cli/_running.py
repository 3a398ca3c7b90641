"""Running what a command does with the archive: configured, opened, and closed in the end."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ._config import load_settings, require_bucket
from ._output import Output

if TYPE_CHECKING:
    from ..archive import Archive

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
        from ..archive import Archive

        async with Archive(settings) as archive:
            return await work(archive, args, out)

    return asyncio.run(run())
