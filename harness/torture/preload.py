"""Imported once by the process that all processes under test are forked from."""

from __future__ import annotations

import asyncio
import importlib

import pycrdt
from traitlets.config import Config

from bookstore_y.store import S3YStore

from . import kills, phases, worker, writing

__all__ = ["Config", "S3YStore", "kills", "phases", "pycrdt", "worker", "writing"]


async def _warm_up() -> None:
    """Make a client, so that what botocore reads and imports for the first one is there."""
    import aioboto3  # type: ignore[import-untyped]

    from bookstore_y.s3 import client

    session = aioboto3.Session("key", "secret", region_name="us-east-1")
    session._session.register_component("data_loader", client._loader())
    async with session.client("s3", endpoint_url="http://127.0.0.1:9"):
        client._load_models()


asyncio.run(_warm_up())
for _name in ("conflicts", "crowd"):
    importlib.import_module(f"{__package__}.{_name}")
