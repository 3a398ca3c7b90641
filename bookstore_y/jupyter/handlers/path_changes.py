"""Renames and deletions that the bucket has not followed: list, retry, drop."""

from __future__ import annotations

import asyncio
from typing import Any

from tornado.web import HTTPError

from .arguments import Fields
from .base import BookstoreHandler, call, require_contents_write

PATIENCE = 20.0
"""Seconds that a request waits for what it has tried again."""


class MovesHandler(BookstoreHandler):
    """GET /api/bookstore/moves: what the bucket has not followed, and why."""

    @call
    async def get(self) -> None:
        """Answer all of it, in the order in which it happened."""
        self.answer({"moves": self.services.path_changes.listed()})


class RetryMovesHandler(BookstoreHandler):
    """POST /api/bookstore/moves/retry: try one, or all, at once."""

    @call
    async def post(self) -> None:
        """Answer what is left after that. What takes longer goes on."""
        await require_contents_write(self)
        moves = self.services.path_changes
        number = _number(Fields(self.request.body or b"{}"), required=False)
        trying = asyncio.ensure_future(moves.try_again(number))
        done, _ = await asyncio.wait([trying], timeout=PATIENCE)
        self.answer({"moves": trying.result() if done else moves.listed()})


class DropMoveHandler(BookstoreHandler):
    """POST /api/bookstore/moves/drop: give up on one; the bucket keeps what it has."""

    @call
    async def post(self) -> None:
        """Answer what was dropped, and what is left."""
        await require_contents_write(self)
        moves = self.services.path_changes
        number = _number(Fields(self.request.body), required=True)
        dropped = await moves.drop(number or 0)
        self.answer({"dropped": dropped, "moves": moves.listed()})


def _number(fields: Fields, *, required: bool) -> int | None:
    value: Any = fields.value("id")
    if value is None and not required:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise HTTPError(400, '"id" must be the number of a path change in the list.')
    return value
