"""The sample notebook: text, code, and outputs of every kind that a notebook keeps."""

from __future__ import annotations

import base64
import copy
import json
import struct
import zlib
from pathlib import Path
from typing import Any

Notebook = dict[str, Any]


def sample_notebook() -> Notebook:
    """A valid notebook, the same at each call, as its JSON object."""
    image = base64.b64encode(_png(48, 32)).decode()
    reading = [_stream("stdout", "reading\n"), _stream("stderr", "one gauge is offline\n")]
    plot = {
        "output_type": "display_data",
        "data": {"image/png": image, "text/plain": "<Figure 48x32>"},
        "metadata": {"image/png": {"width": 48, "height": 32}},
    }
    summary = {
        "output_type": "execute_result",
        "execution_count": 3,
        "data": {
            "application/json": {"mean": 1.5, "gauges": ["north", "süd"], "n": 3},
            "text/plain": "{'mean': 1.5}",
        },
        "metadata": {"application/json": {"expanded": True}},
    }
    failure = {
        "output_type": "error",
        "ename": "IndexError",
        "evalue": "list index out of range",
        "traceback": ["IndexError: list index out of range"],
    }
    return {
        "cells": [
            {
                "id": "title",
                "cell_type": "markdown",
                "metadata": {},
                "source": "# Tides\nMeasured at the pier, in metres.",
            },
            _code("reading", 1, "print('reading')\nlevels = [0.25, 1.5, 2.75]", reading),
            _code("plot", 2, "plot(levels)", [plot]),
            _code("summary", 3, "summary(levels)", [summary]),
            _code("failing", 4, "levels[9]", [failure]),
        ],
        "metadata": {
            "kernelspec": {
                "display_name": "Python 3 (ipykernel)",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def read_notebook(file: Path) -> Notebook:
    """The JSON object in `file`."""
    notebook: Notebook = json.loads(file.read_text(encoding="utf-8"))
    return notebook


def peek_notebook(file: Path) -> Notebook | None:
    """The JSON object in `file`; None if there is no file, or only part of one as yet."""
    try:
        return read_notebook(file)
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def sources(notebook: Notebook) -> list[str]:
    """The cells' sources, each as one string, whichever way the notebook spells them."""
    return [_joined(cell["source"]) for cell in notebook["cells"]]


def normalized(notebook: Notebook) -> Notebook:
    """`notebook` without what a server adds or spells differently when it reads a file.

    Every text is one string, and whether this machine trusts a cell is left out: that is never
    saved to a file, and differs between machines.
    """
    plain = copy.deepcopy(notebook)
    for cell in plain["cells"]:
        cell["source"] = _joined(cell["source"])
        cell["metadata"].pop("trusted", None)
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = _joined(output["text"])
            for mime, data in output.get("data", {}).items():
                if mime.startswith("text/"):
                    output["data"][mime] = _joined(data)
    return plain


def _joined(text: str | list[str]) -> str:
    return "".join(text)


def _stream(name: str, text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def _code(cell_id: str, count: int, source: str, outputs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": cell_id,
        "cell_type": "code",
        "execution_count": count,
        "metadata": {},
        "outputs": outputs,
        "source": source,
    }


def _png(width: int, height: int) -> bytes:
    """An RGB image of the given size, in pixels, with a slope of colour."""
    rows = b"".join(
        b"\0" + bytes(c for x in range(width) for c in (5 * x % 256, 8 * y % 256, 128))
        for y in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(kind, body) for kind, body in chunks)


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
