"""What a cell shows of versions and their differences: all of it, and none of it as markup."""

from __future__ import annotations

import copy
import json
import re
from datetime import datetime, timezone
from html.parser import HTMLParser
from typing import Any

import nbdime  # type: ignore[import-untyped]
import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookstore_y.client import ListedVersion, RenderedDiff, ShownDocument, VersionList
from harness.jupyter.notebooks import sample_notebook

WHEN = datetime(2026, 11, 21, 10, 30, 5, tzinfo=timezone.utc)
TAGS = {"p", "table", "thead", "tbody", "tr", "th", "td", "bdi", "b", "div", "small", "pre"}
HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>\u202e\x1b[2J"


class _Seen(HTMLParser):
    """The elements and the text that a browser makes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def _told(**facts: Any) -> dict[str, Any]:
    return {
        "version_id": "v1",
        "key": "workspace/work/tides.ipynb",
        "last_modified": WHEN.isoformat(),
        "size": 12_345,
        "is_latest": True,
        "kind": "save",
        "label": None,
        "authors": [],
        "parent": "",
        "origin": "save",
        **facts,
    }


def _version(document: str = "work/tides.ipynb", **facts: Any) -> ListedVersion:
    return ListedVersion.from_dict(_told(**facts), document)


def _diff_of(before: dict[str, Any], after: dict[str, Any]) -> RenderedDiff:
    nodes = [nbformat.from_dict(one) for one in (before, after)]  # type: ignore[no-untyped-call]
    told = json.loads(json.dumps(nbdime.diff_notebooks(*nodes)))
    return RenderedDiff("notebook", _version(), _version(version_id="v2"), told, before, bool(told))


class TestVersions:
    """A list of versions is a list, and a table to look at."""

    def test_shows_what_there_is_to_choose_from(self) -> None:
        facts: dict[str, Any] = {"label": "sent", "authors": ["Ada", "Ben"], "origin": "restore:v0"}
        versions = VersionList([_version(**facts)], path="work/tides.ipynb")
        local = WHEN.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        for shown in (repr(versions), _Seen(versions._repr_html_()).text):
            assert "1 version of work/tides.ipynb" in shown
            for word in ("v1", "sent", "Ada, Ben", "restore:v0", "12.3 kB", local, "save"):
                assert word in shown

    def test_marks_what_is_in_cold_storage_and_says_which_details_are_not_known(self) -> None:
        denied: dict[str, Any] = {"cold": True, "details_error": "S3 refused it <b>."}
        versions = VersionList([_version(**denied)], path="work/tides.ipynb")
        for shown in (repr(versions), _Seen(versions._repr_html_()).text):
            for words in ("save, cold", "not known", "S3 refused it <b>."):
                assert words in shown

    def test_is_a_list_whose_parts_show_themselves_too(self) -> None:
        versions = VersionList(map(_version, "abc"), path="work/tides.ipynb", next="more")
        assert [version.document for version in versions[1:]] == ["b", "c"]
        assert "2 versions" in repr(versions[1:])
        assert "there are more" in repr(versions)
        assert "there are more" not in repr(versions[:2])

    def test_an_empty_one_says_so(self) -> None:
        assert repr(VersionList(path="a.ipynb")) == "0 versions of a.ipynb"
        assert "table" not in _Seen(VersionList(path="a.ipynb")._repr_html_()).tags

    def test_takes_what_later_releases_tell_as_well(self) -> None:
        assert _version(told_later={"a": 1}).size == 12_345

    def test_says_nothing_else_to_a_terminal_than_text(self) -> None:
        shown = repr(VersionList([_version(label=HOSTILE)], path=HOSTILE))
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "👩\u200d🔬" in repr(VersionList([_version(label="👩\u200d🔬")]))

    @given(st.text(), st.text(), st.text(), st.text())
    def test_is_never_markup(self, path: str, label: str, author: str, origin: str) -> None:
        facts: dict[str, Any] = {"label": label + HOSTILE, "authors": [author + HOSTILE]}
        version = _version(**facts, origin=origin + HOSTILE, version_id=path + HOSTILE)
        seen = _Seen(VersionList([version], path=path + HOSTILE)._repr_html_())
        assert seen.tags <= TAGS
        assert seen.attributes <= {"style"}


class TestContent:
    """A version's content is shown as text."""

    def test_has_the_cells_and_what_they_put_out(self) -> None:
        shown = ShownDocument(_version(), sample_notebook())
        for text in (repr(shown), _Seen(shown._repr_html_()).text):
            for word in ("# Tides", "print('reading')", "one gauge is offline", "IndexError: list"):
                assert word in text
            assert re.search(r"\[image/png, [\d.]+ k?B, sha256 [0-9a-f]{8}\]", text)

    @pytest.mark.parametrize(
        ("content", "says"),
        [("one\n<b>two</b>", "<b>two</b>"), (b"\x00\x01", "2 B, not text"), ("", "tides")],
    )
    def test_of_files_is_their_text(self, content: str | bytes, says: str) -> None:
        shown = ShownDocument(_version(), content)
        assert says in repr(shown)
        assert says in _Seen(shown._repr_html_()).text

    def test_is_never_markup(self) -> None:
        notebook = sample_notebook()
        notebook["cells"][0]["source"] = HOSTILE
        notebook["cells"][0]["cell_type"] = HOSTILE
        notebook["cells"][1]["outputs"][0]["text"] = [HOSTILE]
        notebook["cells"][2]["outputs"][0]["data"] = {"text/html": HOSTILE, HOSTILE: "x"}
        notebook["cells"][4]["outputs"][0]["evalue"] = HOSTILE
        page = ShownDocument(_version(label=HOSTILE), notebook)._repr_html_()
        assert _Seen(page).tags <= TAGS


class TestDifferences:
    """What changed is named cell by cell, and in each line by line."""

    def test_in_a_cell_shows_the_lines_around_it(self) -> None:
        before = sample_notebook()
        before["cells"][1]["source"] = "".join(f"line {n}\n" for n in range(20))
        after = copy.deepcopy(before)
        after["cells"][1]["source"] = before["cells"][1]["source"].replace("line 10", "-- ten")
        (change,) = _diff_of(before, after).changes
        assert change.title == "code cell 1"
        assert change.lines == [
            (" ", "line 8"),
            (" ", "line 9"),
            ("-", "line 10"),
            ("+", "-- ten"),
            (" ", "line 11"),
            (" ", "line 12"),
        ]

    def test_shows_new_and_removed_cells(self) -> None:
        before, after = sample_notebook(), sample_notebook()
        del after["cells"][4]
        after["cells"].insert(
            1, {"id": "new", "cell_type": "markdown", "metadata": {}, "source": "## Ebb\n<low>"}
        )
        difference = _diff_of(before, after)
        shown = {change.title: change.lines for change in difference.changes}
        assert shown["new markdown cell"] == [("+", "## Ebb"), ("+", "<low>")]
        assert ("-", "levels[9]") in shown["removed code cell 4"]
        for text in (repr(difference), _Seen(difference._repr_html_()).text):
            assert "+ <low>" in text

    def test_shows_outputs_counts_and_metadata(self) -> None:
        before, after = sample_notebook(), sample_notebook()
        after["cells"][1]["outputs"][0]["text"] = "reading again\n"
        after["cells"][1]["execution_count"] = 9
        after["cells"][2]["outputs"][0]["data"]["image/png"] = "iVBORw0KGgo="
        after["cells"][0]["metadata"]["tags"] = ["intro"]
        after["metadata"]["language_info"]["name"] = "julia"
        shown = repr(_diff_of(before, after))
        for line in (
            "- ⇒ reading",
            "+ ⇒ reading again",
            "+ execution_count: 9",
            '+ metadata:   "intro"',
            '+   "name": "julia"',
        ):
            assert line in shown
        assert re.search(r"\+ ⇒ \[image/png, 12 B", shown)

    def test_of_text_is_a_unified_diff(self) -> None:
        told = "--- a\n+++ b\n@@ -1,2 +1,2 @@\n one\n-two\n+<b>2</b>\n"
        difference = RenderedDiff("text", _version(), None, told, "one\ntwo\n", True)
        assert "→ now" in repr(difference)
        assert repr(difference).endswith("@@ -1,2 +1,2 @@\n  one\n- two\n+ <b>2</b>")
        assert "+ <b>2</b>" in _Seen(difference._repr_html_()).text

    def test_of_bytes_says_that_there_is_one(self) -> None:
        difference = RenderedDiff("binary", _version(), _version(), "", "AAE=", True)
        assert "binary, and differs" in repr(difference)
        assert "binary, and differs" in _Seen(difference._repr_html_()).text

    @pytest.mark.parametrize(("type", "diff"), [("notebook", []), ("text", ""), ("binary", "")])
    def test_of_equals_says_so(self, type: str, diff: Any) -> None:
        difference = RenderedDiff(type, _version(), _version(), diff, sample_notebook(), False)
        assert "No difference." in repr(difference)
        assert "No difference." in _Seen(difference._repr_html_()).text

    def test_is_never_markup(self) -> None:
        before, after = sample_notebook(), sample_notebook()
        for cell in after["cells"]:
            cell["source"] += HOSTILE
            cell["metadata"][HOSTILE] = HOSTILE
        after["metadata"][HOSTILE] = HOSTILE
        after["cells"].append({**after["cells"][0], "cell_type": HOSTILE, "id": "other"})
        difference = _diff_of(before, after)
        assert _Seen(difference._repr_html_()).tags <= TAGS
        assert "\x1b" not in repr(difference)

    @given(st.lists(st.sampled_from(["a", "b", "a\nb", "b\nc\n", "", "--x", "++y"]), max_size=6))
    def test_shows_something_whenever_something_differs(self, texts: list[str]) -> None:
        before = sample_notebook()
        after = copy.deepcopy(before)
        for cell, text in zip(after["cells"], texts, strict=False):
            cell["source"] = text
        difference = _diff_of(before, after)
        assert difference.changed == (before != after)
        shown = [change for change in difference.changes if change.lines]
        assert bool(shown) == (before != after)
