"""`jupyter bookstore stress`: load-test RTC, and check that nothing was lost."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from ..near import did_you_mean
from ..stress.catalogue import CATALOGUE, FAULTS, SHORT
from ..stress.layers import LAYERS
from ._config import load_settings
from ._errors import ASKED_WRONGLY, DONE, FAILED, CommandError
from ._options import add_command, complete
from ._output import Output
from ._running import output
from ._text import visible

if TYPE_CHECKING:
    from ..stress.network import Network
    from ..stress.plan import Plan
    from ..stress.result import Result

_NEEDS = ("locust", "websocket", "jupyter_collaboration")
_STORES = ("s3", "sqlite")
_SHOWN = 10


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command."""
    parser = add_command(
        subparsers,
        "stress",
        run,
        help="load-test real-time collaboration, and check that nothing was lost",
        description="Have many clients edit notebooks together through a real Jupyter server, "
        "break the server and its bucket while they do, and compare all copies at "
        "the end. Every edit has a unique mark. Starts a server and an embedded S3 "
        "server on this machine, unless you name a server. Exits with 1 unless all "
        "copies are equal and no edit was lost or doubled.",
    )
    parser.add_argument(
        "--scenario",
        type=_list_of("scenario", CATALOGUE),
        default=["mixed"],
        metavar="NAME[,NAME]",
        help="all, or some of: "
        + "; ".join(f"{about.name}: {about.summary}" for about in CATALOGUE.values())
        + " (default: mixed)",
    )
    parser.add_argument("--users", type=_positive, default=8, help="clients (default: 8)")
    parser.add_argument("--documents", type=_positive, default=2, help="notebooks (default: 2)")
    parser.add_argument(
        "--duration",
        type=_seconds,
        default=30.0,
        metavar="SECONDS",
        help="duration of each scenario's load, once all clients have joined (default: 30)",
    )
    parser.add_argument(
        "--within",
        type=_seconds,
        metavar="SECONDS",
        help="give up, with exit code 1, after this time",
    )
    parser.add_argument(
        "--faults",
        type=_list_of("fault", FAULTS),
        default=[],
        metavar="NAME[,NAME]",
        help="in addition to the scenario's own: "
        + "; ".join(f"{name}: {what}" for name, what in FAULTS.items()),
    )
    parser.add_argument(
        "--store",
        type=_list_of("store", _STORES),
        default=["s3"],
        metavar="s3|sqlite",
        help="the server's document store; s3,sqlite runs both and reports them side by side "
        "(default: s3)",
    )
    parser.add_argument(
        "--server",
        metavar="URL",
        help="use this running server instead of starting one, with its token as ?token=… or "
        "in $JUPYTER_TOKEN; the run makes a folder of notebooks there",
    )
    parser.add_argument(
        "--workers",
        type=_count,
        default=0,
        metavar="N",
        help="number of Locust worker processes on this machine (default: none, one process "
        "runs all clients)",
    )
    parser.add_argument(
        "--remote-workers",
        type=_count,
        default=0,
        metavar="N",
        help="wait for this many workers from other machines",
    )
    parser.add_argument(
        "--listen",
        type=_host_and_port,
        metavar="HOST:PORT",
        help="address where workers from other machines connect; Locust's protocol has neither "
        "passwords nor encryption, so use it only in a network that you trust",
    )
    parser.add_argument(
        "--worker-of",
        type=_host_and_port,
        metavar="HOST:PORT",
        help="only be a worker of the run at this address; the server's token comes from "
        "$JUPYTER_TOKEN",
    )
    parser.add_argument("--web", action="store_true", help="serve Locust's page while it runs")
    parser.add_argument(
        "--web-host",
        default="127.0.0.1",
        help="address where Locust's page listens (default: 127.0.0.1)",
    )
    parser.add_argument(
        "--web-port", type=_positive, default=8089, help="port of Locust's page (default: 8089)"
    )
    parser.add_argument(
        "--network",
        type=_network,
        metavar="WHAT",
        help="impair the network between clients and server, in a network namespace of its own "
        "(needs root): delay=80ms,jitter=20ms,loss=1%%,rate=1mbit",
    )
    parser.add_argument(
        "--layer",
        type=_list_of("layer", LAYERS),
        metavar="NAME[,NAME]",
        help="instead of a scenario, test single layers to locate a fault; all, or some of: "
        + "; ".join(f"{layer.name}: {layer.says}" for layer in LAYERS.values()),
    )
    parser.add_argument(
        "--edits", type=_positive, default=400, help="total edits in a layer test (default: 400)"
    )
    parser.add_argument(
        "--seed", type=_count, default=0, help="seed of the clients' random choices"
    )
    parser.add_argument(
        "--keep", action="store_true", help="also keep all artifacts of successful runs"
    )
    results = parser.add_argument(
        "--results", type=Path, metavar="FILE", help="write the results to this file"
    )
    complete(results, "file")
    html = parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a report with plots to this file"
    )
    complete(html, "file")


def run(args: argparse.Namespace) -> int:
    """Run every scenario on every store; 1 unless all of them passed. Raises `CommandError`."""
    _require_packages()
    if args.worker_of is not None:
        return _work(*args.worker_of)
    if args.layer is not None:
        _require_none_of(args, "results", "html", "within")
        return _run_layers(args, output(args))
    _require_writable(args.results, args.html)
    from ..stress.result import to_json, write

    out = output(args)
    plans = list(_plans(args))
    results = _results(plans, args, out)
    if args.results is not None:
        write(results, args.results)
    if args.html is not None and results:
        from ..stress.report import write_html

        write_html(results, args.html)
    out.document(to_json(results))
    good = sum(result.verdict.passed for result in results)
    if len(plans) > 1:
        out.say("", f"{good} of {len(plans)} passed.")
    return DONE if good == len(plans) else FAILED


def _plans(args: argparse.Namespace) -> Iterator[Plan]:
    from ..stress.plan import Plan, PlanRefused

    settings = load_settings(args)
    server = None
    if args.server is not None:
        from ..client._server import address_of
        from ..errors import BookstoreError
        from ..stress.address import Address

        try:
            found = address_of(args.server)
        except BookstoreError as error:
            raise CommandError(str(error), ASKED_WRONGLY) from None
        server = Address(found.url, found.token or os.environ.get("JUPYTER_TOKEN", ""))
    for scenario in args.scenario:
        for store in ["server"] if server else args.store:
            try:
                yield Plan(
                    scenario=scenario,
                    store=store,
                    users=args.users,
                    documents=args.documents,
                    duration=args.duration,
                    faults=tuple(args.faults),
                    server=server,
                    bucket=settings if server and settings.s3_bucket else None,
                    network=args.network,
                    workers=args.workers,
                    remote_workers=args.remote_workers,
                    listen=args.listen,
                    web=(args.web_host, args.web_port) if args.web else None,
                    seed=args.seed,
                )
            except PlanRefused as error:
                raise CommandError(str(error), ASKED_WRONGLY) from None


def _results(plans: list[Plan], args: argparse.Namespace, out: Output) -> list[Result]:
    """Those of the runs that came to a verdict; the others are told of."""
    results = []
    try:
        with _bound(args.within):
            for plan in plans:
                result = _result(plan, args, out)
                if result is not None:
                    results.append(result)
    except _TimeUp as error:
        left = len(plans) - len(results)
        out.warn(f"{error} {left} of {len(plans)} runs have no verdict.")
    return results


def _result(plan: Plan, args: argparse.Namespace, out: Output) -> Result | None:
    from dataclasses import replace

    from ..stress.network import NetworkUnavailable, emulated
    from ..stress.run import Run, RunFailed
    from ..stress.server import ServerFailed

    directory = Path(tempfile.mkdtemp(prefix="bookstore-stress-"))
    try:
        with emulated(plan.network) if plan.network else nullcontext() as host:
            made = Run(replace(plan, host=host or plan.host), directory, _sayer(out))
            result = made.result()
    except (KeyboardInterrupt, NetworkUnavailable) as error:
        shutil.rmtree(directory, ignore_errors=True)
        if isinstance(error, NetworkUnavailable):
            raise CommandError(str(error)) from error
        raise
    except (RunFailed, ServerFailed, OSError, _TimeUp) as error:
        out.warn(
            f"{plan.scenario} on {plan.store} has no verdict: {error}\nIts files are kept in "
            f"{directory}."
        )
        if isinstance(error, _TimeUp):
            raise
        return None
    if args.keep or not result.verdict.passed:
        result = replace(result, artefacts=str(directory))
    else:
        shutil.rmtree(directory, ignore_errors=True)
    out.say(*_lines(result))
    return result


class _TimeUp(Exception):
    """What may take no longer has taken as long."""


@contextmanager
def _bound(seconds: float | None) -> Iterator[None]:
    """Have what is under way raise `_TimeUp` in the end; None: it may take any time."""

    def end(number: int, frame: FrameType | None) -> None:
        raise _TimeUp(f"Time is up after {seconds:g} s.")

    if seconds is None or not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _sayer(out: Output) -> Callable[[str], None]:
    return lambda line: out.say(visible(line))


def _run_layers(args: argparse.Namespace, out: Output) -> int:
    from dataclasses import asdict

    results = []
    for name in args.layer:
        results.append(LAYERS[name].run(max(2, args.users), args.edits, args.seed))
        out.say(*map(visible, str(results[-1]).splitlines()))
    out.document([asdict(result) for result in results])
    return DONE if all(result.passed or result.skipped for result in results) else FAILED


def _work(host: str, port: int) -> int:
    import subprocess
    import sys

    # A process of its own: this one has imported what Locust would have to patch before.
    command = [sys.executable, "-m", "bookstore_y.stress.load", "--worker-of", f"{host}:{port}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as worker:  # it ends with its stdin
        return worker.wait()


def _lines(result: Result) -> Iterator[str]:
    verdict = result.verdict
    sign = "✓" if verdict.passed else "✗"
    if verdict.seconds_to_converge is None:
        how = "did not converge"
    elif not verdict.converged:
        how = "diverged"
    else:
        how = f"converged in {verdict.seconds_to_converge:.1f} s"
    yield (
        f"{sign} {result.title}: {how}; {verdict.edits:,} edits, {verdict.deleted:,} of them "
        f"deleted again; {verdict.lost} lost, {verdict.doubled} doubled, {verdict.undeleted} not "
        "deleted"
    )
    if result.latency is not None:
        at = result.latency
        yield (
            f"  edit to peer: p50 {at.p50 * 1000:.0f} ms, p95 {at.p95 * 1000:.0f} ms, "
            f"p99 {at.p99 * 1000:.0f} ms, at most {at.max * 1000:.0f} ms, of {at.count:,} arrivals"
        )
    for note in result.notes:
        yield f"  {visible(note)}"
    for failure in verdict.failures[:_SHOWN]:
        yield f"  {visible(str(failure))}"
    if len(verdict.failures) > _SHOWN:
        yield f"  … and {len(verdict.failures) - _SHOWN} more"
    if result.artefacts is not None:
        yield f"  All artifacts are kept in {result.artefacts}"


def _require_packages() -> None:
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing:
        raise CommandError(
            f"stress needs {' and '.join(missing)}, not installed here; run\n"
            '    pip install "bookstore-y[stress]"    (in a clone: pip install ".[stress]")',
            ASKED_WRONGLY,
        )


def _require_none_of(args: argparse.Namespace, *names: str) -> None:
    for name in names:
        if getattr(args, name) is not None:
            raise CommandError(
                f"--{name} is for scenarios, not for --layer; --json prints the layers' results.",
                ASKED_WRONGLY,
            )


def _require_writable(*files: Path | None) -> None:
    """Found out before a run, whose results would otherwise have no place at its end."""
    for file in filter(None, files):
        if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
            raise CommandError(
                f"{str(file)!r} can't be written; name a file in an existing directory that you "
                "can write to",
                ASKED_WRONGLY,
            )


def _list_of(what: str, known: Collection[str]) -> Callable[[str], list[str]]:
    """A parser of names with commas between."""

    def split(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",") if name.strip()]
        if names == ["all"]:
            return list(SHORT if what == "scenario" else known)
        for name in names:
            if name not in known:
                listed = ", ".join(known)
                near = did_you_mean(name, [*known, "all"])
                raise argparse.ArgumentTypeError(
                    f"there is no {what} {name!r}{near}; there are {listed}"
                )
        if not names:
            raise argparse.ArgumentTypeError(f"name at least one {what}")
        return names

    return split


def _network(text: str) -> Network:
    from ..stress.network import Network

    try:
        return Network.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from None


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text} is not HOST:PORT")
    return host, int(port)


def _positive(text: str) -> int:
    if (number := _count(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a number")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds from 0 to 86400")
    return seconds
