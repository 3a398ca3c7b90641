"""Server configurations that differ in the YStore alone."""

from __future__ import annotations

from typing import Any

from ..servers import S3Server, s3_options

Config = dict[str, Any]


def sqlite_store() -> Config:
    """jupyter-server-ydoc's own default store, a database in the server's directory."""
    return {"YDocExtension": {"ystore_class": "jupyter_server_ydoc.stores.SQLiteYStore"}}


def s3_store(s3: S3Server, bucket: str, *, prefix: str = "workspace", **traits: Any) -> Config:
    """`bookstore_y.S3YStore` on `bucket`; `traits` are set on `S3YStore`."""
    return {
        "YDocExtension": {"ystore_class": "bookstore_y.S3YStore"},
        "BookstoreSettings": {**s3_options(s3, bucket), "workspace_prefix": prefix},
        "S3YStore": traits,
        "ServerApp": {"jpserver_extensions": {"bookstore_y.jupyter": True}},
    }
