"""Configuration of Sphinx."""

from __future__ import annotations

import sys
from pathlib import Path

from bookstore_y import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "bookstore_y"
author = "bookstore_y contributors"
copyright = f"2026, {author}"  # noqa: A001 - Sphinx's name for it
release = __version__

extensions = ["myst_parser", "traits_table"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nitpicky = True
exclude_patterns = ["_build", "_ext"]

html_theme = "furo"
html_title = f"bookstore_y {release}"
html_copy_source = False
