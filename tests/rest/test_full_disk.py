"""A server's disk that takes nothing: 507 or 503, with a sentence that says so."""

from __future__ import annotations

import errno
import os

import pytest

from bookstore_y.errors import BookstoreError
from bookstore_y.jupyter.http_errors import http_error
from harness.jupyter.disk import Disk
from harness.servers import S3Server, make_bucket

from .server import running


@pytest.mark.e2e
@pytest.mark.slow
def test_a_file_that_the_disk_does_not_take_is_no_fault_of_the_call(
    moto_server: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    disk, bucket = Disk(tmp_path_factory.mktemp("full")), make_bucket(moto_server)
    manager = {"contents_manager_class": "tests.contents.managers.TakesNothing"}
    with running(disk, moto_server, bucket, ServerApp=manager) as rest:
        rest.archived("report.txt", "said")
        source = {"s3_bucket": bucket, "s3_key": "workspace/report.txt"}
        for target, status, said in [
            ("full.txt", 507, "is full"),
            ("quota.txt", 507, "is full"),
            ("read-only.txt", 503, "is read-only"),
        ]:
            answer = rest.ask("POST", "clone", json={**source, "target_path": target})
            assert (answer.status_code, said in answer.json()["message"]) == (status, True)


@pytest.mark.parametrize(
    ("number", "status"), [(errno.ENOSPC, 507), (errno.EROFS, 503), (errno.EIO, 500)]
)
def test_an_error_that_the_disk_led_to_keeps_its_sentence(number: int, status: int) -> None:
    error = BookstoreError("a.txt is in the archive, but not on this disk.")
    error.__cause__ = OSError(number, os.strerror(number))
    told = http_error(error)
    assert (told.status_code, told.log_message) == (status, str(error))
