"""What the archive holds is there, in a server whose disk is empty."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.jupyter.disk import Disk
from harness.servers import S3Server, make_bucket

from .person import MANAGERS, Person, archive, at_work, notebook_bytes

pytestmark = pytest.mark.e2e

BINARY = bytes(range(256))

ARCHIVED = {
    "Untitled.ipynb": notebook_bytes("of yesterday"),
    "notes.txt": "grüße\r\n".encode(),
    "untitled.txt": b"text of yesterday",
    "Untitled Folder/in it.txt": b"words",
    "data/map.bin": BINARY,
    "data/deep/er/tides.ipynb": notebook_bytes("deep"),
    "a b/ä+#%.txt": b"a name to be quoted",
}


@pytest.fixture(
    scope="module",
    params=[pytest.param(m, marks=() if m == "default" else pytest.mark.slow) for m in MANAGERS],
)
def person(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, moto_server: S3Server
) -> Iterator[Person]:
    """Someone who comes back to an empty disk, with each contents manager."""
    bucket = make_bucket(moto_server)
    archive(moto_server, bucket, ARCHIVED)
    disk = Disk(tmp_path_factory.mktemp("empty"))
    with at_work(disk, moto_server, bucket, request.param) as person:
        yield person


async def test_the_file_browser_lists_it_at_once(person: Person) -> None:
    assert person.listing() == {
        "Untitled.ipynb": "notebook",
        "notes.txt": "file",
        "untitled.txt": "file",
        "Untitled Folder": "directory",
        "data": "directory",
        "a b": "directory",
    }
    assert person.listing("data") == {"map.bin": "file", "deep": "directory"}
    assert person.listing("data/deep/er") == {"tides.ipynb": "notebook"}


async def test_it_opens_as_it_was(person: Person) -> None:
    assert person.ask("GET", "Untitled.ipynb").json()["content"]["cells"][0]["source"] == (
        "of yesterday"
    )
    assert person.ask("GET", "data/deep/er/tides.ipynb").json()["type"] == "notebook"


async def test_new_things_get_other_names(person: Person) -> None:
    assert person.new("notebook") == "Untitled1.ipynb"
    assert person.new("file") == "untitled1.txt"
    assert person.new("directory") == "Untitled Folder 1"


async def test_in_the_end_all_of_it_is_there(person: Person) -> None:
    state = await person.restored()
    assert not state["failed"]
    assert state["missing"] == 0
    listed = {name for directory in ("", "data", "a b") for name in person.listing(directory)}
    assert {"notes.txt", "map.bin", "ä+#%.txt"} <= listed
