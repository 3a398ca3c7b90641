"""pycrdt: a document that receives updates in another order lacks one of them. Yjs has them all."""

from typing import Any

from pycrdt import Doc, Text, TransactionEvent

updates: list[bytes] = []


def keep(event: TransactionEvent) -> None:
    """Note an update."""
    updates.append(event.update)


author: Doc[Any] = Doc()
author.observe(keep)
text = author.get("text", type=Text)
for index, letter in [(0, "a"), (0, "b"), (0, "c"), (3, "d")]:
    text.insert(index, letter)

reader: Doc[Any] = Doc()
for number in (0, 2, 3, 1):
    reader.apply_update(updates[number])
print(f"{reader.get('text', type=Text)} of {text}")
reader.apply_update(author.get_update(reader.get_state()))
print(f"{reader.get('text', type=Text)} after synchronizing")
