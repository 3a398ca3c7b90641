"""The body of an object in the bucket, which any program may have written."""

from __future__ import annotations

import zstandard

from bookstore_y.errors import CorruptSnapshot, DocumentTooLarge
from bookstore_y.ydoc.frame import compress, decompress
from bookstore_y.ydoc.squash import squash
from bookstore_y.ydoc.updates import EMPTY_UPDATE

from . import updates
from .target import Target, hold, only

LIMIT = 1 << 20


def frame(data: bytes) -> None:
    """A frame gives an update of at most the size that is allowed, or says why it does not."""
    for body in (data, compress(data)):
        with only(CorruptSnapshot, DocumentTooLarge):
            update = decompress(body, LIMIT)
            hold(len(update) <= LIMIT, f"{len(update)} bytes, and {LIMIT} are allowed")
            squash([update])


def seeds() -> list[bytes]:
    """Frames with and without their size, two in one, and one that is far larger unpacked."""
    (update,) = updates.seeds()[-1:]
    unsized = zstandard.ZstdCompressor(write_content_size=False, write_checksum=True)
    stream = unsized.compressobj()
    return [
        compress(EMPTY_UPDATE),
        compress(update),
        unsized.compress(update),
        stream.compress(update) + stream.flush(),
        compress(update) + compress(update),
        compress(bytes(2 * LIMIT)),
        unsized.compress(bytes(2 * LIMIT)),
        update,
    ]


TARGET = Target("frame", frame, seeds)
