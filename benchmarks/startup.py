"""What bookstore_y costs before it does anything: its import, and a Jupyter server's start."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

from .bench import Bench
from .measure import Figure, Stopwatch, in_turns

TIMED = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
YDOC = "import jupyter_server.serverapp, jupyter_server_ydoc.app, pycrdt.store"


async def figures(bench: Bench) -> AsyncIterator[Figure]:
    """In fresh interpreters, and in fresh servers."""
    rounds = bench.pick(9, 1)
    package = await in_turns(
        rounds, lambda: imported("import bookstore_y"), warm_up=not bench.quick
    )
    what = "`import bookstore_y`"
    yield Figure("import", what, "s", package[0], at_most=0.1)
    store = "from bookstore_y import S3YStore"
    seconds = await in_turns(
        rounds, lambda: imported(store, YDOC), lambda: imported(store), warm_up=not bench.quick
    )
    what = f"`{store}`"
    yield Figure("import-store", f"{what} in a collaborative server", "s", seconds[0])
    yield Figure("import-store-alone", f"{what} in a bare interpreter", "s", seconds[1])

    home = bench.directory()
    settings = await bench.bucket()
    bucket = {name: getattr(settings, name) for name in (*bench.s3, "s3_bucket")}
    servers = await in_turns(
        bench.pick(9, 1),
        lambda: answered(home, bucket),
        lambda: answered(home, None),
        warm_up=not bench.quick,
    )
    added = [with_it - without for with_it, without in zip(*servers, strict=True)]
    note = f"{sorted(servers[1])[len(added) // 2]:.2f} s without it"
    what = "server start-up added by the extension"
    yield Figure("server-start", what, "s", added, at_most=0.15, note=note)


async def imported(what: str, before: str = "pass") -> float:
    """Seconds that an import takes in a fresh interpreter, after another."""
    return await asyncio.to_thread(_imported, what, before)


def _imported(what: str, before: str) -> float:
    command = [sys.executable, "-c", f"{before}\n{TIMED.format(what)}"]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


async def answered(home: Path, bucket: dict[str, str] | None) -> float:
    """Seconds from the start of a collaborative server until it answers, with the extension if
    there is a bucket for it, else without."""
    return await asyncio.to_thread(_answered, home, bucket)


def _answered(home: Path, bucket: dict[str, str] | None) -> float:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config = home / "config"
    config.mkdir(exist_ok=True)
    root = home / "root"
    root.mkdir(exist_ok=True)
    chosen: dict[str, object] = {
        "ServerApp": {
            "port": port,
            "root_dir": str(root),
            "token": "benchmark",
            "allow_root": True,
            "open_browser": False,
            "jpserver_extensions": {
                "jupyter_server_ydoc": True,
                "jupyter_server_fileid": True,
                "bookstore_y.jupyter": bucket is not None,
            },
        }
    }
    if bucket is not None:
        chosen["BookstoreSettings"] = bucket
        chosen["YDocExtension"] = {"ystore_class": "bookstore_y.S3YStore"}
    (config / "jupyter_server_config.json").write_text(json.dumps(chosen))
    environment = {
        **os.environ,
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(config),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    log = home / "server.log"
    url = f"http://127.0.0.1:{port}/api/status?token=benchmark"
    with log.open("wb") as output, Stopwatch() as watch:
        command = [sys.executable, "-m", "jupyter_server"]
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        while not _answers(url):
            if server.poll() is not None or time.perf_counter() - watch.started > 60:
                server.kill()
                raise RuntimeError(f"The server did not start:\n{log.read_text()}")
            time.sleep(0.005)
    server.terminate()
    server.wait()
    return watch.seconds


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=10).close()  # noqa: S310 - it is http
    except (urllib.error.URLError, ConnectionError):
        return False
    return True
