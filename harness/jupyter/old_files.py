"""Notebooks that load otherwise than they were saved."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def code(source: str, **more: Any) -> Json:
    """A code cell without an id, unless one is given."""
    cell: Json = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    return {**cell, "source": source, **more}


def notebook(*cells: Json, minor: int = 5, **metadata: Any) -> Json:
    """A notebook of nbformat 4."""
    return {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": minor}


KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "version": "3.8.5"},
}

LOADS_OTHERWISE: dict[str, Json] = {
    "new": notebook(),
    "without ids": notebook(code("one"), code("two")),
    "double ids": notebook(code("one", id="a"), code("two", id="a")),
    "format 4.4": notebook(code("one"), code("two"), minor=4, **KERNEL),
    "format 3": {
        "worksheets": [
            {
                "cells": [
                    {
                        "cell_type": "code",
                        "input": source,
                        "outputs": [],
                        "language": "python",
                        "collapsed": False,
                        "metadata": {},
                    }
                    for source in ("one", "two")
                ],
                "metadata": {},
            }
        ],
        "metadata": {"name": ""},
        "nbformat": 3,
        "nbformat_minor": 0,
    },
}
"""By name; JupyterLab's *New* makes the first."""
