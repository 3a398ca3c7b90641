"""The S3 servers that tests run against: which there are, and how each starts and stops.

Nothing here needs pytest; `tests/conftest.py` makes fixtures of it.
"""

from __future__ import annotations

import logging
import os
import random
import shutil
import socket
import subprocess
import tempfile
import uuid
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client
    from werkzeug.serving import BaseWSGIServer

_HERE = Path(__file__).parent

_START_SECONDS = 180
_STOP_SECONDS = 60
_INSTALL_SECONDS = 1200


class ServerError(Exception):
    """A server cannot be installed, started or reached; the message says which and why."""


@dataclass(frozen=True)
class S3Server:
    """A running server: where it is and what it can do."""

    name: str
    endpoint_url: str
    access_key: str
    secret_key: str = field(repr=False)
    conditional_writes: bool
    """Whether `If-Match` and `If-None-Match` on a PUT are honoured in a versioned bucket."""
    region: str = "us-east-1"

    def __str__(self) -> str:
        return self.name


def s3_options(server: S3Server, bucket: str) -> dict[str, str]:
    """What `BookstoreSettings` needs to reach `bucket` on `server`, by trait name."""
    return {
        "s3_endpoint_url": server.endpoint_url,
        "s3_access_key_id": server.access_key,
        "s3_secret_access_key": server.secret_key,
        "s3_region_name": server.region,
        "s3_bucket": bucket,
    }


def connect(server: S3Server) -> S3Client:
    """A plain boto3 client: a second opinion on what is in a bucket."""
    client: S3Client = boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name=server.region,
        config=Config(
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"total_max_attempts": 1},
        ),
    )
    return client


def make_bucket(server: S3Server, name: str | None = None, *, versioned: bool = True) -> str:
    """Make a bucket, of a name of its own where none is given, and return its name.

    Nobody needs to empty it: a server keeps nothing beyond its end.
    """
    name = name or f"bookstore-{uuid.uuid4().hex[:12]}"
    client = connect(server)
    client.create_bucket(Bucket=name)
    if versioned:
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    client.close()
    return name


def free_port() -> int:
    """A TCP port that nothing on loopback listens on now, below those that systems give to whoever
    does not choose: it would soon be some connection's."""
    chance = random.SystemRandom()
    while True:
        port = chance.randrange(10_000, 32_000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port


class Provider(ABC):
    """One kind of server: what it takes to start it here, and its start and stop."""

    name: str

    @abstractmethod
    def missing(self) -> str | None:
        """Why it cannot start on this machine as it is; None if it can."""

    @abstractmethod
    def install(self) -> None:
        """Install what `missing` asks for. Raises `ServerError` where that cannot be done."""

    @abstractmethod
    def start(self) -> S3Server:
        """Start it on a free loopback port. Raises `ServerError` if it does not come up."""

    @abstractmethod
    def stop(self) -> None:
        """Stop it, with all that it holds."""


class Moto(Provider):
    """moto's server in a thread of this process. It takes any credentials."""

    name = "moto"

    def __init__(self) -> None:
        self._server: BaseWSGIServer | None = None

    def missing(self) -> str | None:
        return None

    def install(self) -> None:
        return

    def start(self) -> S3Server:
        from bookstore_y.local.quick_moto import serve

        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else a line for each request
        self._server = serve()
        return S3Server(
            name=self.name,
            endpoint_url=f"http://127.0.0.1:{self._server.server_port}",
            access_key="moto",
            secret_key="moto-secret",
            conditional_writes=True,
        )

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class Scripted(Provider):
    """A server that the script of its name, beside this file, installs, starts and stops."""

    def __init__(
        self, name: str, access_key: str, secret_key: str, *, conditional_writes: bool
    ) -> None:
        self.name = name
        self._access_key = access_key
        self._secret_key = secret_key
        self._conditional_writes = conditional_writes
        self._directory: Path | None = None

    def missing(self) -> str | None:
        done = self._run("ready", timeout=30)
        return None if done.returncode == 0 else done.stderr.strip().removeprefix(f"{self.name}: ")

    def install(self) -> None:
        self._check("install", timeout=_INSTALL_SECONDS)

    def start(self) -> S3Server:
        # Not under pytest's directory: Ceph's sockets are in it, and their paths must be short.
        self._directory = Path(tempfile.mkdtemp(prefix=f"bookstore-{self.name}-"))
        port, owner = str(free_port()), str(os.getpid())
        try:
            url = self._check("up", str(self._directory), port, owner, timeout=_START_SECONDS)
        except ServerError:
            self._run("down", str(self._directory), timeout=_STOP_SECONDS)  # what came up of it
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None
            raise
        return S3Server(
            name=self.name,
            endpoint_url=url,
            access_key=self._access_key,
            secret_key=self._secret_key,
            conditional_writes=self._conditional_writes,
        )

    def stop(self) -> None:
        if self._directory is not None:
            self.call("down", timeout=_STOP_SECONDS)
            self._directory = None

    def call(self, verb: str, *, timeout: float = _START_SECONDS) -> str:
        """Run another verb of the script (Ceph's `kill` and `start`) on the running server."""
        if self._directory is None:
            raise ServerError(f"{self.name} is not running")
        return self._check(verb, str(self._directory), timeout=timeout)

    def _check(self, *arguments: str, timeout: float) -> str:
        done = self._run(*arguments, timeout=timeout)
        if done.returncode != 0:
            raise ServerError(
                f"{self.name}.sh {arguments[0]} failed with {done.returncode}:\n{done.stderr}"
            )
        return done.stdout.strip()

    def _run(self, *arguments: str, timeout: float) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [str(_HERE / f"{self.name}.sh"), *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired as error:
            raise ServerError(f"{self.name}.sh {arguments[0]} took over {timeout} s") from error


NAMES = ("moto", "localstack", "ceph")
"""Every server there is, the quickest to start first."""


class Servers:
    """All servers of one test run. Each starts when first asked for; all stop together."""

    def __init__(self) -> None:
        self.localstack = Scripted("localstack", "test", "test", conditional_writes=True)
        self.ceph = Scripted("ceph", "bookstore", "bookstore-secret", conditional_writes=False)
        self._providers: dict[str, Provider] = {
            "moto": Moto(),
            "localstack": self.localstack,
            "ceph": self.ceph,
        }
        self._running: dict[str, S3Server] = {}
        self._failed: dict[str, ServerError] = {}

    def missing(self, name: str) -> str | None:
        """Why that server cannot start on this machine as it is; None if it can."""
        return self._providers[name].missing()

    def install(self, name: str) -> None:
        """Install that server, where it cannot start as it is.

        Raises `ServerError` if that cannot be done.
        """
        if self.missing(name) is not None:
            self._providers[name].install()

    def get(self, name: str) -> S3Server:
        """That server, running; it is installed and started as need be.

        Raises `ServerError`, and the same one again without a second try, if that cannot be done.
        """
        if name in self._failed:
            raise self._failed[name]
        if name not in self._running:
            try:
                self.install(name)
                self._running[name] = self._providers[name].start()
            except ServerError as error:
                self._failed[name] = error
                raise
        return self._running[name]

    def stop(self) -> None:
        """Stop all that run, also when one of them will not. Raises the first `ServerError`."""
        errors = []
        for name in list(self._running):
            del self._running[name]
            try:
                self._providers[name].stop()
            except ServerError as error:
                errors.append(error)
        if errors:
            raise errors[0]
