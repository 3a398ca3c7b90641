"""pycrdt alone: documents that exchange updates late, and now and then twice.

What comes of updates in disorder is looked at, too. A server never has them so: what it passes on
builds on nothing but what it has passed on before.
"""

from __future__ import annotations

import time
from random import Random
from typing import Any

from pycrdt import Doc, Text

from ._mail import Mail
from ._result import LayerResult, judged
from ._writer import all_edits, writers_of

_DISORDER = "in disorder"


def run(clients: int, edits: int, seed: int) -> LayerResult:
    """`edits` edits by `clients` documents; newcomers take in what the first one has, and what all
    have sent, in disorder."""
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
    copies["newcomer"] = _content(newcomer)
    disordered = Doc[Any]()
    for update in chance.sample(mail.sent, len(mail.sent)):
        disordered.apply_update(update)
    copies[_DISORDER] = _content(disordered)
    disordered.apply_update(docs[0].get_update(disordered.get_state()))
    copies["in disorder, then synchronized"] = _content(disordered)
    done = all_edits(writers)
    return judged("pycrdt", clients, began, done, copies, optional={_DISORDER})


def _content(doc: Doc[Any]) -> str:
    return str(doc.get("text", type=Text))
