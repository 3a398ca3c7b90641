"""The content hash: it tells what a document says, and nothing that loading it invents."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pycrdt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jupyter_server.services.contents.largefilemanager import LargeFileManager
from jupyter_ydoc import YFile, ydocs

from bookstore_y.ydoc import canonical, content
from bookstore_y.ydoc.content import hash_of, hash_of_file

Json = dict[str, Any]

pytestmark = pytest.mark.filterwarnings("ignore")  # nbformat's, of ids that are missing or double


# -- notebooks of every kind -----------------------------------------------------------------------

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
INTEGERS = st.integers(-(2**53), 2**53)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32) | st.sampled_from(
    [float("nan"), float("inf"), 1e300, 2.0**70]
)
JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=3)
WIDGET = {"application/vnd.jupyter.widget-view+json": {"model_id": "ab", "version_major": 2}}
BUNDLES = st.one_of(
    st.just(WIDGET),
    st.fixed_dictionaries({"text/plain": TEXTS, "application/json": JSON}),
    st.fixed_dictionaries({"image/png": st.just("aGk=\n"), "text/html": TEXTS}),
)
OUTPUTS = st.one_of(
    st.fixed_dictionaries(
        {"output_type": st.just("stream"), "name": st.just("stdout"), "text": TEXTS}
    ),
    st.fixed_dictionaries(
        {"output_type": st.just("display_data"), "data": BUNDLES, "metadata": OBJECTS}
    ),
    st.fixed_dictionaries(
        {
            "output_type": st.just("error"),
            "ename": TEXTS,
            "evalue": TEXTS,
            "traceback": st.lists(TEXTS, max_size=2),
        }
    ),
)
METADATA = st.one_of(
    st.just({}),
    OBJECTS,
    st.just({"kernelspec": {"name": "python3", "display_name": "Python 3"}}),
    st.just({"language_info": {"name": ""}, "widgets": {"application/x": {"state": {}}}}),
)
CODE = st.fixed_dictionaries(
    {
        "cell_type": st.just("code"),
        "source": TEXTS,
        "metadata": OBJECTS,
        "outputs": st.lists(OUTPUTS, max_size=2),
        "execution_count": st.none() | st.integers(0, 99),
    }
)
PROSE = st.fixed_dictionaries(
    {"cell_type": st.sampled_from(["markdown", "raw"]), "source": TEXTS, "metadata": OBJECTS},
    optional={"attachments": st.dictionaries(st.just("a.png"), BUNDLES, max_size=1)},
)
CELLS = st.lists(st.tuples(CODE | PROSE, st.sampled_from(["own", "double", "none"])), max_size=4)


@st.composite
def notebooks(draw: st.DrawFn) -> Json:
    """nbformat 4.0 to 4.5; cells have ids of their own, share one, or have none."""
    cells = []
    for number, (cell, ids) in enumerate(draw(CELLS)):
        named = {"own": {"id": f"cell-{number}"}, "double": {"id": "same"}, "none": {}}[ids]
        cells.append({**cell, **named})
    minor = draw(st.integers(0, 5))
    if minor < 5:
        for cell in cells:
            cell.pop("id", None)
    return {"cells": cells, "metadata": draw(METADATA), "nbformat": 4, "nbformat_minor": minor}


@st.composite
def old_notebooks(draw: st.DrawFn) -> Json:
    """nbformat 3."""
    code = st.fixed_dictionaries(
        {
            "cell_type": st.just("code"),
            "input": TEXTS,
            "language": st.just("python"),
            "collapsed": st.booleans(),
            "metadata": st.just({}),
            "outputs": st.just([]),
        }
    )
    heading = st.fixed_dictionaries(
        {
            "cell_type": st.just("heading"),
            "source": TEXTS,
            "level": st.integers(1, 6),
            "metadata": st.just({}),
        }
    )
    sheets = [{"cells": draw(st.lists(code | heading, max_size=3)), "metadata": {}}]
    return {"worksheets": sheets, "metadata": {"name": ""}, "nbformat": 3, "nbformat_minor": 0}


class Disk:
    """Files as Jupyter's contents manager has them, which says anew whom it trusts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._manager = LargeFileManager(root_dir=str(folder))

    def place(self, name: str, body: bytes) -> None:
        (self._folder / name).write_bytes(body)

    def load(self, name: str, type: str = "notebook") -> Any:
        return self._manager.get(name, type=type)["content"]  # type: ignore[no-untyped-call]

    def save(self, name: str, body: Any, type: str = "notebook") -> None:
        how = "json" if type == "notebook" else "text"
        self._manager.save({"type": type, "format": how, "content": body}, name)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    return Disk(tmp_path_factory.mktemp("files"))


def opened(body: Any, type: str = "notebook") -> Any:
    """What a document says after its room has loaded a file of this content."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    content.write(type, doc, body)
    stored: pycrdt.Doc[Any] = pycrdt.Doc()
    stored.apply_update(doc.get_update())
    return content.read(type, stored)


def hashes_of_a_life(disk: Disk, name: str) -> Iterator[str]:
    """A notebook is loaded twice, opened, saved and loaded again."""
    for _ in range(2):
        loaded = disk.load(name)
        yield hash_of_file("notebook", loaded)
        said = opened(loaded)
        yield hash_of(said)
        disk.save(name, copy.deepcopy(said))
        yield hash_of_file("notebook", disk.load(name))


@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(notebook=notebooks() | old_notebooks())
def test_loading_and_saving_leave_the_hash_of_any_notebook_as_it_is(
    disk: Disk, notebook: Json
) -> None:
    disk.place("any.ipynb", json.dumps(notebook).encode())
    assert len(set(hashes_of_a_life(disk, "any.ipynb"))) == 1


@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(notebook=notebooks())
def test_what_nbformat_writes_has_the_hash_of_what_it_was_given(disk: Disk, notebook: Json) -> None:
    given_to_it: Any = nbformat.from_dict(copy.deepcopy(notebook))  # type: ignore[no-untyped-call]
    disk.place("written.ipynb", nbformat.writes(given_to_it).encode())  # type: ignore[no-untyped-call]
    assert hash_of_file("notebook", disk.load("written.ipynb")) == hash_of(notebook)
    assert hash_of(json.loads((disk._folder / "written.ipynb").read_text())) == hash_of(notebook)


def code(source: str | list[str] = "", **more: Any) -> Json:
    return {
        "cell_type": "code",
        "source": source,
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        **more,
    }


def notebook(*cells: Json, **more: Any) -> Json:
    return {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5, **more}


@pytest.mark.parametrize(
    "alike",
    [
        pytest.param([notebook(), notebook(code(id="made-up"))], id="no cells"),
        pytest.param([notebook(code("x", id="a")), notebook(code("x", id="b"))], id="ids"),
        pytest.param(
            [notebook(code("x")), notebook(code("x", metadata={"trusted": True}))], id="trust"
        ),
        pytest.param([notebook(code("x")), notebook(code(["x"]))], id="lines"),
        pytest.param(
            [notebook(), notebook(metadata={"language_info": {"name": ""}, "orig_nbformat": 3})],
            id="metadata",
        ),
        pytest.param(
            [notebook(code("x", execution_count=1)), notebook(code("x", execution_count=1.0))],
            id="numbers",
        ),
        pytest.param(["a\r\nb\r\n", "a\nb\n", "a\nb"], id="line ends"),
        pytest.param(
            [{"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}], id="order"
        ),
    ],
)
def test_what_loading_invents_is_not_in_the_hash(alike: list[Any]) -> None:
    assert len({hash_of(each) for each in alike}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (notebook(code("x")), notebook(code("y"))),
        (notebook(code("x")), notebook(code("x"), code("x"))),
        (notebook(code("x\n")), notebook(code("x"))),
        (notebook(code("x")), notebook(code("x", execution_count=2))),
        (notebook(code("x")), notebook(code("x", metadata={"tags": ["a"]}))),
        (notebook(), notebook(code(), code())),
        (notebook(), notebook(metadata={"kernelspec": {"name": "ir", "display_name": "R"}})),
        (notebook(), notebook(nbformat_minor=4)),
        ("a", "a "),
        ("\ufeffa", "a"),
        ("a\n\nb", "a\nb"),
        (b"a", b"a\n"),
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": 1.5}),
    ],
)
def test_what_a_person_could_have_changed_is_in_the_hash(one: Any, other: Any) -> None:
    assert hash_of(one) != hash_of(other)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), 10**30, 1e300])
def test_numbers_that_json_or_a_document_does_not_know_are_hashed(number: float) -> None:
    output = {"output_type": "display_data", "data": {"application/json": number}, "metadata": {}}
    said = notebook(code("x", outputs=[output], metadata={"value": number}))
    assert hash_of_file("notebook", said) == hash_of(copy.deepcopy(said))
    assert hash_of(said) != hash_of(notebook(code("x")))


# -- texts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"one\r\ntwo\r\n",
        b"\xef\xbb\xbfone\ntwo",
        b"one\rtwo",
        "Grüße\n".encode("latin-1"),
        b"",
        b"\x00\x01",
        "\u2028\x0b\x1c".encode(),
    ],
    ids=["crlf", "bom", "cr", "latin-1", "empty", "bytes", "separators"],
)
def test_loading_and_saving_leave_the_hash_of_any_file_as_it_is(disk: Disk, body: bytes) -> None:
    disk.place("any.txt", body)
    loaded = disk.load("any.txt", "file")  # base64 of what is no UTF-8
    for _ in range(2):
        said = opened(loaded, "file")
        assert hash_of(said) == hash_of_file("file", loaded)
        disk.save("any.txt", said, "file")
        again = disk.load("any.txt", "file")
        assert hash_of_file("file", again) == hash_of_file("file", loaded)


# -- other documents -------------------------------------------------------------------------------


class YShapes(YFile):
    """A kind of document that spells what it loads in its own way."""

    def get(self) -> Any:
        return {"shapes": sorted(super().get().split())}


class Thing:
    """What no file format knows."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tags = {"x", "y", "z"}


def test_a_kind_of_document_says_what_its_class_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ydocs, "shapes", YShapes)
    assert hash_of_file("shapes", "b a") == hash_of({"shapes": ["a", "b"]})


def test_an_unknown_kind_of_document_is_a_text_as_it_is_to_its_room() -> None:
    assert content.read("drawing", text_of("<svg/>")) == "<svg/>"
    assert hash_of_file("drawing", "<svg/>") == hash_of("<svg/>")


def text_of(said: str) -> pycrdt.Doc[Any]:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    YFile(doc).set(said)
    return doc


@pytest.mark.parametrize("make", [lambda: Thing("a"), lambda: {"b", "a", "c"}, lambda: object()])
def test_what_no_file_format_knows_is_hashed_by_what_it_is(make: Callable[[], Any]) -> None:
    kept = [make() for _ in range(3)]  # at addresses of their own
    assert len({hash_of({"a": each}) for each in kept}) == 1
    assert hash_of({"a": Thing("a")}) != hash_of({"a": Thing("b")})


def test_the_hash_is_the_same_in_every_process() -> None:
    said: Any = {"a": [1.0, "ü"], "b": notebook(code("x"))}
    script = (
        "from bookstore_y.ydoc.canonical import hash_of\n"
        f"print(hash_of({{'s': set('abcdef'), **{said!r}}}))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert runs == {hash_of({"s": set("abcdef"), **said}) + "\n"}


# -- hashes that are stored ------------------------------------------------------------------------


def test_the_form_is_what_the_documentation_says_it_is() -> None:
    """Stored hashes are of this form, so it cannot change."""
    said = notebook(code("π = 1", id="a", metadata={"trusted": False, "tags": [1.0]}))
    assert (
        canonical.canonical(said)
        == (
            '{"cells":[{"cell_type":"code","metadata":{"tags":[1]},"source":"π = 1"}],'
            '"metadata":{},"nbformat":4,"nbformat_minor":5}'
        ).encode()
    )
    assert hash_of(said) == "2-e80f7e751a8b2cd4"
    assert hash_of("one\r\n") == "2-7692c3ad3540bb80"


def test_a_hash_that_an_earlier_release_stored_is_recognized() -> None:
    said = notebook(
        code("x = 1", id="a"), metadata={"kernelspec": {"name": "a", "display_name": "A"}}
    )
    assert content.is_one_of("notebook", said, ["ceead004b3f217ef"])
    assert content.is_one_of("file", "one\n", ["2c8b08da5ce60398"])
    assert not content.is_one_of("file", "two\n", ["2c8b08da5ce60398", ""])
    assert content.is_one_of("file", "two\n", ["2c8b08da5ce60398", hash_of("two")])


def test_a_hash_that_an_earlier_release_stored_of_a_converted_notebook_is_recognized() -> None:
    names = {"kernelspec": {"display_name": "", "name": ""}, "language_info": {"name": ""}}
    saved = notebook(code("one", id="a"), code("two", id="b"), metadata=names)
    assert content.is_one_of("notebook", saved, ["23f33dfddb7f1723"])
    changed = notebook(code("one", id="a"), metadata=names)
    assert not content.is_one_of("notebook", changed, ["23f33dfddb7f1723"])
