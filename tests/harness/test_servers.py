"""Each S3 server is what `harness/servers` declares: versioned, and conditional or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError

from harness.servers import S3Server, Servers, connect, make_bucket

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client


def status(error: ClientError) -> int:
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_second_put_keeps_the_first_version(boto3_client: S3Client, bucket_name: str) -> None:
    first, second = (
        boto3_client.put_object(Bucket=bucket_name, Key="a/b.ipynb", Body=body)["VersionId"]
        for body in (b"first", b"second")
    )

    versions = boto3_client.list_object_versions(Bucket=bucket_name, Prefix="a/")["Versions"]
    old = boto3_client.get_object(Bucket=bucket_name, Key="a/b.ipynb", VersionId=first)

    assert [version["VersionId"] for version in versions] == [second, first]
    assert old["Body"].read() == b"first"


def test_if_none_match_is_honoured_where_declared(
    s3_server: S3Server, boto3_client: S3Client, bucket_name: str
) -> None:
    boto3_client.put_object(Bucket=bucket_name, Key="key", Body=b"first", IfNoneMatch="*")

    if s3_server.conditional_writes:
        with pytest.raises(ClientError) as refused:
            boto3_client.put_object(Bucket=bucket_name, Key="key", Body=b"second", IfNoneMatch="*")
        assert status(refused.value) == 412
    else:  # it answers as if it had been asked nothing
        boto3_client.put_object(Bucket=bucket_name, Key="key", Body=b"second", IfNoneMatch="*")


def test_if_match_is_honoured_where_declared(
    s3_server: S3Server, boto3_client: S3Client, bucket_name: str
) -> None:
    current = boto3_client.put_object(Bucket=bucket_name, Key="key", Body=b"first")["ETag"]

    if s3_server.conditional_writes:
        boto3_client.put_object(Bucket=bucket_name, Key="key", Body=b"second", IfMatch=current)
    # Stale by now; on a server that does not honour it, even the current one fails.
    with pytest.raises(ClientError) as refused:
        boto3_client.put_object(Bucket=bucket_name, Key="key", Body=b"third", IfMatch=current)
    assert status(refused.value) == 412


@pytest.mark.s3_only("ceph")
def test_the_gateway_of_ceph_goes_and_comes_back(
    s3_server: S3Server, s3_servers: Servers, bucket_name: str
) -> None:
    client = connect(s3_server)
    client.put_object(Bucket=bucket_name, Key="key", Body=b"kept")

    s3_servers.ceph.call("kill")
    try:
        # The client may still hold a connection that now breaks off.
        with pytest.raises((EndpointConnectionError, ConnectionClosedError)):
            client.get_object(Bucket=bucket_name, Key="key")
    finally:
        s3_servers.ceph.call("start")

    assert client.get_object(Bucket=bucket_name, Key="key")["Body"].read() == b"kept"


def test_buckets_are_fresh(moto_server: S3Server, moto_bucket: str) -> None:
    other = make_bucket(moto_server)

    assert other != moto_bucket
    assert "Contents" not in connect(moto_server).list_objects_v2(Bucket=moto_bucket)
