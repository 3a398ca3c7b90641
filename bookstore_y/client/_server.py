"""JupyterServer: requests to one server with its token."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

import requests
from requests.auth import AuthBase

from ..keys import check_path
from ._errors import NotFoundThere, RequestRefused, ServerNotFound, ServerUnreachable

_CONNECT_SECONDS = 5.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_FRONTENDS = ("/lab", "/tree", "/notebooks")


@dataclass(frozen=True)
class Address:
    """Where a server is and how to get in. `url` is its base URL, without a slash at its end.

    `root_dir` is the directory that it serves, if that is known. `local`: it is on this machine,
    so that no proxy stands between.
    """

    url: str
    token: str = field(default="", repr=False)
    root_dir: str = ""
    local: bool = False


def address_of(url: str, token: str | None = None) -> Address:
    """The address that a person gives, also as Jupyter prints it: `http://…/lab?token=…`.

    Raises `ServerNotFound` when it is none that can be asked.
    """
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ServerNotFound("The server URL is malformed; write it as http://…") from None
    if parts.scheme == "http+unix":
        raise ServerNotFound(unix_socket("The server"))
    if parts.scheme not in ("http", "https") or not host:
        raise ServerNotFound("The server URL must start with http:// or https://.")
    if "@" in parts.netloc:
        raise ServerNotFound(
            "The server URL contains a user name or password; pass the token as `token`."
        )
    path = parts.path.rstrip("/")
    tokens = parse_qs(parts.query).get("token", [])
    if tokens:
        path = next((path.removesuffix(end) for end in _FRONTENDS if path.endswith(end)), path)
    base = urlunsplit((parts.scheme, parts.netloc, path.rstrip("/"), "", ""))
    token = token if token is not None else "".join(tokens[:1])
    return Address(base, token.strip(), local=host in LOOPBACK)


def unix_socket(name: str) -> str:
    """Why a server on a Unix socket is not asked."""
    return (
        f"{name} listens on a Unix socket, which this client doesn't support; start the server "
        "with a port, or pass the `url` of a proxy in front of it."
    )


def quoted(path: str) -> str:
    """A document's path as it stands in a URL. Raises `InvalidPath`."""
    path = path.strip("/")
    check_path(path)  # HTTP libraries resolve `..` before they send it
    return quote(path)


class JupyterServer:
    """The REST calls of one server. `verify` and `timeout` (seconds) are those of requests."""

    def __init__(
        self, address: Address, *, verify: bool | str = True, timeout: float = 120.0
    ) -> None:
        self.address = address
        self.verify = verify
        self._timeout = timeout
        self._session = requests.Session()
        self._session.auth = _Token(address.token)

    @property
    def url(self) -> str:
        """Base URL, without a slash at its end."""
        return self.address.url

    def request(
        self, method: str, call: str, *, timeout: float | None = None, **options: Any
    ) -> requests.Response:
        """The server's answer, whatever it is. `call` is below the base URL, and quoted.

        Raises `ServerUnreachable`.
        """
        seconds = timeout or self._timeout
        if self.address.local:
            options["proxies"] = {"no_proxy": urlsplit(self.url).hostname}
        try:
            return self._session.request(
                method,
                self.url + call,
                timeout=(min(_CONNECT_SECONDS, seconds), seconds),
                verify=self.verify,
                allow_redirects=False,
                **options,
            )
        except requests.exceptions.SSLError:
            raise ServerUnreachable(
                f"The certificate of the server at {self.url} is not trusted; pass the CA file "
                "as `verify`."
            ) from None
        except OSError as error:  # a `verify` that is no file is one, and so are all of requests'
            raise ServerUnreachable(
                f"Could not reach the server at {self.url} ({_reason(error, seconds)}); check "
                "that it runs, and check the `url`."
            ) from None

    def ask(self, method: str, call: str, **options: Any) -> dict[str, Any]:
        """The JSON object that the server answers.

        Raises `NotFoundThere`, `RequestRefused` and `ServerUnreachable`.
        """
        return self.answer(self.request(method, call, **options))

    def answer(self, response: requests.Response) -> dict[str, Any]:
        """The JSON object in an answer. Raises `NotFoundThere` and `RequestRefused`."""
        body = _json(response)
        if response.ok and not response.is_redirect and isinstance(body, dict):
            return body
        status = response.status_code
        said = body.get("message") if isinstance(body, dict) else None
        if isinstance(said, str) and said not in ("", response.reason):
            kind = NotFoundThere if status == requests.codes.not_found else RequestRefused
            raise kind(said, status)
        raise RequestRefused(self._refusal(response), status)

    def _refusal(self, response: requests.Response) -> str:
        """A sentence for an answer that has none of its own."""
        status = response.status_code
        if status in (requests.codes.unauthorized, requests.codes.forbidden):
            have = "the token is not accepted" if self.address.token else "it needs a token"
            return (
                f"The server at {self.url} refuses ({status}): {have}. A server with a password "
                "has a token only if c.IdentityProvider.token or $JUPYTER_TOKEN sets one; pass it "
                "as `token`."
            )
        if response.is_redirect:
            return (
                f"The server at {self.url} redirects ({status}), for example to a login page; "
                "check the `url` and the `token`."
            )
        if status == requests.codes.not_found or response.ok:
            return (
                f"The server at {self.url} doesn't have this bookstore_y call; check the `url`, "
                "and that `jupyter server extension list` shows bookstore_y.jupyter there."
            )
        return f"The server at {self.url} answered {status} {response.reason}; see its log."

    def __repr__(self) -> str:
        return f"<JupyterServer {self.url}>"


class _Token(AuthBase):
    """Sends the token; keeps requests from sending what it finds in ~/.netrc instead.

    Requests with a token are exempt from the check for cross-site forgery. A server that asks
    for no token checks that cookie and header agree, so both are sent.
    """

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"token {self._token}"
        else:
            pair = secrets.token_hex(16)
            request.headers["X-XSRFToken"] = pair
            request.headers["Cookie"] = f"_xsrf={pair}"
        return request

    def __repr__(self) -> str:
        return "<token>" if self._token else "<no token>"


def _json(response: requests.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _reason(error: BaseException, seconds: float) -> str:
    """What the operating system said, without the layers around it."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"no connection within {min(_CONNECT_SECONDS, seconds):g} s"
    if isinstance(error, requests.exceptions.Timeout):
        return f"no answer within {seconds:g} s"
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror.lower()
        inner = inner.__cause__ or inner.__context__
    return type(error).__name__
