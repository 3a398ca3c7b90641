"""The relay: a port that goes away, with its connections, and comes back."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from bookstore_y.stress.relay import Relay


@pytest.fixture
def echo() -> Iterator[str]:
    """A server that says what is said to it."""
    listening = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with connection:
            while said := connection.recv(1024):
                connection.sendall(said)

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def connect(relay: Relay) -> socket.socket:
    return socket.create_connection(("127.0.0.1", urlsplit(relay.url).port or 0), timeout=10)


def asked(connection: socket.socket, said: bytes) -> bytes:
    connection.sendall(said)
    return connection.recv(1024)


def test_what_is_said_goes_through_and_back(echo: str) -> None:
    with Relay(echo) as relay, connect(relay) as one, connect(relay) as other:
        assert asked(one, b"high") == b"high"
        assert asked(other, b"low") == b"low"


def test_a_shut_relay_ends_connections_and_refuses_new_ones(echo: str) -> None:
    with Relay(echo) as relay, connect(relay) as before:
        assert asked(before, b"x") == b"x"
        relay.shut()
        assert before.recv(1024) == b""
        with pytest.raises(ConnectionRefusedError):
            connect(relay)


def test_it_comes_back_at_the_same_port(echo: str) -> None:
    with Relay(echo) as relay:
        url = relay.url
        relay.shut()
        relay.open()
        assert relay.url == url
        with connect(relay) as connection:
            assert asked(connection, b"x") == b"x"
