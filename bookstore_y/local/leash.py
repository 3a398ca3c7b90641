"""Run a module as `python -m` does, in a process that ends when its parent ends.

    python -m bookstore_y.local.leash SECONDS MODULE [ARGUMENT ...]

The leash is the standard input: a pipe whose other end only the parent holds. However the
parent ends, SIGKILL included, the kernel closes that end; then this process gets a SIGTERM,
and is ended after SECONDS more if it is still there.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time


def main() -> None:
    """Take the leash from the standard input and run the module that the arguments name."""
    seconds, module = float(sys.argv[1]), sys.argv[2]
    leash = os.dup(sys.stdin.fileno())  # not inherited by the children of this process
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, sys.stdin.fileno())
    os.close(null)
    threading.Thread(target=_watch, args=(leash, seconds), daemon=True).start()
    sys.argv = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _watch(leash: int, seconds: float) -> None:
    while os.read(leash, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(seconds)
    os._exit(1)


if __name__ == "__main__":
    main()
