"""How commands end and print, whatever they do: exit codes, JSON, names, pipes and Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bookstore_y.cli import _text, _times, parser
from bookstore_y.cli._progress import Progress
from harness.servers import free_port

from .commands import Commands
from .conftest import Save


def subcommands() -> list[str]:
    (group,) = [a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return list(group.choices)


def process(*argv: str, **options: object) -> subprocess.Popen[str]:
    """A command of its own process, with pipes."""
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-m", "bookstore_y.cli", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.parametrize("command", subcommands())
def test_every_command_has_help_and_json(jupyter_bookstore: Commands, command: str) -> None:
    said = jupyter_bookstore.ok(command, "--help")
    assert "exit codes:" in said or command == "demo"
    assert "--json" in said


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from bookstore_y.cli import parser; parser().format_help();"
        "print([m for m in ('aioboto3', 'rich', 'jupyter_server', 'nbformat') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "[]\n"


def test_the_server_extension_imports_nothing_that_only_commands_and_comparisons_need() -> None:
    script = (
        "import sys, bookstore_y.jupyter.extension;"
        "print([m for m in ('rich', 'shtab', 'nbdime', 'aioboto3') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "[]\n"


@pytest.mark.usefixtures("on_moto")
class TestExitCodes:
    def test_2_for_what_is_asked_wrongly(self, jupyter_bookstore: Commands, save: Save) -> None:
        save("notes.txt", b"text")
        for argv in (
            ["frobnicate"],
            ["ls", "--at", "someday"],
            ["versions", "notes.txt", "--limit", "0"],
            ["versions", "notes.txt", "--since", "1h", "--until", "2h"],
            ["versions", "../notes.txt"],
            ["show", "notes.txt", "--version", "abc"],
            ["show", "notes.txt", "--raw", "--json"],
            ["label", "notes.txt", "latest"],
            ["label", "notes.txt", "latest", " "],
            ["label", "notes.txt", "latest", "x" * 300],
            ["init", "--keep-noncurrent", "3"],
            ["clone", "s3://"],
        ):
            ran = jupyter_bookstore(*argv)
            assert ran.code == 2, argv
            assert ran.err

    def test_3_for_what_is_not_there(self, jupyter_bookstore: Commands, save: Save) -> None:
        save("notes.txt", b"text")
        for argv in (
            ["ls", "nowhere"],
            ["versions", "nowhere.txt"],
            ["show", "nowhere.txt"],
            ["show", "notes.txt", "--version", "0000-none"],
            ["show", "notes.txt", "--at", "2020-01-01"],
            ["restore", "notes.txt", "0000-none"],
            ["undelete", "nowhere.txt"],
            # Ceph's version ids may begin with a dash.
            ["show", "notes.txt", "--version", "-NYLxYBcTms13W15Z"],
            ["diff", "notes.txt", "-NYLxYBcTms13W15Z"],
            ["label", "notes.txt", "-NYLxYBcTms13W15Z", "text"],
            ["diff", "notes.txt", "--", "--LxYBcTms13W15Z"],
            ["clone", "published/nowhere.txt"],
            ["clone", "workspace/notes.txt", "--version", "0000-none"],
        ):
            assert jupyter_bookstore(*argv).code == 3, argv

    def test_4_for_a_bucket_that_cannot_be_used(self, jupyter_bookstore: Commands) -> None:
        assert jupyter_bookstore("ls", "--bucket", "not-there-at-all").code == 4
        nobody = f"http://127.0.0.1:{free_port()}"
        once = "--BookstoreSettings.max_attempts=1"
        assert jupyter_bookstore("ls", "--endpoint-url", nobody, once).code == 4

    def test_errors_are_json_too(self, jupyter_bookstore: Commands) -> None:
        ran = jupyter_bookstore("show", "nowhere.txt", "--json")
        assert (ran.code, ran.out) == (3, "")
        assert ran.error()["reason"] == "DocumentNotFound"
        assert ran.error()["exit_code"] == 3
        assert "nowhere.txt" in ran.error()["message"]

    def test_what_is_asked_wrongly_is_told_in_json_too(self, jupyter_bookstore: Commands) -> None:
        for argv in (
            ["versions", "b.txt", "--limit", "0"],
            ["versions", "b.txt", "--since", "nonsense"],
            ["versions"],
            ["ls", "--no-such-option"],
            ["prune", "--keep-all", "foo"],
            ["frobnicate"],
            [],
            ["ls", "--BookstoreSettings.s3_bucket"],
        ):
            for with_json in ([*argv, "--json"], ["--json", *argv], [*argv, "--js"]):
                ran = jupyter_bookstore(*with_json)
                assert (ran.code, ran.out) == (2, ""), with_json
                error = json.loads(ran.err)["error"]
                assert error["exit_code"] == 2
                assert error["message"].endswith(".")

    def test_what_is_asked_wrongly_comes_with_the_usage(self, jupyter_bookstore: Commands) -> None:
        ran = jupyter_bookstore("versions", "b.txt", "--limit", "0")
        assert ran.err.startswith("usage: jupyter bookstore versions ")
        *_, told = ran.err.splitlines()
        assert told.startswith("jupyter bookstore versions: ")
        assert "'0' is not a whole number" in told
        # After -- nothing is an option.
        assert jupyter_bookstore("versions", "b.txt", "--", "--json").err.startswith("usage:")

    @pytest.mark.parametrize(
        ("argv", "hint"),
        [
            (["vresions"], "did you mean versions?"),
            (["versions", "b.txt", "--labeled"], "did you mean --labelled?"),
            (["versions", "b.txt", "--kind", "saves"], "did you mean save?"),
            (["completion", "fish"], "there are bash, zsh, tcsh."),
            (["label", "b.txt", "latest", "good", "one"], "quotes"),
            (["ls", "--frobnicate"], "--help"),
        ],
    )
    def test_what_is_misspelt_is_guessed(
        self, jupyter_bookstore: Commands, argv: list[str], hint: str
    ) -> None:
        ran = jupyter_bookstore(*argv)
        assert ran.code == 2
        assert hint in ran.err

    def test_no_command_at_all_gets_the_help(self, jupyter_bookstore: Commands) -> None:
        ran = jupyter_bookstore()
        assert (ran.code, ran.out) == (2, "")
        assert "check settings, credentials and bucket" in ran.err

    def test_no_secret_is_in_what_is_said(
        self, jupyter_bookstore: Commands, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("JPYNB_S3_SECRET_ACCESS_KEY", "tell-nobody")
        for argv in (["doctor"], ["doctor", "--json"], ["ls", "--bucket", "not-there-at-all"]):
            ran = jupyter_bookstore(*argv)
            assert "tell-nobody" not in ran.out + ran.err


def test_a_bucket_that_nobody_named(
    jupyter_bookstore: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JPYNB_S3_BUCKET", raising=False)
    for argv in (["ls"], ["init"], ["init", "--print-policy"], ["pull", "/"]):
        ran = jupyter_bookstore(*argv)
        assert ran.code == 2
        assert "--bucket" in ran.err


@pytest.mark.usefixtures("on_moto")
def test_what_the_terminal_would_obey_is_shown_instead(
    jupyter_bookstore: Commands, save: Save
) -> None:
    save("notes\u202e.txt", b"\x1b[31mred\x07\ttab\n[bold]literal[/bold] :smile:\n")
    assert r"notes\u202e.txt" in jupyter_bookstore.ok("ls")
    said = jupyter_bookstore.ok("show", "notes\u202e.txt")
    assert r"\x1b[31mred\x07" in said
    assert "[bold]literal[/bold] :smile:" in said


def test_joined_emoji_and_tabs_stay() -> None:
    family = "👩\u200d👧"
    assert _text.visible(family) == family
    assert _text.visible("a\nb\x00") == r"a\nb\x00"
    assert _text.visible_lines("a\n\tb\r\n") == "a\n\tb\n"


@pytest.mark.usefixtures("on_moto")
@pytest.mark.parametrize("options", [["--raw"], ["--json"], []], ids=["raw", "json", "human"])
def test_a_reader_that_leaves_ends_the_command_quietly(save: Save, options: list[str]) -> None:
    save("big.txt", (b"l" * 8_000 + b"\n") * 1_000)  # more than pipes hold
    command = process("show", "big.txt", *options)
    assert command.stdout is not None
    assert command.stderr is not None
    assert command.stdout.readline()
    command.stdout.close()
    assert command.stderr.read() == ""
    assert command.wait(30) == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
@pytest.mark.usefixtures("on_moto")
class TestOutputThatCannotBeWritten:
    """One sentence on stderr and exit code 1, whatever the command prints, and how."""

    @pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
    @pytest.mark.parametrize(
        "argv",
        [["ls"], ["ls", "--json"], ["show", "notes.txt"], ["show", "notes.txt", "--raw"]],
        ids=" ".join,
    )
    def test_a_full_disk(
        self, save: Save, monkeypatch: pytest.MonkeyPatch, argv: list[str], unbuffered: str
    ) -> None:
        save("notes.txt", b"line\n" * 10_000)
        monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
        code, err = redirected("> /dev/full", *argv)
        assert code == 1
        assert err.count("\n") == 1
        assert "No space left on device" in err

    @pytest.mark.parametrize("argv", [["ls"], ["ls", "--json"], ["show", "notes.txt", "--raw"]])
    def test_a_closed_one(self, argv: list[str]) -> None:
        code, err = redirected(">&-", *argv)
        assert code == 1
        assert err.count("\n") == 1
        assert "closed" in err

    def test_with_json_the_sentence_is_in_a_document(self) -> None:
        for where in ("> /dev/full", ">&-"):
            _, err = redirected(where, "ls", "--json")
            assert json.loads(err)["error"]["exit_code"] == 1

    def test_a_closed_or_full_stderr_leaves_the_exit_code(self) -> None:
        for where in ("2>&-", "2> /dev/full"):
            assert redirected(where, "ls", "nowhere") == (3, "")
            assert redirected(where, "frobnicate") == (2, "")

    def test_a_closed_stdin_answers_no_question(self) -> None:
        code, err = redirected("<&-", "prune")
        assert code == 2
        assert "nobody can confirm" in err


def redirected(where: str, *argv: str) -> tuple[int, str]:
    """The exit code and stderr of a command that a shell redirects."""
    shell = ["sh", "-c", f'exec "$0" -m bookstore_y.cli "$@" {where}', sys.executable, *argv]
    ran = subprocess.run(shell, capture_output=True, text=True, timeout=60, check=False)
    return ran.returncode, ran.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_ends_with_130_and_one_line(jupyter_home: Path) -> None:
    """The server takes the connection, and never answers."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        command = process(
            "ls",
            "--bucket=b",
            f"--endpoint-url=http://127.0.0.1:{silent.getsockname()[1]}",
            env={**os.environ, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        silent.settimeout(60)
        connection, _ = silent.accept()
        command.send_signal(signal.SIGINT)
        _, err = command.communicate(timeout=30)
        connection.close()
    assert (command.returncode, err) == (130, "jupyter bookstore ls: Interrupted.\n")


@pytest.mark.usefixtures("on_moto")
def test_a_pipe_gets_no_colour_and_whole_ids(save: Save) -> None:
    version = save("notes.txt", b"text")
    out, err = process("versions", "notes.txt", env={**os.environ}).communicate(timeout=60)
    assert version.version_id in out
    assert "\x1b" not in out + err


@pytest.mark.usefixtures("on_moto")
@pytest.mark.parametrize("forced", ["NO_COLOR", "FORCE_COLOR"])
def test_a_pipe_is_as_wide_as_what_is_written(
    jupyter_bookstore: Commands, save: Save, monkeypatch: pytest.MonkeyPatch, forced: str
) -> None:
    """COLUMNS tells of the terminal, which some shells and many runners of CI export."""
    version = save("a name that is longer than forty columns of a terminal.txt", b"text")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv(forced, "1")
    said = jupyter_bookstore.ok("versions", version.path)
    assert len(said.splitlines()) == 2
    assert version.version_id in said
    listed = jupyter_bookstore.ok("ls")
    assert version.path in listed
    assert [line.rstrip() for line in listed.splitlines()] == listed.splitlines()


@pytest.mark.skipif(sys.platform == "win32", reason="makes a pseudo terminal")
@pytest.mark.usefixtures("on_moto")
def test_a_narrow_terminal_gets_a_block_for_each_version(
    jupyter_bookstore: Commands, save: Save
) -> None:
    first, second = save("notes.txt", b"one"), save("notes.txt", b"two!")
    jupyter_bookstore.ok("label", "notes.txt", second.version_id, "the good one")
    lines = on_terminal(44, "versions", "notes.txt", "--details")
    assert all(len(line) <= 44 for line in lines)
    heads = [line for line in lines if line and not line.startswith(" ")]
    assert heads == [second.version_id[:8], first.version_id[:8]]
    assert "  label the good one" in lines
    assert "  size 4 B" in lines
    assert any(line.startswith("  written 2") and line.endswith("just now") for line in lines)
    table = on_terminal(80, "versions", "notes.txt")
    assert table[0].split() == ["Version", "Written", "Size", "Kind"]
    assert len(table) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="makes a pseudo terminal")
@pytest.mark.usefixtures("on_moto")
def test_a_terminal_wraps_what_is_shown_and_the_command_does_not(save: Save) -> None:
    """So that a line which is copied is one."""
    words = " ".join(["many"] * 40)
    first = save("a.py", f"# {words}\n".encode()).version_id
    save("a.py", f"# {words} more\n".encode())
    assert f"# {words} more" in on_terminal(60, "show", "a.py")
    assert f"+ # {words} more" in on_terminal(60, "diff", "a.py", first)


def on_terminal(columns: int, *argv: str) -> list[str]:
    """The lines that a command writes to a terminal so wide, without their colours."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    command = subprocess.Popen(
        [sys.executable, "-m", "bookstore_y.cli", *argv],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(theirs)
    written = b""
    with contextlib.suppress(OSError):  # Linux's way to say that the other end is closed
        while some := os.read(ours, 65536):
            written += some
    os.close(ours)
    assert command.wait(30) == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())
    return [line.rstrip() for line in plain.splitlines()]


def test_the_policy_needs_no_bucket_to_be_there(jupyter_bookstore: Commands) -> None:
    asked = ("init", "--print-policy", "--bucket", "b", "--prefix", "team")
    policy = jupyter_bookstore.json(*asked)["policy"]
    assert json.loads(jupyter_bookstore.ok(*asked)) == policy
    removing = [s for s in policy["Statement"] if "s3:DeleteObjectVersion" in s["Action"]]
    assert all("probe" in resource for s in removing for resource in s["Resource"])
    assert "arn:aws:s3:::b/team/*" in json.dumps(policy)
    pruning = jupyter_bookstore.json(*asked, "--allow-prune")["policy"]
    assert "arn:aws:s3:::b/team/*" in pruning["Statement"][-1]["Resource"]


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("now", timedelta()),
        ("90s", timedelta(seconds=90)),
        ("2h", timedelta(hours=2)),
        ("3 days ago", timedelta(days=3)),
        ("1 week", timedelta(weeks=1)),
    ],
)
def test_a_moment_can_be_so_long_ago(text: str, ago: timedelta) -> None:
    before = datetime.now().astimezone()
    assert before <= _times.moment(text) + ago <= datetime.now().astimezone()


def test_a_moment_is_local_unless_it_says_otherwise() -> None:
    today = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    assert _times.moment("today").replace(tzinfo=None) == today.replace(tzinfo=None)
    yesterday = (today - timedelta(days=1)).replace(hour=14, minute=30)
    for text in ("yesterday 14:30", "Yesterday at 14:30"):
        assert _times.moment(text).replace(tzinfo=None) == yesterday.replace(tzinfo=None)
    assert _times.moment("2026-03-01T09:00Z").timestamp() == 1772355600
    assert _times.moment("2026-03-01 09:00+02:00").timestamp() == 1772348400
    assert _times.moment("2026-03-01").replace(tzinfo=None) == datetime(2026, 3, 1)  # noqa: DTZ001


@pytest.mark.parametrize("text", ["", "someday", "25:00", "yesterday 25:00", "9" * 9 + "d", "2026"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        _times.moment(text)


def test_progress_counts_without_a_terminal() -> None:
    with Progress("Pulling", "notebook", 2, shown=True) as progress:
        progress.advance(bytes=1500)
        progress.advance(bytes=500)
    assert re.match(r"2 notebooks, 2\.0 kB in \d", progress.summary())


@pytest.mark.skipif(sys.platform == "win32", reason="runs bash")
def test_bash_completes_commands_options_and_choices(jupyter_bookstore: Commands) -> None:
    script = (
        jupyter_bookstore.json("completion", "bash")["script"]
        + """
    complete_line() {
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); "$function"
      echo "${COMPREPLY[@]}"
    }
    function=_bookstore_y_of_jupyter
    complete_line jupyter bookstore vers
    complete_line jupyter bookstore versions --ki
    function=_shtab_jupyter_bookstore
    complete_line jupyter-bookstore versions --kind publ
    """
    )
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["versions", "--kind", "published"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_every_shell_has_a_script(jupyter_bookstore: Commands, shell: str) -> None:
    assert "jupyter-bookstore" in jupyter_bookstore.ok("completion", shell)
