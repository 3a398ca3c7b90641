"""Run: servers, bucket, load, faults, and in the end the proof, from a plan to its result."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote

from ..local.embedded_s3 import EmbeddedS3
from ..local.ports import free_port
from . import bucket_copies, marks, notebooks, server_log, store_copies
from .address import Address
from .faults import Faults
from .journal import Journal
from .judge import judge, read_evidence
from .machine import this_machine
from .order import Order
from .plan import Plan
from .relay import Relay
from .result import Event, Result, Verdict
from .sampling import Sampler
from .series import latency_of, samples
from .server import Server, get, put
from .stores import BUCKET, Settings, bucket_settings, s3_store, sqlite_store

Say = Callable[[str], None]

_START_SECONDS = 60.0
_SETTLE_SECONDS = 120.0
_ARCHIVE_SECONDS = 120.0
_LOAD_MARGIN = 480.0
"""Seconds that the load may take besides its duration: to join, to settle, to hand over."""
_STEP = 2.0
"""Seconds of a sample."""
_POLL = 0.05


class RunFailed(Exception):
    """A run that came to no verdict. The message says where its artefacts are."""


class Run:
    """One run. What it writes is below `directory`."""

    def __init__(self, plan: Plan, directory: Path, say: Say) -> None:
        self._plan = plan
        self._directory = directory
        self._say = say
        self._stack = ExitStack()
        self._relay: Relay | None = None
        self._servers: list[Server] = []
        self._bucket = plan.bucket
        self._token = plan.server.token if plan.server is not None else secrets.token_hex(16)
        folder = datetime.now(timezone.utc).strftime("stress-%Y%m%d-%H%M%S")
        self._documents = [f"{folder}/notebook-{n}.ipynb" for n in range(plan.notebooks)]
        self._notes = [f"The network was {plan.network}."] if plan.network else []

    def result(self) -> Result:
        """Run it. Raises `RunFailed` and `ServerFailed`."""
        began = datetime.now(timezone.utc).isoformat(timespec="seconds")
        with self._stack:
            addresses = self._start_servers()
            self._make_documents(addresses[0])
            journal = Journal(self._directory / "load.jsonl")
            plan = self._plan
            faults = Faults(plan.all_faults, plan.duration, self._servers, self._relay)
            with Sampler(addresses) as sampler:
                self._run_load(self._order(addresses), journal, faults)
                self._wait_until_archived(addresses)
            sqlite = plan.store == "sqlite"
            names = store_copies.names(addresses[0], self._documents) if sqlite else {}
            self._stop_servers()
            found = store_copies.load(self._directory / "server-1", names)
            verdict = self._verdict(journal, found)
        zero = journal.events["begun"]
        live = [each for tick in journal.ticks for each in tick["latencies"]]
        return Result(
            scenario=plan.scenario,
            store=plan.store,
            users=plan.users,
            documents=plan.notebooks,
            duration=plan.duration,
            faults=list(plan.all_faults),
            began=began,
            machine=this_machine(),
            latency=latency_of(live),
            samples=samples(journal.ticks, sampler.readings, zero, _STEP),
            events=_events(faults.events, journal.events, zero),
            verdict=verdict,
            notes=[
                *self._notes,
                *faults.notes,
                *_load_notes(journal),
                *server_log.notes(server.log for server in self._servers),
            ],
        )

    # -- before --------------------------------------------------------------------------------

    def _start_servers(self) -> list[Address]:
        plan = self._plan
        if plan.server is not None:
            return [plan.server]
        settings = sqlite_store()
        if plan.store == "s3":
            settings = self._start_bucket()
        elif "outage" in plan.all_faults:
            self._notes.append("SQLiteYStore has no bucket, so there was no outage.")
        for number in range(plan.about.servers):
            name = f"server-{number + 1}"
            server = Server(
                name, self._directory / name, settings, host=plan.host, token=self._token
            )
            self._stack.callback(server.kill)
            self._servers.append(server)
            self._say(f"Starting {name} at {server.address.url} …")
            server.start()
        return [server.address for server in self._servers]

    def _start_bucket(self) -> Settings:
        s3 = EmbeddedS3(BUCKET, self._directory, os.environ)
        self._stack.callback(s3.kill)
        deadline = time.monotonic() + _START_SECONDS
        while (endpoint := s3.endpoint_url()) is None:
            if not s3.running or time.monotonic() > deadline:
                raise RunFailed(f"The embedded S3 did not start; its log:\n{s3.end_of_log()}")
            time.sleep(_POLL)
        self._relay = self._stack.enter_context(Relay(endpoint))
        self._bucket = bucket_settings(endpoint)
        return s3_store(self._relay.url)

    def _make_documents(self, address: Address) -> None:
        content = notebooks.seed(self._plan.about.cells)
        folder = self._documents[0].rpartition("/")[0]
        bodies = {
            folder: {"type": "directory"},
            **{
                path: {"type": "notebook", "format": "json", "content": content}
                for path in self._documents
            },
        }
        for path, body in bodies.items():
            try:
                status = put(address, f"/api/contents/{quote(path)}", body)
            except OSError as error:
                raise RunFailed(
                    f"{address.url} does not answer ({error}); see that a server runs there, and "
                    "that the URL is right."
                ) from error
            if status not in (200, 201):
                raise RunFailed(
                    f"{address.url} answered with status {status} when {path} was to be written; "
                    "see that its token is right and that it may write files."
                )

    def _order(self, addresses: Sequence[Address]) -> Order:
        plan = self._plan
        listen = plan.listen or ("127.0.0.1", free_port() if plan.workers else 0)
        web = plan.web or ("", None)
        return Order(
            scenario=plan.scenario,
            users=plan.users,
            documents=self._documents,
            servers=[address.url for address in addresses],
            duration=plan.duration,
            settle_seconds=_SETTLE_SECONDS,
            spawn_rate=max(5.0, plan.users / 4),
            directory=self._directory,
            seed=plan.seed,
            workers=plan.workers + plan.remote_workers,
            listen_host=listen[0],
            listen_port=listen[1],
            web_host=web[0],
            web_port=web[1],
        )

    # -- meanwhile -----------------------------------------------------------------------------

    def _run_load(self, order: Order, journal: Journal, faults: Faults) -> None:
        plan = self._plan
        file = self._directory / "order.json"
        order.write(file)
        if plan.web is not None:
            self._say(f"Locust's page: http://{order.web_host}:{order.web_port}")
        if plan.remote_workers:
            self._say(
                f"Waiting for {plan.remote_workers} workers at port {order.listen_port}; start "
                "each with: jupyter bookstore stress --worker-of HOST:PORT"
            )
        self._say(
            f"{plan.scenario} on {plan.store}: {plan.users} users, {plan.notebooks} notebooks, "
            f"{plan.duration:g} s"
            + (f", faults: {', '.join(plan.all_faults)}" if plan.all_faults else "")
        )
        main = self._start_load("load", file)
        for number in range(plan.workers):
            self._start_load(
                f"worker-{number + 1}", "--worker-of", f"127.0.0.1:{order.listen_port}"
            )
        deadline = time.monotonic() + plan.duration + _LOAD_MARGIN
        while main.poll() is None:
            if time.monotonic() > deadline:
                raise RunFailed(
                    f"The load did not end {_LOAD_MARGIN:g} s after its time; see load.log in "
                    f"{self._directory}."
                )
            journal.read()
            if "begun" in journal.events and "load ended" not in journal.events:
                faults.act(time.time() - journal.events["begun"])
            time.sleep(_POLL)
        journal.read()
        faults.end()
        if main.returncode or "gathered" not in journal.events:
            raise RunFailed(
                f"The load ended with exit code {main.returncode}, before all copies were there; "
                f"see load.log in {self._directory}. Its end:\n{_end_of(self._directory)}"
            )

    def _start_load(self, name: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
        with (self._directory / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "bookstore_y.stress.load", *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "JUPYTER_TOKEN": self._token},
                start_new_session=True,
            )

        def end() -> None:
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()

        self._stack.callback(end)
        return process

    # -- after ---------------------------------------------------------------------------------

    def _wait_until_archived(self, addresses: Sequence[Address]) -> None:
        if self._bucket is None:
            return
        deadline = time.monotonic() + _ARCHIVE_SECONDS
        for address in addresses:
            # Also of a server without our probe: its archive says the same of itself.
            while (get(address, "/api/bookstore") or {}).get("pending_updates") != 0:
                if time.monotonic() > deadline:
                    self._notes.append(
                        f"Not everything was archived {_ARCHIVE_SECONDS:g} s after the load."
                    )
                    return
                time.sleep(_POLL)

    def _stop_servers(self) -> None:
        for server in self._servers:
            wrong = server.stop()
            if wrong is not None:
                self._notes.append(wrong)

    def _verdict(self, journal: Journal, found: store_copies.Found) -> Verdict:
        cells = self._plan.about.cells
        seeds = [marks.make(marks.SEED, number, at=0) for number in range(cells + 1)]
        directory = self._directory / "copies"
        directory.mkdir(exist_ok=True)
        evidence = read_evidence(directory, dict.fromkeys(self._documents, seeds))
        self._notes += evidence.notes
        missing = list(found.missing)
        evidence.copies += found.copies
        if self._bucket is not None:
            copies, absent = asyncio.run(
                bucket_copies.load(self._bucket, self._documents, directory)
            )
            evidence.copies += copies
            missing += absent
        elif self._plan.store == "server":
            self._notes.append(
                "The bucket of the running server is not known here, so it was not read; name it "
                "with --bucket or in the configuration."
            )
        self._notes += missing
        ended, converged = journal.events["load ended"], journal.events.get("converged")
        verdict = judge(evidence, None if converged is None else converged - ended)
        if missing:
            verdict = replace(verdict, converged=False)
        if self._bucket is not None and verdict.failures:
            traced = asyncio.run(bucket_copies.trace(self._bucket, verdict.failures))
            verdict = replace(verdict, failures=traced)
        return verdict


def _events(done: Sequence[Event], noted: dict[str, float], zero: float) -> list[Event]:
    ours = [replace(event, t=event.t - zero) for event in done]
    loads = [
        Event(at - zero, kind) for kind, at in noted.items() if kind in ("load ended", "converged")
    ]
    return sorted([*ours, *loads], key=lambda event: event.t)


def _load_notes(journal: Journal) -> list[str]:
    notes = []
    late = [each for tick in journal.ticks for each in tick["late"]]
    if late:
        notes.append(
            f"{len(late)} arrivals were of edits made while their author or the peer was not "
            f"connected, the slowest after {max(late):.1f} s; they are not among the latencies."
        )
    errors: dict[str, int] = {}
    for tick in journal.ticks:
        for error, count in tick["errors"].items():
            errors[error] = errors.get(error, 0) + count
    if errors:
        said = ", ".join(f"{count} times {error}" for error, count in sorted(errors.items()))
        notes.append(f"Clients tried again after {said}.")
    lag = max((tick["lag"] for tick in journal.ticks), default=0.0)
    notes.append(
        f"The load's own event loop was late by {lag * 1000:.0f} ms at most; latencies have that "
        "in them."
    )
    return notes


def _end_of(directory: Path) -> str:
    log = directory / "load.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(f"    {line}" for line in lines[-15:])
