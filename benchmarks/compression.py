"""zstd's levels and long-distance matching on what people write: time against size."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import zstandard

from . import traces
from .bench import Bench
from .measure import Curve


async def figures(bench: Bench) -> AsyncIterator[Curve]:
    """A point for each trace, level and way: the fastest of some tries, as all else is noise."""
    edits = bench.pick(20_000, 2_000)
    size = bench.pick(4 << 20, 1 << 18)
    inputs = {
        "text": traces.text(edits),
        "typed notebook": traces.typed_notebook(edits),
        "executed notebook": traces.executed_notebook(size),
    }
    levels = bench.pick(range(1, 20), (1, 3, 9))
    points: list[dict[str, Any]] = []
    for name, trace in inputs.items():
        update = trace.doc.get_update()
        for long in (False, True):
            for level in levels:
                parameters = zstandard.ZstdCompressionParameters.from_level(
                    level, source_size=len(update), enable_ldm=long, write_checksum=True
                )
                seconds: list[float] = []
                while len(seconds) < bench.rounds(5) and sum(seconds) < 0.3:
                    started = time.perf_counter()
                    frame = zstandard.ZstdCompressor(compression_params=parameters).compress(update)
                    seconds.append(time.perf_counter() - started)
                points.append(
                    {
                        "trace": name,
                        "level": level,
                        "long": long,
                        "bytes": len(update),
                        "compressed": len(frame),
                        "seconds": min(seconds),
                    }
                )
    yield Curve("compression", points)
