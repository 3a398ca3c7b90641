"""This user's running Jupyter servers that archive to the same bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._errors import CommandError

if TYPE_CHECKING:
    from ..client._server import JupyterServer
    from ..settings import BookstoreSettings

_SECONDS = 5.0
"""How long one of them may take to say where it archives."""


def serving(settings: BookstoreSettings) -> list[JupyterServer]:
    """The servers on this machine whose archive is the one that `settings` name: documents that
    are open there live in their rooms, and the bucket follows."""
    from ..client._current import candidates
    from ..client._errors import ClientError
    from ..client._server import JupyterServer

    endpoint = settings.endpoint if settings.s3_endpoint_url else None
    ours = (settings.s3_bucket, endpoint, settings.workspace_prefix)
    found = []
    for address in candidates([]):
        server = JupyterServer(address)
        try:
            said = server.ask("GET", "/api/bookstore", timeout=_SECONDS)
        except ClientError:  # it does not run any more, or has no archive
            continue
        if (said.get("bucket"), said.get("endpoint_url"), said.get("workspace_prefix")) == ours:
            found.append(server)
    return found


def ask(server: JupyterServer, method: str, call: str, body: Any = None) -> Any:
    """What a server answers to a call of its REST API. Raises `CommandError` if it needs a
    token, and the client's errors."""
    from ..client._errors import RequestRefused

    try:
        return server.ask(method, f"/api/bookstore/{call}", json=body)
    except RequestRefused as error:
        if error.status_code not in (401, 403):
            raise
        raise CommandError(
            f"The server at {server.url} refuses this command ({error}); pass its URL with the "
            "token to --server, as `jupyter server list` shows it."
        ) from None
