"""Where the landing page leads when it has cloned."""

from __future__ import annotations

import pytest

from bookstore_y.jupyter.handlers.landing import opening


@pytest.mark.parametrize(
    ("base_url", "default_url", "notebook", "file"),
    [
        ("/", "/lab", "/lab/tree/", "/lab/tree/"),
        ("/", "/lab/tree/start.ipynb", "/lab/tree/", "/lab/tree/"),
        ("/user/ada/", "/lab", "/user/ada/lab/tree/", "/user/ada/lab/tree/"),
        ("/user/ada/", "/user/ada/lab", "/user/ada/lab/tree/", "/user/ada/lab/tree/"),
        ("/", "/tree", "/notebooks/", "/edit/"),
        ("/lab/", "/lab/tree", "/lab/notebooks/", "/lab/edit/"),
        ("/", "/", "/files/", "/files/"),
        ("/", "/nteract/edit", "/nteract/edit/", "/nteract/edit/"),
        ("/", "/labels", "/labels/", "/labels/"),
    ],
)
def test_the_clone_opens_in_the_interface_that_is_there(
    base_url: str, default_url: str, notebook: str, file: str
) -> None:
    assert opening(base_url, default_url) == {"notebook": notebook, "file": file}
