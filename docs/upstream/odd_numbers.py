"""jupyter-ydoc: numbers that a notebook's JSON may have, and its documents do not give back."""

import json
import os
from typing import Any

os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # pycrdt tells of its panics itself

from jupyter_ydoc import YNotebook  # noqa: E402


def back(spelled: str) -> str:
    """What a copy of a notebook has in place of a number that was set into it."""
    data = {"application/json": json.loads(spelled)}
    output = {"output_type": "display_data", "data": data, "metadata": {}}
    cell: dict[str, Any] = {"cell_type": "code", "source": "", "outputs": [output]}
    notebook, copy = YNotebook(), YNotebook()
    try:
        notebook.set({"cells": [cell], "metadata": {}})
        copy.ydoc.apply_update(notebook.ydoc.get_update())
        said = copy.get()["cells"][0]["outputs"][0]["data"]["application/json"]
    except BaseException as error:  # noqa: BLE001 - a panic is no Exception
        return f"{type(error).__name__}"
    return json.dumps(said)


for spelled in ("NaN", "Infinity", "9223372036854775807", "9223372036854775808"):
    print(f"{spelled}: {back(spelled)}")
print(f"1e300: {len(back('1e300'))} digits")
