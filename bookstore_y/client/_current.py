"""Which server and which notebook the running code belongs to."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from ._errors import (
    ClientError,
    NotebookNotFound,
    RequestRefused,
    ServerNotFound,
    ServerUnreachable,
)
from ._server import LOOPBACK, Address, JupyterServer, address_of, quoted, unix_socket

_PROBE_SECONDS = 10.0
_WILDCARDS = ("", "0.0.0.0", "::")  # noqa: S104 - nothing is bound to them here
_RTC_DRIVE = "RTC:"
"""The drive of collaborative documents; frontends may leave it in the paths of sessions."""


def kernel_id() -> str | None:
    """The id of the kernel that runs this; None outside a kernel."""
    module = sys.modules.get("ipykernel.kernelapp")
    app = module.IPKernelApp if module is not None else None
    if app is not None and app.initialized():
        file = app.instance().connection_file
    elif "-f" in sys.argv[:-1]:  # as kernels that are not IPython's are started
        file = sys.argv[sys.argv.index("-f") + 1]
    else:
        return None
    name = Path(file).name
    if not name.startswith("kernel-") or not name.endswith(".json"):
        return None
    return name.removeprefix("kernel-").removesuffix(".json")


def find_server(url: str | None, token: str | None, **options: Any) -> JupyterServer:
    """The server at `url`, or else the one that runs this code's kernel or terminal.

    Without either: the only one of this user on this machine. `options` are those of
    `JupyterServer`. Raises `ServerNotFound`, `ServerUnreachable`.
    """
    if url is not None:
        address = address_of(url, token)
        if not address.token:
            address = _known(address) or address
        return JupyterServer(address, **options)
    reasons: list[str] = []
    servers = [
        JupyterServer(found if token is None else replace(found, token=token), **options)
        for found in candidates(reasons)
    ]
    kernel = kernel_id()
    if kernel is not None:
        for server in servers:
            here, reason = _runs(server, kernel)
            if here:
                return server
            reasons += [reason] if reason else []
        # The kernel may be on one that could not be asked, so no other will do.
        servers = [] if reasons else servers
    elif terminal := os.environ.get("JUPYTER_SERVER_URL"):
        servers = [s for s in servers if _same_place(s.url, terminal.rstrip("/"))] or servers
    if len(servers) == 1:
        return servers[0]
    if servers:
        urls = ", ".join(server.url for server in servers)
        raise ServerNotFound(f"Several Jupyter servers run here ({urls}); pass one as `url`.")
    raise ServerNotFound(
        " ".join(
            [
                "No Jupyter server was found; pass its `url` and `token`.",
                *reasons,
            ]
        )
    )


def current_path(server: JupyterServer) -> str:
    """The path of the notebook that runs this code, asked anew each time: it may be renamed.

    Raises `NotebookNotFound`, and what keeps the server from answering.
    """
    kernel = kernel_id()
    if kernel is None:
        raise NotebookNotFound("This code doesn't run in a notebook; pass the `path` of one.")
    paths = _session_paths(server, kernel)
    if len(paths) > 1:
        raise NotebookNotFound(
            f"Several notebooks share this kernel ({', '.join(sorted(paths))}); pass the `path` "
            "of one."
        )
    for path in paths or _started_for(server):
        return path
    raise NotebookNotFound(
        f"The server at {server.url} has no notebook for this kernel; pass its `path`."
    )


def _session_paths(server: JupyterServer, kernel: str) -> set[str]:
    answer = server.request("GET", "/api/sessions")
    if not answer.ok or answer.is_redirect:
        server.answer(answer)
    sessions = [s for s in answer.json() if (s.get("kernel") or {}).get("id") == kernel]
    return {s["path"].removeprefix(_RTC_DRIVE) for s in sessions if s.get("type") == "notebook"}


def _started_for(server: JupyterServer) -> Iterator[str]:
    """The notebook that this kernel was started for, if it is still there under that name.

    jupyter_server says so in the environment, which a rename leaves as it was, so the sessions
    go first.
    """
    name = os.environ.get("JPY_SESSION_NAME", "")
    path = Path(name)
    root = server.address.root_dir
    if path.is_absolute() and root and path.is_relative_to(root):
        name = path.relative_to(root).as_posix()
    elif not name or path.is_absolute():
        return
    name = name.removeprefix(_RTC_DRIVE)
    try:
        if server.request("GET", f"/api/contents/{quoted(name)}", params={"content": "0"}).ok:
            yield name
    except ClientError:
        return


def _runs(server: JupyterServer, kernel: str) -> tuple[bool, str]:
    """(Whether the server runs the kernel, why it cannot be asked)."""
    try:
        server.ask("GET", f"/api/kernels/{kernel}", timeout=_PROBE_SECONDS)
    except ClientError as error:
        gone = isinstance(error, RequestRefused) and error.status_code == requests.codes.not_found
        return False, "" if gone else str(error)
    return True, ""


def candidates(reasons: list[str]) -> list[Address]:
    """The servers of this user on this machine, the kernel's own first.

    What cannot be asked is left out, and `reasons` say why.
    """
    records = _records()
    parent = os.environ.get("JPY_PARENT_PID", "")
    records.sort(key=lambda record: str(record.get("pid")) != parent)
    prefix = os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "").rstrip("/")
    found = []
    for record in records:
        if record.get("sock"):
            reasons.append(unix_socket(f"A server (process {record.get('pid')})"))
            continue
        url = _connectable(str(record["url"]), str(record.get("hostname", "")))
        token = str(record.get("token") or "")
        if not token and prefix and urlsplit(url).path == prefix:
            token = _hub_token()
        found.append(Address(url, token, str(record.get("root_dir", "")), local=True))
    if prefix and not any(urlsplit(address.url).path == prefix for address in found):
        found += _hub_server()
    return found


def _known(wanted: Address) -> Address | None:
    """The running server that has this URL, with its token."""
    for address in candidates([]):
        if _same_place(address.url, wanted.url):
            return replace(address, url=wanted.url)
    return None


def _same_place(one: str, other: str) -> bool:
    a, b = urlsplit(one), urlsplit(other)
    hosts_agree = a.hostname == b.hostname or {a.hostname, b.hostname} <= set(LOOPBACK)
    return hosts_agree and (a.scheme, a.port, a.path) == (b.scheme, b.port, b.path)


def _hub_token() -> str:
    return os.environ.get("JUPYTERHUB_API_TOKEN") or os.environ.get("JPY_API_TOKEN") or ""


def _hub_server() -> list[Address]:
    """The server that JupyterHub started here, by the environment that it gave it."""
    url = os.environ.get("JUPYTERHUB_SERVICE_URL", "")
    try:
        parts = urlsplit(url)
        if not parts.port:
            return []
    except ValueError:
        return []
    return [Address(_connectable(url, parts.hostname or ""), _hub_token(), local=True)]


def _connectable(url: str, hostname: str = "localhost") -> str:
    """A URL by which this machine reaches a server that may listen on all its interfaces.

    Over https it keeps its name, since that is what the certificate is for.
    """
    parts = urlsplit(url)
    if hostname in _WILDCARDS and (parts.scheme == "http" or parts.hostname in _WILDCARDS):
        host = "[::1]" if hostname == "::" else "127.0.0.1"
        parts = parts._replace(netloc=f"{host}:{parts.port}")
    return parts.geturl().rstrip("/")


def _records() -> list[dict[str, Any]]:
    try:
        from jupyter_server.serverapp import list_running_servers
    except ImportError:
        return []
    try:
        return list(list_running_servers())
    except OSError as error:  # a record that went away while it was read, or may not be read
        raise ServerUnreachable(
            f"The list of running Jupyter servers could not be read ({error.strerror}); try again, "
            "or pass `url` and `token`."
        ) from None
