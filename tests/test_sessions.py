"""Sessions that say by themselves what a server without a memory has to know."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookstore_y.jupyter.tab_sessions import TabSession

SERVER = "0b1c4a1e-6f0c-4d2e-9d6f-6a2f6d4c7a11"


@given(st.text(), st.floats(0, 4e9), st.text(max_size=20), st.text(max_size=20))
def test_a_session_comes_back_from_its_id(
    path: str, issued: float, server: str, model: str
) -> None:
    session = TabSession(path, issued, server, model)
    named = session.to_id(SERVER)
    assert TabSession.from_id(named) == session
    assert re.fullmatch(r"[A-Za-z0-9_~-]+", named), "a URL would have to quote it"


@pytest.mark.parametrize(
    "other", ["", SERVER, f"{SERVER}~", f"{SERVER}~?", f"{SERVER}~bnVsbA", f"{SERVER}~W10", "~~"]
)
def test_another_session_is_none_of_ours(other: str) -> None:
    assert TabSession.from_id(other) is None


@given(st.text())
def test_whatever_a_client_says_is_no_error(said: str) -> None:
    TabSession.from_id(f"{SERVER}~{said}")


def test_a_time_that_no_clock_can_show_is_none_of_ours() -> None:
    assert TabSession.from_id(TabSession("a", 1e300, "1", "1").to_id(SERVER)) is None
