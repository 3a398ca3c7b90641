"""The handlers of jupyter_server_ydoc that are replaced, where it is in use."""

from __future__ import annotations

from tornado import web

from .contents import rules
from .room import room_handler
from .session import session_handler


def serve_rooms(application: web.Application) -> None:
    """Have tabs be led to the rooms of their documents, and given sessions that say which.

    Each handler is replaced by a subclass of its own, at its place in the routing table, so that
    another extension's that has the same address is left alone.
    """
    try:
        from jupyter_server_ydoc.handlers import (  # type: ignore[import-untyped]
            DocSessionHandler,
            YDocWebSocketHandler,
        )
    except ImportError:
        return
    ours = {
        DocSessionHandler: session_handler(DocSessionHandler),
        YDocWebSocketHandler: room_handler(YDocWebSocketHandler),
    }
    for rule in rules(application.default_router):
        rule.target = ours.get(rule.target, rule.target)
