"""What is archived of a notebook that its manager keeps as a script is the script."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from jupyter_server.utils import ensure_async
from nbformat import v4
from traitlets.config import Config

from bookstore_y import BookstoreContentsArchiver, BookstoreContentsMixin, S3Checkpoints
from bookstore_y.jupyter.contents import Archiver
from bookstore_y.replication.pending_upload import Save

from .files import SavedFiles
from .managers import ArchivingScripts, Blocking

SCRIPT, PAIR = "demo.py", "demo.ipynb"


class Archived:
    """Takes the place of the archiver."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}

    def submit(self, path: str, save: Save) -> None:
        self.bodies[path] = save.body if isinstance(save.body, bytes) else save.body()


def _like_jupytext() -> Any:
    return ArchivingScripts


def _in_front() -> Any:
    base: Any = pytest.importorskip("jupytext").TextFileContentsManager
    return type("Archiving", (BookstoreContentsMixin, base), {})


def _in_front_async() -> Any:
    base: Any = _jupytext("async").AsyncTextFileContentsManager
    return type("Archiving", (BookstoreContentsMixin, base), {})


def _beneath() -> Any:
    return _jupytext("sync").build_sync_jupytext_contents_manager_class(Blocking)


def _beneath_async() -> Any:
    build = _jupytext("async").build_async_jupytext_contents_manager_class
    return build(BookstoreContentsArchiver)


def _jupytext(kind: str) -> Any:
    return pytest.importorskip(f"jupytext.{kind}_contentsmanager")


ABOVE = [_in_front, _in_front_async]
BELOW = [_beneath, _beneath_async]

Make = Callable[[], Any]


def _notebook(*sources: str, **metadata: Any) -> Any:
    cells = [
        v4.new_code_cell(source, id=f"cell{number}")  # type: ignore[no-untyped-call]
        for number, source in enumerate(sources)
    ]
    return v4.new_notebook(cells=cells, metadata=metadata)  # type: ignore[no-untyped-call]


async def _save(manager: Any, path: str, notebook: Any) -> None:
    model = {"type": "notebook", "format": "json", "content": notebook}
    await ensure_async(manager.save(model, path))


@pytest.fixture
def archived() -> Archived:
    return Archived()


@pytest.fixture
def manager_of(
    config: Config, tmp_path: Path, archived: Archived
) -> Callable[[Make], tuple[Any, Path]]:
    def make(kind: Make) -> tuple[Any, Path]:
        root = tmp_path / "root"
        root.mkdir()
        config.ContentsManager.checkpoints_class = S3Checkpoints
        manager = kind()(root_dir=str(root), config=config)
        manager.archiver = cast(Archiver, archived)
        return manager, root

    return make


@pytest.mark.parametrize("kind", [_like_jupytext, *ABOVE, *BELOW])
async def test_a_version_of_a_script_is_what_is_in_the_file(
    manager_of: Callable[[Make], tuple[Any, Path]], archived: Archived, kind: Make
) -> None:
    manager, root = manager_of(kind)
    await _save(manager, SCRIPT, _notebook("levels = [0.25]", "plot(levels)"))
    script = (root / SCRIPT).read_bytes()
    assert b"plot(levels)" in script
    assert b"nbformat" not in script.replace(b"jupytext", b"")
    assert archived.bodies[SCRIPT] == script


@pytest.mark.parametrize("kind", BELOW)
@pytest.mark.parametrize("saved", [SCRIPT, PAIR])
async def test_both_files_of_a_pair_are_archived(
    manager_of: Callable[[Make], tuple[Any, Path]], archived: Archived, kind: Make, saved: str
) -> None:
    manager, root = manager_of(kind)
    notebook = _notebook("levels = [0.25]", jupytext={"formats": "ipynb,py:percent"})
    await _save(manager, saved, notebook)
    assert archived.bodies.keys() == {SCRIPT, PAIR}
    assert archived.bodies[SCRIPT] == (root / SCRIPT).read_bytes()
    assert b"levels" in archived.bodies[PAIR]


@pytest.mark.parametrize("kind", [_like_jupytext, *ABOVE, *BELOW])
async def test_a_checkpoint_of_a_script_is_the_script_and_comes_back_as_it(
    manager_of: Callable[[Make], tuple[Any, Path]], files: SavedFiles, kind: Make
) -> None:
    manager, root = manager_of(kind)
    await _save(manager, SCRIPT, _notebook("levels = [0.25]"))
    script = (root / SCRIPT).read_bytes()
    checkpoint = await ensure_async(manager.create_checkpoint(SCRIPT))
    assert files.bodies(SCRIPT) == [script]
    await _save(manager, SCRIPT, _notebook("levels = []"))
    assert (root / SCRIPT).read_bytes() != script
    await ensure_async(manager.restore_checkpoint(checkpoint["id"], SCRIPT))
    assert (root / SCRIPT).read_bytes() == script
