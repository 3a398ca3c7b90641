"""pycrdt alone: documents that exchange updates late, out of order, and more than once."""

from __future__ import annotations

import time
from random import Random
from typing import Any

from pycrdt import Doc, Text

from ._mail import Mail
from ._result import LayerResult, compare
from ._writer import all_edits, writers_of


def run(clients: int, edits: int, seed: int) -> LayerResult:
    """`edits` edits by `clients` documents; a newcomer takes in what the first one has."""
    began = time.monotonic()
    chance = Random(seed)
    docs = [Doc[Any]() for _ in range(clients)]
    texts = [doc.get("text", type=Text) for doc in docs]
    writers = writers_of(clients, seed)
    mail = Mail(docs, chance)
    for _ in range(edits):
        number = chance.randrange(clients)
        writers[number].edit(texts[number])
        mail.deliver_some()
    mail.deliver_all()
    copies: dict[str, str | Exception] = {
        writer.name: str(text) for writer, text in zip(writers, texts, strict=True)
    }
    newcomer = Doc[Any]()
    newcomer.apply_update(docs[0].get_update())
    copies["newcomer"] = str(newcomer.get("text", type=Text))
    done = all_edits(writers)
    return LayerResult(
        "pycrdt",
        clients,
        len(done.made),
        len(done.deleted),
        time.monotonic() - began,
        compare(done, copies),
    )
