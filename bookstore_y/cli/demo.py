"""`jupyter bookstore demo`: JupyterLab with RTC, archived in an S3 bucket, in one command."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.request import getproxies

from ..local.child import Child
from ..local.embedded_s3 import ACCESS_KEY_ID, REGION_NAME, SECRET_ACCESS_KEY, EmbeddedS3
from ..local.ports import free_port, port_is_free
from ._errors import CommandError
from ._instructions import instructions
from ._lab import GRACE, Lab, LabAddress
from ._output import printing
from ._signals import Signals

if TYPE_CHECKING:
    from ..settings import BookstoreSettings

T = TypeVar("T")

_SAMPLE = "sample.ipynb"
_BUCKET = "notebooks"
_START_TIMEOUT = 120.0
_S3_STOP_TIMEOUT = 3.0
_WATCH_INTERVAL = 0.5
_NO_PROXY = ("no_proxy", "NO_PROXY")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command."""
    parser = subparsers.add_parser(
        "demo",
        help="try JupyterLab with real-time collaboration, archived in an embedded S3 server",
        description="Start JupyterLab with real-time collaboration on bookstore_y.S3YStore, "
        "and an embedded S3 server (moto) unless you name a real one. This neither "
        "reads nor changes your Jupyter configuration. Ctrl-C stops everything.",
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "--directory",
        type=Path,
        metavar="DIR",
        help="work on the files in DIR (default: a sample notebook in a temporary directory)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="once it runs, print one JSON document with its addresses; everything else goes "
        "to stderr",
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep the temporary directory at the end"
    )
    parser.add_argument(
        "--port", type=_port, help="loopback port of JupyterLab (default: a free one)"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument(
        "--checkpoint-max-delay",
        type=_seconds,
        metavar="SECONDS",
        help="maximum time that an edit waits for its checkpoint (S3YStore.checkpoint_max_delay)",
    )
    parser.add_argument(
        "--workspace-prefix",
        metavar="PREFIX",
        help="prefix of all keys (BookstoreSettings.workspace_prefix)",
    )
    server = parser.add_argument_group(
        "a real S3 server instead of the embedded one",
        "Each falls back to its environment variable, JPYNB_S3_BUCKET and so on, then to the "
        "ordinary AWS chain. Prefer the environment for the secret: other users of this machine "
        "can see the arguments of a process.",
    )
    server.add_argument("--s3-endpoint-url", metavar="URL", help="server (default: AWS)")
    server.add_argument("--s3-bucket", metavar="NAME", help="versioned bucket")
    server.add_argument("--s3-access-key-id", metavar="ID", help="access key id")
    server.add_argument("--s3-secret-access-key", metavar="KEY", help="secret access key")
    server.add_argument("--s3-region-name", metavar="REGION", help="region of the bucket")
    server.add_argument(
        "--create-bucket",
        action="store_true",
        help="create the bucket, with versioning enabled, if it does not exist",
    )


def run(args: argparse.Namespace) -> int:
    """Run the demo until a signal asks to stop; 0 then. Raises `CommandError` when it cannot."""
    real_server = _names_a_server(args)
    _require_packages("jupyterlab", "jupyter_collaboration")
    if not real_server:
        _require_packages("moto", "flask")  # moto's server needs Flask, moto alone does not
    if args.directory is not None and not args.directory.is_dir():
        raise CommandError(f"{args.directory} is not a directory; name one that exists.", 2)
    if args.port is not None and not port_is_free(args.port):
        raise CommandError(
            f"Port {args.port} is already in use; name another, or leave out --port to get a "
            "free one.",
            2,
        )
    settings = _settings(args, real_server)
    with Signals() as signals:
        directory = Path(tempfile.mkdtemp(prefix="bookstore-demo-"))
        demo = _Demo(args, settings, directory, signals, embedded=not real_server)
        try:
            demo.watch(demo.start())
        except _Interrupted:
            pass
        finally:
            demo.stop()
            if args.keep or demo.unwritten:
                demo.say(f"The log and the notebooks are kept in {directory}")
            else:
                shutil.rmtree(directory, ignore_errors=True)
    return 0


class _Interrupted(Exception):
    """A signal asked to stop."""


@dataclass
class _Demo:
    args: argparse.Namespace
    settings: BookstoreSettings
    directory: Path
    signals: Signals
    embedded: bool
    s3: EmbeddedS3 | None = None
    lab: Lab | None = None
    notebook: str | None = None
    unwritten: bool = False
    """Whether a real bucket may lack edits that were made; known after `stop`."""
    address: LabAddress = field(init=False)
    root: Path = field(init=False)

    def __post_init__(self) -> None:
        self.address = LabAddress(self.args.port or free_port())
        self.root = (self.args.directory or self.directory / "notebooks").resolve()

    def start(self) -> Lab:
        """Start the S3 server, if it is ours, and JupyterLab; say where they are."""
        self.say("Starting …")
        if self.embedded:
            self.s3 = EmbeddedS3(_BUCKET, self.directory, self._environment())
            self.settings.s3_endpoint_url = self._wait_for(self.s3, self.s3.endpoint_url)
        if self.args.directory is None:
            self.notebook = _SAMPLE
            self.root.mkdir()
            sample = files(__package__).joinpath(_SAMPLE).read_bytes()
            (self.root / _SAMPLE).write_bytes(sample)
        lab = self._start_lab(open_browser=not self.args.no_browser)
        if self.args.json:
            with printing():
                print(json.dumps(self._document(lab), indent=2), flush=True)
        else:
            self.say(
                instructions(
                    lab,
                    self.address,
                    self.settings,
                    self.notebook,
                    self._second_terminal(lab),
                    self.embedded,
                )
            )
        return lab

    def say(self, text: str) -> None:
        """Tell how it goes: on stderr where stdout is for a program."""
        with contextlib.suppress(OSError):  # a closed terminal must not keep things from stopping
            print(text, file=sys.stderr if self.args.json else sys.stdout, flush=True)

    def _document(self, lab: Lab) -> dict[str, Any]:
        return {
            "url": self.address.page(self.notebook),
            "base_url": self.address.base_url,
            "token": self.address.token,
            "endpoint_url": self.settings.s3_endpoint_url or None,
            "bucket": self.settings.s3_bucket,
            "workspace_prefix": self.settings.workspace_prefix,
            "root_dir": str(self.root),
            "log": str(lab.log),
            "pid": lab.pid,
            "environment": self._second_terminal(lab),
        }

    def _second_terminal(self, lab: Lab) -> dict[str, str]:
        """The variables with which the commands find this archive, and the server of its rooms.

        The workspace prefix is in the configuration that they name. Of key pairs, ours alone.
        """
        settings = self.settings
        found = {
            "JPYNB_S3_ENDPOINT_URL": settings.s3_endpoint_url,
            "JPYNB_S3_BUCKET": settings.s3_bucket,
            "JPYNB_S3_REGION_NAME": settings.s3_region_name,
        }
        if self.embedded:
            found |= self._secrets()
            if getproxies():
                found |= {name: self._environment()[name] for name in _NO_PROXY}
        return {name: value for name, value in found.items() if value} | lab.environment

    def watch(self, lab: Lab) -> None:
        """Wait for a signal. Start JupyterLab again when it ends: a crash is part of the demo.

        Raises `_Interrupted` at a signal and `CommandError` when the S3 server ends.
        """
        error: str | None = None
        said: set[str] = set()
        while True:
            if self.signals.wait(_WATCH_INTERVAL):
                raise _Interrupted
            error = self._archive_error(lab, error)
            if error is None and said:
                self.say("\nThe bucket can be written again.")
                said.clear()
            elif error is not None and error not in said:
                self.say(f"\n{error}")
                said.add(error)
            if self.s3 is not None and not self.s3.running:
                raise CommandError(
                    f"The embedded S3 server ended ({self.s3.how_it_ended}), and its versions "
                    f"are lost; the end of its log:\n{self.s3.end_of_log()}"
                )
            if not lab.running:
                self.say(f"JupyterLab ended ({lab.how_it_ended}). Restarting it …")
                lab.kill()
                lab = self._start_lab(open_browser=False)
                self.say(f"JupyterLab is back as process {lab.pid}, at the same URL.")

    def stop(self) -> None:
        """Stop JupyterLab, which flushes to the bucket, then the S3 server."""
        if self.lab is not None:
            error = self._archive_error(self.lab, None)
            was_running = self.lab.running
            if was_running:
                self.say(
                    "\nStopping; JupyterLab is archiving pending edits. Press Ctrl-C "
                    "again to kill it."
                )
            stopped = self._stop_child(self.lab, GRACE)
            if not stopped:
                self.say("JupyterLab was killed before it stopped; the last edits may be lost.")
            written = was_running and stopped and error is None
            self.unwritten = not self.embedded and not written
        if self.s3 is not None:
            self._stop_child(self.s3, _S3_STOP_TIMEOUT)
        self.say("Stopped.")

    def _start_lab(self, *, open_browser: bool) -> Lab:
        lab = self.lab = Lab(
            self.address,
            self.directory,
            self.root,
            self.notebook,
            self._traits(),
            self._environment() | self._secrets(),
            open_browser=open_browser,
        )
        self._wait_for(lab, lab.answers)
        return lab

    def _wait_for(self, child: Child, ready: Callable[[], T | None]) -> T:
        deadline = time.monotonic() + _START_TIMEOUT
        while (value := ready()) is None:
            if not child.running:
                raise CommandError(
                    f"{child.name} ended while it was starting ({child.how_it_ended}); the end of "
                    f"its log:\n{child.end_of_log()}"
                )
            if time.monotonic() > deadline:
                raise CommandError(
                    f"{child.name} did not answer within {_START_TIMEOUT:.0f} s; the end of its "
                    f"log:\n{child.end_of_log()}"
                )
            if self.signals.wait(0.1):
                raise _Interrupted
        return value

    def _archive_error(self, lab: Lab, otherwise: str | None) -> str | None:
        """Why the archive cannot be written; `otherwise` when JupyterLab does not say."""
        try:
            return lab.archive_error()
        except OSError:
            return otherwise

    def _stop_child(self, child: Child, seconds: float) -> bool:
        """Whether the child stopped by itself, before its time was over or a signal came."""
        child.terminate()
        deadline = time.monotonic() + seconds
        while child.running and time.monotonic() < deadline and not self.signals.wait(0.05):
            pass
        stopped = not child.running
        child.kill()
        return stopped

    def _traits(self) -> dict[str, dict[str, Any]]:
        names = (
            "s3_bucket",
            "s3_endpoint_url",
            "s3_region_name",
            "workspace_prefix",
            "create_bucket",
        )
        delay = self.args.checkpoint_max_delay
        return {
            "BookstoreSettings": {name: getattr(self.settings, name) for name in names},
            "S3YStore": {} if delay is None else {"checkpoint_max_delay": delay},
        }

    def _environment(self) -> dict[str, str]:
        env = dict(os.environ)
        if self.embedded:  # a proxy would be asked for the loopback address otherwise
            for name in _NO_PROXY:
                env[name] = ",".join(filter(None, [env.get(name), "127.0.0.1", "localhost"]))
        return env

    def _secrets(self) -> dict[str, str]:
        pair = {
            "JPYNB_S3_ACCESS_KEY_ID": self.settings.s3_access_key_id,
            "JPYNB_S3_SECRET_ACCESS_KEY": self.settings.s3_secret_access_key,
        }
        return {name: value for name, value in pair.items() if value}


def _names_a_server(args: argparse.Namespace) -> bool:
    options = (
        args.s3_endpoint_url,
        args.s3_bucket,
        args.s3_access_key_id,
        args.s3_secret_access_key,
        args.s3_region_name,
        args.create_bucket,
        os.environ.get("JPYNB_S3_ENDPOINT_URL"),
        os.environ.get("JPYNB_S3_BUCKET"),
    )
    return any(options)


def _settings(args: argparse.Namespace, real_server: bool) -> BookstoreSettings:
    from ..errors import ConfigurationError
    from ..settings import BookstoreSettings

    given: dict[str, Any] = {"create_bucket": args.create_bucket}
    if args.workspace_prefix is not None:
        given["workspace_prefix"] = args.workspace_prefix
    if not real_server:
        return BookstoreSettings(
            s3_bucket=_BUCKET,
            s3_region_name=REGION_NAME,
            s3_access_key_id=ACCESS_KEY_ID,
            s3_secret_access_key=SECRET_ACCESS_KEY,
            **given,
        )
    for name in (
        "s3_bucket",
        "s3_endpoint_url",
        "s3_region_name",
        "s3_access_key_id",
        "s3_secret_access_key",
    ):
        if (value := getattr(args, name)) is not None:
            given[name] = value
    settings = BookstoreSettings(**given)
    if not settings.s3_bucket:
        raise CommandError(
            "A real S3 server needs a bucket; add --s3-bucket NAME or set JPYNB_S3_BUCKET, or "
            "leave out all S3 options to use the embedded server.",
            2,
        )
    try:
        settings.require_bucket()
    except ConfigurationError as error:
        raise CommandError(str(error), 2) from error
    return settings


def _require_packages(*names: str) -> None:
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise CommandError(
            f"The demo needs {' and '.join(missing)}, not installed here; run\n"
            '    pip install "bookstore-y[demo]"    (in a clone: pip install ".[demo]")',
            2,
        )


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65536:
        raise argparse.ArgumentTypeError(f"{port} is not a port; name one from 1 to 65535")
    return port


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds above 0")
    return seconds
