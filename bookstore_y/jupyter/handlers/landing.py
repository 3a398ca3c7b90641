"""The pages behind links to notebooks, which show and clone them."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join

from .. import cloning
from ..http_errors import message_of
from .arguments import Query
from .base import call, say_allowed, services_of

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class LandingPage(JupyterHandler):
    """Base of the pages. They load nothing, and run no script but their own."""

    auth_resource = "bookstore"
    as_s3 = False

    def initialize(self) -> None:
        """Choose the page's own nonce."""
        self._nonce = secrets.token_urlsafe(16)

    def compute_etag(self) -> str | None:
        """No ETag: each page has a nonce of its own."""
        return None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Show the error's own sentence in the page."""
        say_allowed(self, status_code)
        self._show("error.html", message=message_of(status_code, kwargs), status=status_code)

    def show(self, source: list[tuple[str, str]], target: str, api: str, request: Any) -> None:
        """Show what would be cloned from where, and a button that sends `request` to `api`."""
        self._show(
            "clone.html",
            source=source,
            target=target,
            data={
                "url": url_path_join(self.base_url, "api/bookstore", api),
                "request": request,
                "xsrf": self.xsrf_token.decode(),
                "open": opening(self.base_url, self.default_url),
            },
        )

    def _show(self, template: str, **names: Any) -> None:
        # Set here and not by default, for `ServerApp.tornado_settings` has the last word there.
        nonce = self._nonce
        self.set_header(
            "Content-Security-Policy",
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        )
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "same-origin")  # the address may have a token in it
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Type", "text/html; charset=utf-8")
        page = _TEMPLATES.get_template(template)
        self.finish(page.render(nonce=nonce, home=self.base_url, **names))


class ClonePage(LandingPage):
    """GET /bookstore/clone?s3_bucket=&s3_key=&s3_version_id="""

    @call
    async def get(self) -> None:
        """Show the page. The bucket is not asked before somebody presses the button."""
        settings = services_of(self).settings
        cloning.require_s3_cloning(settings)
        query = Query(self)
        bucket, key = query.required("s3_bucket"), query.required("s3_key")
        version_id = query.text("s3_version_id")
        cloning.check_source(settings, bucket, key)
        source = [("Bucket", bucket), ("Key", key)]
        request = {"s3_bucket": bucket, "s3_key": key}
        if version_id is not None:
            source.append(("Version", version_id))
            request["s3_version_id"] = version_id
        self.show(source, cloning.default_target(key), "clone", request)


class FSClonePage(LandingPage):
    """GET /bookstore/fs-clone?relpath="""

    @call
    async def get(self) -> None:
        """Show the page, if there is such a file."""
        relpath = Query(self).required("relpath")
        cloning.source_file(services_of(self).settings, relpath)
        target = relpath.rstrip("/").rpartition("/")[2]
        self.show([("File", relpath)], target, "fs-clone", {"relpath": relpath})


class GalleryPage(LandingPage):
    """GET /bookstore"""

    @call
    async def get(self) -> None:
        """Lead to what is published, in JupyterLab."""
        self.redirect(url_path_join(self.base_url, "lab") + "?bookstore")


class LoggedInPage(LandingPage):
    """GET /bookstore/logged-in"""

    @call
    async def get(self) -> None:
        """Have whoever is not logged in do so, and send them back to their open tabs."""
        self._show("logged-in.html")


def opening(base_url: str, default_url: str) -> dict[str, str]:
    """Addresses that a path is added to in order to open a notebook, and any other file, in the
    user interface that `default_url` starts. It may have the base URL in front, or not."""
    start, base = default_url.strip("/"), base_url.strip("/")
    if base and (start == base or start.startswith(f"{base}/")):
        start = start[len(base) :].strip("/")
    if start == "lab" or start.startswith("lab/"):
        found = {"notebook": "lab/tree/", "file": "lab/tree/"}
    elif start == "tree" or start.startswith("tree/"):
        found = {"notebook": "notebooks/", "file": "edit/"}
    elif not start:  # no user interface is installed
        found = {"notebook": "files/", "file": "files/"}
    else:
        found = {"notebook": f"{start}/", "file": f"{start}/"}
    return {kind: url_path_join(base_url, address) for kind, address in found.items()}
