"""What a returning tab tells a server that doesn't know it.

jupyter_server_ydoc gives each client the id of the server's process as its session, and the client
says it again whenever it connects (docprovider's yprovider.ts). A list of such ids, on the disk,
tells a later process which clients it may take back, and a list of file ids which document they
mean. Both are lost with the disk. The sessions given out here say all of that themselves.
"""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from datetime import datetime, timezone

_MARK = "~"
"""Stands between the server's own session and ours; a URL takes it as it is (RFC 3986, 2.3)."""


@dataclass(frozen=True)
class TabSession:
    """What a client was told when it asked for a document's session.

    `path` is the document's at that time, `issued` in seconds since the epoch. `server` is the
    release of jupyter_server_ydoc, `model` that of the document's shared model. It is no
    credential: who may enter a room is for the server's authorizer to say.
    """

    path: str
    issued: float
    server: str
    model: str

    @classmethod
    def now(cls, path: str, server: str, model: str) -> TabSession:
        """One that begins now."""
        return cls(path, time.time(), server, model)

    @property
    def since(self) -> datetime:
        """When it was issued."""
        return datetime.fromtimestamp(self.issued, timezone.utc)

    def to_id(self, server_session: str) -> str:
        """The session id to give out. Letters, digits, `-`, `_` and `~`."""
        said = json.dumps([self.path, self.issued, self.server, self.model], ensure_ascii=False)
        encoded = base64.urlsafe_b64encode(said.encode(errors="surrogatepass")).decode()
        return f"{server_session}{_MARK}{encoded.rstrip('=')}"

    @classmethod
    def from_id(cls, session_id: str) -> TabSession | None:
        """What an id says; None if it is not one of ours."""
        _, mark, encoded = session_id.partition(_MARK)
        try:
            said = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
            path, issued, server, model = json.loads(said.decode(errors="surrogatepass"))
            session = cls(str(path), float(issued), str(server), str(model))
            _ = session.since
        except (ValueError, TypeError, OverflowError, OSError, RecursionError):
            return None
        return session if mark else None


def server_session_of(session_id: str) -> str:
    """The session of the server's process in a session id, whoever gave it out."""
    return session_id.partition(_MARK)[0]
