"""Documents that are open, as in a room: a store and the live `Doc` that it was handed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

from pycrdt import Doc
from pycrdt.store import YDocNotFound
from traitlets.config import Config

from bookstore_y import BookstoreSettings, S3YStore
from bookstore_y import store as stores
from bookstore_y.replication.checkpointer import Checkpointer
from bookstore_y.replication.document import DocumentState

from .measure import Stopwatch


@contextlib.asynccontextmanager
async def room(path: str, doc: Doc[Any], config: Config) -> AsyncIterator[S3YStore]:
    """The store of an open document. What the bucket has of it is in `doc`; what `doc` has of its
    own is to be written."""
    async with S3YStore(path, config=config) as store:
        with contextlib.suppress(YDocNotFound):
            await store.apply_updates(doc)
        yield store


@contextlib.contextmanager
def hosted(config: Config) -> Iterator[None]:
    """As in a Jupyter server, whose extension has read the configuration already."""
    host: Any = SimpleNamespace(settings=BookstoreSettings(config=config))
    stores.host = host
    try:
        yield
    finally:
        stores.host = None


def checkpointer_of(store: S3YStore) -> Checkpointer:
    """The checkpointer that an open store shares with all others of its bucket and buffer."""
    settings = BookstoreSettings(config=store.config)
    return Checkpointer.shared(settings, store.buffer_options())


def entry_of(store: S3YStore) -> DocumentState:
    """Where the document of an open store stands."""
    assert store.entry is not None
    return store.entry


async def checkpoint(store: S3YStore) -> float:
    """Seconds to checkpoint what is pending; it is in the bucket when this returns."""
    checkpointer, entry = checkpointer_of(store), entry_of(store)
    with Stopwatch() as watch:
        saved = await checkpointer.checkpoint(entry)
    assert saved is not None, "there was nothing to checkpoint"
    return watch.seconds
