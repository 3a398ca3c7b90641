"""moto's S3 over HTTP, without what makes it slow."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from moto.s3.models import FakeDeleteMarker, FakeKey
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer


class _KeepsAlive(MotoRequestHandler):
    """Keeps connections open, as S3 does."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True


def serve() -> BaseWSGIServer:
    """Serve on a free loopback port, in a thread, until `shutdown` and `server_close`."""
    # moto copies all that a bucket holds, contents too, at each listing of its versions.
    FakeKey.__deepcopy__ = _listed_key  # type: ignore[attr-defined]
    FakeDeleteMarker.__deepcopy__ = _listed  # type: ignore[attr-defined]
    # S3 alone: `moto.server` looks up, at each request, which of all services is meant.
    app = create_backend_app("s3")
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_KeepsAlive)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _listed(entry: Any, memo: dict[int, Any]) -> Any:
    """What a listing changes may be changed in this one, which shares the rest."""
    listed = object.__new__(type(entry))
    listed.__dict__.update(entry.__dict__)
    return listed


def _listed_key(key: Any, memo: dict[int, Any]) -> Any:
    key.etag  # noqa: B018  # is computed when first asked for, from the content
    listed = _listed(key, memo)
    # Its end would close the content.
    del listed._value_buffer
    listed.disposed = True
    return listed
