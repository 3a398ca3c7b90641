"""The commands are configured as the server is, by the same files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.servers import S3Server, s3_options

from .commands import Commands


def write(home: Path, server: S3Server, bucket: str, name: str = "jupyter_server_config") -> Path:
    file = home / f"{name}.py"
    lines = [
        f"c.BookstoreSettings.{trait} = {value!r}"
        for trait, value in s3_options(server, bucket).items()
    ]
    file.write_text("\n".join(["c = get_config()", "print('noise')", *lines]))
    return file


def bucket_of(jupyter_bookstore: Commands, *options: str) -> str:
    return str(jupyter_bookstore("doctor", "--json", *options).json()["bucket"])


@pytest.mark.parametrize(
    "name", ["jupyter_config", "jupyter_server_config", "jupyter_bookstore_y_config"]
)
def test_the_server_s_files_are_read(
    jupyter_bookstore: Commands,
    jupyter_home: Path,
    moto_server: S3Server,
    moto_bucket: str,
    name: str,
) -> None:
    write(jupyter_home, moto_server, moto_bucket, name)
    assert jupyter_bookstore.json("doctor")["ok"]


def test_the_later_of_two_wins(jupyter_bookstore: Commands, jupyter_home: Path) -> None:
    for name, bucket in (("jupyter_config.py", "weak"), ("jupyter_server_config.py", "strong")):
        (jupyter_home / name).write_text(f"c.BookstoreSettings.s3_bucket = {bucket!r}")
    offline = "--BookstoreSettings.s3_endpoint_url=http://127.0.0.1:9"
    assert bucket_of(jupyter_bookstore, offline) == "strong"
    text = json.dumps({"BookstoreSettings": {"s3_bucket": "json"}})
    (jupyter_home / "jupyter_server_config.json").write_text(text)
    assert bucket_of(jupyter_bookstore, offline) == "json"
    assert bucket_of(jupyter_bookstore, offline, "--BookstoreSettings.s3_bucket=typed") == "typed"
    assert bucket_of(jupyter_bookstore, offline, "--bucket", "option") == "option"


def test_another_file_can_be_named(
    jupyter_bookstore: Commands,
    jupyter_home: Path,
    tmp_path: Path,
    moto_server: S3Server,
    moto_bucket: str,
) -> None:
    (jupyter_home / "jupyter_server_config.py").write_text("raise RuntimeError")
    file = write(tmp_path, moto_server, moto_bucket, "mine")
    assert jupyter_bookstore.json("ls", "--config", str(file)) == {"files": []}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\nc.BookstoreSettings.s3_bucket = bukket", "line 2 can't be read: NameError"),
        ("\n\nif:", "line 3 can't be read: SyntaxError"),
        ("import sys; sys.exit('enough')", "SystemExit: enough"),
        ("c.BookstoreSettings.max_threads = 'many'", "max_threads"),
    ],
)
def test_a_broken_file_is_told_of_in_a_sentence(
    jupyter_bookstore: Commands, jupyter_home: Path, text: str, said: str
) -> None:
    (jupyter_home / "jupyter_server_config.py").write_text(text)
    ran = jupyter_bookstore("ls")
    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_broken_json_is_told_of_as_well(jupyter_bookstore: Commands, jupyter_home: Path) -> None:
    file = jupyter_home / "jupyter_server_config.json"
    file.write_text("{")
    ran = jupyter_bookstore("ls")
    assert (ran.code, str(file) in ran.err) == (2, True)


@pytest.mark.parametrize(
    "argv",
    [
        ["ls", "--BookstoreSettings.s3_buket=b"],
        ["ls", "--BookstoreSettings.max_threads=many"],
        ["ls", "--BookstoreSettings.s3_bucket"],
        ["ls", "--config", "/nowhere.py"],
        ["ls"],  # no bucket is set
    ],
)
def test_what_cannot_be_a_setting_is_asked_wrongly(
    jupyter_bookstore: Commands, argv: list[str]
) -> None:
    assert jupyter_bookstore(*argv).code == 2


def test_a_misspelt_setting_is_pointed_out(
    jupyter_bookstore: Commands, jupyter_home: Path, on_moto: str
) -> None:
    (jupyter_home / "jupyter_server_config.py").write_text("c.BookstoreSettings.s3_buket = 'b'")
    findings = jupyter_bookstore.json("doctor")["findings"]
    assert findings[0]["status"] == "warning"
    assert "s3_buket" in findings[0]["message"]


@pytest.mark.parametrize("command", [["completion", "bash"], ["demo", "--no-browser"]])
def test_a_command_without_a_configuration_takes_no_setting(
    jupyter_bookstore: Commands, command: list[str]
) -> None:
    ran = jupyter_bookstore(*command, "--BookstoreSettings.s3_bucket=notebooks")
    assert ran.code == 2
    assert "It doesn't take --BookstoreSettings.s3_bucket." in ran.err
