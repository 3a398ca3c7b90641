"""Options that all commands share, and the parser that they are added to."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from ._errors import EXIT_CODES, CommandError, WrongUsage

COMPLETIONS = {
    "file": {"bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f"},
    "directory": {"bash": "_shtab_compgen_dirs", "zsh": "_files -/", "tcsh": "d"},
}
"""How a shell completes a file or directory name: shtab's `complete` attribute of an argument."""

_SETTING = re.compile(r"--([A-Z]\w*\.[a-z]\w*)(?:=(.*))?", re.DOTALL)

_DASHED_ID = re.compile(r"-[^-].{2,}", re.DOTALL)

PROGRAM = "jupyter bookstore"

EPILOG = "exit codes:\n" + "\n".join(f"  {code:<4} {what}" for code, what in EXIT_CODES.items())


class Help(argparse.HelpFormatter):
    """Fills the paragraphs of a description, and leaves the lines of an epilog as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return "".join(indent + line for line in text.splitlines(keepends=True))
        return super()._fill_text(text, width, indent)

    def add_argument(self, action: argparse.Action) -> None:
        """What argparse calls for each argument; it forgets how far commands are indented."""
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):
            self._action_max_length += self._indent_increment


class Parser(argparse.ArgumentParser):
    """Raises `WrongUsage` where argparse prints and exits, and has a guess at what is misspelt."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """What argparse calls for the arguments of each command; here all are to be known."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(self._what_of(unknown[0]))
        return known, unknown

    def _what_of(self, word: str) -> str:
        if not word.startswith("-"):
            return f"{word!r} is one argument too many; put quotes around arguments with spaces."
        close = difflib.get_close_matches(word.partition("=")[0], self._option_string_actions, 1)
        return f"there is no option {word}; " + (
            f"did you mean {close[0]}?" if close else "--help lists them."
        )

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        close = difflib.get_close_matches(str(value), known, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}."
        raise argparse.ArgumentError(action, f"there is no {value!r}; {hint}")

    def error(self, message: str) -> NoReturn:
        """What argparse calls for arguments that it does not take."""
        command = self.prog.removeprefix(PROGRAM).strip()
        sentence = f"{message[:1].upper()}{message[1:]}"
        sentence += "" if sentence.endswith((".", "?")) else "."
        raise WrongUsage(sentence, command, self.format_usage())


def add_command(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    *,
    help: str,
    description: str,
    bucket: bool = True,
) -> argparse.ArgumentParser:
    """Add the parser of a command, with `--json` and, for one that uses the bucket, the options
    that say which and how it is configured."""
    parser = subparsers.add_parser(
        name, help=help, description=description, epilog=EPILOG, formatter_class=Help
    )
    parser.set_defaults(run=run, config=None, bucket=None, endpoint_url=None, prefix=None)
    parser.set_defaults(takes_settings=bucket)
    common = parser.add_argument_group(
        "common options",
        "Any trait of BookstoreSettings can be set as well: --BookstoreSettings.TRAIT=VALUE"
        if bucket
        else None,
    )
    common.add_argument(
        "--json", action="store_true", help="print one JSON document, and errors as JSON on stderr"
    )
    if bucket:
        config = common.add_argument(
            "--config",
            metavar="FILE",
            help="read this file instead of jupyter_server_config.{py,json}",
        )
        complete(config, "file")
        common.add_argument("--bucket", metavar="NAME", help="BookstoreSettings.s3_bucket")
        common.add_argument(
            "--endpoint-url", metavar="URL", help="BookstoreSettings.s3_endpoint_url"
        )
        common.add_argument("--prefix", metavar="PREFIX", help="BookstoreSettings.workspace_prefix")
    return parser


def complete(action: argparse.Action, what: str) -> None:
    """Have shells complete an argument as a "file" or a "directory"."""
    action.complete = COMPLETIONS[what]  # type: ignore[attr-defined]


def accept_version_ids(parser: argparse.ArgumentParser) -> None:
    """Let a parser take words like `-NYLxYBc` for what they are: Ceph's version ids may begin
    with a dash. argparse has this for negative numbers alone."""
    parser._negative_number_matcher = _DASHED_ID


def asks_for_json(argv: Sequence[str]) -> bool:
    """Whether `--json` is among the arguments, whatever else is wrong with them."""
    options = argv[: argv.index("--")] if "--" in argv else argv
    return any(len(word) > 2 and "--json".startswith(word) for word in options)


def split_settings(argv: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Take `--Class.trait=value` out of the arguments, as every Jupyter program understands it.

    Returns the other arguments, and (`Class.trait`, value) pairs. Raises `CommandError` for one
    without a value.
    """
    rest: list[str] = []
    settings: list[tuple[str, str]] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            rest += [word, *words]
            break
        match = _SETTING.fullmatch(word)
        if match is None:
            rest.append(word)
            continue
        value = match[2] if match[2] is not None else next(words, None)
        if value is None or (match[2] is None and value.startswith("--")):
            raise CommandError(f"{word} has no value; write {word}=VALUE.", 2)
        settings.append((match[1], value))
    return rest, settings
