"""How workers share the tests."""

from __future__ import annotations

import pytest

from .workers import unit


@pytest.mark.parametrize("server", ["ceph", "localstack"])
def test_all_tests_of_a_server_that_is_slow_to_start_go_together(server: str) -> None:
    assert unit(f"tests/test_a.py::test_one[{server}]") == server
    assert unit(f"tests/b/test_b.py::TestB::test_two[{server}-a.md-True]") == server
    assert unit(f"tests/b/test_b.py::test_three[a.md-{server}]") == server


def test_others_go_with_their_module() -> None:
    for name in ("test_one", "test_two[moto]", "test_three[moto-cephalopod]", "TestB::test_four"):
        assert unit(f"tests/b/test_b.py::{name}") == "tests/b/test_b.py"
