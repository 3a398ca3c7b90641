"""Stopping: every way to end a server flushes it first."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from jupyter_server.serverapp import ServerApp

SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGBREAK")
"""Signals that ask a process to end, where the platform has them."""


def stop_in_order(serverapp: ServerApp, flushing: Callable[[], bool]) -> Callable[[], None]:
    """Have each of `SIGNALS` stop the server as SIGTERM does; returns what undoes that. For use
    in the server's event loop.

    jupyter_server (its serverapp.py, `init_signal`) handles SIGTERM, and SIGINT at a terminal
    alone. Elsewhere SIGINT raises KeyboardInterrupt out of the event loop, and SIGHUP and SIGQUIT
    end the process where it stands; nothing is cleaned up then. JupyterHub's LocalProcessSpawner,
    supervisord and systemd's `KillSignal=SIGINT` send SIGINT without a terminal; a terminal that
    is closed, or an SSH session that breaks off, sends SIGHUP.

    At a terminal, SIGINT goes on asking first. A signal that is ignored, as under `nohup` or in
    the background of a script, stays ignored; somebody else's handler stays, too. While
    `flushing()` says that the archive is being flushed, another signal changes nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        return lambda: None  # no other may handle signals; whoever embeds the server stops it
    app: Any = serverapp
    loop = asyncio.get_running_loop()
    upstream = app._signal_stop
    replaced: dict[signal.Signals, Any] = {}

    def stop(number: int) -> None:
        if flushing():
            name = signal.Signals(number).name
            app.log.warning("%s: the server will stop as soon as its work is archived.", name)
        else:
            upstream(number, None)

    def in_turn(number: int, frame: FrameType | None) -> None:
        # The handler logs first. In the middle of another line that is being written the
        # interpreter refuses that (`reentrant call inside BufferedWriter`), and the server would
        # never stop; so the event loop calls it.
        if loop.is_running():
            loop.call_soon_threadsafe(stop, number)
            return
        undo()  # what the process still does at its end is done, unless it is asked once more
        if loop.is_closed():
            signal.raise_signal(number)

    def undo() -> None:
        for number, handler in replaced.items():
            if signal.getsignal(number) is in_turn:
                signal.signal(number, handler)
        app._signal_stop = upstream

    for name in SIGNALS:
        number = getattr(signal, name, None)
        defaults = (signal.SIG_DFL, signal.default_int_handler, upstream)
        if number is not None and signal.getsignal(number) in defaults:
            replaced[number] = signal.signal(number, in_turn)
    # At a terminal, jupyter_server has this handle a second SIGINT (its `_handle_sigint`).
    app._signal_stop = in_turn
    return undo


def stopping_extensions() -> set[asyncio.Task[Any]]:
    """The tasks in which jupyter_server stops its extensions, all at once (its
    extension/manager.py, `stop_all_extensions`), but the one that asks."""
    return {
        task
        for task in asyncio.all_tasks()
        if task is not asyncio.current_task()
        and getattr(task.get_coro(), "__qualname__", "") == "ExtensionManager.stop_extension"
    }


def end_idle_workers_at_exit() -> None:
    """Let the process end although a request was still in flight when its loop stopped.

    jupyter_server reads and writes files in anyio's worker threads. Each lives as long as the
    task that made it, and none is a daemon, so a websocket that never answers its closing
    handshake keeps the interpreter waiting for ever, and Kubernetes kills the pod.
    """

    def end() -> None:
        try:
            from anyio._backends._asyncio import WorkerThread
        except ImportError:  # it is private, and may be gone
            return
        threading.main_thread().join()  # returns as soon as the interpreter begins to shut down
        for thread in threading.enumerate():
            if isinstance(thread, WorkerThread):
                thread.queue.put_nowait(None)

    threading.Thread(target=end, name="bookstore_y exit", daemon=True).start()
