"""moto's S3 over HTTP, without its slowness and its memory growth."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import zstandard
from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from moto.s3 import models
from moto.s3.models import FakeDeleteMarker, FakeKey
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer


class _KeepsAlive(MotoRequestHandler):
    """Keeps connections open, as S3 does."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True


def serve(bodies: Path | None = None) -> BaseWSGIServer:
    """Serve on a free loopback port, in a thread, until `shutdown` and `server_close`.

    What objects hold is in memory, or compressed in files of the directory `bodies`.
    """
    if bodies is not None:
        # What moto calls a file in memory, of which it has one for each version (its models.py).
        numbers = itertools.count()
        models.tempfile = SimpleNamespace(  # type: ignore[attr-defined, assignment]
            SpooledTemporaryFile=lambda max_size: _Body(bodies / str(next(numbers)))
        )
    # moto copies all that a bucket holds, contents too, at each listing of its versions.
    FakeKey.__deepcopy__ = _listed_key  # type: ignore[attr-defined]
    FakeDeleteMarker.__deepcopy__ = _listed  # type: ignore[attr-defined]
    # S3 alone: `moto.server` looks up, at each request, which of all services is meant.
    app = create_backend_app("s3")
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_KeepsAlive)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class _Body:
    """An object's content in a file, which is open only while it is read or written."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._at = 0

    def seek(self, position: int) -> None:
        self._at = position

    def truncate(self) -> None:
        self.write(b"")

    def write(self, content: bytes) -> None:
        """All of it: that is how moto writes."""
        self._file.write_bytes(zstandard.compress(content))

    def read(self, size: int | None = None) -> bytes:
        content = zstandard.decompress(self._file.read_bytes())
        part = content[self._at : None if size is None else self._at + size]
        self._at += len(part)
        return part

    def close(self) -> None:
        self._file.unlink(missing_ok=True)


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
