"""Cloning files into the server's root folder."""

from __future__ import annotations

from .. import cloning
from .arguments import Fields
from .base import BookstoreHandler, call, require_contents_write


class CloneHandler(BookstoreHandler):
    """POST /api/bookstore/clone: copy an object of a bucket to a file."""

    as_s3 = True

    @call
    async def post(self) -> None:
        """Takes `{"s3_bucket": …, "s3_key": …}`, and at most `target_path`, `s3_version_id` and
        `overwrite`; answers the file's contents model with `s3_path` and `versionID`."""
        cloning.require_s3_cloning(self.documents)
        await require_contents_write(self)
        fields = Fields(self.request.body)
        model = await cloning.clone(
            self.documents,
            fields.required("s3_bucket"),
            fields.required("s3_key"),
            version_id=fields.text("s3_version_id"),
            target=fields.text("target_path") or "",
            overwrite=fields.flag("overwrite"),
        )
        self.answer(model)


class FSCloneHandler(BookstoreHandler):
    """POST /api/bookstore/fs-clone: copy a file of this machine."""

    @call
    async def post(self) -> None:
        """Takes `{"relpath": …}`, and at most `target_path` and `overwrite`; answers the file's
        contents model."""
        cloning.basedir(self.documents)
        await require_contents_write(self)
        fields = Fields(self.request.body)
        model = await cloning.clone_file(
            self.documents,
            fields.required("relpath"),
            target=fields.text("target_path") or "",
            overwrite=fields.flag("overwrite"),
        )
        self.answer(model)
