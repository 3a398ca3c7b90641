"""What machine this is, for a result to say."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import psutil  # type: ignore[import-untyped]

from .result import Machine

_PACKAGES = (
    "bookstore-y",
    "jupyter-collaboration",
    "jupyter-server",
    "jupyter-server-ydoc",
    "jupyter-ydoc",
    "locust",
    "pycrdt",
    "pycrdt-store",
    "pycrdt-websocket",
)


def this_machine() -> Machine:
    """The machine that this process runs on."""
    return Machine(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpus=len(psutil.Process().cpu_affinity()) if platform.system() == "Linux" else _cpus(),
        memory=psutil.virtual_memory().total,
        python=platform.python_version(),
        packages={name: found for name in _PACKAGES if (found := _version(name))},
    )


def _cpus() -> int:
    return psutil.cpu_count() or 1


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
