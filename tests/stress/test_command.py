"""`jupyter bookstore stress`, run as a person runs it, against real servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bookstore_y.stress.result import Result, read
from bookstore_y.stress.server import Server
from bookstore_y.stress.stores import sqlite_store
from harness.servers import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

WITHIN = 200.0
"""Seconds that a run may take; on an idle machine it takes 15."""


class Stress:
    """The command, with temporary files below `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.results = directory / "results.json"

    def __call__(self, *arguments: object, token: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bookstore_y.cli", "stress", *map(str, arguments)],
            env={**os.environ, "TMPDIR": str(self.directory), "JUPYTER_TOKEN": token},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )

    def passes(self, *arguments: object, token: str = "") -> Result:
        """The result of a run that has to pass."""
        ran = self(*arguments, "--results", self.results, token=token)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        (result,) = read(self.results)
        assert result.verdict.passed
        assert result.verdict.edits > 0
        return result


@pytest.fixture
def stress(tmp_path: Path) -> Stress:
    return Stress(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server("theirs", tmp_path / "theirs", sqlite_store())
    server.start()
    yield server
    server.kill()


def kinds(result: Result) -> list[str]:
    return [event.kind for event in result.events]


def test_a_run_measures_and_proves_and_leaves_nothing(stress: Stress) -> None:
    result = stress.passes("--scenario", "typing", "--users", 3, "--documents", 1, "--duration", 4)
    assert result.latency is not None
    assert result.latency.count > 0
    assert kinds(result) == ["load ended", "converged"]
    assert any(sample.rss for sample in result.samples)
    assert any(sample.checkpoint_lag for sample in result.samples)
    assert max(sample.clients for sample in result.samples) >= 3
    assert [file.name for file in stress.directory.iterdir()] == ["results.json"]


def test_a_server_is_killed_in_an_outage_and_nothing_is_lost(stress: Stress) -> None:
    result = stress.passes("--scenario", "everything", "--users", 6, "--duration", 15)
    assert kinds(result)[:2] == ["outage begun", "server killed"]
    assert set(kinds(result)) >= {"server started", "outage ended", "converged"}


def test_two_servers_share_a_document_through_the_bucket(stress: Stress) -> None:
    stress.passes("--scenario", "two-servers", "--users", 4, "--documents", 1, "--duration", 4)


def test_workers_share_the_load(stress: Stress) -> None:
    result = stress.passes("--scenario", "storms", "--users", 4, "--workers", 2, "--duration", 8)
    assert max(sample.clients for sample in result.samples) >= 4


def test_a_running_server_is_used_as_it_is(stress: Stress, server: Server) -> None:
    result = stress.passes(
        "--scenario", "cells", "--users", 3, "--duration", 3,
        "--server", server.address.url,
        token=server.address.token,
    )  # fmt: skip
    assert result.store == "server"
    assert any("was not read" in note for note in result.notes)
    assert server.running


def test_a_worker_from_elsewhere_is_told_what_to_do(stress: Stress, server: Server) -> None:
    place = f"127.0.0.1:{free_port()}"
    worker = subprocess.Popen(
        [sys.executable, "-m", "bookstore_y.cli", "stress", "--worker-of", place],
        env={**os.environ, "JUPYTER_TOKEN": server.address.token},
        stdin=subprocess.DEVNULL,
    )
    try:
        stress.passes(
            "--scenario", "typing", "--users", 2, "--duration", 3,
            "--server", server.address.url,
            "--remote-workers", 1, "--listen", place,
            token=server.address.token,
        )  # fmt: skip
        assert worker.wait(WITHIN) == 0
    finally:
        worker.kill()
        worker.wait()


def test_a_wrong_token_is_said_and_what_was_written_is_named(
    stress: Stress, server: Server
) -> None:
    ran = stress("--server", server.address.url, token="wrong")
    assert ran.returncode == 1
    assert "answered with status 403" in ran.stderr
    assert "kept in" in ran.stderr


def test_a_server_that_is_not_there_is_named(stress: Stress) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    ran = stress("--server", nobody)
    assert ran.returncode == 1
    assert f"{nobody} does not answer" in ran.stderr


def test_a_layer_is_run_alone(stress: Stress) -> None:
    ran = stress("--layer", "pycrdt", "--users", 2, "--edits", 50)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("pycrdt: converged")


def test_a_run_that_takes_too_long_is_ended(stress: Stress) -> None:
    ran = stress("--users", 2, "--duration", 600, "--within", 12)
    assert ran.returncode == 1
    assert "has no verdict: Time is up after 12 s." in ran.stderr
    assert "kept in" in ran.stderr


def test_json_is_the_whole_result(stress: Stress) -> None:
    ran = stress("--users", 2, "--documents", 1, "--duration", 3, "--store", "sqlite", "--json")
    assert ran.returncode == 0, ran.stderr
    document: Any = json.loads(ran.stdout)
    (result,) = document["results"]
    assert (result["scenario"], result["store"]) == ("mixed", "sqlite")
    assert result["verdict"]["converged"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scenario", "typig"], "there is no scenario 'typig'"),
        (["--faults", "fire"], "there is no fault 'fire'; there are kill, stop, outage"),
        (["--scenario", "killed", "--server", "http://127.0.0.1:9"], "--server names one"),
        (["--users", "0"], "0 is less than 1"),
        (["--results", "nowhere/results.json"], "'nowhere/results.json' can't be written"),
        (["--html", "."], "'.' can't be written"),
        (["--layer", "pycrdt", "--results", "layers.json"], "--results is for scenarios"),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(
    stress: Stress, arguments: list[str], said: str
) -> None:
    ran = stress(*arguments)
    assert ran.returncode == 2
    assert said in ran.stderr
