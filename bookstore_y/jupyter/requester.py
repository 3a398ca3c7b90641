"""The user who makes the current request."""

from __future__ import annotations

from typing import Any

from jupyter_server import CallContext
from jupyter_server.base.handlers import JupyterHandler
from tornado.websocket import WebSocketHandler

_MADE_UP = "Anonymous "
"""How the names begin that jupyter_server gives to users without one (its auth/identity.py)."""


def authors_of(handler: JupyterHandler) -> tuple[str, ...]:
    """The user's name, unless it is one that jupyter_server has made up."""
    user: Any = handler.current_user
    name = str(user.display_name or user.name or user.username)
    return () if name.startswith(_MADE_UP) else (name,)


def requesting_authors() -> tuple[str, ...]:
    """The name of whoever made the request that is being answered.

    What a live room saves is not asked for by anyone, though it may run in the context of the
    request that opened the room.
    """
    handler = CallContext.get(CallContext.JUPYTER_HANDLER)
    answering = isinstance(handler, JupyterHandler) and not handler._finished
    if not answering or isinstance(handler, WebSocketHandler):
        return ()
    return authors_of(handler) if handler.current_user else ()


def name_of_requester(present: set[str]) -> str | None:
    """The name of who made the request that is being answered.

    A made-up name says who it was only if others see it: a program gets a new one each time.
    """
    user = getattr(CallContext.get(CallContext.JUPYTER_HANDLER), "current_user", None)
    name = str(getattr(user, "display_name", "") or getattr(user, "name", "") or "")
    return name if name and (name in present or not name.startswith(_MADE_UP)) else None
