"""What is mistyped on the command line is answered with what may have been meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bookstore_y import BookstoreSettings
from bookstore_y.errors import ConfigurationError

from .commands import Commands
from .conftest import Save

COMMANDS = [
    ("versions",),
    ("show",),
    ("diff", "latest"),
    ("restore", "latest", "--no-server"),
    ("restore", "0123abcd", "--no-server"),
    ("label", "latest", "sent"),
    ("publish",),
]


@pytest.fixture
def there(on_moto: str, save: Save) -> None:
    """Two files in one directory, and one beside it."""
    save("climate/report.ipynb", b"{}")
    save("climate/data.csv", b"1")
    save("notes.txt", b"text")


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize(("command", "rest"), [(name, rest) for name, *rest in COMMANDS])
def test_a_path_that_is_like_another_names_it(
    jupyter_bookstore: Commands, command: str, rest: list[str]
) -> None:
    ran = jupyter_bookstore(command, "clmate/Reprot.ipynb", *rest, "--json")
    assert ran.code == 3
    error = ran.error()
    assert error["message"].endswith(" Did you mean 'climate/report.ipynb'?")
    assert error["reason"] == "DocumentNotFound"


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("path", ["elsewhere/quite.other", "zzz", "notes.txt/below.txt"])
def test_no_path_is_named_that_is_like_none(jupyter_bookstore: Commands, path: str) -> None:
    ran = jupyter_bookstore("versions", path)
    assert ran.code == 3
    assert "Did you mean" not in ran.err


@pytest.mark.usefixtures("there")
def test_a_file_that_is_there_is_not_meant_to_be_another(jupyter_bookstore: Commands) -> None:
    ran = jupyter_bookstore("versions", "notes.txt", "--author", "Nobody")
    assert "loosen the filters" in ran.err
    assert "Did you mean" not in ran.err


def test_a_scenario_that_is_like_another_names_it(jupyter_bookstore: Commands) -> None:
    ran = jupyter_bookstore("stress", "--scenario", "typig")
    assert ran.code == 2
    assert "there is no scenario 'typig' (did you mean 'typing'?)" in ran.err


def test_an_unknown_option_of_the_settings_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"'s3_buckett' \(did you mean 's3_bucket'\?\)"):
        BookstoreSettings(s3_buckett="notebooks")
    assert BookstoreSettings(s3_bucket="notebooks", config=None).s3_bucket == "notebooks"


# -- labels --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("there")
def test_what_became_of_a_label_is_said(jupyter_bookstore: Commands) -> None:
    label, unlabel = ("label", "notes.txt", "latest"), ("unlabel", "notes.txt", "latest")
    assert "had no label." in jupyter_bookstore.ok(*unlabel)
    assert "has the label 'one'." in jupyter_bookstore.ok(*label, "one")
    assert "has the label 'two', replacing 'one'." in jupyter_bookstore.ok(*label, "two")
    assert "no longer has the label 'two'." in jupyter_bookstore.ok(*unlabel)
    missing = jupyter_bookstore(*label)
    assert missing.code == 2
    assert "The label is missing" in missing.err


# -- recovery files ------------------------------------------------------------------------------


def test_recover_without_a_file_lists_those_that_servers_left(
    jupyter_bookstore: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    base = tmp_path / "data" / "bookstore_y"
    assert f"There is no recovery file in {base}" in jupyter_bookstore.ok("recover")
    left = base / "notebooks-0123" / "recovery-01234567-0123456789ab.db"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"")
    assert str(left) in jupyter_bookstore.ok("recover")
    assert json.loads(jupyter_bookstore.ok("recover", "--json"))["files"] == [str(left)]
    ran = jupyter_bookstore("recover", str(tmp_path / "mistyped.db"))
    assert ran.code == 2
    assert str(base) in ran.err
