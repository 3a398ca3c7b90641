"""Child: a process that ends with its parent, in order after Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


class Child:
    """A Python module that runs as a process in a session of its own, on a leash.

    Its own session keeps the terminal's Ctrl-C from it, so that whoever started it decides in
    which order things stop. The leash (see `leash`) ends it when this process ends in any way.
    Standard output and error are appended to `log`. After a SIGTERM it has `grace` seconds.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        log: Path,
        grace: float,
    ) -> None:
        self.name = name
        self.log = log
        self.grace = grace
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bookstore_y.local.leash", str(grace), *command],
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id, also after the end."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process.poll() is None

    @property
    def how_it_ended(self) -> str:
        """`exit code 1`, `signal 9`, or `still running`, for messages."""
        code = self._process.poll()
        if code is None:
            return "still running"
        return f"exit code {code}" if code >= 0 else f"signal {-code}"

    def terminate(self) -> None:
        """Ask the process to end (SIGTERM)."""
        self._process.terminate()

    def kill(self) -> None:
        """End the process and what it started in its session, and reap it."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def end_of_log(self, lines: int = 15) -> str:
        """The last `lines` lines it wrote, indented."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
