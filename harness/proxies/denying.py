"""Denying: a bucket that refuses some of what it is asked, as a narrow IAM policy makes it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

from ..servers import S3Server

Denies = Callable[[str, str, dict[str, list[str]]], bool]
"""Of a method, a path `/<bucket>/<key>` and a query."""

_REFUSAL = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
_OWN = {"connection", "transfer-encoding", "date", "server", "content-length"}


class Denying:
    """A proxy before an S3 server. `denies` says what is refused; at first nothing is."""

    def __init__(self, server: S3Server) -> None:
        behind = urlsplit(server.endpoint_url).netloc
        self.denies: Denies = lambda method, path, query: False
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                address = urlsplit(self.path)
                query = parse_qs(address.query, keep_blank_values=True)
                if proxy.denies(self.command, address.path, query):
                    self._answer(403, [("Content-Type", "application/xml")], _REFUSAL)
                    return
                connection = HTTPConnection(behind, timeout=30)
                connection.request(self.command, self.path, body, dict(self.headers))
                answer = connection.getresponse()
                data = answer.read()
                length = answer.getheader("Content-Length") if self.command == "HEAD" else None
                self._answer(answer.status, answer.getheaders(), data, length)
                connection.close()

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

            def _answer(
                self,
                status: int,
                headers: list[tuple[str, str]],
                body: bytes,
                length: str | None = None,
            ) -> None:
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in _OWN:
                        self.send_header(name, value)
                self.send_header("Content-Length", length or str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self.server = S3Server(
            server.name,
            f"http://127.0.0.1:{self._http.server_address[1]}",
            server.access_key,
            server.secret_key,
            server.conditional_writes,
            server.region,
        )

    def __enter__(self) -> Denying:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
