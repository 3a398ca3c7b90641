"""`jupyter bookstore doctor`: can the archive work with this configuration and bucket?"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import BookstoreError
from ._config import config_files, load_config, load_settings, unknown_settings
from ._errors import DONE, FAILED
from ._options import add_command
from ._output import Output
from ._running import output
from ._servers import serving
from ._text import number, visible
from .moves import holders, named

if TYPE_CHECKING:
    from rich.table import Table

    from ..settings import BookstoreSettings
    from ..tools.doctor.findings import Finding

_SIGNS = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "failed": ("✗", "bold red"),
    "skipped": ("-", "dim"),
}

_WIDTH = len("right to read a version")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command."""
    add_command(
        subparsers,
        "doctor",
        run,
        help="check settings, credentials and bucket, and say what to fix",
        description="Check the settings, the credentials and the bucket: versioning, lifecycle "
        "rules, the clock, each permission that the archive needs, checksums, "
        "conditional writes, latency, and whether the newest documents can be "
        "read. It writes a small object under each prefix, and removes it again. "
        "Exits with 1 if a check failed; warnings don't count.",
    )


def run(args: argparse.Namespace) -> int:
    """Check everything; 1 if a check failed. Raises `CommandError` for configuration that cannot
    be read."""
    out = output(args)
    settings = load_settings(args)
    unknown = unknown_settings(load_config(args))
    files = [str(path) for path in config_files(args)]
    findings = asyncio.run(_examine(out, settings, unknown, files))
    for finding in _on_this_machine(args, settings, out) if settings.s3_bucket else ():
        findings.append(finding)
        _print(out, finding)
    failed = [finding for finding in findings if finding.status == "failed"]
    warnings = [finding for finding in findings if finding.status == "warning"]
    out.document(
        {
            "ok": not failed,
            "configuration_files": files,
            "bucket": settings.s3_bucket,
            "endpoint": settings.endpoint,
            "findings": [finding.to_dict() for finding in findings],
        }
    )
    if failed:
        out.say("", f"{number(len(failed), 'check')} failed, {number(len(warnings), 'warning')}.")
    elif warnings:
        out.say("", f"It works, with {number(len(warnings), 'warning')}.")
    else:
        out.say("", "Everything works.")
    return FAILED if failed else DONE


async def _examine(
    out: Output, settings: BookstoreSettings, unknown: list[str], files: list[str]
) -> list[Finding]:
    from ..tools.doctor.examination import examine

    read = ", ".join(map(visible, files)) or "none; all settings come from the environment"
    out.say(f"Configuration files: {read}", "")
    findings = []
    async for finding in examine(settings, unknown):
        findings.append(finding)
        _print(out, finding)
    return findings


def _on_this_machine(
    args: argparse.Namespace, settings: BookstoreSettings, out: Output
) -> Iterator[Finding]:
    """What running servers say, and what stopped ones left."""
    from ..tools.doctor.findings import Finding

    try:
        for server in serving(settings):
            yield from _of_server(server.url, server.ask("GET", "/api/bookstore"))
        for holder in holders(args, settings, out):
            for move in holder.moves:
                yield Finding(
                    "renames and deletions",
                    "warning",
                    f"The bucket has not followed the {named(move)}, from {holder.where}: "
                    f"{move['reason'] or 'it has not been tried yet.'}",
                    "Allow it and run `jupyter bookstore moves --retry`, or drop it (see "
                    "`jupyter bookstore moves --help`).",
                )
    except BookstoreError as error:
        yield Finding("servers", "warning", f"A running server did not answer. {error}")


def _of_server(url: str, status: dict[str, Any]) -> Iterator[Finding]:
    from ..tools.doctor.findings import Finding

    for problem in status.get("problems", ()):
        yield Finding("servers", "warning", f"The server at {url}: {problem}")
    if status.get("status") == "ok":
        yield Finding("servers", "ok", f"The server at {url} archives here.")
    elif status.get("error") and status["error"] not in status.get("problems", ()):
        yield Finding("servers", "warning", f"The server at {url}: {status['error']}")
    for kind in ("failing_documents", "failing_saves"):
        for name, reason in status.get(kind, {}).items():
            said = f"The server at {url} has not archived {name}: {reason}"
            yield Finding("servers", "warning", said)


def _print(out: Output, finding: Finding) -> None:
    if out.is_terminal:
        out.say(_line(finding))
    else:
        out.say(*_plain_lines(finding))


def _plain_lines(finding: Finding) -> Iterator[str]:
    sign, _ = _SIGNS[finding.status]
    yield f"{sign} {finding.check:<{_WIDTH}} {visible(finding.message)}"
    if finding.remedy:
        yield f"  {'':<{_WIDTH}} → {visible(finding.remedy)}"


def _line(finding: Finding) -> Table:
    from rich.table import Table
    from rich.text import Text

    sign, style = _SIGNS[finding.status]
    line = Table.grid(padding=(0, 1), expand=False)
    line.add_column(width=1)
    line.add_column(width=_WIDTH)
    line.add_column(overflow="fold")
    said = Text(visible(finding.message))
    if finding.remedy:
        said.append(f"\n→ {visible(finding.remedy)}", style="cyan")
    line.add_row(Text(sign, style), Text(finding.check, "bold"), said)
    return line
