"""Captures the screens of the command line page: `python docs/screens.py`.

Every screen is what a command writes to a pseudo terminal, run against a moto server of this
process; nothing is edited. The history that the commands find is made here through the Python
API, and set back in time where moto keeps it, so that it spans days.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import io
import json
import logging
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import boto3
from jupyter_ydoc import YNotebook
from moto.backends import get_backend
from moto.server import ThreadedMotoServer
from rich.console import Console
from rich.text import Text

from bookstore_y import Archive, BookstoreSettings
from bookstore_y.archive.version import VersionMetadata
from bookstore_y.keys import Document
from bookstore_y.ydoc.summary import lineage_of

SCREENS = Path(__file__).parent / "_static" / "screens"
COLUMNS, ROWS = 104, 50
BUCKET = "notebooks"
PATH = "climate/report.ipynb"
AUTHORS = ("Ada", "Zoë")

_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""Fonts that rich's SVG would load from another site; any monospace one will do."""


def main() -> None:
    """Make all of them."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else a line for each request
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with tempfile.TemporaryDirectory() as home:
        environment = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "HOME": home,
            "JUPYTER_CONFIG_DIR": home,
            "JUPYTER_RUNTIME_DIR": f"{home}/runtime",
            "JPYNB_S3_ENDPOINT_URL": f"http://{host}:{port}",
            "JPYNB_S3_BUCKET": BUCKET,
            "JPYNB_S3_ACCESS_KEY_ID": "moto",
            "JPYNB_S3_SECRET_ACCESS_KEY": "moto",
        }
        os.environ.update(environment)
        try:
            _take(environment)
        finally:
            server.stop()


def _take(environment: dict[str, str]) -> None:
    with _s3() as s3:
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_lifecycle_configuration(
            Bucket=BUCKET, LifecycleConfiguration={"Rules": [_EXPIRING]}
        )
        capture("doctor-failing", environment, "doctor")
        s3.delete_bucket_lifecycle(Bucket=BUCKET)
    _run(environment, "init")
    first = asyncio.run(_make_history())
    capture("doctor", environment, "doctor")
    capture("versions", environment, f"versions {PATH} --details")
    capture("diff", environment, f"diff {PATH} @3d")
    capture(
        "restore", environment, f"restore {PATH} {first[:6]}", f"versions {PATH} -n 3 --details"
    )


@contextlib.contextmanager
def _s3() -> Iterator[Any]:
    client = boto3.client(
        "s3",
        endpoint_url=os.environ["JPYNB_S3_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id="moto",
        aws_secret_access_key="moto",  # noqa: S106 - any will do
    )
    yield client
    client.close()


def capture(name: str, environment: dict[str, str], *commands: str) -> None:
    """Run commands of `jupyter bookstore` one after the other, and keep the screen as an SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), color_system="truecolor")
    for number, command in enumerate(commands):
        if number:
            console.print()
        console.print(Text.assemble(("$ ", "bold green"), f"jupyter bookstore {command}"))
        console.print(Text.from_ansi(_run(environment, command).rstrip()))
    svg = console.export_svg(title="jupyter bookstore", unique_id=f"screen-{name}")
    lines = [line.rstrip() for line in _FONT.sub("", svg).splitlines()]
    (SCREENS / f"{name}.svg").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _run(environment: dict[str, str], command: str) -> str:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    argv = [sys.executable, "-m", "bookstore_y.cli", *shlex.split(command)]
    with subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, env=environment):
        os.close(theirs)
        written = b""
        while True:
            try:
                more = os.read(ours, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not more:
                break
            written += more
    os.close(ours)
    return written.decode().replace("\r\n", "\n")


async def _make_history() -> str:
    """A notebook that two people wrote on three days; the id of its first version."""
    room = YNotebook()
    document = Document(PATH, "notebook")
    days_ago: dict[str, float] = {}
    async with Archive(BookstoreSettings()) as archive:
        ids: list[str] = []
        lineage = ""
        for days, authors, label, sources in _STORY:
            room.set(_notebook(sources))
            update = room.ydoc.get_update()
            lineage = lineage or lineage_of(update)
            facts = VersionMetadata(authors=authors, parent=(ids or [""])[-1], lineage=lineage)
            saved = await archive.save(document, update, facts)
            ids.append(saved.version_id)
            days_ago[saved.version_id] = days
            if label:
                await archive.label(PATH, saved.version_id, label)
        raw = json.dumps(_notebook(_STORY[-1][3])).encode()
        file = await archive.save_file(PATH, raw, authors=AUTHORS)
        if file is not None:
            days_ago[file.version_id] = _STORY[-1][0] - 0.001
        await archive.save_file("climate/data.csv", b"year,mean\n2024,15.1\n2025,15.0\n")
    _set_back(days_ago)
    return ids[0]


def _set_back(days_ago: dict[str, float]) -> None:
    """Give versions an age, where moto keeps them."""
    now = datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0)
    keys: Any = get_backend("s3")["123456789012"]["aws"].buckets[BUCKET].keys
    for key in list(keys):
        for version in keys.getlist(key):
            if version.version_id in days_ago:
                version.last_modified = now - timedelta(days=days_ago[version.version_id])


def _notebook(sources: tuple[str, ...]) -> dict[str, Any]:
    cells = []
    for number, source in enumerate(sources):
        code = not source.startswith("#")
        cell: dict[str, Any] = {
            "cell_type": "code" if code else "markdown",
            "id": f"cell-{number}",
            "metadata": {},
            "source": source,
        }
        if code:
            cell |= {"outputs": [], "execution_count": None}
        cells.append(cell)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


_EXPIRING = {
    "ID": "tidy-up",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "Expiration": {"Days": 90},
}

_HEAD = "# Mean temperatures"
_READ = 'import pandas\nyears = pandas.read_csv("data.csv")'
_STORY = (
    (4.2, ("Ada",), "", (_HEAD, _READ)),
    (3.9, ("Ada",), "", (_HEAD, _READ, "years.describe()")),
    (3.1, AUTHORS, "sent to the board", (_HEAD, _READ, 'years.plot(x="year", y="mean")')),
    (0.3, ("Zoë",), "", (f"{_HEAD} since 2024", _READ, 'years.plot(x="year", y="mean")')),
    (
        0.02,
        AUTHORS,
        "",
        (
            f"{_HEAD} since 2024",
            f"{_READ}\nyears = years.dropna()",
            'years.plot(x="year", y="mean")',
            "# Sources: [the weather service](https://example.org)",
        ),
    ),
)

if __name__ == "__main__":
    main()
