"""The zstd frame of a snapshot."""

from __future__ import annotations

import zstandard

from ..errors import CorruptSnapshot, DocumentTooLarge
from .updates import check, decodes, more_than_an_update


def compress(update: bytes, level: int = 3) -> bytes:
    """One zstd frame (RFC 8878) of `update`, with its content size and checksum written in."""
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=True)
    return compressor.compress(update)


def size_of(frame: bytes) -> int:
    """Bytes of the update in a zstd frame, as far as it says; else as many as are likely."""
    try:
        declared = zstandard.frame_content_size(frame)
    except zstandard.ZstdError:
        declared = -1
    return declared if declared >= 0 else 8 * len(frame)


_HEADS = (1 << 16, 1 << 20, 1 << 24)
"""Bytes from the beginning of a frame after which it is seen whether they are an update already."""


def decompress(frame: bytes, max_size: int, max_growth: int | None = None) -> bytes:
    """The update in a zstd frame that any program may have written. Raises like `opened`."""
    return opened(frame, max_size, max_growth)[0]


def opened(frame: bytes, max_size: int, max_growth: int | None = None) -> tuple[bytes, bytes]:
    """The update in a zstd frame that any program may have written, and its state vector.

    Raises `DocumentTooLarge` when it would be over `max_size` bytes, or over `max_growth` times
    as many as the frame has, and `CorruptSnapshot` when `frame` is not one whole zstd frame of one
    Yjs v1 update. What is far too large is not made for that, nor is what goes on for long behind
    an update: a frame of a few kB may hold a GB.
    """
    limit = _Limit(max_size, len(frame), max_growth)
    try:
        declared = zstandard.frame_content_size(frame)
        limit.check(declared)
        update = _decompressed(frame, limit, declared)
        return update, check(update)
    except zstandard.ZstdError as error:
        raise CorruptSnapshot(
            f"The object is not one complete zstd frame ({error}); restore an earlier version."
        ) from None
    except CorruptSnapshot as error:
        raise CorruptSnapshot(f"{error} Restore an earlier version.") from None


class _Limit:
    """How large the content of a frame may be, in bytes."""

    def __init__(self, max_size: int, stored: int, max_growth: int | None) -> None:
        self._max_size = max_size
        self._stored = stored
        self._grown = max_size if max_growth is None else max(stored * max_growth, _SMALL)

    def check(self, size: int) -> None:
        """Raise `DocumentTooLarge` for more bytes than that."""
        if size > self._max_size:
            raise DocumentTooLarge(
                f"The snapshot decompresses to at least {size} bytes, more than "
                f"max_document_size ({self._max_size}); raise "
                "c.BookstoreSettings.max_document_size to read it."
            )
        if size > self._grown:
            raise DocumentTooLarge(
                f"The snapshot has {self._stored} bytes and would decompress to at least "
                f"{size}, which is implausible for a real notebook; restore an earlier version."
            )


_SMALL = 1 << 26
"""Bytes up to which a frame may grow in any proportion."""


def _decompressed(frame: bytes, limit: _Limit, declared: int) -> bytes:
    _check_heads(frame, declared)
    decompressor = zstandard.ZstdDecompressor()
    if declared >= 0:
        return decompressor.decompress(frame, max_output_size=declared, allow_extra_data=False)
    # Frames written by a stream (`zstd` reading a pipe) do not say their size.
    stream = decompressor.decompressobj()
    parts: list[bytes] = []
    size = 0
    view = memoryview(frame)
    for start in range(0, len(frame), _STEP):
        part = stream.decompress(view[start : start + _STEP])
        size += len(part)
        limit.check(size)
        parts.append(part)
        if stream.eof and (stream.unused_data or start + _STEP < len(frame)):
            raise zstandard.ZstdError("data after the frame")
    if not stream.eof:
        raise zstandard.ZstdError("the frame is truncated")
    return b"".join(parts)


_STEP = 256
"""Bytes of a frame that are decompressed at a time, which gives 8 MB at most."""


def _check_heads(frame: bytes, declared: int) -> None:
    """Raise `CorruptSnapshot` for what is an update already before it ends."""
    reader = zstandard.ZstdDecompressor().stream_reader(frame)
    head = b""
    for size in _HEADS:
        if 0 <= declared <= size:
            return
        head += reader.read(size + 1 - len(head))
        if len(head) <= size:
            return
        if decodes(head[:size]):
            raise more_than_an_update()
