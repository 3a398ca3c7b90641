"""Layers: the parts of the RTC stack, run one by one to find in which of them a fault lives.

Each has random edits with unique marks made on it, by several clients and by a seed, and says
whether all copies converged, and which edits were lost or doubled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from ._result import Copy, LayerResult

__all__ = ["LAYERS", "Copy", "Layer", "LayerResult", "run"]


@dataclass(frozen=True)
class Layer:
    """A part of the stack with all that is below it."""

    name: str
    says: str
    """What is in it, in a line."""
    module: str
    function: str = "run"

    def run(self, clients: int, edits: int, seed: int) -> LayerResult:
        """Make `edits` edits by `clients` clients; equal seeds make equal edits, if not always
        at equal times."""
        module = import_module(f".{self.module}", __name__)
        run: Callable[[int, int, int], LayerResult] = getattr(module, self.function)
        return run(clients, edits, seed)


LAYERS = {
    layer.name: layer
    for layer in (
        Layer("yjs", "Yjs alone, under Node", "yjs"),
        Layer("pycrdt", "pycrdt alone", "crdt"),
        Layer("sqlite-store", "pycrdt-store's SQLiteYStore", "stores", "run_sqlite"),
        Layer("s3-store", "S3YStore on an embedded S3", "stores", "run_s3"),
        Layer("pycrdt-websocket", "a room of pycrdt.websocket and its clients", "websocket"),
        Layer("jupyter-ydoc", "notebooks, merged", "ydoc"),
        Layer("jupyter-collaboration", "a Jupyter server, without this package", "servers"),
        Layer("bucket", "a Jupyter server with S3YStore and an S3", "servers", "run_bucket"),
    )
}
"""The layers by name, from the bottom to the top."""


def run(name: str, clients: int = 4, edits: int = 400, seed: int = 0) -> LayerResult:
    """Run one layer. Raises `ValueError` for a name that is none, or too little to do."""
    if name not in LAYERS:
        raise ValueError(f"There is no layer {name!r}; there are {', '.join(LAYERS)}.")
    if clients < 2 or edits < 1:
        raise ValueError("A layer needs at least two clients and one edit.")
    return LAYERS[name].run(clients, edits, seed)
