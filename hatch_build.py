"""Builds the JupyterLab extension when hatch makes an sdist or a wheel of a checkout.

An sdist holds the built extension, so that nothing that is installed from it needs Node.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILT = Path("bookstore_y", "labextension")
SHARED = "share/jupyter/labextensions/bookstore-y"


class ExtensionBuild(BuildHookInterface[Any]):
    """Runs npm in `ui/`, unless its output is there."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, and say where the output goes. An editable install is not made to wait for it:
        `make ui` builds it, and links to it."""
        if version == "editable":
            return
        root = Path(self.root)
        if not (root / BUILT / "package.json").exists():
            build(root)
        if self.target_name == "sdist":
            build_data["artifacts"].append(f"/{BUILT.as_posix()}/")  # though git ignores it
        else:
            build_data["shared_data"][str(root / BUILT)] = SHARED


def build(root: Path) -> None:
    """Build the extension of a checkout. Raises `RuntimeError`."""
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(
            "The JupyterLab extension is not built, and there is no npm to build it with: install "
            "Node.js 20.19 or newer, or install a wheel, in which it is built already."
        )
    environment = {**os.environ, "CI": "1"}
    for command in (["ci"], ["run", "build"]):
        done = subprocess.run([npm, *command], cwd=root / "ui", env=environment, check=False)
        if done.returncode:
            raise RuntimeError(
                f"`npm {' '.join(command)}` failed in ui/ with status {done.returncode}; what it "
                "printed above says why."
            )
