"""What a group of figures is given: how thorough to be, and buckets of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from traitlets.config import Config

from bookstore_y import Archive, BookstoreSettings

T = TypeVar("T")


@dataclass(frozen=True)
class Bench:
    """One run: whether it is the quick one, where S3 is, and a directory for what goes to disk."""

    quick: bool
    s3: dict[str, str] = field(repr=False)
    """What `BookstoreSettings` needs to reach the server, by trait name."""
    scratch: Path
    say: Callable[[str], None] = print

    def pick(self, full: T, quick: T) -> T:
        """One of two, by how thorough the run is."""
        return quick if self.quick else full

    def rounds(self, full: int) -> int:
        """How many rounds to measure."""
        return self.pick(full, min(full, 3))

    def directory(self) -> Path:
        """A directory of its own."""
        made = self.scratch / uuid.uuid4().hex[:8]
        made.mkdir()
        return made

    async def bucket(self, **options: Any) -> BookstoreSettings:
        """Settings for a bucket that has just been made; `options` are further traits."""
        name = f"bench-{uuid.uuid4().hex[:12]}"
        settings = BookstoreSettings(
            **{**self.s3, "s3_bucket": name, "create_bucket": True, **options}
        )
        async with Archive(settings) as archive:
            await archive.check()
        return settings

    async def config(self, **store: Any) -> Config:
        """A store's configuration with such a bucket; `store` are traits of `S3YStore`."""
        return self.config_of(await self.bucket(), **store)

    def config_of(self, settings: BookstoreSettings, **store: Any) -> Config:
        """The configuration of a store of that bucket."""
        chosen = {name: getattr(settings, name) for name in settings.trait_names(config=True)}
        store.setdefault("recovery_dir", str(self.scratch))
        return Config({"BookstoreSettings": chosen, "S3YStore": store})
