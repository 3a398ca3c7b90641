"""What a file's history promises, on every S3 server: all versions, each once, newest first."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bookstore_y.aio import each, listed
from bookstore_y.archive.archive import BOTH, Archive
from bookstore_y.archive.history import Page
from bookstore_y.archive.version import Version, former_path
from bookstore_y.errors import (
    AccessDenied,
    DocumentNotFound,
    InvalidPath,
    InvalidToken,
    VersionNotFound,
)
from bookstore_y.keys import Document

from .conftest import Configure, Tick
from .denials import deny
from .documents import Writer

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

pytestmark = pytest.mark.any_server

ROOM = Document("a.md", "file")

EARLIEST, LATEST = datetime.min, datetime.max  # noqa: DTZ901 - people give such times

NAMES = [
    "a b.md",
    "a+b.md",
    "100%.md",
    "a%20b.md",
    "'quoted' \"twice\".md",
    "🌊.md",
    "e\u0301.md",
    "\u00e9.md",
    "a&b <c>?d#e=f;g.md",
    "a:b@c!(d)[e]{f}|g^h~i`j.md",
    "back\\slash.md",
    " leading and trailing ",
    "sub dir+1/a b.md",
    "\u200fright to left.md",
    "no-suffix",
    "b.y.zst.md",
    "b.file.y.zst.md",
]


async def pages(archive: Archive, path: str | Document, limit: int, **which: Any) -> list[Version]:
    """A history, page by page."""
    found: list[Version] = []
    after: str | None = None
    while True:
        page = await archive.history(path, limit=limit, after=after, **which)
        assert len(page.versions) <= limit
        found += page.versions
        after = page.next
        if after is None:
            return found


def ids(versions: list[Version] | tuple[Version, ...]) -> list[str]:
    return [version.version_id for version in versions]


async def saves(archive: Archive, path: str, count: int, start: int = 0) -> list[str]:
    """So many saves of a file; their ids, newest first."""
    found: list[str] = []
    for n in range(start, start + count):
        version = await archive.save_file(path, f"{path} {n}".encode())
        assert version is not None
        found.insert(0, version.version_id)
    return found


async def snapshots(archive: Archive, document: Document, count: int) -> list[str]:
    """So many checkpoints of a new document; their ids, newest first."""
    ada = Writer("first")
    return [(await ada.type(f" {n}").save(archive, document)).version_id for n in range(count)][
        ::-1
    ]


class Counted:
    """Counts the requests that an archive makes."""

    def __init__(self, archive: Archive, patch: pytest.MonkeyPatch) -> None:
        self.made: list[str] = []
        call = archive.bucket.requests.call

        async def counted(what: str, request: Callable[[Any], Awaitable[Any]]) -> Any:
            self.made.append(what)
            return await call(what, request)

        patch.setattr(archive.bucket.requests, "call", counted)

    def taken(self) -> int:
        count = len(self.made)
        self.made.clear()
        return count


@pytest.fixture
def requests(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(archive, monkeypatch)


# -- one list -----------------------------------------------------------------------------------


async def test_saves_and_snapshots_are_one_list_newest_first(
    archive: Archive, s3_clock: Tick
) -> None:
    ada = Writer()
    written: list[str] = []
    for n in range(3):
        written.insert(0, (await ada.type(f"{n}").save(archive, ROOM)).version_id)
        await s3_clock()
        written[:0] = await saves(archive, ROOM.path, 1, n)
        await s3_clock()

    page = await archive.history("a.md")

    assert ids(page.versions) == written
    assert page.next is None
    assert [v.kind for v in page.versions] == ["save", "snapshot"] * 3
    assert [v.type for v in page.versions] == [None, "file"] * 3
    assert {v.path for v in page.versions} == {"a.md"}
    assert [v.is_latest for v in page.versions] == [True, True, False, False, False, False]
    assert page.to_dict() == {"versions": [v.to_dict() for v in page.versions], "next": None}
    json.dumps(page.to_dict())


async def test_each_kind_can_be_asked_for(archive: Archive) -> None:
    checkpoints = await snapshots(archive, ROOM, 2)
    saved = await saves(archive, "a.md", 2)
    published = (await archive.publishing.file("a.md", b"out")).version_id

    for kinds, wanted in {
        ("snapshot",): checkpoints,
        ("save",): saved,
        ("published",): [published],
        ("save", "published"): [*saved, published],
        BOTH: [*checkpoints, *saved],
        ("published", "save", "snapshot"): [*checkpoints, *saved, published],
    }.items():
        for limit in (1, 50):
            found = await pages(archive, "a.md", limit, kinds=kinds)
            assert sorted(ids(found)) == sorted(wanted)
            assert {v.kind for v in found} == set(kinds)


@pytest.mark.parametrize("kinds", [(), ("saves",), ("save", "x"), "save"])
async def test_there_are_no_other_kinds(archive: Archive, kinds: Any) -> None:
    await saves(archive, "a.md", 1)

    with pytest.raises(ValueError, match="snapshot, save, published"):
        await archive.history("a.md", kinds=kinds)


async def test_a_document_is_one_room_alone(archive: Archive) -> None:
    rooms = [Document("a.md", type_) for type_ in ("file", "unicode", None)]
    written = {room: await snapshots(archive, room, 2) for room in rooms}
    saved = await saves(archive, "a.md", 2)

    for room in rooms:
        assert ids(await pages(archive, room, 1)) == written[room]
    together = [*saved, *(version for room in rooms for version in written[room])]
    for limit in (1, 3, 50):
        assert sorted(ids(await pages(archive, "a.md", limit))) == sorted(together)


async def test_what_never_was_is_not_found(archive: Archive) -> None:
    await saves(archive, "a.md", 1)

    for path in ("a", "a.m", "b.md", "a.md.txt", "a.md/b", ROOM):
        with pytest.raises(DocumentNotFound):
            await archive.history(path)
        with pytest.raises(DocumentNotFound):
            await archive.read(path)
    with pytest.raises(DocumentNotFound):
        await archive.history("a.md", kinds=("published",))


@pytest.mark.parametrize("path", ["", "/a.md", "../a.md", "a//b", "a\n", "\ud800", "x" * 2000])
async def test_what_can_be_no_path_is_refused(archive: Archive, path: str) -> None:
    for ask in (archive.history, archive.read, archive.undelete):
        with pytest.raises(InvalidPath):
            await ask(path)


# -- pages --------------------------------------------------------------------------------------


async def test_pages_of_any_size_give_the_same_list(archive: Archive) -> None:
    saved = await saves(archive, "a.md", 4)
    checkpoints = await snapshots(archive, ROOM, 5)
    await archive.bucket.delete("workspace/a.md")
    saved[:0] = await saves(archive, "a.md", 2, 4)

    whole = ids(await pages(archive, "a.md", 100))

    assert [v for v in whole if v in saved] == saved
    assert [v for v in whole if v in checkpoints] == checkpoints
    assert len(whole) == 11
    for limit in range(1, 13):
        assert ids(await pages(archive, "a.md", limit)) == whole


async def test_any_name_has_a_history(archive: Archive, s3_clock: Tick) -> None:
    saved, checkpoints = {}, {}
    for name in NAMES:
        saved[name] = await saves(archive, name, 4)
        await archive.delete_file(name)
        saved[name][:0] = await saves(archive, name, 1, 4)
        checkpoints[name] = await snapshots(archive, Document(name, "file"), 2)
    await s3_clock()
    for name in NAMES:
        renamed = await archive.renaming.rename_file(name, f"to {name}")
        assert renamed is not None
        for limit in (1, 2, 3, 50):
            found = ids(await pages(archive, name, limit))
            assert [v for v in found if v in saved[name]] == saved[name]
            assert sorted(found) == sorted(saved[name] + checkpoints[name])
        for limit in (1, 2, 50):
            moved = ids(await pages(archive, f"to {name}", limit))
            assert moved == [renamed.version_id, *saved[name]]
        oldest = await archive.read(f"to {name}", saved[name][-1])
        assert (oldest.raw(), oldest.version.path) == (f"{name} 0".encode(), name)


async def test_names_that_begin_alike_are_kept_apart(archive: Archive) -> None:
    names = [
        "a",
        "a.ipynb",
        "a.ipynb.txt",
        "a.ipynb.notebook.y.zst.ipynb",
        "a.ipynb.file.y.zst.bak",
        "a.ipynb.y.zst.bak",
        "a.ipynb/b",
        "a.ipynb/c.ipynb",
        "a.",
        "a-",
        "aa",
    ]
    saved = {name: await saves(archive, name, 2) for name in names}
    rooms = {name: await snapshots(archive, Document(name, "file"), 1) for name in names}

    for name in names:
        for limit in (1, 50):
            found = ids(await pages(archive, name, limit))
            assert [v for v in found if v in saved[name]] == saved[name]
            assert sorted(found) == sorted(saved[name] + rooms[name])
        assert (await archive.read(name, saved[name][0])).raw() == f"{name} 1".encode()
        assert await archive.snapshots.documents_under(name) != []


async def test_a_file_among_many_siblings_has_all_its_rooms(archive: Archive) -> None:
    wanted = await saves(archive, "data", 3)
    for room in (Document("data", room) for room in ("file", "unicode", "notebook", None)):
        wanted += await snapshots(archive, room, 2)
    for n in range(30):
        await archive.bucket.put(f"workspace/data-{n:04}", b"x", {})
        await archive.bucket.put(f"workspace/data.{n:04}", b"x", {})
        await archive.bucket.put(f"workspace/data.{n:04}.file.y.zst", b"x", {})
        await archive.bucket.put(f"workspace/data.p{n:04}", b"x", {})

    for limit in (1, 4, 50):
        assert sorted(ids(await pages(archive, "data", limit))) == sorted(wanted)


async def test_rooms_are_found_behind_more_saves_than_a_page(archive: Archive) -> None:
    wanted = await snapshots(archive, Document("a.md", "unicode"), 1)
    wanted += await snapshots(archive, Document("a.md"), 1)
    wanted += await saves(archive, "a.md", 55)

    for limit in (1, 20, 50, 54, 60):
        assert sorted(ids(await pages(archive, "a.md", limit))) == sorted(wanted)
    assert (await archive.find("a.md", wanted[0])).type == "unicode"


async def test_delete_markers_are_passed_over(archive: Archive) -> None:
    wanted: list[str] = []
    for n in range(5):
        wanted[:0] = await saves(archive, "a.md", 2, 2 * n)
        for _ in range(n):
            await archive.bucket.delete("workspace/a.md")

    for limit in (1, 2, 3, 50):
        assert ids(await pages(archive, "a.md", limit)) == wanted
    await archive.bucket.delete("workspace/a.md")
    assert ids(await pages(archive, "a.md", 1)) == wanted
    assert not any(v.is_latest for v in (await archive.history("a.md")).versions)


@pytest.mark.s3_only("ceph", "localstack")  # moto forgets what was before
async def test_versions_of_a_bucket_that_kept_none_have_the_id_null(
    archive: Archive, boto3_client: S3Client, bucket_name: str
) -> None:
    before = await saves(archive, "a.md", 3)
    boto3_client.put_bucket_versioning(
        Bucket=bucket_name, VersioningConfiguration={"Status": "Suspended"}
    )
    for name in ("Ada", "Bob"):
        await archive.bucket.put("workspace/a.md", name.encode(), {"authors": name})
        [newest] = (await archive.history("a.md", limit=1, details=True)).versions
        assert (newest.version_id, newest.authors) == ("null", (name,))
        assert (await archive.read("a.md", "null")).raw() == name.encode()
    boto3_client.put_bucket_versioning(
        Bucket=bucket_name, VersioningConfiguration={"Status": "Enabled"}
    )
    after = await saves(archive, "a.md", 2, 3)

    for limit in (1, 2, 3, 50):
        assert ids(await pages(archive, "a.md", limit)) == [*after, "null", *before]


async def test_a_filter_tells_the_nulls_of_two_keys_apart(
    archive: Archive, configure: Configure, boto3_client: S3Client, bucket_name: str
) -> None:
    boto3_client.put_bucket_versioning(
        Bucket=bucket_name, VersioningConfiguration={"Status": "Suspended"}
    )
    async with Archive(configure(allow_unversioned=True)) as careless:
        await careless.save_file("a.md", b"one", authors=("Ada",))
        for type_ in ("file", "unicode"):
            await Writer("one").save(careless, Document("a.md", type_), authors=("Ada",))

        for limit in (1, 2, 50):
            found = await pages(careless, "a.md", limit, author="Ada")
            assert sorted(v.key for v in found) == [
                "workspace/a.md",
                "workspace/a.md.file.y.zst",
                "workspace/a.md.unicode.y.zst",
            ]


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("path", ["a.md", "a b.md"])
async def test_what_was_removed_between_two_pages_hides_nothing_else(
    archive: Archive, s3_clock: Tick, path: str, apart: bool
) -> None:
    wanted: list[str] = []
    for n in range(4):
        wanted[:0] = await saves(archive, path, 1, n)
        if apart:
            await s3_clock()
    page = await archive.history(path, limit=2)
    await archive.bucket.delete(f"workspace/{path}", wanted[1])

    following = await archive.history(path, limit=5, after=page.next)

    assert ids(following.versions) == wanted[2:]
    assert ids(await pages(archive, path, 1)) == [wanted[0], *wanted[2:]]


async def test_what_was_removed_since_it_was_listed_is_left_out(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = await saves(archive, "a.md", 3)
    complete_all = archive._details.complete_all

    async def late(versions: Any, **options: bool) -> list[Version]:
        monkeypatch.undo()
        await archive.bucket.delete("workspace/a.md", wanted[1])
        return await complete_all(versions, **options)

    monkeypatch.setattr(archive._details, "complete_all", late)
    page = await archive.history("a.md", details=True)

    assert ids(page.versions) == [wanted[0], wanted[2]]


@pytest.mark.parametrize("limit", [-5, 0, 1])
async def test_a_page_has_one_version_at_least(archive: Archive, limit: int) -> None:
    wanted = await saves(archive, "a.md", 2)

    page = await archive.history("a.md", limit=limit)

    assert ids(page.versions) == wanted[:1]
    assert page.next is not None


# -- tokens -------------------------------------------------------------------------------------


def token(state: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(state).encode()).decode().rstrip("=")


def said(given: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(given + "=" * (-len(given) % 4)))


JSON: list[Any] = [None, 1, [], {}, [[]], [[], []], [[], 0, []], {"a": 1}, "abcdefg"]


@pytest.mark.parametrize(
    "garbage",
    ["", " ", "x", "MQ", "é", "\ud800", "null", "====", "a" * 100_000, "../../etc/passwd", "%00"]
    + [token(value) for value in JSON]
    + [base64.urlsafe_b64encode(b"[" * 50_000).decode()],
)
async def test_garbage_is_no_token(archive: Archive, garbage: str) -> None:
    await saves(archive, "a.md", 3)

    with pytest.raises(InvalidToken):
        await archive.history("a.md", after=garbage)


def changed(value: Any, others: list[Any]) -> Iterator[Any]:
    """JSON values that differ from one in one place, each in another way."""
    yield from others
    if isinstance(value, list):
        for n, item in enumerate(value):
            yield [*value[:n], *value[n + 1 :]]
            yield [*value[:n], *[item] * 1000, *value[n + 1 :]]
            for other in changed(item, others):
                yield [*value[:n], other, *value[n + 1 :]]


@pytest.mark.s3_only("moto", "ceph")  # LocalStack answers 500 to an id that it never made
async def test_a_changed_token_is_refused_or_gives_some_page(archive: Archive) -> None:
    await saves(archive, "a.md", 3)
    given = (await archive.history("a.md", limit=1, kinds=("save",))).next
    assert given is not None
    others: list[Any] = [None, True, -1, 10**30, 1e400, "", "\ud800", "\0", "x" * 2000]
    others += [[], {}, [[1]], "b.md", "published"]
    accepted, refused = 0, 0
    for state in changed(said(given), others):
        try:
            page = await archive.history("a.md", after=token(state), kinds=("save",))
        except InvalidToken:
            refused += 1
        else:
            accepted += 1
            assert len(page.versions) <= 50
    assert refused > 4 * accepted


async def test_a_token_is_good_for_what_it_was_given_for(archive: Archive) -> None:
    for path in ("a.md", "b.md"):
        await saves(archive, path, 3)
        await snapshots(archive, Document(path, "file"), 2)
        await archive.publishing.file(path, b"1")
        await archive.publishing.file(path, b"2")
    given = (await archive.history("a.md", limit=1)).next

    for ask in (
        archive.history("b.md", after=given),
        archive.history(ROOM, after=given),
        archive.history("a.md", after=given, kinds=("published",)),
        archive.history("a.md", after=given, kinds=("save",)),
    ):
        with pytest.raises(InvalidToken):
            await ask
    assert len((await archive.history("a.md", after=given, limit=2)).versions) == 2


# -- filters ------------------------------------------------------------------------------------


async def spread(archive: Archive, s3_clock: Tick) -> list[Version]:
    """Saves and snapshots, each at a time of its own; oldest first."""
    ada, authors = Writer(), ["Ada", "Zoë, 🌊", "Ada"]
    for n, author in enumerate(authors):
        await archive.save_file("a.md", f"{n}".encode(), authors=(author, "Everyone"))
        await s3_clock()
        await ada.type("x").save(archive, ROOM, authors=("Bob",))
        await s3_clock()
    return list((await archive.history("a.md")).versions)[::-1]


async def test_since_and_until_take_in_their_own_moments(archive: Archive, s3_clock: Tick) -> None:
    versions = await spread(archive, s3_clock)
    times = [version.last_modified for version in versions]
    tiny = timedelta(microseconds=1)

    async def between(since: datetime | None, until: datetime | None) -> list[int]:
        found: set[tuple[int, ...]] = set()
        for limit in (1, 2, 50):
            listed = await pages(archive, "a.md", limit, since=since, until=until)
            found.add(tuple(versions.index(version) for version in listed))
        [numbers] = found
        return list(numbers)

    assert await between(times[2], times[4]) == [4, 3, 2]
    assert await between(times[2] + tiny, times[4] - tiny) == [3]
    assert await between(times[4], None) == [5, 4]
    assert await between(None, times[1]) == [1, 0]
    assert await between(times[4], times[2]) == []
    assert await between(times[5] + tiny, None) == []
    assert await between(None, times[0] - tiny) == []
    other = timezone(timedelta(hours=-7))
    assert await between(times[2].astimezone(other), times[2].astimezone(other)) == [2]
    naive = times[2].astimezone().replace(tzinfo=None)
    assert await between(naive, naive) == [2]
    assert await between(EARLIEST, LATEST) == [5, 4, 3, 2, 1, 0]


async def test_versions_of_an_author(archive: Archive, s3_clock: Tick) -> None:
    versions = await spread(archive, s3_clock)

    for author, wanted in {
        "Ada": [4, 0],
        "Zoë, 🌊": [2],
        "Bob": [5, 3, 1],
        "Everyone": [4, 2, 0],
        "Zoë": [],
        "ada": [],
        "": [],
    }.items():
        for limit in (1, 2, 50):
            found = await pages(archive, "a.md", limit, author=author)
            assert [ids(versions).index(v.version_id) for v in found] == wanted
            assert all(author in version.authors for version in found)


async def test_labelled_versions(archive: Archive) -> None:
    saved = await saves(archive, "a.md", 5)
    checkpoints = await snapshots(archive, ROOM, 3)
    chosen = {saved[1]: "one", saved[4]: "two", checkpoints[0]: "three"}
    for version_id, label in chosen.items():
        await archive.label("a.md", version_id, label)

    for limit in (1, 2, 50):
        found = await pages(archive, "a.md", limit, labelled=True)
        assert {v.version_id: v.label for v in found} == chosen
    assert ids(await pages(archive, "a.md", 1, labelled=True, kinds=("save",))) == [
        saved[1],
        saved[4],
    ]
    assert await pages(archive, "a.md", 1, labelled=True, author="Nobody") == []


# -- requests -----------------------------------------------------------------------------------


async def test_a_page_costs_a_request_for_each_key_that_has_more(
    archive: Archive, requests: Counted
) -> None:
    await saves(archive, "a.md", 8)
    await snapshots(archive, ROOM, 8)
    await saves(archive, "b.md", 30)
    requests.taken()

    first = await archive.history("a.md", limit=10)
    assert requests.taken() <= 3  # a list for each, and what other rooms there are
    await archive.history("a.md", limit=10, after=first.next)
    assert requests.taken() <= 4  # two lists, and whether either began with a rename

    after: str | None = (await archive.history("b.md", limit=7, kinds=("save",))).next
    assert requests.taken() == 1
    for _ in range(3):
        after = (await archive.history("b.md", limit=7, kinds=("save",), after=after)).next
        assert all(what.startswith("list") for what in requests.made)
    assert requests.taken() <= 2 * 3  # LocalStack does not go on where it is told to, for some keys
    last = await archive.history("b.md", limit=7, kinds=("save",), after=after)
    assert (len(last.versions), last.next) == (2, None)


async def test_details_cost_a_request_a_version_and_are_remembered(
    archive: Archive, requests: Counted
) -> None:
    await saves(archive, "a.md", 12)
    requests.taken()

    plain = await archive.history("a.md", limit=10)
    listing = requests.taken()
    detailed = await archive.history("a.md", limit=10, details=True)

    assert requests.taken() == listing + 10
    assert ids(detailed.versions) == ids(plain.versions)
    assert {v.origin for v in plain.versions} == {""}
    assert {v.origin for v in detailed.versions} == {"save"}


async def test_a_filter_that_lets_few_through_asks_for_many_at_a_time(
    archive: Archive, requests: Counted
) -> None:
    await archive.save_file("a.md", b"first", authors=("Ada",))
    await saves(archive, "a.md", 40)
    long_ago = datetime(2020, 1, 1, tzinfo=timezone.utc)
    requests.taken()

    [found] = await pages(archive, "a.md", 1, author="Ada")
    assert found.authors == ("Ada",)
    lists = [what for what in requests.made if what.startswith("list")]
    assert len(lists) <= 6
    requests.taken()
    assert await pages(archive, "a.md", 1, until=long_ago) == []
    assert requests.taken() <= 6


# -- moments ------------------------------------------------------------------------------------


async def test_the_version_of_a_moment(archive: Archive, s3_clock: Tick) -> None:
    versions = await spread(archive, s3_clock)
    tiny = timedelta(microseconds=1)

    for n, version in enumerate(versions):
        assert await archive.version_at("a.md", version.last_modified) == version
        if n:
            just_before = await archive.version_at("a.md", version.last_modified - tiny)
            assert just_before == versions[n - 1]
    for early in (versions[0].last_modified - tiny, EARLIEST):
        with pytest.raises(DocumentNotFound, match="did not exist yet"):
            await archive.version_at("a.md", early)
    assert await archive.version_at("a.md", LATEST) == versions[-1]
    naive = versions[3].last_modified.astimezone().replace(tzinfo=None)
    assert await archive.version_at("a.md", naive) == versions[3]
    assert await archive.version_at("a.md", LATEST, kinds=("save",)) == versions[-2]
    assert await archive.version_at(ROOM, versions[4].last_modified) == versions[3]


async def test_a_moment_at_which_it_was_deleted(archive: Archive, s3_clock: Tick) -> None:
    [old] = await saves(archive, "a.md", 1)
    await s3_clock()
    await archive.delete_file("a.md")
    [marker] = [
        entry
        async for entry in archive.bucket.listing.versions("workspace/a.md")
        if entry.is_delete_marker
    ]
    await s3_clock()
    [new] = await saves(archive, "a.md", 1, 1)

    before = await archive.version_at("a.md", marker.last_modified - timedelta(microseconds=1))
    assert before.version_id == old
    for gone in (marker.last_modified, marker.last_modified + timedelta(microseconds=1)):
        with pytest.raises(DocumentNotFound, match="was not there"):
            await archive.version_at("a.md", gone)
    assert (await archive.version_at("a.md", LATEST)).version_id == new
    await s3_clock()
    await archive.delete_file("a.md")
    with pytest.raises(DocumentNotFound, match="was not there"):
        await archive.read("a.md")
    assert (await archive.read("a.md", new)).content == "a.md 1"


async def test_a_moment_before_a_rename(archive: Archive, s3_clock: Tick) -> None:
    [old] = await saves(archive, "a.md", 1)
    await s3_clock()
    renamed = await archive.renaming.rename_file("a.md", "b.md")
    assert renamed is not None
    now, then = (await archive.history("b.md")).versions

    at = await archive.version_at("b.md", now.last_modified - timedelta(microseconds=1))
    assert (at.version_id, at.path) == (old, "a.md")
    assert (await archive.version_at("b.md", now.last_modified)).version_id == renamed.version_id
    assert (await archive.version_at("a.md", then.last_modified)).version_id == old
    with pytest.raises(DocumentNotFound, match="was not there"):
        await archive.version_at("a.md", datetime.now(timezone.utc) + timedelta(days=1))


# -- by id --------------------------------------------------------------------------------------


async def test_any_version_is_found_by_its_id(archive: Archive, s3_clock: Tick) -> None:
    checkpoints = await snapshots(archive, ROOM, 2)
    saved = await saves(archive, "a.md", 2)
    published = await archive.publishing.file("a.md", b"x", authors=("Ada",))
    await archive.label("a.md", saved[1], "good")

    for version_id, kind, room, latest in [
        (checkpoints[0], "snapshot", "file", True),
        (checkpoints[1], "snapshot", "file", False),
        (saved[0], "save", None, True),
        (saved[1], "save", None, False),
        (published.version_id, "published", None, True),
    ]:
        found = await archive.find("a.md", version_id)
        assert (found.version_id, found.kind) == (version_id, kind)
        assert (found.type, found.is_latest) == (room, latest)
        assert (await archive.read("a.md", version_id)).version == found
    assert (await archive.find("a.md", saved[1])).label == "good"
    assert (await archive.find("a.md", saved[1])).parent == ""
    assert (await archive.find("a.md", published.version_id)).authors == ("Ada",)
    await s3_clock()
    await archive.renaming.rename_file("a.md", "b.md")
    await archive.renaming.rename(ROOM, Document("b.md", "file"))
    for version_id in (*checkpoints, *saved):
        found = await archive.find("b.md", version_id)
        assert (found.version_id, found.path, found.is_latest) == (version_id, "a.md", False)


@pytest.mark.parametrize(
    "version_id", ["", " ", "x", "null", "x" * 2048, "🌊" * 300, "\ud800", "a\r\nb", "../x"]
)
async def test_no_version_has_such_an_id(archive: Archive, version_id: str) -> None:
    await saves(archive, "a.md", 1)
    await snapshots(archive, ROOM, 1)

    for path in ("a.md", ROOM, "none.md"):
        for ask in (archive.find, archive.read):
            with pytest.raises(VersionNotFound):
                await ask(path, version_id)


async def test_the_id_of_another_file_or_of_a_delete_marker_is_no_version(archive: Archive) -> None:
    await saves(archive, "a.md", 1)
    await snapshots(archive, ROOM, 1)
    wrong = await saves(archive, "b.md", 1) + await snapshots(archive, Document("b.md", "file"), 1)
    wrong += await snapshots(archive, Document("a.md.b", "file"), 1)
    await archive.delete_file("a.md")
    [marker, _] = [e async for e in archive.bucket.listing.versions("workspace/a.md")]
    assert marker.is_delete_marker

    for version_id in (*wrong, marker.version_id):
        with pytest.raises(VersionNotFound):
            await archive.find("a.md", version_id)


# -- a bucket that refuses ----------------------------------------------------------------------


@pytest.mark.parametrize("denied", ["list_object_versions", "get_object", "head_object"])
async def test_what_is_denied_is_never_not_found(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, denied: str
) -> None:
    [saved] = await saves(archive, "a.md", 1)
    [checkpoint] = await snapshots(archive, ROOM, 1)
    deny(archive, denied, monkeypatch)

    asks: list[Callable[[], Awaitable[Any]]] = [
        lambda: archive.history("a.md"),
        lambda: archive.history("a.md", details=True),
        lambda: archive.read("a.md"),
        lambda: archive.read("a.md", saved),
        lambda: archive.find("a.md", checkpoint),
        lambda: archive.load("a.md", checkpoint),
        lambda: archive.publish("a.md", saved),
        lambda: archive.undelete("a.md"),
        lambda: archive.save_file("a.md", b"new"),
    ]
    refused = 0
    for ask in asks:
        answer: Any = None
        with contextlib.suppress(AccessDenied):
            answer = await ask()
        refused += answer is None
        assert not isinstance(answer, Page) or len(answer.versions) == 2
    # A HEAD that is refused is asked for its reason by a GET, which is allowed here.
    assert refused == 0 if denied == "head_object" else refused > 0


async def test_without_the_right_to_list_a_document_can_be_loaded(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    [checkpoint] = await snapshots(archive, ROOM, 1)
    deny(archive, "list_object_versions", monkeypatch)

    assert await archive.load(ROOM) == await archive.load(ROOM, checkpoint)
    with pytest.raises(AccessDenied):
        await archive.history("a.md")


# -- anything at all ----------------------------------------------------------------------------


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every version that moto makes is a second younger than the one before."""
    seconds = itertools.count()
    start = datetime(2020, 1, 1)  # noqa: DTZ001 - moto has UTC without saying so
    monkeypatch.setattr("moto.s3.models.utcnow", lambda: start + timedelta(seconds=next(seconds)))


def truth(client: S3Client, bucket: str, kind: str, path: str) -> list[tuple[datetime, str]]:
    """The history of a path by the listing of its whole directory: times and version ids. The
    key's own versions, and where a rename began a run of them, those of the former key before it.
    """
    suffix = ".file.y.zst" if kind == "snapshot" else ""
    directory = path.rpartition("/")[0]
    listing = client.list_object_versions(Bucket=bucket, Prefix=f"workspace/{directory}/")
    entries = sorted(
        (entry["LastModified"], entry["Key"], entry["VersionId"], "ETag" in entry)
        for entry in [*listing.get("Versions", []), *listing.get("DeleteMarkers", [])]
    )
    found, seen, waiting = [], set(), [(path, LATEST.replace(tzinfo=timezone.utc))]
    while waiting:
        place, until = waiting.pop(0)
        seen.add(place)
        key = f"workspace/{place}{suffix}"
        run = [entry for entry in entries if entry[1] == key and entry[0] <= until]
        former: list[tuple[str, datetime]] = []
        for before, (time, _, version_id, is_version) in zip([None, *run], run, strict=False):
            if not is_version:
                continue
            found.append((time, version_id))
            if before is None or not before[3]:
                head = client.head_object(Bucket=bucket, Key=key, VersionId=version_id)
                source = former_path(head["Metadata"].get("origin", ""))
                parent = head["Metadata"].get("parent", "")
                if source is not None:
                    [then] = [entry[0] for entry in entries if entry[2] == parent]
                    former.append((source, then))
        # Of several ways to one key the newest is the longest.
        waiting = sorted([*waiting, *former], key=lambda way: way[1], reverse=True)
        waiting = [way for way in waiting if way[0] not in seen]
    return found


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "save",
                "save",
                "type",
                "type",
                "delete",
                "undelete",
                "rename",
                "there and back",
                "restore",
            ]
        ),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["a", "b", "c"]),
    ),
    min_size=4,
    max_size=25,
)


@pytest.mark.s3_only("moto")
@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS, limit=st.integers(1, 5))
async def test_whatever_happened_every_version_is_listed_once(
    archive: Archive,
    boto3_client: S3Client,
    bucket_name: str,
    ticking: None,
    steps: list[tuple[str, str, str]],
    limit: int,
) -> None:
    base = uuid.uuid4().hex
    for n, (what, name, other) in enumerate(steps):
        path, target = f"{base}/{name}", f"{base}/{other}"
        room = Document(path, "file")
        with contextlib.suppress(DocumentNotFound):
            if what == "save":
                await archive.save_file(path, f"{n}".encode())
            elif what == "type":
                await Writer(f"{n}").save(archive, room)
            elif what == "delete":
                await archive.delete(room)
                await archive.delete_file(path)
            elif what == "undelete":
                await archive.undelete(path)
            elif what != "restore":
                for source, to in [(path, target), (target, path)][: 1 if what == "rename" else 2]:
                    await archive.renaming.rename(Document(source, "file"), Document(to, "file"))
                    await archive.renaming.rename_file(source, to)
            else:
                versions = (await archive.history(path)).versions
                await archive.restore(path, versions[n % len(versions)].version_id)

    for name in "abc":
        path = f"{base}/{name}"
        wanted = {kind: truth(boto3_client, bucket_name, kind, path) for kind in BOTH}
        together = sorted(itertools.chain(*wanted.values()), reverse=True)
        if not together:
            with pytest.raises(DocumentNotFound):
                await archive.history(path)
            continue
        listed = await pages(archive, path, limit)
        assert [(v.last_modified, v.version_id) for v in listed] == together
        assert list((await archive.history(path)).versions) == listed
        assert {v.kind: v.version_id for v in reversed(listed)} == {
            kind: max(versions)[1] for kind, versions in wanted.items() if versions
        }
        for version in listed[:: max(1, len(listed) // 4)]:
            assert (await archive.find(path, version.version_id)).key == version.key


# -- many ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.s3_only("ceph")  # moto takes the longer for a write, the more versions there are
async def test_ten_thousand_versions(archive: Archive, requests: Counted) -> None:
    written: list[str] = []

    async def put(number: int) -> None:
        version = await archive.bucket.put("workspace/a.md", f"{number}".encode(), {})
        written.append(version.version_id)

    async for _ in each(listed(list(range(10_000))), put, 16):
        pass
    requests.taken()

    first = await archive.history("a.md")
    assert requests.taken() <= 3
    everything = await pages(archive, "a.md", 999)
    assert requests.taken() <= 60
    assert sorted(ids(everything)) == sorted(written)
    assert everything[:50] == list(first.versions)
    oldest = everything[-1]
    assert (await archive.find("a.md", oldest.version_id)).version_id == oldest.version_id
    assert requests.taken() <= 10
