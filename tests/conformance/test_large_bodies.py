"""A large body arrives whole and once, whatever happens to the line, and whoever is asked."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import re
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bookstore_y.errors import (
    AccessDenied,
    BucketError,
    BucketUnavailable,
    PreconditionFailed,
)
from bookstore_y.s3.bucket import Bucket
from bookstore_y.s3.preconditions import IfMatch, IfNew
from bookstore_y.settings import BookstoreSettings
from harness.servers import S3Server

from .conftest import Configure
from .endpoints import BadLine, serving

MB = 1 << 20
BODY = hashlib.shake_256(b"a large document").digest(3 * MB + 17)

each_size = pytest.mark.parametrize(
    "size", [0, 1, MB - 1, MB, MB + 1, len(BODY)], ids=lambda size: f"{size} bytes"
)


@dataclass
class Request:
    """A request as it arrived, with as much of its body as did."""

    method: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Endpoint:
    """An endpoint that takes PUTs as S3 does, and writes them down; `before` says otherwise."""

    before: list[tuple[int, bytes]] = field(default_factory=list)
    """To the first PUTs: how many bytes of the body to read, and then what to answer; with
    nothing to answer the connection breaks."""
    requests: list[Request] = field(default_factory=list)
    keeps_open: bool = False
    """Whether connections stay open after an answer that came before the body did."""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines if line)
            }
            length = int(headers.get("content-length", "0"))
            wanted, answer = self.before.pop(0) if self.before else (length, _WRITTEN)
            body = await reader.readexactly(min(wanted, length))
            self.requests.append(Request(first.split()[0], headers, body))
            writer.write(answer)
            await writer.drain()
            if not answer:
                return
            if len(body) < length:
                if not self.keeps_open:
                    return
                await reader.readexactly(length - len(body))


_WRITTEN = (
    b'HTTP/1.1 200 OK\r\nETag: "0"\r\nx-amz-version-id: one\r\nContent-Length: 0\r\n'
    b"Connection: keep-alive\r\n\r\n"
)


def refusal(status: str, code: str) -> bytes:
    body = f"<Error><Code>{code}</Code><Message>told to refuse</Message></Error>".encode()
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def settings(url: str, **changes: Any) -> BookstoreSettings:
    """For an endpoint that is not S3's."""
    plain = {
        "s3_endpoint_url": url,
        "s3_bucket": "bucket",
        "s3_access_key_id": "id",
        "s3_secret_access_key": "secret",
        "connect_timeout": 10.0,
        "read_timeout": 10.0,
        "max_attempts": 3,
    }
    return BookstoreSettings(**{**plain, **changes})


def md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


# -- on every S3 server ----------------------------------------------------------------------------


@each_size
async def test_a_body_of_any_size_is_got_as_it_was_put(bucket: Bucket, size: int) -> None:
    body = BODY[:size]
    written = await bucket.put("key", body, {"name": "value"})
    got = await bucket.get("key")
    assert got.body == body
    assert (got.version_id, got.etag, got.size) == (written.version_id, written.etag, size)
    assert got.metadata == {"name": "value"}
    assert got.etag.strip('"') == hashlib.md5(body, usedforsecurity=False).hexdigest()
    assert len([version async for version in bucket.listing.versions("key")]) == 1


async def test_large_bodies_at_once_do_not_mix(bucket: Bucket) -> None:
    bodies = {f"key {at}": BODY[at:] for at in range(5)}
    await asyncio.gather(*(bucket.put(key, body, {}) for key, body in bodies.items()))
    for key, body in bodies.items():
        assert (await bucket.get(key)).body == body


async def test_a_large_body_that_was_damaged_on_its_way_is_refused(bucket: Bucket) -> None:
    with contextlib.suppress(BucketError):
        await bucket.put("small", BODY[:9], {}, digest=md5(BODY))
        pytest.skip("this server takes anything")
    with pytest.raises(BucketError):
        await bucket.put("key", BODY, {}, digest=md5(BODY[:9]))
    assert [version async for version in bucket.listing.versions("key")] == []


async def test_a_large_body_is_written_under_a_condition_exactly_when_it_holds(
    bucket: Bucket, s3_server: S3Server
) -> None:
    if not s3_server.conditional_writes:
        pytest.skip("this server does not honour conditions")
    first = await bucket.put("key", BODY, {}, precondition=IfNew())
    with pytest.raises(PreconditionFailed):
        await bucket.put("key", BODY[1:], {}, precondition=IfNew())
    await bucket.put("key", BODY[2:], {}, precondition=IfMatch(first.etag))
    with pytest.raises(PreconditionFailed):
        await bucket.put("key", BODY[3:], {}, precondition=IfMatch(first.etag))
    assert (await bucket.get("key")).body == BODY[2:]


async def test_wrong_credentials_are_refused_for_a_large_body(configure: Configure) -> None:
    wrong = configure(s3_access_key_id="nobody", s3_secret_access_key="wrong" * 8)
    async with Bucket(configure()) as bucket, Bucket(wrong) as refused:
        with contextlib.suppress(AccessDenied):
            await refused.put("small", BODY[:9], {})
            pytest.skip("this server lets everybody in")
        with pytest.raises(AccessDenied):
            await refused.put("large", BODY, {})
        assert [version async for version in bucket.listing.versions("large")] == []


async def test_a_large_body_whose_answer_was_lost_is_sent_again_whole(
    configure: Configure, s3_server: S3Server
) -> None:
    line = BadLine(s3_server.endpoint_url)
    line.answers_to_lose = 2
    async with (
        serving(line.handle) as url,
        Bucket(configure(s3_endpoint_url=url, max_attempts=3)) as bucket,
    ):
        await bucket.put("key", BODY, {})
    assert line.lost == 2
    async with Bucket(configure()) as bucket:
        assert (await bucket.get("key")).body == BODY


# -- on the line -----------------------------------------------------------------------------------


@each_size
async def test_what_is_sent_says_how_long_it_is_and_what_its_digest_is(size: int) -> None:
    endpoint = Endpoint()
    async with serving(endpoint.handle) as url, Bucket(settings(url)) as bucket:
        await bucket.put("key", BODY[:size], {"name": "value"}, precondition=IfMatch('"etag"'))
    (request,) = endpoint.requests
    assert request.body == BODY[:size]
    assert request.headers["content-length"] == str(size)
    assert request.headers["content-md5"] == md5(BODY[:size])
    assert request.headers["if-match"] == '"etag"'
    assert request.headers["x-amz-meta-name"] == "value"
    # What many servers and proxies do not know.
    assert not {"expect", "transfer-encoding", "content-encoding"} & request.headers.keys()


async def test_the_signature_holds_for_what_the_digest_says() -> None:
    endpoint = Endpoint()
    async with serving(endpoint.handle) as url, Bucket(settings(url)) as bucket:
        await bucket.put("key", BODY, {}, precondition=IfNew())
    (request,) = endpoint.requests
    signed = re.search(r"SignedHeaders=([^,]+)", request.headers["authorization"])
    assert signed is not None
    assert {"content-md5", "host", "if-none-match", "x-amz-date"} <= set(signed[1].split(";"))


@pytest.mark.parametrize("read", [0, MB, len(BODY)], ids=["at once", "half way", "at the end"])
@pytest.mark.parametrize("keeps_open", [False, True], ids=["closing", "keeping open"])
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        refusal("503 Slow Down", "SlowDown"),
        refusal("500 Internal Server Error", "InternalError"),
    ],
    ids=["breaking off", "slow down", "internal error"],
)
async def test_a_second_try_sends_all_of_it_again(
    answer: bytes, read: int, keeps_open: bool
) -> None:
    endpoint = Endpoint([(read, answer), (read, answer)], keeps_open=keeps_open)
    async with serving(endpoint.handle) as url, Bucket(settings(url)) as bucket:
        written = await asyncio.wait_for(bucket.put("key", BODY, {}), 60)
    assert written.version_id == "one"
    assert len(endpoint.requests) == 3
    assert endpoint.requests[-1].body == BODY
    assert endpoint.requests[-1].headers["content-length"] == str(len(BODY))
    assert endpoint.requests[-1].headers["content-md5"] == md5(BODY)


async def test_an_endpoint_that_breaks_off_every_time_is_unavailable() -> None:
    endpoint = Endpoint([(MB, b"")] * 100)
    async with serving(endpoint.handle) as url, Bucket(settings(url)) as bucket:
        with pytest.raises(BucketUnavailable):
            await asyncio.wait_for(bucket.put("key", BODY, {}), 60)
        endpoint.before.clear()
        await bucket.put("key", BODY, {})
    assert endpoint.requests[-1].body == BODY


@pytest.mark.parametrize("read", [0, len(BODY)], ids=["at once", "at the end"])
async def test_a_refusal_is_heard_although_the_body_is_on_its_way(read: int) -> None:
    endpoint = Endpoint([(read, refusal("412 Precondition Failed", "PreconditionFailed"))])
    endpoint.keeps_open = True
    async with serving(endpoint.handle) as url, Bucket(settings(url)) as bucket:
        with pytest.raises(PreconditionFailed):
            await asyncio.wait_for(bucket.put("key", BODY, {}, precondition=IfMatch('"old"')), 60)
        assert len(endpoint.requests) == 1
        await bucket.put("key", BODY, {})
    assert endpoint.requests[-1].body == BODY


async def test_who_waits_no_longer_leaves_the_line_to_the_next() -> None:
    endpoint = Endpoint([(MB, b"HTTP/1.1 100 Continue\r\n\r\n")], keeps_open=True)
    async with serving(endpoint.handle) as url, Bucket(settings(url)) as bucket:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(bucket.put("key", BODY, {}), 1)
        await bucket.put("key", BODY, {})
    assert endpoint.requests[-1].body == BODY


async def test_a_body_that_is_sent_slowly_does_not_run_into_the_time_for_the_answer() -> None:
    taken = 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        assert length is not None
        while taken < int(length[1]):
            taken += len(await reader.read(256 * 1024))
            await asyncio.sleep(0.02)
        writer.write(_WRITTEN)
        await writer.drain()

    body = BODY * 10
    async with serving(slow) as url, Bucket(settings(url, read_timeout=1.0)) as bucket:
        await bucket.put("key", body, {})
    assert taken == len(body)


# -- over TLS --------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def serving_tls(endpoint: Endpoint, directory: Path) -> AsyncIterator[tuple[str, Path]]:
    """The URL of an endpoint, and the certificate that it made itself."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    command = (
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        f"-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 "
        f"-keyout {key} -out {certificate}"
    )
    await asyncio.to_thread(subprocess.run, command.split(), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await endpoint.handle(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", certificate


async def test_a_large_body_goes_over_tls_and_again_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = Endpoint([(MB, b""), (len(BODY), refusal("503 Slow Down", "SlowDown"))])
    async with serving_tls(endpoint, tmp_path) as (url, certificate):
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        async with Bucket(settings(url)) as bucket:
            await asyncio.wait_for(bucket.put("key", BODY, {}), 60)
    assert endpoint.requests[-1].body == BODY
    assert endpoint.requests[-1].headers["content-length"] == str(len(BODY))
    assert endpoint.requests[-1].headers["content-md5"] == md5(BODY)
