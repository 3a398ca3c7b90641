"""BookstoreClient: publish, clone, and the versions of a document, from code."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

import requests

from ..archive.version import Version
from ._current import current_path, find_server, kernel_id
from ._diff import RenderedDiff
from ._server import quoted
from ._show import ShownDocument
from ._versions import ListedVersion, VersionList

_PAGE = 200
"""Versions that one request asks for at most."""

AnyVersion = Version | str


class BookstoreClient:
    """The bookstore of one Jupyter server, as whoever holds its token.

    In a notebook it finds the server and the notebook by itself; elsewhere on the same machine
    the server, if there is one only. `path` arguments are as the file browser shows them, and
    default to the document of the version given, then to `path` here, then to the notebook.
    Versions are given as objects or by their ids.

    `publish` and `clone` return the server's answer as a `requests.Response`, as nteract's
    client did. All other calls raise `BookstoreError` with the server's own sentence.
    """

    def __init__(
        self,
        s3_bucket: str | None = None,
        *,
        url: str | None = None,
        token: str | None = None,
        path: str | None = None,
        verify: bool | str = True,
        timeout: float = 120.0,
    ) -> None:
        """`s3_bucket` is what `clone` takes by default; without it, the server's own bucket.

        `url` and `token` name a server that is not to be found, `path` the document to work on.
        `verify` is a file of certificate authorities, or False for a server whose certificate
        is not to be checked; `timeout` is in seconds. Raises `ServerNotFound`.
        """
        self._server = find_server(url, token, verify=verify, timeout=timeout)
        self._default_bucket = s3_bucket or None
        self._path = path

    def __repr__(self) -> str:
        return f"<BookstoreClient of {self.url}>"

    # -- where it is ---------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The server's base URL, without a slash at its end."""
        return self._server.url

    @property
    def kernel_id(self) -> str | None:
        """The id of the kernel that runs this; None outside a kernel."""
        return kernel_id()

    @property
    def path(self) -> str:
        """The path given at first, or that of the current notebook, wherever it is by now.

        Raises `NotebookNotFound`.
        """
        return self._path if self._path is not None else current_path(self._server)

    @property
    def default_bucket(self) -> str:
        """The bucket that `clone` takes when none is named; empty if the server has none."""
        if self._default_bucket is None:
            self._default_bucket = str(self.status().get("bucket") or "")
        return self._default_bucket

    @default_bucket.setter
    def default_bucket(self, bucket: str) -> None:
        self._default_bucket = bucket

    @property
    def publish_endpoint(self) -> str:
        """The URL to which a path is appended to publish it."""
        return f"{self.url}/api/bookstore/publish/"

    @property
    def clone_endpoint(self) -> str:
        """The URL that clones."""
        return f"{self.url}/api/bookstore/clone"

    def status(self, path: str | None = None) -> dict[str, Any]:
        """What the server says about its archive: release, features, bucket, what is pending.

        With a path, `document` says how that document stands with the bucket.
        """
        return self._server.ask("GET", "/api/bookstore", params={"path": path})

    # -- renames and deletions that wait -------------------------------------------------------

    def moves(self) -> list[dict[str, Any]]:
        """The renames and deletions of files that the bucket has not followed.

        Each has `id`, `what` (`rename`, `deletion`, or `displaced` for the last edits of a document
        whose name another has taken), `path`, `target`, `state` (`waiting` or `set aside`), `at`
        and `since` (when it happened and when it first failed, in seconds since the epoch),
        `reason`, and S3's own `code` and `message`.
        """
        return list(self._server.ask("GET", "/api/bookstore/moves")["moves"])

    def retry_moves(self, id: int | None = None) -> list[dict[str, Any]]:
        """Have the server try one of them, or all, at once; returns those that are left."""
        body = {} if id is None else {"id": id}
        return list(self._server.ask("POST", "/api/bookstore/moves/retry", json=body)["moves"])

    def drop_move(self, id: int) -> dict[str, Any]:
        """Give up on one of them; returns it. The bucket keeps what it has under the old name: a
        deleted file comes back on an empty disk, a renamed one is there under both names."""
        body = {"id": id}
        return dict(self._server.ask("POST", "/api/bookstore/moves/drop", json=body)["dropped"])

    # -- as nteract's client -------------------------------------------------------------------

    def publish(
        self,
        path: str | None = None,
        *,
        version_id: AnyVersion | None = None,
        live: bool = False,
    ) -> requests.Response:
        """Publish a notebook: its saved file, an earlier version, or what its room says now.

        The answer's JSON has `s3_path` and `versionID`. `live` needs no save first.
        """
        if version_id is not None and live:
            raise ValueError("Publish either a version or the live document, not both.")
        where = self._of(path, version_id)
        model: dict[str, Any] = {"type": "notebook"}
        if version_id is not None:
            model["version_id"] = _id(version_id)
        elif live:
            model["live"] = True
        else:
            saved = self._server.request("GET", f"/api/contents/{where}", params={"content": "1"})
            if not saved.ok or saved.is_redirect:
                return saved
            file = saved.json()
            model = {"type": file["type"], "content": file["content"]}
        return self._server.request("PUT", f"/api/bookstore/publish/{where}", json=model)

    def clone(
        self,
        s3_bucket: str = "",
        s3_key: str = "",
        target_path: str = "",
        *,
        version_id: AnyVersion | None = None,
        overwrite: bool = False,
    ) -> requests.Response:
        """Copy an object of a bucket to a file of the server.

        Without `target_path` the file has the key's last name. A name that is taken gets a
        number, unless `overwrite`. The answer's JSON is the new file's contents model.
        """
        body: dict[str, Any] = {
            "s3_bucket": s3_bucket or self.default_bucket,
            "s3_key": s3_key,
            "target_path": target_path,
        }
        if version_id is not None:
            body["s3_version_id"] = _id(version_id)
        if overwrite:
            body["overwrite"] = True
        return self._server.request("POST", "/api/bookstore/clone", json=body)

    def published(self, search: str = "", *, details: bool = True) -> VersionList:
        """The newest version of each document that is published, the latest first; of those
        whose paths have all words of `search` in them. Without `details` the list is quicker,
        and says nothing of authors, labels and origins."""
        found = VersionList()
        after: str | None = None
        while True:
            answer = self._server.ask(
                "GET",
                "/api/bookstore/published",
                params={
                    "q": search or None,
                    "limit": _PAGE,
                    "after": after,
                    "details": "1" if details else "0",
                },
            )
            for document in answer["documents"]:
                found.append(ListedVersion.from_dict(document["versions"][0], document["path"]))
            after = answer["next"]
            if after is None:
                return found

    # -- versions ------------------------------------------------------------------------------

    def versions(
        self,
        path: str | None = None,
        *,
        limit: int | None = 50,
        after: str | None = None,
        kind: str | tuple[str, ...] | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        author: str | None = None,
        labelled: bool = False,
        details: bool = True,
        type: str | None = None,
    ) -> VersionList:
        """The versions of a document, newest first, at most `limit` of them; None: all.

        `after` is the `next` of an earlier list. `kind` is `snapshot`, `save`, `published` or
        several of them. `since` and `until` are moments: a `datetime` without a zone is in this
        machine's, a string is ISO 8601, and in UTC if it names none. Without `details` the list
        is quicker, and says nothing of authors, labels and origins.
        """
        name = self._name(path)
        query: dict[str, Any] = {
            "kind": [kind] if isinstance(kind, str) else kind,
            "since": _iso(since),
            "until": _iso(until),
            "author": author,
            "labelled": "1" if labelled else None,
            "details": "1" if details else "0",
            "type": type,
        }
        found = VersionList(path=name, next=after)
        while True:
            wanted = _PAGE if limit is None else min(_PAGE, limit - len(found))
            if wanted <= 0:
                return found
            answer = self._server.ask(
                "GET",
                f"/api/bookstore/versions/{quoted(name)}",
                params={**query, "limit": wanted, "after": found.next},
            )
            found += [ListedVersion.from_dict(version, name) for version in answer["versions"]]
            found.next = answer.get("next")
            if found.next is None:
                return found

    def read(
        self,
        version_id: AnyVersion | None = None,
        path: str | None = None,
        *,
        at: datetime | str | None = None,
    ) -> Any:
        """What a version says: a notebook as a dict, a text as a str, anything else as bytes.

        Without a version, the newest, or the one that was current `at` that time.
        """
        return self.show(version_id, path, at=at).content

    def show(
        self,
        version_id: AnyVersion | None = None,
        path: str | None = None,
        *,
        at: datetime | str | None = None,
    ) -> ShownDocument:
        """The same for a person: a cell that ends in it shows the version's content as text."""
        name = self._name(path, version_id)
        answer = self._server.ask(
            "GET",
            f"/api/bookstore/version/{quoted(name)}",
            params={"version_id": _optional_id(version_id), "at": _iso(at), "content": "1"},
        )
        content = answer["model"]["content"]
        if answer["model"]["format"] == "base64":
            content = base64.b64decode(content)
        return ShownDocument(ListedVersion.from_dict(answer["version"], name), content)

    def diff(
        self,
        before: AnyVersion,
        after: AnyVersion | None = None,
        path: str | None = None,
    ) -> RenderedDiff:
        """What changed from one version to another, or to what the document says now."""
        name = self._name(path, before)
        answer = self._server.ask(
            "GET",
            f"/api/bookstore/diff/{quoted(name)}",
            params={"before": _id(before), "after": _optional_id(after)},
        )
        later = answer.get("after")
        return RenderedDiff(
            answer["type"],
            ListedVersion.from_dict(answer["before"], name),
            ListedVersion.from_dict(later, name) if later else None,
            answer["diff"],
            answer["base"],
            answer["changed"],
        )

    def restore(
        self, version_id: AnyVersion, path: str | None = None, *, type: str | None = None
    ) -> ListedVersion:
        """Make the document say again what a version says; returns the version it now is.

        Whoever has it open sees the old content arrive as an edit. The content that it
        replaces stays a version.
        """
        body = {"version_id": _id(version_id), **({"type": type} if type else {})}
        return self._changed("POST", "restore", self._name(path, version_id), json=body)

    def label(self, version_id: AnyVersion, text: str, path: str | None = None) -> ListedVersion:
        """Give a version a label, in place of any that it has; returns it as it is then."""
        body = {"version_id": _id(version_id), "label": text}
        return self._changed("PUT", "label", self._name(path, version_id), json=body)

    def unlabel(self, version_id: AnyVersion, path: str | None = None) -> ListedVersion:
        """Take a version's label away; returns it as it is then."""
        query = {"version_id": _id(version_id)}
        return self._changed("DELETE", "label", self._name(path, version_id), params=query)

    def undelete(self, path: str | None = None) -> VersionList:
        """Bring a deleted document and its file back; returns what is current again.

        The list is empty if it was not deleted.
        """
        name = self._name(path)
        answer = self._server.ask("POST", f"/api/bookstore/undelete/{quoted(name)}")
        versions = (ListedVersion.from_dict(version, name) for version in answer["versions"])
        return VersionList(versions, path=name)

    def _changed(self, method: str, call: str, name: str, **options: Any) -> ListedVersion:
        answer = self._server.ask(method, f"/api/bookstore/{call}/{quoted(name)}", **options)
        return ListedVersion.from_dict(answer["version"], name)

    def _name(self, path: str | None, version: AnyVersion | None = None) -> str:
        """The document that is meant: the one named, the version's own, or the current one."""
        if path is None and isinstance(version, ListedVersion):
            path = version.document
        return (path if path is not None else self.path).strip("/")

    def _of(self, path: str | None, version: AnyVersion | None) -> str:
        return quoted(self._name(path, version))


def _id(version: AnyVersion) -> str:
    return version.version_id if isinstance(version, Version) else version


def _optional_id(version: AnyVersion | None) -> str | None:
    return None if version is None else _id(version)


def _iso(time: datetime | str | None) -> str | None:
    return time.astimezone().isoformat() if isinstance(time, datetime) else time
