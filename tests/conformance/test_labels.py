"""Labels are object tags: any text, on one version, and nothing else moves. On every S3 server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bookstore_y.archive.archive import Archive
from bookstore_y.errors import AccessDenied, BucketError, InvalidLabel, VersionNotFound
from bookstore_y.keys import Document

from .conftest import Tick
from .denials import deny
from .documents import Writer

pytestmark = pytest.mark.any_server

LABELS = [
    "sent to the printer",
    "v1.0 (final): a/b@c-d_e.f",
    "a=b=41=zz",
    "=41",
    "=",
    "100% + 5 & \"quoted\" 'twice' <b>",
    "Zoë's Entwurf, geprüft",
    "送付済み",
    "🌊🏳️‍🌈",
    "e\u0301 is not \u00e9",
    "\u200fright to left",
    "zero\u200bwidth",
    "\0\x01\x7f\ufffe",
    "\U0010ffff",
    "aws:reserved",
    "x" * 256,
    "🌊" * 21,
]


async def saved(archive: Archive, path: str = "a.md", text: str = "one") -> str:
    version = await archive.save_file(path, text.encode())
    assert version is not None
    return version.version_id


async def test_any_text_is_a_label(archive: Archive, second_archive: Archive) -> None:
    version_id = await saved(archive)

    for label in LABELS:
        labelled = await archive.label("a.md", version_id, label)
        assert (labelled.version_id, labelled.label) == (version_id, label)
        [listed] = (await archive.history("a.md", details=True)).versions
        [elsewhere] = (await second_archive.history("a.md", details=True)).versions
        assert listed == elsewhere
        assert listed == replace(labelled, last_modified=listed.last_modified)
        assert (await second_archive.find("a.md", version_id)).label == label


async def test_what_spaces_there_are_is_not_kept(archive: Archive) -> None:
    version_id = await saved(archive)

    labelled = await archive.label("a.md", version_id, "  sent\tto \n the\u00a0printer ")

    assert labelled.label == "sent to the printer"
    assert (await archive.find("a.md", version_id)).label == "sent to the printer"


@pytest.mark.parametrize(
    "label", ["", " ", "\n\t\u2028", "x" * 257, "🌊" * 22, "x" * 100_000, "\ud800", "a\udfff"]
)
async def test_what_can_be_no_label_is_refused_and_changes_nothing(
    archive: Archive, label: str
) -> None:
    version_id = await saved(archive)
    await archive.label("a.md", version_id, "before")

    with pytest.raises(InvalidLabel) as refused:
        await archive.label("a.md", version_id, label)

    assert len(str(refused.value)) < 1000
    assert (await archive.find("a.md", version_id)).label == "before"


async def test_a_label_moves_nothing_else(archive: Archive) -> None:
    ada = Writer("one")
    ids = [(await ada.type("!").save(archive)).version_id for _ in range(2)]
    ids += [await saved(archive, "notes.md", text) for text in ("one", "two")]
    published = await archive.publishing.file("notes.md", b"x", authors=("Ada",))
    kinds = ("snapshot", "save", "published")
    before = (await archive.history("notes.md", kinds=kinds, details=True)).versions

    for version_id in (ids[0], ids[2], published.version_id):
        await archive.label("notes.md", version_id, f"label of {version_id}")
    after = (await archive.history("notes.md", kinds=kinds, details=True)).versions

    assert [v.label for v in before] == [None] * 5
    labels = {v.version_id: v.label for v in after if v.label}
    assert labels == {v: f"label of {v}" for v in (ids[0], ids[2], published.version_id)}
    for version_id in (ids[0], ids[2], published.version_id):
        unlabelled = await archive.unlabel("notes.md", version_id)
        assert unlabelled.label is None
    assert (await archive.history("notes.md", kinds=kinds, details=True)).versions == before


async def test_a_label_takes_the_place_of_the_one_before(archive: Archive) -> None:
    version_id = await saved(archive)

    for label in ("one", "two"):
        await archive.label("a.md", version_id, label)

    assert (await archive.find("a.md", version_id)).label == "two"


async def test_other_tags_stay(archive: Archive) -> None:
    version_id = await saved(archive)
    others = {"project": "apollo 11", "keep": "yes"}
    await archive.bucket.set_tags("workspace/a.md", version_id, others)
    assert (await archive.find("a.md", version_id)).label is None

    await archive.label("a.md", version_id, "good")
    tags = await archive.bucket.tags("workspace/a.md", version_id)
    await archive.unlabel("a.md", version_id)

    assert tags == {**others, "bookstore-label": "good"}
    assert await archive.bucket.tags("workspace/a.md", version_id) == others


@pytest.mark.s3_only("moto", "ceph")  # LocalStack takes any number
async def test_a_version_with_ten_tags_has_no_room_for_a_label(archive: Archive) -> None:
    version_id = await saved(archive)
    others = {f"tag-{n}": "x" for n in range(10)}
    await archive.bucket.set_tags("workspace/a.md", version_id, others)

    with pytest.raises(BucketError):
        await archive.label("a.md", version_id, "one too many")

    assert await archive.bucket.tags("workspace/a.md", version_id) == others


async def test_a_label_that_was_not_there_can_be_taken_away(archive: Archive) -> None:
    version_id = await saved(archive)

    for _ in range(2):
        assert (await archive.unlabel("a.md", version_id)).label is None
    await archive.label("a.md", version_id, "good")
    for _ in range(2):
        assert (await archive.unlabel("a.md", version_id)).label is None
        [listed] = (await archive.history("a.md", details=True)).versions
        assert listed.label is None


async def test_only_a_version_has_a_label(archive: Archive) -> None:
    version_id = await saved(archive)
    other = await saved(archive, "b.md")

    for path, wrong in (("a.md", other), ("a.md", "x"), ("a.md", ""), ("c.md", version_id)):
        with pytest.raises(VersionNotFound):
            await archive.label(path, wrong, "good")
        with pytest.raises(VersionNotFound):
            await archive.unlabel(path, wrong)


async def test_a_version_from_before_a_rename_is_labelled_where_it_is(
    archive: Archive, s3_clock: Tick
) -> None:
    version_id = await saved(archive)
    await s3_clock()
    await archive.renaming.rename_file("a.md", "b.md")

    await archive.label("b.md", version_id, "good")

    [old] = (await archive.history("a.md", labelled=True)).versions
    [same] = (await archive.history("b.md", labelled=True)).versions
    assert old.version_id == same.version_id == version_id


async def test_a_label_is_one_versions_and_not_that_of_what_is_made_of_it(
    archive: Archive, s3_clock: Tick
) -> None:
    version_id = await saved(archive)
    checkpoint = await Writer("one").save(archive, Document("a.md", "file"))
    for labelled in (version_id, checkpoint.version_id):
        await archive.label("a.md", labelled, "good")
    await archive.publish("a.md", version_id)
    await archive.publish("a.md", checkpoint.version_id)
    await s3_clock()
    await archive.renaming.rename_file("a.md", "b.md")
    await archive.renaming.rename(Document("a.md", "file"), Document("b.md", "file"))
    await s3_clock()
    await archive.undelete("a.md")

    for path in ("a.md", "b.md"):
        found = (await archive.history(path, labelled=True)).versions
        assert sorted(v.version_id for v in found) == sorted([version_id, checkpoint.version_id])
    published = (await archive.history("a.md", kinds=("published",), details=True)).versions
    assert [v.label for v in published] == [None]


async def test_without_the_right_to_read_tags_there_are_no_labels(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    version_id = await saved(archive)
    await archive.label("a.md", version_id, "good")
    deny(archive, "get_object_tagging", monkeypatch)

    [listed] = (await archive.history("a.md", details=True)).versions

    assert (listed.origin, listed.label) == ("save", None)
    # ... but they are not overwritten unread:
    for change in (archive.label("a.md", version_id, "new"), archive.unlabel("a.md", version_id)):
        with pytest.raises(AccessDenied):
            await change
    monkeypatch.undo()
    assert (await archive.find("a.md", version_id)).label == "good"


async def test_without_the_right_to_tag_a_label_is_refused(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    version_id = await saved(archive)
    deny(archive, "put_object_tagging", monkeypatch)

    with pytest.raises(AccessDenied):
        await archive.label("a.md", version_id, "good")
    assert (await archive.find("a.md", version_id)).label is None
