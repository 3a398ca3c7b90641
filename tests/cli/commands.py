"""Running `jupyter bookstore` in this process, and what it said."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from bookstore_y.cli import main


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)

    def error(self) -> dict[str, Any]:
        """The error on stderr, which `--json` makes a document."""
        error: dict[str, Any] = json.loads(self.err.splitlines()[-1])["error"]
        return error


class Commands:
    """Runs commands, with the environment's configuration."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *argv: str) -> Ran:
        """Run one, however it ends."""
        self._capsys.readouterr()
        try:
            code = main(argv)
        except SystemExit as ended:  # how argparse ends
            code = int(ended.code or 0)
        said = self._capsys.readouterr()
        return Ran(code, said.out, said.err)

    def ok(self, *argv: str) -> str:
        """Run one that has to be done; its stdout."""
        ran = self(*argv)
        assert ran.code == 0, ran.err
        return ran.out

    def json(self, *argv: str) -> Any:
        """Run one that has to be done, with `--json`; its document."""
        return json.loads(self.ok(*argv, "--json"))

    def versions(self, path: str, *options: str) -> list[dict[str, Any]]:
        """The versions that `versions` lists."""
        versions: list[dict[str, Any]] = self.json("versions", path, *options)["versions"]
        return versions


def notebook(*sources: str) -> bytes:
    """A notebook file with these code cells."""
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "source": source,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(sources)
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()
