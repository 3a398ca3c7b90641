"""The load: Locust as a library, in processes of its own, since it patches all that waits.

    python -m bookstore_y.stress.load ORDER
    python -m bookstore_y.stress.load --worker-of HOST:PORT

ORDER is a file with an `Order` as JSON. Without workers the process that has it has the crew
itself; with them it is Locust's master, and hands it on. It appends what happens to the journal,
one JSON document a line, and at the end writes every client's copy. The token of the servers is
in $JUPYTER_TOKEN of every process.
"""

from __future__ import annotations

import locust  # noqa: F401 - first of all: it patches sockets, threads and time for gevent

# isort: split

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gevent  # type: ignore[import-untyped]
from gevent.os import tp_read  # type: ignore[import-untyped]
from locust.env import Environment
from locust.runners import MasterRunner, Runner
from locust.stats import stats_history

from . import scenarios
from .address import Address
from .crew import COPY, DONE, FINISH, ORDER, SETTLE, TICK, Crew
from .order import Order
from .server import get

_JOIN_SECONDS = 120.0
_GATHER_SECONDS = 60.0
_POLL = 0.1
_CALM = 2
"""Ticks in a row in which all copies are equal before they are taken to stay so."""


class NotJoined(Exception):
    """The users did not come to be in their rooms."""


class Conductor:
    """Runs the load from its beginning to the last copy, by messages to and from the crews."""

    def __init__(self, order: Order, runner: Runner) -> None:
        self._order = order
        self._runner = runner
        self._latest: dict[int, dict[str, Any]] = {}
        self._calm = 0
        self._done: set[int] = set()
        self._copies = 0
        for name, hear in ((TICK, self._on_tick), (COPY, self._on_copy), (DONE, self._on_done)):
            runner.register_message(name, _listener(hear))

    def run(self) -> None:
        """All of it. Raises `NotJoined` when there is nothing to measure."""
        order = self._order
        self._runner.start(order.users, spawn_rate=order.spawn_rate)
        if not self._wait(self._all_joined, _JOIN_SECONDS):
            raise NotJoined(
                f"{self._sum('joined')} of {order.users} users were in their rooms "
                f"{_JOIN_SECONDS:g} s after the start."
            )
        self._note("begun")
        self._wait(self._stopped_by_hand, order.duration)
        self._runner.stop()
        self._note("load ended")
        self._runner.send_message(SETTLE, {})
        settled = self._wait(lambda: self._calm >= _CALM, order.settle_seconds)
        self._note("converged" if settled else "not converged")
        self._runner.send_message(FINISH, {})
        gathered = self._wait(self._all_gathered, _GATHER_SECONDS)
        self._note("gathered" if gathered else "not gathered")

    # -- what crews tell -----------------------------------------------------------------------

    def _on_tick(self, tick: dict[str, Any]) -> None:
        self._latest[tick["index"]] = tick
        copies = tick.pop("copies", None)
        tick["equal"] = None if copies is None else _by_document(copies)
        self._append({"tick": {name: value for name, value in tick.items() if name != "equal"}})
        if tick["index"] == max(self._latest):
            self._calm = self._calm + 1 if self._all_equal() else 0

    def _on_copy(self, copy: dict[str, Any]) -> None:
        directory = self._order.directory / "copies"
        directory.mkdir(exist_ok=True)
        name = f"{quote(copy['document'], safe='')}.{copy['client']}"
        (directory / f"{name}.y").write_bytes(copy.pop("update"))
        (directory / f"{name}.json").write_text(json.dumps(copy, indent=1), encoding="utf-8")
        self._copies += 1

    def _on_done(self, done: dict[str, Any]) -> None:
        self._done.add(done["index"])

    # -- conditions ----------------------------------------------------------------------------

    def _all_joined(self) -> bool:
        return self._sum("joined") >= self._order.users

    def _all_equal(self) -> bool:
        digests: dict[str, set[str]] = {}
        for tick in self._latest.values():
            if tick["equal"] is None:
                return False
            for document, found in tick["equal"].items():
                digests.setdefault(document, set()).update(found)
        return all(len(found) == 1 and "" not in found for found in digests.values())

    def _all_gathered(self) -> bool:
        return self._done >= self._latest.keys()

    def _stopped_by_hand(self) -> bool:
        return self._runner.state in ("stopping", "stopped")

    # -- within --------------------------------------------------------------------------------

    def _sum(self, figure: str) -> int:
        return sum(tick[figure] for tick in self._latest.values())

    def _wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            gevent.sleep(_POLL)
        return True

    def _note(self, event: str) -> None:
        self._append({"event": event, "at": time.time()})

    def _append(self, line: dict[str, Any]) -> None:
        with self._order.journal.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(line) + "\n")


def conduct(order: Order) -> None:
    """Run the load of an order, with Locust's page if it asks for that."""
    open_first(order)
    environment = _environment(order)
    if order.workers:
        master = environment.create_master_runner(order.listen_host, order.listen_port)
        _man_workers(master, order)
        runner: Runner = master
    else:
        runner = environment.create_local_runner()
        _man(environment, runner, order)
    if order.web_port is not None:
        environment.create_web_ui(order.web_host, order.web_port)
        gevent.spawn(stats_history, runner)
    try:
        Conductor(order, runner).run()
    finally:
        runner.quit()
        if environment.web_ui is not None:
            environment.web_ui.stop()  # type: ignore[no-untyped-call]


def open_first(order: Order) -> None:
    """Have the first server open and archive every document, where there are others.

    They find it in the bucket then. Servers that open a file of their own each, at the same time,
    begin two lineages, which are not one document.
    """
    if len(order.servers) < 2:
        return
    first = _addresses(order)[0]
    crew = Crew(_environment(order), lambda *_: None, order.documents, [first], order.seed, (0, 1))
    clients = [crew.admit()[1] for _ in order.documents]
    for client in clients:
        if not client.come():
            raise NotJoined(f"{first.url} does not open {client.document}.")
    deadline = time.monotonic() + _JOIN_SECONDS
    while (get(first, "/api/bookstore-stress") or {}).get("pending_updates") != 0:
        if time.monotonic() > deadline:
            raise NotJoined(f"{first.url} had not archived the documents {_JOIN_SECONDS:g} s on.")
        gevent.sleep(_POLL)
    crew.disband()


def work(host: str, port: int) -> None:
    """Be a worker of the master there, which says what to do, until that is done."""
    environment = Environment(user_classes=list(_classes().values()))
    runner = environment.create_worker_runner(host, port)

    def begin(fields: dict[str, Any]) -> None:
        _man(environment, runner, Order.from_dict(fields), runner.worker_index)

    runner.register_message(ORDER, _listener(begin))
    runner.greenlet.join()


def _classes() -> dict[str, type[scenarios.Person]]:
    """The users' classes by scenario."""
    return {
        kind.about.name: kind
        for kind in vars(scenarios).values()
        if isinstance(kind, type) and issubclass(kind, scenarios.Person) and not kind.abstract
    }


def _environment(order: Order) -> Environment:
    return Environment(user_classes=[_classes()[order.scenario]], host=order.servers[0])


def _addresses(order: Order) -> list[Address]:
    return [Address(url, os.environ.get("JUPYTER_TOKEN", "")) for url in order.servers]


def _man(environment: Environment, runner: Runner, order: Order, index: int = 0) -> Crew:
    crew = Crew(
        environment,
        runner.send_message,
        order.documents,
        _addresses(order),
        order.seed,
        (index, max(1, order.workers)),
    )
    scenarios.Person.crew = crew
    runner.register_message(SETTLE, _listener(lambda _: crew.settle()))
    runner.register_message(FINISH, _listener(lambda _: crew.finish()), concurrent=True)
    return crew


def _listener(hear: Callable[[dict[str, Any]], None]) -> Callable[..., None]:
    def listen(environment: Environment, msg: Any, **_: Any) -> None:
        hear(msg.data)

    return listen


def _man_workers(runner: MasterRunner, order: Order) -> None:
    """Wait for the workers, and tell each what to do."""
    deadline = time.monotonic() + _JOIN_SECONDS
    while len(runner.clients.ready) < order.workers:
        if time.monotonic() > deadline:
            raise NotJoined(
                f"{len(runner.clients.ready)} of {order.workers} workers came within "
                f"{_JOIN_SECONDS:g} s."
            )
        gevent.sleep(_POLL)
    runner.send_message(ORDER, order.to_dict())


def _by_document(copies: list[tuple[str, bool, str]]) -> dict[str, set[str]]:
    """Digests by document; empty for the copy of a client that is not connected."""
    digests: dict[str, set[str]] = {}
    for document, connected, found in copies:
        digests.setdefault(document, set()).add(found if connected else "")
    return digests


def _end_with_parent() -> None:
    """End when whoever started this process does: that holds the other end of the stdin."""
    while tp_read(0, 1):
        pass
    os._exit(1)


def main() -> int:
    """Run what the arguments name; 1 when it could not begin."""
    parser = argparse.ArgumentParser(prog="python -m bookstore_y.stress.load")
    parser.add_argument("order", type=Path, nargs="?")
    parser.add_argument("--worker-of", metavar="HOST:PORT")
    args = parser.parse_args()
    gevent.spawn(_end_with_parent)
    try:
        if args.worker_of:
            host, _, port = args.worker_of.rpartition(":")
            work(host, int(port))
        else:
            conduct(Order.read(args.order))
    except NotJoined as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
