"""Squashing loses nothing, and the codec takes nothing for a snapshot that is not one."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text, merge_updates

from bookstore_y.errors import CorruptSnapshot, DocumentTooLarge, SnapshotError
from bookstore_y.ydoc.frame import compress, decompress
from bookstore_y.ydoc.squash import squash, squash_buffered, squash_live, unusable
from bookstore_y.ydoc.summary import StateSummary, footprint_of, lineage_of
from bookstore_y.ydoc.updates import EMPTY_UPDATE, check, missing, state_vector, update_of

MAX_SIZE = 1_000_000

# -- documents and histories ------------------------------------------------------------------

Step = tuple[int, str, int, int]
"""Which client does what, and two numbers that say where and how much."""

CLIENTS = 3
steps = st.tuples(
    st.integers(0, CLIENTS - 1),
    st.sampled_from(["insert", "insert", "erase", "set", "unset", "push", "pop", "sync"]),
    st.integers(0, 99),
    st.integers(1, 5),
)


class Client:
    """One person's copy of a document; it hands every edit's update to `updates`."""

    def __init__(self, client_id: int, updates: list[bytes]) -> None:
        self.doc: Doc[Any] = Doc(client_id=client_id)
        self.text = self.doc.get("text", type=Text)
        self.map = self.doc.get("map", type=Map)
        self.array = self.doc.get("array", type=Array)
        self._updates = updates
        self._own = True
        self._watch = self.doc.observe(self._hand_over)

    def _hand_over(self, event: Any) -> None:
        if self._own:
            self._updates.append(event.update)

    def receive(self, updates: Sequence[bytes]) -> None:
        self._own = False
        for update in updates:
            self.doc.apply_update(update)
        self._own = True

    def act(self, what: str, where: int, much: int) -> None:
        written = str(self.text)
        at = where % (len(written) + 1)
        if what == "insert":
            self.text.insert(_index(written, at), "añ🌱xyz"[:much])
        elif what == "erase" and at < len(written):
            del self.text[_index(written, at) : _index(written, at + much)]
        elif what == "set":
            self.map[f"key {where % 3}"] = much
        elif what == "unset":
            self.map.pop(f"key {where % 3}", None)
        elif what == "push":
            self.array.insert(where % (len(self.array) + 1), Text("cell"))
        elif what == "pop" and len(self.array):
            del self.array[where % len(self.array)]


def _index(text: str, at: int) -> int:
    """pycrdt counts the bytes of a text's UTF-8."""
    return len(text[:at].encode())


def history_of(script: Sequence[Step]) -> list[bytes]:
    """The updates that clients made who followed the script and now and then met."""
    updates: list[bytes] = []
    clients = [Client(client_id, updates) for client_id in (1, 2**31, 2**53 - 1)]
    for who, what, where, much in script:
        if what == "sync":
            clients[who].receive(list(updates))
        else:
            clients[who].act(what, where, much)
    return updates


histories = st.lists(steps, min_size=1, max_size=25).map(history_of).filter(bool)


def document(updates: Sequence[bytes]) -> Doc[Any]:
    doc: Doc[Any] = Doc()
    for update in updates:
        doc.apply_update(update)
    return doc


def content(updates: Sequence[bytes]) -> tuple[str, Any, Any]:
    """What a document says after those updates, in whatever order they came."""
    # Merged first: where two updates of one client wait for a third, pycrdt 0.14 loses one of
    # them when it applies them singly. Yjs does not.
    doc = document([merge_updates(EMPTY_UPDATE, *updates)])
    return (
        str(doc.get("text", type=Text)),
        doc.get("map", type=Map).to_py(),
        doc.get("array", type=Array).to_py(),
    )


def clocks(update: bytes) -> bytes:
    """An update's state vector, in an order that does not change."""
    doc: Doc[Any] = Doc()
    doc.apply_update(update)
    return bytes(sorted(doc.get_state()))


def does_something(updates: Sequence[bytes], more: Sequence[bytes]) -> bool:
    """Whether a document at `updates` changes in any way when `more` come in."""
    doc = document(updates)
    heard: list[bytes] = []
    watch = doc.observe(lambda event: heard.append(event.update))
    for update in more:
        doc.apply_update(update)
    doc.unobserve(watch)
    return bool(heard)


def text_update(text: str = "hello") -> bytes:
    doc: Doc[Any] = Doc()
    doc["text"] = Text(text)
    return doc.get_update()


# -- squash -----------------------------------------------------------------------------------


@given(histories)
def test_a_squashed_history_is_the_same_document(updates: list[bytes]) -> None:
    assert content([squash(updates)]) == content(updates)


@given(histories, st.data())
def test_squashing_in_parts_is_squashing_at_once(updates: list[bytes], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(updates)))

    parts = [squash(updates[:cut]), *updates[cut:]]

    assert content([squash(parts)]) == content(updates)


@given(histories, st.data())
def test_updates_that_build_on_missing_ones_are_kept_until_those_come(
    updates: list[bytes], data: st.DataObject
) -> None:
    late = set(data.draw(st.lists(st.integers(0, len(updates) - 1), unique=True)))
    arrived = [update for index, update in enumerate(updates) if index not in late]

    squashed = squash([squash(arrived)])

    assert content([squashed, *(updates[index] for index in sorted(late))]) == content(updates)


def test_pycrdt_itself_drops_updates_that_build_on_missing_ones() -> None:
    # Why squash does not leave it to `Doc.get_update`.
    updates: list[bytes] = []
    client = Client(1, updates)
    client.text += "first"
    client.text += " second"

    assert content([document(updates[1:]).get_update(), updates[0]]) == ("first", {}, [])
    assert content([squash(updates[1:]), updates[0]]) == ("first second", {}, [])


def test_a_deletion_that_comes_before_what_it_deletes_is_kept() -> None:
    updates: list[bytes] = []
    client = Client(1, updates)
    client.text += "secret"
    del client.text[0:6]

    assert content([squash(updates[1:]), updates[0]]) == ("", {}, [])


def test_nothing_squashed_is_an_empty_document() -> None:
    assert squash([]) == EMPTY_UPDATE
    assert content([EMPTY_UPDATE]) == ("", {}, [])


@given(histories, st.data())
def test_what_is_missing_completes_a_document(updates: list[bytes], data: st.DataObject) -> None:
    known = updates[: data.draw(st.integers(0, len(updates)))]

    rest = missing(squash(updates), document(known).get_state())

    assert content([*known, rest]) == content(updates)


@pytest.mark.parametrize("function", [lambda u: squash([u]), state_vector])
def test_data_that_is_not_an_update_is_refused(function: Any) -> None:
    with pytest.raises(CorruptSnapshot, match="not a Yjs v1 update"):
        function(b"hello world")


# -- advance ----------------------------------------------------------------------------------


@given(histories, st.data())
def test_any_split_gives_the_same_document(updates: list[bytes], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(updates)), "updates in the base")
    middle = data.draw(st.integers(start, len(updates)), "first pending update")
    base = squash(updates[:start]) if start else None

    made = squash_buffered(base, updates[start:middle], updates[middle:])

    assert content([made.update]) == content(updates)
    assert clocks(made.update) == bytes(sorted(made.footprint.state)) == clocks(squash(updates))


@given(histories, st.data())
def test_a_checkpoint_changes_something_exactly_when_a_pending_update_does(
    updates: list[bytes], data: st.DataObject
) -> None:
    known = data.draw(st.integers(1, len(updates)))
    pending = [*data.draw(st.lists(st.sampled_from(updates[:known]), max_size=3)), *updates[known:]]

    made = squash_buffered(None, updates[:known], pending)

    assert made.changed == does_something(updates[:known], pending)


@given(histories, st.data())
def test_late_updates_are_in_the_snapshot(updates: list[bytes], data: st.DataObject) -> None:
    order = data.draw(st.permutations(updates))
    arrived = order[: data.draw(st.integers(1, len(order)))]
    start = data.draw(st.integers(0, len(arrived)))
    base = squash(arrived[:start]) if start else None

    made = squash_buffered(base, arrived[start:], [])

    assert content([made.update, *order[len(arrived) :]]) == content(updates)


def test_a_first_checkpoint_writes_even_an_empty_document() -> None:
    assert squash_buffered(None, [], []).changed
    assert squash_buffered(None, [], [EMPTY_UPDATE]).changed


def test_nothing_pending_changes_nothing() -> None:
    assert not squash_buffered(text_update(), [], []).changed
    assert not squash_buffered(None, [text_update()], []).changed


def test_an_update_seen_before_changes_nothing() -> None:
    update = text_update()

    assert not squash_buffered(update, [], [update, squash([update]), EMPTY_UPDATE]).changed


def test_a_deletion_alone_changes_something() -> None:
    updates: list[bytes] = []
    client = Client(1, updates)
    client.text += "secret"
    before = client.doc.get_state()
    del client.text[0:3]

    assert client.doc.get_state() == before  # Yjs counts insertions only
    assert squash_buffered(updates[0], [], updates[1:]).changed
    assert content([squash_buffered(updates[0], [], updates[1:]).update]) == ("ret", {}, [])


def test_an_update_that_has_to_wait_changes_something() -> None:
    updates: list[bytes] = []
    client = Client(1, updates)
    client.text += "a"
    client.text += "b"
    client.text += "c"

    made = squash_buffered(updates[0], [], updates[2:])

    assert made.changed
    assert content([made.update, updates[1]]) == ("abc", {}, [])


@pytest.mark.parametrize(
    ("base", "persisted", "pending"),
    [
        pytest.param(b"no", [], [], id="base"),
        pytest.param(None, [b"no"], [], id="persisted"),
        pytest.param(None, [], [b"no"], id="pending"),
    ],
)
def test_advance_refuses_what_is_not_an_update(
    base: bytes | None, persisted: list[bytes], pending: list[bytes]
) -> None:
    with pytest.raises(CorruptSnapshot, match="not a Yjs v1 update"):
        squash_buffered(base, persisted, pending)


def test_a_lineage_is_32_hexadecimal_digits_and_depends_on_the_first_state() -> None:
    one, other = lineage_of(b"one"), lineage_of(b"other")

    assert one == lineage_of(b"one") != other
    assert len(one) == 32
    assert set(one) <= set("0123456789abcdef")


# -- codec ------------------------------------------------------------------------------------


@given(histories, st.integers(1, 22))
def test_a_frame_comes_back_byte_for_byte(updates: list[bytes], level: int) -> None:
    update = squash(updates)

    assert decompress(compress(update, level), MAX_SIZE) == update


def test_a_frame_has_its_size_and_a_checksum_written_in() -> None:
    update = text_update("word " * 1000)

    parameters = zstandard.get_frame_parameters(compress(update))

    assert parameters.content_size == len(update)
    assert parameters.has_checksum
    assert parameters.dict_id == 0


def unsized(update: bytes) -> bytes:
    """What `zstd` writes when it reads a pipe."""
    return zstandard.ZstdCompressor(write_content_size=False, write_checksum=True).compress(update)


both_kinds = pytest.mark.parametrize("make", [compress, unsized])


def test_a_frame_without_its_size_is_read_too() -> None:
    update = text_update("word " * 1000)

    assert zstandard.frame_content_size(unsized(update)) == -1
    assert decompress(unsized(update), MAX_SIZE) == update


def test_a_frame_without_its_size_may_be_long() -> None:
    update = text_update("".join(map(str, range(40_000))))
    assert len(unsized(update)) > 10_000

    assert decompress(unsized(update), MAX_SIZE) == update


@both_kinds
def test_every_truncation_is_refused(make: Any) -> None:
    frame = make(text_update("some text, some more text"))

    for length in range(len(frame)):
        with pytest.raises(CorruptSnapshot):
            decompress(frame[:length], MAX_SIZE)


@both_kinds
@pytest.mark.parametrize("text", ["short", "repeats " * 40], ids=["raw", "compressed"])
def test_a_flipped_bit_is_refused_or_does_no_harm(make: Any, text: str) -> None:
    update = text_update(text)
    frame = make(update)

    harmless = 0
    for bit in range(8 * len(frame)):
        broken = bytearray(frame)
        broken[bit // 8] ^= 1 << bit % 8
        try:
            assert decompress(bytes(broken), MAX_SIZE) == update
        except SnapshotError:
            continue
        harmless += 1
    assert harmless < 16  # bits of the header that mean nothing, and no others


@both_kinds
@pytest.mark.parametrize(
    "after",
    [
        pytest.param(b"\n", id="a byte"),
        pytest.param(b"x" * 5000, id="many bytes"),
        pytest.param(compress(EMPTY_UPDATE), id="another frame"),
        pytest.param(b"\x50\x2a\x4d\x18\x05\0\0\0hello", id="a skippable frame"),
    ],
)
def test_data_after_the_frame_is_refused(make: Any, after: bytes) -> None:
    with pytest.raises(CorruptSnapshot, match="not one complete zstd frame"):
        decompress(make(text_update()) + after, MAX_SIZE)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not zstd at all", id="text"),
        pytest.param(b'{"cells": []}', id="json"),
        pytest.param(b"\x1f\x8b\x08\0\0\0\0\0\0\0", id="gzip"),
        pytest.param(text_update(), id="not compressed"),
        pytest.param(b"\x28\xb5\x2f\xfd", id="magic number only"),
        pytest.param(b"\x50\x2a\x4d\x18\x05\0\0\0hello", id="a skippable frame"),
        pytest.param(b"\x50\x2a\x4d\x18\0\0\0\0", id="an empty skippable frame"),
        pytest.param(
            b"\x50\x2a\x4d\x18\x05\0\0\0hello" + compress(EMPTY_UPDATE), id="skippable before"
        ),
    ],
)
def test_what_is_not_one_zstd_frame_is_refused(frame: bytes) -> None:
    with pytest.raises(CorruptSnapshot):
        decompress(frame, MAX_SIZE)


@both_kinds
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"hello world", id="text"),
        pytest.param(b'{"cells": [], "nbformat": 4}', id="json"),
        pytest.param(b"\x89PNG\r\n\x1a\n", id="image"),
        pytest.param(text_update()[:-2], id="half an update"),
        pytest.param(b"\xff\xff\xff\xff\x0f", id="promises 4 billion clients"),
        pytest.param(b"\x01\xff\xff\xff\xff\x0f\x01\x00", id="promises 4 billion structs"),
    ],
)
def test_a_frame_of_something_else_than_an_update_is_refused(make: Any, body: bytes) -> None:
    with pytest.raises(CorruptSnapshot, match="not a Yjs v1 update"):
        decompress(make(body), MAX_SIZE)


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=30)  # a number of clients alone can take half a second
def test_any_bytes_are_read_or_refused_in_our_own_words(data: bytes) -> None:
    for frame in (data, compress(data), unsized(data)):
        try:
            state_vector(decompress(frame, MAX_SIZE))
        except SnapshotError:
            pass


@both_kinds
def test_a_document_may_be_as_large_as_the_limit_and_not_one_byte_larger(make: Any) -> None:
    update = text_update("x" * 10_000)

    assert decompress(make(update), len(update)) == update
    with pytest.raises(DocumentTooLarge, match="max_document_size"):
        decompress(make(update), len(update) - 1)


@both_kinds
def test_a_bomb_is_refused(make: Any) -> None:
    bomb = make(text_update("x" * 50_000_000))
    assert len(bomb) < 5000

    with pytest.raises(DocumentTooLarge):
        decompress(bomb, MAX_SIZE)


@both_kinds
@pytest.mark.parametrize("size", [3, 100, 1 << 16, (1 << 20) + 1, 50_000_000])
def test_zeros_are_no_empty_document(make: Any, size: int) -> None:
    with pytest.raises(CorruptSnapshot, match="continues past the end"):
        decompress(make(bytes(size)), 100_000_000)


@both_kinds
@pytest.mark.parametrize("rest", [b"\0", b"x", bytes(70_000), bytes(20_000_000)])
def test_an_update_with_something_after_it_is_refused(make: Any, rest: bytes) -> None:
    with pytest.raises(CorruptSnapshot, match="continues past the end"):
        decompress(make(text_update("tides") + rest), 100_000_000)


@both_kinds
def test_zeros_are_refused_before_they_are_made(make: Any) -> None:
    bomb = make(bytes(300_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(CorruptSnapshot):
            decompress(bomb, 900_000_000)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@both_kinds
def test_what_anybody_may_have_written_grows_by_so_much_and_no_more(make: Any) -> None:
    usual = text_update("x" * 1_000_000)
    assert decompress(make(usual), 900_000_000, max_growth=100) == usual

    with pytest.raises(DocumentTooLarge, match="implausible"):
        decompress(make(text_update("x" * 70_000_000)), 900_000_000, max_growth=100)


@given(histories, st.binary(min_size=1, max_size=20))
@settings(deadline=None)
def test_an_update_is_an_update_alone(history: list[bytes], rest: bytes) -> None:
    for update in history:
        assert check(update) == state_vector(update)
        with pytest.raises(CorruptSnapshot):
            check(update + rest)
        with pytest.raises(CorruptSnapshot):
            check(update[:-1])


def test_a_state_vector_and_deletions_are_read_to_their_ends() -> None:
    sound = footprint_of(Doc())
    assert sound.same(sound)
    for state, deletions in ((b"\0\0", b"\0\0"), (b"\0", b"\0\0\0"), (b"", b""), (b"\1", b"\0\0")):
        with pytest.raises(CorruptSnapshot):
            sound.same(StateSummary(state, deletions))


def test_a_row_of_zeros_is_set_aside_and_not_taken_for_an_edit() -> None:
    assert unusable(None, [text_update("tides"), bytes(64)]) == [1]


def test_more_clients_than_bytes_are_refused_before_memory_is_reserved_for_them() -> None:
    with pytest.raises(CorruptSnapshot, match="more clients than"):
        check(bytes.fromhex("ff ff ff 7f"))


def test_a_frame_that_only_says_it_is_huge_is_refused() -> None:
    # Magic number, a descriptor with an 8-byte content size, the size, an empty last block.
    frame = b"\x28\xb5\x2f\xfd\xe0" + (2**60).to_bytes(8, "little") + b"\x01\0\0"

    with pytest.raises(DocumentTooLarge):
        decompress(frame, MAX_SIZE)


def test_a_frame_that_says_it_is_smaller_than_it_is_is_refused() -> None:
    update = text_update("x" * 200)
    frame = bytearray(compress(update))
    assert frame[5] == len(update) < 256  # one byte of content size follows the descriptor
    frame[5] = 10

    with pytest.raises(CorruptSnapshot):
        decompress(bytes(frame), MAX_SIZE)


# -- grown ------------------------------------------------------------------------------------


@given(histories, st.data())
def test_a_live_document_gives_what_squashing_would(
    updates: list[bytes], data: st.DataObject
) -> None:
    known = data.draw(st.integers(1, len(updates)), "persisted")
    arrived = data.draw(st.integers(known, len(updates)), "in the live document")
    live = document(updates[:arrived])
    before = footprint_of(document(updates[:known]))

    made = squash_live(before, footprint_of(live), update_of(live), updates[known:])

    if does_something(updates[:arrived], updates[arrived:]):
        assert made is None  # what it has not seen is pending, and would not be in it
    else:
        assert made is not None
        assert content([made.update]) == content(updates)
        assert made.footprint.same(footprint_of(document(updates)))
        assert made.changed == does_something(updates[:known], updates[known:])


def test_a_live_document_that_has_not_seen_a_deletion_is_not_used() -> None:
    updates: list[bytes] = []
    client = Client(1, updates)
    client.text += "secret"
    live = document(updates)
    del client.text[2:4]
    before = footprint_of(live)

    assert squash_live(before, before, update_of(live), updates[1:]) is None
    live.apply_update(updates[1])
    made = squash_live(before, footprint_of(live), update_of(live), updates[1:])
    assert made is not None
    assert made.changed


def test_what_cannot_be_read_again_is_refused() -> None:
    live = document([text_update()])

    with pytest.raises(CorruptSnapshot, match="readable document"):
        squash_live(footprint_of(Doc()), footprint_of(live), EMPTY_UPDATE, [])


@given(histories, st.data())
def test_a_footprint_covers_those_that_have_seen_no_more(
    updates: list[bytes], data: st.DataObject
) -> None:
    count = data.draw(st.integers(0, len(updates)))
    first, second = document(updates[:count]), document(updates[:count])
    for edited in (first, second):
        if data.draw(st.booleans()):
            edited.get("text", type=Text).insert(0, "new")
        written = str(edited.get("text", type=Text))
        if data.draw(st.booleans()) and len(written) > 2 and written[:3].isascii():
            del edited.get("text", type=Text)[1:2]
    union = document([update_of(first), update_of(second)])

    assert footprint_of(union).covers(footprint_of(first))
    assert footprint_of(union).covers(footprint_of(second))
    covers = footprint_of(first).covers(footprint_of(second))
    assert covers == footprint_of(first).same(footprint_of(union))
