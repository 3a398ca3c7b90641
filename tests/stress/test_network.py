"""A bad network: how it is asked for, whom it meets, and that nothing of it stays."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bookstore_y.stress.network import (
    SERVER_HOST,
    Network,
    emulated,
    main,
    unavailable,
)

SLOW = Network(rate=1e6)
WHY_NOT = unavailable(SLOW)

needs_root = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("delay=80ms", Network(delay=0.08)),
        ("delay=1.5s,jitter=500us", Network(delay=1.5, jitter=0.0005)),
        ("loss=1%", Network(loss=0.01)),
        ("rate=1mbit", Network(rate=1e6)),
        (
            "delay=80ms, jitter=20ms, loss=0.5%, rate=256kbit",
            Network(delay=0.08, jitter=0.02, loss=0.005, rate=256e3),
        ),
    ],
)
def test_a_network_is_written_in_a_line(text: str, network: Network) -> None:
    parsed = Network.parse(text)
    for name in ("delay", "jitter", "loss", "rate"):
        assert getattr(parsed, name) == pytest.approx(getattr(network, name))
    assert Network.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is none of delay, jitter, loss, rate"),
        ("lag=3ms", "'lag' is none of"),
        ("delay=80", "write it like delay=80ms"),
        ("loss=0.01", "write it like loss=1%"),
        ("rate=1MB", "write it like rate=1mbit"),
        ("delay=1ms,delay=2ms", "twice"),
        ("jitter=2ms", "above the delay"),
        ("loss=100%", "nothing can be learnt"),
        ("rate=0kbit", "nothing arrives"),
    ],
)
def test_what_is_no_network_is_refused_with_a_sentence(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Network.parse(text)


@needs_root
def test_the_servers_traffic_alone_is_impaired() -> None:
    with emulated(SLOW) as host:
        assert host == SERVER_HOST
        assert _talk("127.0.0.1") == 20_000
        assert _bytes_shaped() == {"1:1": 0, "1:2": 0}
        assert _talk(host) == 20_000
        shaped = _bytes_shaped()
    assert shaped["1:1"] > 0
    assert shaped["1:2"] > 20_000


@needs_root
def test_the_rate_is_the_kernels() -> None:
    with emulated(SLOW):
        classes = subprocess.run(
            ["tc", "class", "show", "dev", "lo"], capture_output=True, text=True, check=True
        ).stdout
    assert classes.count("rate 1Mbit") == 2


@needs_root
def test_leaving_takes_back_to_where_one_was() -> None:
    def interrupted() -> None:
        with emulated(SLOW):
            assert _namespace() != before
            raise KeyboardInterrupt

    before = _namespace()
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert _namespace() == before


@needs_root
def test_processes_and_threads_begun_within_are_within() -> None:
    seen: list[Path] = []

    def look() -> None:
        seen.append(_namespace())

    with emulated(SLOW):
        inside = _namespace()
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        script = "import os; print(os.readlink('/proc/self/ns/net'))"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert seen == [inside]
    assert done.stdout.strip() == str(inside)


@needs_root
def test_delay_and_loss_take_effect_or_it_is_said_why_not() -> None:
    network = Network.parse("delay=5ms,jitter=2ms,loss=1%,rate=10mbit")
    why_not = unavailable(network)
    if why_not is not None:
        assert "kernel has no netem" in why_not
        return
    with emulated(network) as host:
        assert _talk(host) == 20_000


def test_without_tc_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    said = unavailable(SLOW)
    assert said is not None
    assert "iproute2" in said or "Linux" in said


@needs_root
def test_who_is_root_in_a_user_namespace_alone_can_have_it() -> None:
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-m"]
    done = subprocess.run(
        [*command, "bookstore_y.stress.network", "rate=1mbit"], capture_output=True, text=True
    )
    if "unshare" in done.stderr:
        pytest.skip(f"This system lets nobody make user namespaces: {done.stderr.strip()}")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_no_network_is_refused_on_the_command_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["lag=3ms"]) == 1
    assert "'lag' is none of" in capsys.readouterr().err


def _namespace() -> Path:
    return Path("/proc/thread-self/ns/net").readlink()


def _talk(host: str) -> int:
    """How many bytes come from a server at `host` that sends 20,000."""
    with socket.create_server((host, 0)) as server:
        server.settimeout(20)

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"x" * 20_000)

        thread = threading.Thread(target=serve)
        thread.start()
        received = 0
        with socket.create_connection(server.getsockname(), timeout=20) as client:
            while data := client.recv(65536):
                received += len(data)
        thread.join()
    return received


def _bytes_shaped() -> dict[str, int]:
    said = subprocess.run(
        ["tc", "-s", "class", "show", "dev", "lo"], capture_output=True, text=True, check=True
    ).stdout
    found = re.findall(r"class htb (1:\d).*?Sent (\d+) bytes", said, re.DOTALL)
    return {name: int(count) for name, count in found}
