"""Yjs under Node: what a reader that has nothing of this package makes of an update."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Read = Callable[[bytes, dict[str, str]], dict[str, Any]]
"""The type of `read`."""

_HERE = Path(__file__).parent / "js"
_STAMP = _HERE / "node_modules" / ".package-lock.json"


def missing() -> str | None:
    """Why updates cannot be read on this machine; None if they can."""
    absent = [program for program in ("node", "npm") if shutil.which(program) is None]
    return f"Yjs needs {' and '.join(absent)}" if absent else None


def install() -> None:
    """`npm ci`, unless what the lock file names is installed."""
    lock = _HERE / "package-lock.json"
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if _STAMP.exists() and _STAMP.stat().st_mtime >= lock.stat().st_mtime:
            return
        _run(["npm", "ci", "--no-audit", "--no-fund"], timeout=300)


def read(update: bytes, roots: dict[str, str]) -> dict[str, Any]:
    """The roots of the document that `update` (Yjs v1) holds, as JSON values.

    `roots` gives each root's type by name: "array", "map" or "text".
    Raises `RuntimeError` with Node's words if Yjs cannot read the update.
    """
    with tempfile.NamedTemporaryFile(suffix=".update") as file:
        file.write(update)
        file.flush()
        arguments = [f"{name}:{kind}" for name, kind in roots.items()]
        output = _run(["node", "read-snapshot.mjs", file.name, *arguments], timeout=60)
    content: dict[str, Any] = json.loads(output)
    return content


def _run(command: list[str], *, timeout: float) -> str:
    done = subprocess.run(
        command, cwd=_HERE, capture_output=True, text=True, check=False, timeout=timeout
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:2])} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
