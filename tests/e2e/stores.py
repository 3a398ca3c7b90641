"""Server configurations that differ in the YStore alone."""

from __future__ import annotations

from typing import Any, Protocol

Config = dict[str, Any]


class S3Server(Protocol):
    """What a test needs to know of an S3 server."""

    @property
    def endpoint_url(self) -> str: ...
    @property
    def access_key(self) -> str: ...
    @property
    def secret_key(self) -> str: ...


def sqlite_store() -> Config:
    """jupyter-server-ydoc's own default store, a database in the server's directory."""
    return {"YDocExtension": {"ystore_class": "jupyter_server_ydoc.stores.SQLiteYStore"}}


def s3_store(s3: S3Server, bucket: str, *, prefix: str = "workspace", **traits: Any) -> Config:
    """`bookstore_y.S3YStore` on `bucket`; `traits` are set on `S3YStore`."""
    return {
        "YDocExtension": {"ystore_class": "bookstore_y.S3YStore"},
        "BookstoreSettings": {
            "s3_bucket": bucket,
            "s3_endpoint_url": s3.endpoint_url,
            "s3_access_key_id": s3.access_key,
            "s3_secret_access_key": s3.secret_key,
            "s3_region_name": "us-east-1",
            "workspace_prefix": prefix,
        },
        "S3YStore": traits,
        "ServerApp": {"jpserver_extensions": {"bookstore_y.jupyter": True}},
    }
