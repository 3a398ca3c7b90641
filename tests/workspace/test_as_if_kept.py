"""What the archive alone holds is opened, renamed, copied and deleted like what the disk has.

The server of these tests brings nothing back by itself, so that each request meets an empty place.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest

from bookstore_y.local.waiting import eventually
from harness.jupyter.disk import Disk
from harness.servers import S3Server, connect, make_bucket

from .person import Person, archive, archived, at_work, notebook, notebook_bytes

pytestmark = pytest.mark.e2e

SEEN = {"seen/a.txt": b"words", "seen/b.ipynb": notebook_bytes("words"), "seen/.hidden": b"words"}

DATA = bytes(range(256)) * 4


class Place:
    """A server that has written nothing back, and its bucket."""

    def __init__(self, person: Person, s3: S3Server, bucket: str, disk: Disk) -> None:
        self.person = person
        self.disk = disk
        self._s3 = s3
        self._bucket = bucket

    def archive(self, **files: bytes) -> None:
        """Have files in the bucket; `__` in a name is a slash, and the first `_` a dot."""
        named = {name.replace("__", "/").replace("_", "."): body for name, body in files.items()}
        archive(self._s3, self._bucket, named)

    def history(self, path: str) -> list[bytes | None]:
        """What the bucket has of a file, newest first; None for a deletion."""
        return archived(self._s3, self._bucket, path)

    def written(self, path: str) -> datetime:
        """When the bucket got the current version of a file."""
        head = connect(self._s3).head_object(Bucket=self._bucket, Key=f"workspace/{path}")
        return head["LastModified"]

    def is_on_disk(self, path: str) -> bool:
        return self.disk.file(path).exists()


@pytest.fixture(scope="module", params=["shown", pytest.param("never", marks=pytest.mark.slow)])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, moto_server: S3Server
) -> Iterator[Place]:
    """Nothing comes back by itself: for want of room, or because it must not."""
    bucket = make_bucket(moto_server)
    disk = Disk(tmp_path_factory.mktemp(request.param))
    archive(moto_server, bucket, SEEN)
    restores = {
        "shown": {"restore_max_bytes": 0},
        "never": {"restore_workspace": "never"},
    }
    with at_work(
        disk,
        moto_server,
        bucket,
        "archiver",
        BookstoreSettings=restores[request.param],
    ) as person:
        yield Place(person, moto_server, bucket, disk)


def test_a_file_opens_by_its_address_with_the_time_of_its_version(place: Place) -> None:
    place.archive(opened__tides_ipynb=notebook_bytes("rising"), opened__map_bin=DATA)
    answer = place.person.ask("GET", "opened/tides.ipynb").json()
    assert answer["content"]["cells"][0]["source"] == "rising"
    assert place.disk.file("opened/tides.ipynb").read_bytes() == notebook_bytes("rising")
    time = place.disk.file("opened/tides.ipynb").stat().st_mtime
    assert int(time) == int(place.written("opened/tides.ipynb").timestamp())
    assert place.person.bytes("opened/map.bin") == DATA


@pytest.mark.parametrize("address", ["files/linked/{}.txt", "view/linked/{}.txt"])
def test_a_link_to_a_file_works(place: Place, address: str) -> None:
    name = address.partition("/")[0]
    archive_as = {f"linked__{name}_txt": b"words"}
    place.archive(**archive_as)
    answer = place.person.http.get(f"/{address.format(name)}")
    assert answer.status_code == 200
    assert place.is_on_disk(f"linked/{name}.txt")


def test_a_file_that_is_nowhere_is_not_found(place: Place) -> None:
    assert place.person.ask("GET", "nowhere.ipynb").status_code == 404
    assert place.person.ask("GET", "nowhere/at all.txt").status_code == 404


def test_what_opening_brings_back_is_not_archived_again(place: Place) -> None:
    place.archive(once_txt=b"words")
    assert place.person.text("once.txt") == "words"
    place.person.save("once.txt", "other words").raise_for_status()
    assert place.history("once.txt")[-1] == b"words"


def test_a_new_notebook_gets_a_name_that_the_archive_does_not_hold(place: Place) -> None:
    place.archive(
        new__Untitled_ipynb=notebook_bytes("yesterday"),
        new__Untitled1_ipynb=notebook_bytes("the day before"),
        new__untitled_txt=b"words",
    )
    assert place.person.new("notebook", "new") == "new/Untitled2.ipynb"
    assert place.person.new("file", "new") == "new/untitled1.txt"
    assert place.history("new/Untitled.ipynb") == [notebook_bytes("yesterday")]


def test_a_new_folder_gets_a_name_of_its_own(place: Place) -> None:
    archive_in = {"folders__Untitled Folder__a_txt": b"words"}
    place.archive(**archive_in)
    assert place.person.new("directory", "folders") == "folders/Untitled Folder 1"


def test_a_copy_is_of_what_the_archive_holds_and_hides_nothing(place: Place) -> None:
    place.archive(**{"copied__a_txt": b"words", "copied__a-Copy1_txt": b"an earlier copy"})
    answer = place.person.ask("POST", "copied", json={"copy_from": "copied/a.txt"})
    assert answer.json()["path"].strip("/") == "copied/a-Copy2.txt"
    assert place.person.text("copied/a-Copy2.txt") == "words"
    assert place.history("copied/a-Copy1.txt") == [b"an earlier copy"]


def test_a_folder_is_copied_whole(place: Place) -> None:
    place.archive(whole__in__a_txt=b"a", whole__in__deep__b_txt=b"b")
    answer = place.person.ask("POST", "whole", json={"copy_from": "whole/in"})
    assert answer.status_code == 201, answer.text
    copy = answer.json()["path"].strip("/")
    assert place.person.text(f"{copy}/a.txt") == "a"
    assert place.person.text(f"{copy}/deep/b.txt") == "b"


def test_saving_over_it_replaces_it_and_keeps_it_in_its_history(place: Place) -> None:
    place.archive(over__notes_txt=b"of yesterday")
    assert place.person.save("over/notes.txt", "of today").status_code in (200, 201)
    assert place.disk.file("over/notes.txt").read_text() == "of today"
    log = place.person.server.process.log_text()
    assert "Writing over/notes.txt, although the archive has a file with that name" in log


async def test_what_is_saved_over_it_becomes_the_newest_version(place: Place) -> None:
    place.archive(onto__notes_txt=b"of yesterday")
    place.person.save("onto/notes.txt", "of today")
    await eventually(
        lambda: place.history("onto/notes.txt") == [b"of today", b"of yesterday"],
        within=20,
        what="the save in the bucket",
    )


async def test_renaming_takes_it_along(place: Place) -> None:
    place.archive(renamed__a_txt=b"words")
    answer = place.person.ask("PATCH", "renamed/a.txt", json={"path": "renamed/b.txt"})
    assert answer.status_code == 200, answer.text
    assert place.person.text("renamed/b.txt") == "words"
    await eventually(
        lambda: place.history("renamed/b.txt") == [b"words"], within=20, what="the new key"
    )
    assert place.person.ask("GET", "renamed/a.txt").status_code == 404


async def test_renaming_a_folder_takes_what_is_in_it_along(place: Place) -> None:
    place.archive(old__a_txt=b"a", old__deep__b_txt=b"b")
    answer = place.person.ask("PATCH", "old", json={"path": "changed"})
    assert answer.status_code == 200, answer.text
    assert place.person.text("changed/deep/b.txt") == "b"
    assert place.person.text("changed/a.txt") == "a"
    assert place.person.ask("GET", "old/a.txt").status_code == 404


def test_nothing_is_renamed_onto_it(place: Place) -> None:
    place.archive(target__kept_txt=b"kept", target__a_txt=b"a")
    answer = place.person.ask("PATCH", "target/a.txt", json={"path": "target/kept.txt"})
    assert answer.status_code == 409
    assert "The archive has target/kept.txt" in answer.json()["message"]
    assert place.person.text("target/kept.txt") == "kept"


async def test_deleting_it_deletes_it_and_it_stays_deleted(place: Place) -> None:
    place.archive(deleted__a_txt=b"words", deleted__b_txt=b"others")
    assert place.person.ask("DELETE", "deleted/a.txt").status_code == 204
    assert place.person.ask("GET", "deleted/a.txt").status_code == 404
    await eventually(
        lambda: place.history("deleted/a.txt") == [None, b"words"], within=20, what="its marker"
    )
    assert not place.is_on_disk("deleted/a.txt")
    assert place.person.text("deleted/b.txt") == "others"


def test_a_folder_that_is_not_empty_in_the_archive_is_not_deleted(place: Place) -> None:
    place.archive(full__a_txt=b"words")
    assert place.person.ask("GET", "full").status_code == 200
    assert place.person.ask("DELETE", "full").status_code == 400
    assert place.person.text("full/a.txt") == "words"


def test_a_clone_gets_a_name_of_its_own(place: Place) -> None:
    place.archive(cloned_txt=b"of yesterday")
    server = place.person.server
    server.put_object("elsewhere/cloned.txt", b"of others")
    clone = {"s3_bucket": server.bucket, "s3_key": "elsewhere/cloned.txt"}
    assert server.send("POST", "clone", **clone)["path"] == "cloned-1.txt"
    assert place.history("cloned.txt") == [b"of yesterday"]


def test_checkpoints_can_be_asked_for(place: Place) -> None:
    place.archive(checked_ipynb=notebook_bytes("words"))
    answer = place.person.http.get("/api/contents/checked.ipynb/checkpoints")
    assert answer.json() == []
    assert place.is_on_disk("checked.ipynb")


def test_uploading_a_notebook_over_it_keeps_it(place: Place) -> None:
    place.archive(up_ipynb=notebook_bytes("yesterday"))
    assert place.person.save("up.ipynb", notebook("today")).status_code in (200, 201)
    assert notebook_bytes("yesterday") in place.history("up.ipynb")


async def test_the_listing_shows_the_archive_unless_it_is_to_write_nothing(place: Place) -> None:
    state = await place.person.restored()
    listed = place.person.listing("seen")
    if state["state"] == "off":
        assert listed == {}
    else:
        assert listed == {"a.txt": "file", "b.ipynb": "notebook"}
        assert state["state"] == "partial"
        assert "restore_max_bytes" in state["error"]
    assert not place.is_on_disk("seen/a.txt")
