"""Who the users of a server under test are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jupyter_server.auth import PasswordIdentityProvider, User
from jupyter_server.utils import ensure_async

NAME = "X-Test-Name"


class Named(PasswordIdentityProvider):
    """Takes a request's word for the name of who makes it."""

    async def get_user(self, handler: Any) -> User | None:
        """The user that has logged in, under the name of the header `NAME`."""
        user: User | None = await ensure_async(super().get_user(handler))
        name = handler.request.headers.get(NAME)
        return replace(user, name=name, display_name=name) if user and name else user
