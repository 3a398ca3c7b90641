"""What a server of ours is configured with, by the store that it has."""

from __future__ import annotations

from typing import Any

from ..local.embedded_s3 import ACCESS_KEY_ID, REGION_NAME, SECRET_ACCESS_KEY
from ..settings import BookstoreSettings

BUCKET = "stress"

Settings = dict[str, dict[str, Any]]

_PROBE = {"bookstore_y.stress.probe": True}


def s3_store(endpoint_url: str) -> Settings:
    """`bookstore_y.S3YStore` with its buffer on the server's disk."""
    return {
        "ServerApp": {"jpserver_extensions": {"bookstore_y.jupyter": True, **_PROBE}},
        "YDocExtension": {"ystore_class": "bookstore_y.S3YStore"},
        "BookstoreSettings": _connection(endpoint_url),
        "S3YStore": {"db_path": "buffer.db"},
    }


def sqlite_store() -> Settings:
    """jupyter_server_ydoc's own default: pycrdt-store's SQLiteYStore on the server's disk."""
    return {
        "ServerApp": {"jpserver_extensions": {"bookstore_y.jupyter": False, **_PROBE}},
        "YDocExtension": {"ystore_class": "jupyter_server_ydoc.stores.SQLiteYStore"},
    }


def bucket_settings(endpoint_url: str) -> BookstoreSettings:
    """How to read the embedded bucket."""
    return BookstoreSettings(**_connection(endpoint_url))


def _connection(endpoint_url: str) -> dict[str, Any]:
    return {
        "s3_bucket": BUCKET,
        "s3_endpoint_url": endpoint_url,
        "s3_region_name": REGION_NAME,
        "s3_access_key_id": ACCESS_KEY_ID,
        "s3_secret_access_key": SECRET_ACCESS_KEY,
    }
