"""Yjs alone, under Node: documents that exchange updates late, and now and then twice."""

from __future__ import annotations

import json
import subprocess
import time

from ._result import Edits, LayerResult, judged
from .node import NodeUnavailable, folder

_WITHIN = 300.0


def run(clients: int, edits: int, seed: int) -> LayerResult:
    """`edits` edits by `clients` documents, as layer `pycrdt` makes them."""
    try:
        place = folder()
    except NodeUnavailable as error:
        return LayerResult("yjs", skipped=str(error))
    began = time.monotonic()
    done = subprocess.run(
        ["node", "yjs.mjs", str(clients), str(edits), str(seed)],
        cwd=place,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=_WITHIN,
    )
    if done.returncode != 0:
        raise RuntimeError(f"Yjs failed under Node; it said:\n{done.stderr.strip()}")
    answer = json.loads(done.stdout)
    made = Edits(set(answer["made"]), set(answer["deleted"]))
    return judged("yjs", clients, began, made, answer["copies"], optional={"in disorder"})
