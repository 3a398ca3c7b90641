"""Layers: each converges by itself, and what is wrong with one is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bookstore_y.stress import layers
from bookstore_y.stress.layers import LAYERS, Copy, LayerResult
from bookstore_y.stress.layers.__main__ import main
from bookstore_y.stress.layers._result import Edits, compare, mark
from bookstore_y.stress.layers.node import NodeUnavailable, folder


def test_equal_copies_with_every_mark_once_are_right() -> None:
    done = Edits(made={"«a0-0🙂»", "«a0-1🙂»"}, deleted={"«a0-1🙂»"})
    (copy,) = compare(done, {"a": "«a0-0🙂»"})
    assert copy == Copy("a")
    assert copy.right


def test_what_is_wrong_with_a_copy_is_named() -> None:
    made = {mark(f"c{number}", 0) for number in range(4)}
    deleted = {mark("c3", 0)}
    texts = {"a": mark("c0", 0) + mark("c1", 0) * 2 + mark("c3", 0), "b": ""}
    first, second = compare(Edits(made, deleted), texts)
    assert (first.lost, first.doubled, first.undeleted) == (("c2-0",), ("c1-0",), ("c3-0",))
    assert not second.equal
    assert str(first) == "a: 1 lost (c2-0), 1 doubled (c1-0), 1 deleted and back (c3-0)"


def test_a_copy_that_cannot_be_had_is_no_convergence() -> None:
    (copy,) = compare(Edits({mark("c0", 0)}), {"store": RuntimeError("it is gone")})
    result = LayerResult("x", 1, 1, copies=(copy,))
    assert not result.converged
    assert not result.passed
    assert "RuntimeError: it is gone" in str(result)


def test_what_jupyter_does_not_do_by_itself_is_told_and_not_counted() -> None:
    texts = {"a": mark("c0", 0), "squashed": ""}
    result = LayerResult(
        "x", 1, 1, copies=compare(Edits({mark("c0", 0)}), texts, optional={"squashed"})
    )
    assert result.passed
    assert (result.converged, result.lost) == (True, 0)
    assert "squashed: 1 lost (c0-0), differs from the first copy (not counted" in str(result)


def test_a_layer_that_did_nothing_has_not_passed() -> None:
    assert not LayerResult("x").passed
    assert not LayerResult("x", skipped="There is no Node.").passed


@pytest.mark.parametrize("name", ["pycrdt", "pycrdt-websocket", "jupyter-ydoc", "s3-store"])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_layer_converges(name: str, seed: int) -> None:
    result = layers.run(name, clients=4, edits=200, seed=seed)
    assert result.passed, result
    assert result.edits > 100
    assert result.deleted > 0


def test_equal_seeds_make_equal_edits() -> None:
    first, second = (layers.run("pycrdt", 3, 150, 7) for _ in range(2))
    assert (first.edits, first.deleted) == (second.edits, second.deleted)


def test_yjs_converges_under_node() -> None:
    result = layers.run("yjs", clients=4, edits=200, seed=1)
    if result.skipped is not None:
        pytest.skip(result.skipped)
    assert result.passed, result


def test_what_sqlite_ystore_loses_is_seen() -> None:
    result = layers.run("sqlite-store", clients=3, edits=150, seed=1)
    copies = {copy.name: copy for copy in result.copies}
    assert copies["room"].right
    assert copies["written and loaded"].right
    assert copies["squashed, no checkpoints"].lost
    assert result.passed  # Jupyter does not squash unless it is told to


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.parametrize("name", ["jupyter-collaboration", "bucket"])
def test_yjs_and_pycrdt_clients_agree_in_a_room(name: str) -> None:
    result = layers.run(name, clients=4, edits=120, seed=1)
    assert result.passed, result
    if shutil.which("node") and shutil.which("npm"):
        assert {"c0", "c1", "y0", "y1"} <= {copy.name for copy in result.copies}


def test_without_node_it_is_said_and_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(NodeUnavailable, match=r"node and npm, not found here; install Node"):
        folder()
    result = layers.run("yjs", 2, 10, 0)
    assert result.skipped
    assert not result.passed


def test_a_cache_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("There is no Node.js.")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(NodeUnavailable, match="set XDG_CACHE_HOME"):
        folder()


def test_an_unknown_layer_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="there are yjs, pycrdt"):
        layers.run("cables")
    with pytest.raises(ValueError, match="two clients"):
        layers.run("pycrdt", clients=1)


def test_layers_are_run_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pycrdt", "--clients", "3", "--edits", "60"]) == 0
    assert capsys.readouterr().out.startswith("pycrdt: converged, 0 lost, 0 doubled")
    with pytest.raises(SystemExit):
        main(["pycrdt", "--clients", "1"])
    assert "two clients" in capsys.readouterr().err


def test_the_layers_go_from_the_bottom_to_the_top() -> None:
    assert list(LAYERS) == [
        "yjs",
        "pycrdt",
        "sqlite-store",
        "s3-store",
        "pycrdt-websocket",
        "jupyter-ydoc",
        "jupyter-collaboration",
        "bucket",
    ]
