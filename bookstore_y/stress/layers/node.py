"""Node: where the scripts of this package run, with the packages that they need."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

_SCRIPTS = ("package.json", "package-lock.json", "writer.mjs", "yjs.mjs", "room.mjs")
_INSTALL_WITHIN = 300.0


class NodeUnavailable(Exception):
    """Yjs cannot be run on this machine; the message says why and what to do."""


def folder() -> Path:
    """Where Node's scripts are, with the packages that the lock file names installed.

    It is `bookstore_y/stress-…` in the user's cache directory, and is made once; `npm ci` asks
    the npm registry that it is configured for. Raises `NodeUnavailable`.
    """
    absent = [program for program in ("node", "npm") if shutil.which(program) is None]
    if absent:
        raise NodeUnavailable(
            f"Yjs needs {' and '.join(absent)}, not found here; install Node.js 18 or newer."
        )
    scripts = {name: _script(name) for name in _SCRIPTS}
    digest = hashlib.sha256(b"".join(scripts.values())).hexdigest()[:12]
    place = _cache() / "bookstore_y" / f"stress-{digest}"
    try:
        with _alone(place.with_suffix(".lock")):
            if not (place / "installed").exists():
                place.mkdir(parents=True, exist_ok=True)
                for name, content in scripts.items():
                    (place / name).write_bytes(content)
                _install(place)
                (place / "installed").touch()
    except OSError as error:
        raise NodeUnavailable(
            f"Yjs cannot be installed in {place} ({error.strerror}); set XDG_CACHE_HOME to a "
            "directory that can be written."
        ) from error
    return place


def _install(place: Path) -> None:
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(
            command,
            cwd=place,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_INSTALL_WITHIN,
        )
    except subprocess.TimeoutExpired as error:
        raise NodeUnavailable(
            f"`npm ci` did not end within {_INSTALL_WITHIN:.0f} s; is the npm registry reachable?"
        ) from error
    if done.returncode != 0:
        raise NodeUnavailable(
            f"`npm ci` could not install Yjs in {place}; it said:\n{done.stderr.strip()}"
        )


def _script(name: str) -> bytes:
    return (files(__package__) / "js" / name).read_bytes()


def _cache() -> Path:
    given = os.environ.get("XDG_CACHE_HOME")
    return Path(given) if given else Path.home() / ".cache"


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait until no other process installs."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        try:
            import fcntl
        except ImportError:  # Windows: two at once would at worst install twice
            yield
            return
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
