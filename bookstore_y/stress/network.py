"""A bad network: what goes to and from one loopback address is delayed, lost and narrowed.

The kernel does it (`tc`, with htb and netem), on the loopback device of a network namespace of
this process. All other traffic on it, that of the S3 server say, goes as ever. Nothing outside is
changed or reached, and the namespace goes with its last process, however that ends.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

SERVER_HOST = "127.0.0.2"
"""The address whose traffic is impaired, in both directions."""

_CLONE_NEWNET = 0x40000000
_OWN_NAMESPACE = Path("/proc/thread-self/ns/net")
_UNLIMITED = "10gbit"
_MTU = "1500"
"""As on an Ethernet; loopback's own 64 kB would make one loss of what is forty elsewhere."""
_QUEUE = "100000"
"""Packets that a queue holds. netem's default of 1,000 would lose what nobody asked to lose."""

_TIME = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s)")
_SHARE = re.compile(r"(\d+(?:\.\d+)?)%")
_RATE = re.compile(r"(\d+(?:\.\d+)?)(kbit|mbit|gbit)")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_BITS = {"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}


class NetworkUnavailable(Exception):
    """A bad network cannot be had on this machine; the message says why and what to do."""


@dataclass(frozen=True)
class Network:
    """What happens to a packet on its way, in each direction."""

    delay: float = 0.0
    """Seconds."""
    jitter: float = 0.0
    """Seconds by which the delay varies, up and down."""
    loss: float = 0.0
    """Share of the packets that get lost, from 0 to 1."""
    rate: float = 0.0
    """Bits per second; 0 for as many as there are."""

    @classmethod
    def parse(cls, text: str) -> Network:
        """`delay=80ms,jitter=20ms,loss=1%,rate=1mbit`, in any order, as a `Network`.

        Raises `ValueError` with what is wrong and what may be written.
        """
        found: dict[str, float] = {}
        for part in text.split(","):
            name, _, value = part.strip().partition("=")
            if name in found:
                raise ValueError(f"{name} is named twice in {text!r}; name it once.")
            found[name] = _amount(name, value)
        network = cls(**found)
        if network.jitter > network.delay:
            raise ValueError(
                f"The jitter in {text!r} is above the delay, and nothing arrives before it was "
                "sent; give at least that much delay."
            )
        return network

    def __str__(self) -> str:
        said = {
            "delay": f"{self.delay * 1e3:g}ms",
            "jitter": f"{self.jitter * 1e3:g}ms",
            "loss": f"{self.loss * 1e2:g}%",
            "rate": f"{self.rate / 1e3:g}kbit",
        }
        return ",".join(f"{name}={text}" for name, text in said.items() if getattr(self, name))

    @property
    def needs_netem(self) -> bool:
        """Whether more is asked for than htb can do, which almost every kernel has."""
        return bool(self.delay or self.loss)


@contextmanager
def emulated(network: Network) -> Iterator[str]:
    """Have this thread, and the processes that it starts, in a namespace with that network.

    Gives the address on which the server has to listen for its traffic to be impaired. Nothing
    outside of the namespace is reached from within, and the other way round; sockets that are open
    stay what they are. Leaving takes the thread back to where it was; who is root in a user
    namespace alone cannot go back, and stays. Raises `NetworkUnavailable`.
    """
    _check_tools()
    before = os.open(_OWN_NAMESPACE, os.O_RDONLY)
    try:
        _call("unshare", _CLONE_NEWNET)
        try:
            for command in _commands(network):
                _run(command, network)
            yield SERVER_HOST
        finally:
            _go_back(before)
    finally:
        os.close(before)


def unavailable(network: Network) -> str | None:
    """Why `emulated(network)` is not to be had on this machine; None if it is. A process of its own
    tries it."""
    command = [sys.executable, "-m", __name__, str(network)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.strip() or None


def _commands(network: Network) -> Iterator[list[str]]:
    yield ["ip", "link", "set", "lo", "mtu", _MTU, "up"]
    yield ["tc", "qdisc", "add", "dev", "lo", "root", "handle", "1:", "htb"]
    rate = f"{network.rate:.0f}bit" if network.rate else _UNLIMITED
    for number, end in enumerate(("dst", "src"), 1):
        flow = f"1:{number}"
        shaped = ["htb", "rate", rate, "quantum", _MTU]
        yield ["tc", "class", "add", "dev", "lo", "parent", "1:", "classid", flow, *shaped]
        leaf = ["tc", "qdisc", "add", "dev", "lo", "parent", flow, "handle", f"{number}0:"]
        yield [*leaf, *(_netem(network) if network.needs_netem else ["pfifo", "limit", _QUEUE])]
        match = ["u32", "match", "ip", end, f"{SERVER_HOST}/32", "flowid", flow]
        yield ["tc", "filter", "add", "dev", "lo", "parent", "1:", "protocol", "ip", *match]


def _netem(network: Network) -> list[str]:
    words = ["netem", "limit", _QUEUE]
    if network.delay:
        words += ["delay", f"{network.delay * 1e6:.0f}us"]
        if network.jitter:
            words.append(f"{network.jitter * 1e6:.0f}us")
    if network.loss:
        words += ["loss", f"{network.loss * 100:g}%"]
    return words


def _run(command: list[str], network: Network) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    said = (done.stderr.strip() or done.stdout.strip()).replace("\n", " ")
    if "netem" in command and "unknown" in said:
        raise NetworkUnavailable(
            f"This kernel has no netem, which {network} needs (its module is sch_netem, in some "
            "distributions a package of extra kernel modules). A rate alone goes without it."
        )
    raise NetworkUnavailable(f"`{' '.join(command)}` failed: {said}")


def _check_tools() -> None:
    if sys.platform != "linux":
        raise NetworkUnavailable("A bad network needs Linux, its tc and network namespaces.")
    absent = [tool for tool in ("ip", "tc") if shutil.which(tool) is None]
    if absent:
        raise NetworkUnavailable(
            f"A bad network needs {' and '.join(absent)}; install the package iproute2."
        )


def _go_back(namespace: int) -> None:
    try:
        _call("setns", namespace, _CLONE_NEWNET)
    except NetworkUnavailable:
        if _is_first_user_namespace():
            raise


def _is_first_user_namespace() -> bool:
    # In it, ids are what they are: all of them, from 0 on (user_namespaces(7)).
    return Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]


def _call(function: str, *arguments: int) -> None:
    """A function of the C library that tells errors by `errno`; Python has these since 3.12."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, function)(*arguments) == 0:
        return
    number = ctypes.get_errno()
    if number == errno.EPERM:
        raise NetworkUnavailable(
            "A network namespace needs root; run as root, or put `unshare --user --map-root-user` "
            "before the command."
        )
    raise NetworkUnavailable(f"{function} failed: {os.strerror(number)}")


def _amount(name: str, value: str) -> float:
    known = {field.name for field in fields(Network)}
    if name not in known:
        raise ValueError(f"{name!r} is none of {', '.join(sorted(known))}.")
    if name == "rate":
        pattern, units, example = _RATE, _BITS, "1mbit"
    elif name == "loss":
        pattern, units, example = _SHARE, {}, "1%"
    else:
        pattern, units, example = _TIME, _SECONDS, "80ms"
    match = pattern.fullmatch(value)
    if match is None:
        raise ValueError(f"{value!r} is no {name}; write it like {name}={example}.")
    amount = float(match[1]) * (units[match[2]] if units else 0.01)
    if name == "loss" and amount >= 1:
        raise ValueError("With all packets lost nothing can be learnt; name a loss below 100%.")
    if name == "rate" and amount == 0:
        raise ValueError("With a rate of 0 nothing arrives; name a higher one.")
    return amount


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m bookstore_y.stress.network delay=80ms`: say why that is not to be had; 1 then."""
    (text,) = sys.argv[1:] if argv is None else argv
    try:
        with emulated(Network.parse(text)):
            return 0
    except (NetworkUnavailable, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
