"""Jupyter servers that are set up in ways that a client has to cope with."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bookstore_y.local.waiting import eventually
from harness.jupyter.bookstore_api import BookstoreAPI
from harness.jupyter.disk import Disk
from harness.jupyter.process import JupyterProcess
from harness.jupyter.stores import Config

Server = TypeVar("Server", bound=JupyterProcess)


@asynccontextmanager
async def running(server: Server) -> AsyncIterator[Server]:
    """`server` while it runs, and can use its bucket."""
    async with server:
        await archiving(server)
        yield server
        print(server.log_tail())  # which pytest shows of tests that fail


async def archiving(server: JupyterProcess) -> None:
    """Wait until the server can use its bucket, which it looks for while it answers already."""

    async def works() -> bool:
        return bool((await BookstoreAPI(server).status())["status"] == "ok")

    await eventually(works, within=30, what="the archive to be in use")


class PrefixedServer(JupyterProcess):
    """A server under a base URL, as JupyterHub starts it."""

    PREFIX = "/user/ada"

    def __init__(self, disk: Disk, config: Config) -> None:
        server = {**config.get("ServerApp", {}), "base_url": f"{self.PREFIX}/"}
        super().__init__(disk, {**config, "ServerApp": server})

    @property
    def url(self) -> str:
        return super().url + self.PREFIX


class EncryptedServer(JupyterProcess):
    """A server over https, with a certificate that only its own `certificate` file vouches for."""

    def __init__(self, disk: Disk, config: Config) -> None:
        self.certificate, key = _make_certificate(disk.data)
        server = {"certfile": str(self.certificate), "keyfile": str(key)}
        super().__init__(disk, {**config, "ServerApp": {**config.get("ServerApp", {}), **server}})

    @property
    def url(self) -> str:
        return super().url.replace("http://", "https://")

    def http(self) -> httpx.AsyncClient:
        context = ssl.create_default_context(cafile=str(self.certificate))
        headers = {"Authorization": f"token {self.token}"}
        return httpx.AsyncClient(
            base_url=self.url, headers=headers, verify=context, trust_env=False
        )


class TokenlessServer(JupyterProcess):
    """A server without a token: open to all, or behind a password."""

    def __init__(self, disk: Disk, config: Config, *, password_hash: str = "") -> None:
        identity = {
            "IdentityProvider": {"token": ""},
            "PasswordIdentityProvider": {"hashed_password": password_hash},
        }
        super().__init__(disk, {**config, **identity})

    async def wait_ready(self, within: float = 60.0) -> None:
        async with httpx.AsyncClient(trust_env=False) as http:

            async def answers() -> bool:
                try:
                    await http.get(f"{self.url}/api/status")
                except httpx.TransportError:
                    return False
                return True

            await eventually(answers, within=within, what=f"an answer from {self.url}")


def _make_certificate(directory: Path) -> tuple[Path, Path]:
    """The files of a self-signed certificate for 127.0.0.1, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a Jupyter server")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = directory / "certificate.pem", directory / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_file, key_file
