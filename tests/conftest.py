"""Fixtures for S3 servers and for reading snapshots with Yjs.

`--s3` chooses the servers. A test that takes `s3_server` (or anything made of it: `bucket_name`,
`boto3_client`) runs once on each of them, or on those that `@pytest.mark.s3_only` names. Without
`--s3`, one marked `any_server` runs on moto alone. One that takes `moto_server` or `moto_bucket`
always does.
"""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import botocore.loaders
import botocore.session
import hypothesis
import pytest
from traitlets.config import Config

from bookstore_y import BookstoreSettings
from bookstore_y.replication import checkpointer
from harness.servers import NAMES, S3Server, ServerError, Servers, connect, make_bucket

from . import workers, yjs
from .support import Outage, Reader, Refusals, config_for

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

_SERVERS = pytest.StashKey[Servers]()
_CHOSEN = pytest.StashKey[list[str]]()
_HEADER = pytest.StashKey[str]()
_STDERR = pytest.StashKey[int]()

_TO_END_SECONDS = 60.0
"""What a test may take to end after its time-out, fixtures included."""

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile(
    "tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--s3",
        default="auto",
        metavar="NAMES",
        help=f"S3 servers to test against, of {','.join(NAMES)}; what is not installed will be. "
        "Default 'auto': all that can start on this machine as it is.",
    )


def pytest_configure(config: pytest.Config) -> None:
    _pass_on_no_ignored_signals()
    servers = Servers()
    wanted = str(config.getoption("--s3"))
    if wanted == "auto":
        reasons = {name: servers.missing(name) for name in NAMES}
        chosen = [name for name in NAMES if reasons[name] is None]
    else:
        reasons = {}
        chosen = [name.strip() for name in wanted.split(",")]
        unknown = sorted(set(chosen) - set(NAMES))
        if unknown:
            raise pytest.UsageError(
                f"--s3: no server {', '.join(map(repr, unknown))}; there are {', '.join(NAMES)}"
            )
    others = [f"{name}: {reason}" for name, reason in reasons.items() if reason is not None]
    config.stash[_STDERR] = os.dup(2)  # before pytest captures it
    config.stash[_SERVERS] = servers
    config.stash[_CHOSEN] = chosen
    config.stash[_HEADER] = ", ".join(chosen) + (f" ({'; '.join(others)})" if others else "")


def _pass_on_no_ignored_signals() -> None:
    """Servers that the tests start are to heed each signal, also when the tests themselves run
    under `nohup` or in the background of a script. A program inherits that a signal is ignored,
    not that it is handled."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """End the process if a test goes on after its time-out, as one that waits for a thread may.

    A worker that ended is replaced, and its test has failed.
    """
    marker = item.get_closest_marker("timeout")
    seconds = float(marker.args[0] if marker else item.config.getini("timeout"))
    faulthandler.dump_traceback_later(
        seconds + _TO_END_SECONDS, exit=True, file=item.config.stash[_STDERR]
    )
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def pytest_unconfigure(config: pytest.Config) -> None:
    os.close(config.stash[_STDERR])


def pytest_report_header(config: pytest.Config) -> str:
    return f"s3 servers: {config.stash[_HEADER]}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "s3_server" in metafunc.fixturenames:
        chosen = metafunc.config.stash[_CHOSEN]
        if only := metafunc.definition.get_closest_marker("s3_only"):
            chosen = [name for name in chosen if name in only.args]
        elif (
            metafunc.definition.get_closest_marker("any_server")
            and metafunc.config.getoption("--s3") == "auto"
        ):
            chosen = ["moto"]
        metafunc.parametrize("s3_server", chosen, indirect=True, scope="session")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Install the servers that `--s3` names: once, before the workers start and the clock runs."""
    config = session.config
    if config.option.collectonly or _is_worker(config):
        return
    for name in config.stash[_CHOSEN]:
        try:
            config.stash[_SERVERS].install(name)
        except ServerError as error:
            raise pytest.UsageError(f"--s3: {error}") from error


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _is_worker(config):
        items[:] = workers.longest_first(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """More than there are cores: much of the time the tests wait."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> workers.Units | None:
    """By units, unless `--dist` says otherwise."""
    if config.getvalue("dist") != "load":
        return None
    config.option.loadscopereorder = False  # they come in order
    return workers.Units(config, log)


@pytest.fixture(scope="session", autouse=True)
def _environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The user's own AWS and bookstore settings have no say in a test, nor their recovery files."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("AWS_", "JPYNB_")):
                patch.delenv(name)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("JUPYTER_DATA_DIR", str(tmp_path_factory.mktemp("jupyter-data")))
        yield
        # A test may end while a room's last flush is under way; that is not to be kept for anyone.
        checkpointer._open.clear()


@pytest.fixture(scope="session", autouse=True)
def _models_read_once() -> Iterator[None]:
    """Nearly every test has a client of its own, and each would read megabytes of JSON."""
    loader = botocore.loaders.create_loader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", lambda *args: loader)
        yield


@pytest.fixture(scope="session")
def s3_servers(pytestconfig: pytest.Config) -> Iterator[Servers]:
    """All servers, for tests that choose one by name or take one down."""
    servers = pytestconfig.stash[_SERVERS]
    yield servers
    servers.stop()


def _running(servers: Servers, name: str) -> S3Server:
    try:
        return servers.get(name)
    except ServerError as error:
        pytest.fail(f"S3 server {name}: {error}", pytrace=False)


@pytest.fixture(scope="session")
def s3_server(request: pytest.FixtureRequest, s3_servers: Servers) -> S3Server:
    """A running S3 server; each of those that `--s3` chose in turn."""
    return _running(s3_servers, request.param)


@pytest.fixture
def bucket_name(s3_server: S3Server) -> str:
    """A fresh versioned bucket on `s3_server`."""
    return make_bucket(s3_server)


@pytest.fixture
def boto3_client(s3_server: S3Server) -> Iterator[S3Client]:
    """A plain boto3 client of `s3_server`."""
    client = connect(s3_server)
    yield client
    client.close()


@pytest.fixture(scope="session")
def moto_server(s3_servers: Servers) -> S3Server:
    """moto, for tests that any S3 server would do for."""
    return _running(s3_servers, "moto")


@pytest.fixture
def moto_bucket(moto_server: S3Server) -> str:
    """A fresh versioned bucket on `moto_server`."""
    return make_bucket(moto_server)


@pytest.fixture(scope="session")
def yjs_read() -> yjs.Read:
    """`tests.yjs.read`, ready to call: what Yjs under Node makes of an update."""
    if reason := yjs.missing():
        pytest.skip(reason)
    yjs.install()
    return yjs.read


@pytest.fixture
def config(moto_server: S3Server, moto_bucket: str) -> Config:
    """Configuration for a bucket of moto's, by which nothing happens by itself."""
    return config_for(moto_server, moto_bucket)


@pytest.fixture
def settings(config: Config) -> BookstoreSettings:
    """The settings in `config`."""
    return BookstoreSettings(config=config)


@pytest.fixture
def reader(moto_server: S3Server, moto_bucket: str) -> Reader:
    """A second opinion on what that bucket holds."""
    return Reader(moto_server, moto_bucket)


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch) -> Outage:
    """Takes the bucket away, and gives it back."""
    return Outage(monkeypatch)


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> Refusals:
    """Has the bucket refuse some requests."""
    return Refusals(monkeypatch)
