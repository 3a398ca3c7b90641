"""The notebooks that a run begins with."""

from __future__ import annotations

from typing import Any

from . import marks
from .author import SHARED

_SHARED_CELLS = 4


def seed(cells: int = _SHARED_CELLS) -> dict[str, Any]:
    """A notebook of so many cells that everybody types into; a mark in each tells if it is there
    twice."""
    title = {
        "id": "title",
        "cell_type": "markdown",
        "metadata": {},
        "source": f"# Tides, in größeren Häfen 🌊\n{marks.make(marks.SEED, 0, at=0)}",
    }
    return {
        "cells": [title, *(_cell(number) for number in range(1, cells + 1))],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _cell(number: int) -> dict[str, Any]:
    output = {"output_type": "stream", "name": "stdout", "text": "level 1.25 m\n" * 8}
    return {
        "id": f"{SHARED}-{number}",
        "cell_type": "code",
        "execution_count": number,
        "metadata": {},
        "outputs": [output],
        "source": f"plot(levels)  # Höhe\n{marks.make(marks.SEED, number, at=0)}",
    }
