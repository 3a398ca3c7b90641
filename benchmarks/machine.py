"""What a result was measured with."""

from __future__ import annotations

import os
import platform
import sqlite3
from importlib.metadata import version
from pathlib import Path

PACKAGES = [
    "bookstore-y",
    "pycrdt",
    "pycrdt-store",
    "jupyter-ydoc",
    "jupyter-server",
    "jupyter-server-ydoc",
    "aioboto3",
    "aiobotocore",
    "aiohttp",
    "zstandard",
    "moto",
]


def machine() -> dict[str, str | int]:
    """The processor, how many cores there are, the memory and the system."""
    model = platform.processor() or platform.machine()
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        lines = cpus.read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model,
        "cores": os.cpu_count() or 1,
        "memory_gb": round(memory / 1e9),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
    }


def versions() -> dict[str, str]:
    """Of Python, SQLite and the packages that matter."""
    found = {name: version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version, **found}
