"""All targets, by name."""

from __future__ import annotations

from . import buffers, frames, metadata, requests, updates
from .target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        updates.TARGET,
        frames.TARGET,
        metadata.METADATA,
        metadata.KEY,
        buffers.TARGET,
        requests.TARGET,
    )
}
