"""Scenarios: what the people at the notebooks do, each a Locust user with its think times.

All of them end the same way: everybody comes back, and every copy has to say the same and hold
every edit once.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, ClassVar

import gevent  # type: ignore[import-untyped]
from locust import User, between, task

from .catalogue import CATALOGUE, About

if TYPE_CHECKING:
    from .client import Client
    from .crew import Crew

_STORM_INTERVAL = 5.0
"""Seconds from one moment at which everybody leaves to the next."""


class Person(User):
    """Somebody with a client, who is in the room from the start and does nothing there."""

    abstract = True
    wait_time = between(0.3, 1.2)
    about: ClassVar[About]

    crew: ClassVar[Crew]
    """Of this process; set before the first user."""

    client: Client

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.number, self.client = self.crew.admit()
        self.author = self.client.author

    def on_start(self) -> None:
        """Come in, and do nothing until the document is there."""
        while not self.client.come():
            pass

    def edited(self) -> None:
        """Tell the others where the cursor is now."""
        self.client.point()


class Typing(Person):
    """Everybody inserts into the same cells, and now and then deletes something of theirs."""

    about = CATALOGUE["typing"]

    @task(4)
    def insert(self) -> None:
        """Insert between what is there."""
        self.author.insert_text()
        self.edited()

    @task(1)
    def delete(self) -> None:
        """Delete what this person typed some time."""
        self.author.delete_text()
        self.edited()


class Cells(Person):
    """Everybody inserts, moves and deletes cells."""

    about = CATALOGUE["cells"]

    @task(3)
    def insert(self) -> None:
        """Insert a cell."""
        self.author.insert_cell()
        self.edited()

    @task(3)
    def move(self) -> None:
        """Move a cell."""
        self.author.move_cell()
        self.edited()

    @task(2)
    def delete(self) -> None:
        """Delete a cell."""
        self.author.delete_cell()
        self.edited()


class Sources(Person):
    """Everybody replaces the source of a cell of theirs, as an assistant that rewrites it does."""

    about = CATALOGUE["sources"]

    @task
    def replace(self) -> None:
        """Replace it."""
        self.author.set_source()
        self.edited()


class Outputs(Person):
    """Everybody runs a cell that prints line after line."""

    about = CATALOGUE["outputs"]
    wait_time = between(0.05, 0.2)

    @task
    def print(self) -> None:
        """One line more."""
        self.author.stream_output()


class Storms(Person):
    """Everybody leaves at the same moment, every few seconds, and comes back at once.

    Half of them come in a new tab, which has nothing but what the server says.
    """

    about = CATALOGUE["storms"]
    wait_time = between(0.2, 0.6)

    def on_start(self) -> None:
        """Come in, and take part from the next storm on."""
        super().on_start()
        self._storm = self._storms()

    @task
    def edit(self) -> None:
        """Edit, or leave and come back if it is time for that."""
        if self._storms() == self._storm:
            self.author.insert_text()
            self.edited()
            return
        self._storm = self._storms()
        if self.number % 2 or not self.client.close_tab():
            self.client.leave()
        while not self.client.come():
            pass

    def _storms(self) -> int:
        return int(time.time() / _STORM_INTERVAL)


class Offline(Person):
    """People lose their connection for long, go on typing, and come back."""

    about = CATALOGUE["offline"]
    wait_time = between(4, 8)

    @task
    def travel(self) -> None:
        """Edit while away, then a little while there."""
        self.client.leave()
        for _ in range(20):
            self.author.insert_text()
            self.author.set_source()
            gevent.sleep(0.4)
        while not self.client.come():
            pass
        self.author.insert_text()


class Readers(Person):
    """One person writes in a large notebook, and all others read along."""

    about = CATALOGUE["readers"]

    @task
    def write_or_read(self) -> None:
        """Insert, or click somewhere."""
        if self.crew.rank(self.number) == 0:
            self.author.insert_text()
        self.edited()


class Writers(Typing):
    """Many notebooks, each with one writer."""

    about = CATALOGUE["writers"]


class TwoServers(Typing):
    """Half of the people at a notebook are at another server, which shares the bucket alone."""

    about = CATALOGUE["two-servers"]


class Stopped(Typing):
    """The server is stopped in good order while people type, and comes back."""

    about = CATALOGUE["stopped"]


class Killed(Typing):
    """The server is killed while people type, and comes back on the same disk."""

    about = CATALOGUE["killed"]


class Outage(Typing):
    """The bucket goes away while people type, and comes back."""

    about = CATALOGUE["outage"]


class Mixed(Person):
    """Text, cells, sources, outputs and lost connections, each by a fifth of the people."""

    about = CATALOGUE["mixed"]

    @task
    def act(self) -> None:
        """What a person of this number does."""
        self._roles[self.crew.role(self.number, len(self._roles))](self)
        self.edited()

    def _type(self) -> None:
        author = self.author
        random.choice((author.insert_text, author.insert_text, author.delete_text))()

    def _arrange(self) -> None:
        author = self.author
        random.choice((author.insert_cell, author.move_cell, author.delete_cell))()

    def _replace(self) -> None:
        self.author.set_source()

    def _print(self) -> None:
        for _ in range(3):
            self.author.stream_output()
            gevent.sleep(0.1)

    def _travel(self) -> None:
        self.author.insert_text()
        if random.random() < 0.1:
            self.client.leave()
            for _ in range(10):
                gevent.sleep(0.5)
                self.author.insert_text()
            while not self.client.come():
                pass

    _roles = (_type, _arrange, _replace, _print, _travel)


class Everything(Mixed):
    """Mixed, with the server killed in the middle of an outage of the bucket."""

    about = CATALOGUE["everything"]
