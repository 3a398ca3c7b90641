"""Inputs that were once answered with something undocumented: by target, and what came of them."""

from __future__ import annotations

from .buffers import patched
from .metadata import too_many_digits

CRASHERS: dict[str, tuple[str, bytes]] = {
    "a client without blocks, which panics when the document is encoded": (
        "update",
        bytes.fromhex(
            "0102010100000000000000790128000106016101750607010561727261790128000106016101"
            "75047c3f8000007e7877016200"
        ),
    ),
    "an update of which pycrdt's merging makes what is no update": (
        "update",
        bytes.fromhex(
            "01010100d2840104746500000000ffff01056172726179012800010601610175047c64657300fe0102"
        ),
    ),
    "an update that panics on top of the same document squashed": (
        "update",
        bytes.fromhex(
            "000101010102fefe010101052801036d6170056c656c01000000000000094030000000fefe010201"
            "060701056172726179012800010601610175047c3f8000007e7877016200"
        ),
    ),
    "a clock past 2^31, which panics when it is applied": (
        "update",
        bytes.fromhex("01 01 01 ff ff ff ff 0f 04 01 01 74 01 61 00"),
    ),
    "a count of clients that reserves 540 MB": ("update", bytes.fromhex("ff ff ff 7f")),
    "facts that are no JSON": ("buffer", patched(b'{"lineage"', b"x")),
    "facts of another release": ("buffer", patched(b'"lineage"', b'"lineagX"')),
    "a path that cannot be a key": ("buffer", patched(b"a.ipynb", b"/.ipynb")),
    "a path that is not UTF-8": ("buffer", patched(b"a.ipynb", b"\xf0.ipynb")),
    "a schema that is not UTF-8": ("buffer", patched(b"CREATE INDEX", b"CREATE \xf0NDEX")),
    "a column of another name": ("buffer", patched(b"id INTEGER PRIMARY KEY,\n    path", b"ix")),
    "a number of updates that Python does not convert": ("metadata", too_many_digits()),
    "a body nested too deeply": ("request", b"[" * 100_000),
}
