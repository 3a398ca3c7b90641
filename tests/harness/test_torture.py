"""The harness itself: it must find what is wrong, and its network must fail as it says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from bookstore_y.local.waiting import eventually
from harness.proxies.faulty import Proxy
from harness.proxies.http_message import plain_response, read_request
from harness.torture.ledger import Ledger, author_name
from harness.torture.logs import OUTAGE, unhandled
from harness.torture.report import markdown
from harness.torture.scenario import Result


def test_what_is_lost_doubled_or_no_mark_is_found() -> None:
    ledger = Ledger()
    for mark in ("a0", "a1", "b0"):
        ledger.acknowledge("doc", mark)

    assert ledger.compare("doc", "a0;b0;a1;").empty
    assert ledger.compare("doc", "a0;b0;a1;b1;").empty  # written, but not acknowledged
    assert ledger.compare("doc", "a0;b0;").lost == ["a1"]
    assert ledger.compare("doc", "a0;b0;a1;b1;b1;").doubled == ["b1"]
    assert ledger.compare("doc", "a0;b0;a1;b").strange == "b"


def test_authors_have_names_of_their_own() -> None:
    names = [author_name(number) for number in range(2000)]

    assert len(set(names)) == len(names)
    assert names[0] == "a"
    assert names[26] == "aa"


@pytest.mark.parametrize(
    ("line", "is_trouble"),
    [
        ("INFO x: fine", False),
        ("ERROR x: of no kind that is expected", True),
        ("ERROR x: Archiving is paused; edits stay in the buffer. Down.", False),
        ("ERROR asyncio: Task exception was never retrieved", True),
        ("INFO x: fine\nTraceback (most recent call last):\n  File", True),
        ("INFO x: fine\nRuntimeWarning: coroutine 'f' was never awaited", True),
    ],
)
def test_what_nobody_handled_is_found_in_a_log(tmp_path: Path, line: str, is_trouble: bool) -> None:
    log = tmp_path / "log"
    log.write_text(f"2026-01-01 00:00:00,000 {line}\n2026-01-01 00:00:00,001 INFO x: more\n")

    assert bool(unhandled(log, OUTAGE)) == is_trouble


def test_the_table_adds_up_and_names_failures() -> None:
    table = markdown([Result("one", kills=2), Result("two", kills=3, lost=1)], 7, 1.0)

    assert "| **all** |  | 5 | 0 | 0 | 0 | 1 |" in table
    assert "1 of 2 passed." in table


class Upstream:
    """An S3 server that remembers what it was asked."""

    def __init__(self) -> None:
        self.got: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await read_request(reader, writer):
            self.got.append(request.words[0])
            writer.write(plain_response("200 OK", b"0123456789", request.words[0]))
            await writer.drain()
        writer.close()


@pytest.fixture
async def upstream() -> AsyncIterator[tuple[Upstream, str]]:
    remembering = Upstream()
    server = await asyncio.start_server(remembering.serve, "127.0.0.1", 0)
    async with server:
        yield remembering, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("kind", "method", "answered", "got"),
    [
        ("cut before", "PUT", None, 0),
        ("cut in the request", "PUT", None, 0),
        ("cut in the response", "PUT", None, 1),
        ("lost answer", "PUT", None, 1),
        ("truncated body", "GET", None, 1),
        ("delay", "GET", 200, 1),
        ("stall before", "PUT", None, 0),
        ("stall after", "PUT", None, 1),
        ("flipped bit", "GET", 200, 1),
        ("duplicate, first answer", "PUT", 200, 2),
        ("duplicate, second answer", "PUT", 200, 2),
        ("500 after success", "PUT", 500, 1),
        ("503 SlowDown", "PUT", 503, 0),
    ],
)
async def test_the_network_fails_as_it_says(
    upstream: tuple[Upstream, str],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    method: str,
    answered: int | None,
    got: int,
) -> None:
    server, url = upstream
    monkeypatch.setattr(Proxy, "_fits", lambda self, k, exchange: k == kind)
    async with Proxy(url, random.Random(1), rate=1.0) as proxy, httpx.AsyncClient() as client:
        proxy.faulty = True
        where = f"{proxy.url}/bucket/key"
        if answered is None:
            with pytest.raises(httpx.TransportError):
                await client.request(method, where, content=b"body", timeout=0.3)
        else:
            answer = await client.request(method, where, content=b"body")
            assert answer.status_code == answered
            assert (answer.content != b"0123456789") == (kind == "flipped bit" or answered >= 500)
        assert server.got == [method] * got
        await eventually(lambda: proxy.counts == {kind: 1}, "the fault to be counted")

        proxy.faulty = False
        assert (await client.request(method, where)).content == b"0123456789"


async def test_the_network_lets_every_request_through_in_the_end(
    upstream: tuple[Upstream, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, url = upstream
    monkeypatch.setattr(Proxy, "_fits", lambda self, k, exchange: k == "500 after success")
    async with Proxy(url, random.Random(1), rate=1.0) as proxy, httpx.AsyncClient() as client:
        proxy.faulty = True
        answers = [(await client.put(f"{proxy.url}/bucket/key")).status_code for _ in range(8)]

    assert answers == [500, 500, 500, 200] * 2
