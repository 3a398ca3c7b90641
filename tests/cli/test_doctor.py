"""What `doctor` finds in a bucket that denies a verb, and in rules and clocks that are amiss."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bookstore_y.errors import AccessDenied, ObjectLocked
from bookstore_y.s3 import setup
from bookstore_y.s3.bucket import Bucket
from bookstore_y.s3.listing import Listing
from bookstore_y.tools.doctor.hazards import hazards
from bookstore_y.ydoc.frame import compress
from bookstore_y.ydoc.updates import EMPTY_UPDATE

from .commands import Commands

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

PREFIXES = ("workspace/", "published/")


def found(jupyter_bookstore: Commands, *options: str) -> dict[str, dict[str, str]]:
    """The findings of a bucket, by check."""
    findings = jupyter_bookstore("doctor", "--json", *options).json()["findings"]
    return {finding["check"]: finding for finding in findings}


def deny(
    monkeypatch: pytest.MonkeyPatch, verb: str, when: Callable[..., bool] = lambda *_: True
) -> None:
    """Have the bucket refuse one verb, when its arguments are so."""
    owner: Any = {"page": Listing, "lifecycle": setup}.get(verb, Bucket)
    allowed: Any = getattr(owner, verb)

    async def refused(bucket: Any, *args: Any, **kwargs: Any) -> Any:
        if when(*args):
            raise AccessDenied(f"Could not {verb}: the credentials were refused.")
        return await allowed(bucket, *args, **kwargs)

    monkeypatch.setattr(owner, verb, refused)


def left_in(client: S3Client, bucket: str) -> list[str]:
    answer = client.list_object_versions(Bucket=bucket)
    entries = [*answer.get("Versions", []), *answer.get("DeleteMarkers", [])]
    return [entry["Key"] for entry in entries]


@pytest.fixture
def client(s3_servers: Any) -> S3Client:
    from harness.servers import connect

    return connect(s3_servers.get("moto"))


@pytest.mark.usefixtures("on_moto")
class TestOneVerbDenied:
    @pytest.mark.parametrize(
        ("verb", "check", "status", "action"),
        [
            ("get", "right to read", "failed", "s3:GetObject"),
            ("copy", "right to copy", "failed", "s3:PutObject"),
            ("set_tags", "right to label", "warning", "s3:PutObjectVersionTagging"),
            ("tags", "right to read labels", "warning", "s3:GetObjectVersionTagging"),
        ],
    )
    def test_it_is_named_with_the_right_that_it_takes(
        self,
        jupyter_bookstore: Commands,
        monkeypatch: pytest.MonkeyPatch,
        client: S3Client,
        on_moto: str,
        verb: str,
        check: str,
        status: str,
        action: str,
    ) -> None:
        deny(monkeypatch, verb)
        findings = found(jupyter_bookstore)
        assert findings[check]["status"] == status
        assert action in findings[check]["remedy"]
        amiss = {c for c, f in findings.items() if c.startswith("right") and f["status"] != "ok"}
        assert amiss <= {check, "right to read a version"}
        assert left_in(client, on_moto) == []

    def test_writing(self, jupyter_bookstore: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
        deny(monkeypatch, "put")
        findings = found(jupyter_bookstore)
        assert findings["right to write"]["status"] == "failed"
        assert findings["right to read"]["status"] == "ok"
        assert findings["right to copy"]["status"] == "skipped"

    def test_listing_leaves_nothing_either(
        self,
        jupyter_bookstore: Commands,
        monkeypatch: pytest.MonkeyPatch,
        client: S3Client,
        on_moto: str,
    ) -> None:
        deny(monkeypatch, "page")
        ran = jupyter_bookstore("doctor", "--json")
        findings = {f["check"]: f for f in ran.json()["findings"]}
        assert ran.code == 1
        assert findings["right to list versions"]["status"] == "failed"
        assert findings["right to read"]["status"] == "ok"
        assert "cleaning up" not in findings
        assert left_in(client, on_moto) == []

    def test_removing_versions_says_what_is_left(
        self,
        jupyter_bookstore: Commands,
        monkeypatch: pytest.MonkeyPatch,
        client: S3Client,
        on_moto: str,
    ) -> None:
        deny(monkeypatch, "delete", lambda key, version_id=None: version_id is not None)
        ran = jupyter_bookstore("doctor", "--json")
        findings = {f["check"]: f for f in ran.json()["findings"]}
        assert ran.code == 0
        left = set(left_in(client, on_moto))
        assert len(left) == 2
        assert all(repr(key) in findings["cleaning up"]["message"] for key in left)
        assert jupyter_bookstore.json("ls") == {"files": []}

    @pytest.mark.usefixtures("on_moto")
    def test_removing_what_object_lock_retains_is_a_matter_of_time(
        self, jupyter_bookstore: Commands, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def locked(bucket: Bucket, key: str, version_id: str | None = None) -> None:
            raise ObjectLocked(f"Could not delete {key!r}: Object Lock protects it.")

        monkeypatch.setattr(Bucket, "delete", locked)
        finding = found(jupyter_bookstore)["cleaning up"]
        assert "retention has ended" in finding["remedy"]
        assert "s3:DeleteObjectVersion" not in finding["remedy"]

    def test_lifecycle_rules_that_cannot_be_seen_may_be_there(
        self, jupyter_bookstore: Commands, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deny(monkeypatch, "lifecycle")
        finding = found(jupyter_bookstore)["lifecycle"]
        assert finding["status"] == "warning"
        assert "s3:GetLifecycleConfiguration" in finding["remedy"]


@pytest.mark.s3_only("ceph")
@pytest.mark.parametrize(
    ("action", "amiss"),
    [
        ("s3:ListBucketVersions", {"right to list versions", "right to delete"}),
        ("s3:GetObject", {"right to read", "right to copy"}),
        ("s3:DeleteObjectVersion", {"cleaning up"}),
    ],
)
def test_a_policy_that_denies_one_action(
    jupyter_bookstore: Commands,
    boto3_client: S3Client,
    on_each: str,
    action: str,
    amiss: set[str],
) -> None:
    """Of the servers here Ceph alone holds anyone to a policy."""
    resources = [f"arn:aws:s3:::{on_each}", f"arn:aws:s3:::{on_each}/*"]
    denied = {"Effect": "Deny", "Principal": "*", "Action": [action], "Resource": resources}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [denied]})
    boto3_client.put_bucket_policy(Bucket=on_each, Policy=policy)
    findings = found(jupyter_bookstore)
    assert {check for check, f in findings.items() if f["status"] != "ok"} == amiss


@pytest.mark.usefixtures("on_moto")
@pytest.mark.parametrize(
    ("skew", "status"),
    [
        (timedelta(seconds=5), "ok"),
        (timedelta(minutes=5), "warning"),
        (timedelta(hours=-1), "failed"),
    ],
)
def test_a_clock_that_is_off(
    jupyter_bookstore: Commands, monkeypatch: pytest.MonkeyPatch, skew: timedelta, status: str
) -> None:
    async def clock_skew(bucket: Bucket) -> timedelta:
        return skew

    monkeypatch.setattr(setup, "clock_skew", clock_skew)
    clock = found(jupyter_bookstore)["clock"]
    assert clock["status"] == status
    assert status == "ok" or ("behind" in clock["message"]) == (skew > timedelta())


@pytest.mark.usefixtures("on_moto")
def test_prefixes_that_overlap(jupyter_bookstore: Commands) -> None:
    setting = "--BookstoreSettings.published_prefix=workspace/published"
    assert "overlap" in jupyter_bookstore.ok("doctor", setting)


def rule(**said: Any) -> dict[str, Any]:
    return {"ID": "a", "Status": "Enabled", "Filter": {"Prefix": ""}, **said}


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        ({"Expiration": {"Days": 9}}, "failed", "current versions after 9 days"),
        ({"Expiration": {"Days": 9}, "Filter": {"Prefix": "workspace/x/"}}, "failed", "9 days"),
        ({"Expiration": {"Days": 9}, "Filter": None, "Prefix": "work"}, "failed", "9 days"),
        (
            {"Expiration": {"Days": 9}, "Filter": {"And": {"Prefix": "", "Tags": [{"Key": "t"}]}}},
            "failed",
            "certain tags",
        ),
        ({"NoncurrentVersionExpiration": {"NoncurrentDays": 7}}, "warning", "7 days after"),
        ({"Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}, "warning", "storage class"),
    ],
)
def test_rules_that_remove_what_is_archived(said: dict[str, Any], status: str, words: str) -> None:
    lifecycle = {name: value for name, value in rule(**said).items() if value is not None}
    (finding,) = hazards([lifecycle], PREFIXES)
    assert finding.status == status
    assert words in finding.message
    assert finding.remedy


@pytest.mark.parametrize(
    "said",
    [
        {"Expiration": {"Days": 9}, "Status": "Disabled"},
        {"Expiration": {"Days": 9}, "Filter": {"Prefix": "logs/"}},
        {"Expiration": {"ExpiredObjectDeleteMarker": True}},
        {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
        {"Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}]},
    ],
)
def test_rules_that_harm_nobody(said: dict[str, Any]) -> None:
    assert list(hazards([rule(**said)], PREFIXES)) == []


@pytest.mark.usefixtures("on_moto")
class TestDocuments:
    def test_a_damaged_one_is_named_with_what_to_do(
        self, jupyter_bookstore: Commands, client: S3Client, on_moto: str
    ) -> None:
        for path, body in (("a.txt", compress(EMPTY_UPDATE)), ("b.txt", b"damage")):
            client.put_object(Bucket=on_moto, Key=f"workspace/{path}.file.y.zst", Body=body)
        ran = jupyter_bookstore("doctor", "--json")
        assert ran.code == 1
        (finding,) = [f for f in ran.json()["findings"] if f["check"] == "documents"]
        assert finding["status"] == "failed"
        assert finding["message"].startswith("b.txt does not open")
        assert "jupyter bookstore restore b.txt VERSION" in finding["remedy"]

    def test_it_says_what_it_looked_at(
        self,
        jupyter_bookstore: Commands,
        client: S3Client,
        on_moto: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("bookstore_y.tools.doctor.documents.READ", 2)
        for path in ("a.txt", "b.txt", "c.txt"):
            key, body = f"workspace/{path}.file.y.zst", compress(EMPTY_UPDATE)
            client.put_object(Bucket=on_moto, Key=key, Body=body)
        finding = found(jupyter_bookstore)["documents"]
        assert finding["status"] == "ok"
        assert "The 2 newest current snapshots among the first 3 files" in finding["message"]

    def test_an_older_damaged_version_is_none_of_its_business(
        self, jupyter_bookstore: Commands, client: S3Client, on_moto: str
    ) -> None:
        for body in (b"damage", compress(EMPTY_UPDATE)):
            client.put_object(Bucket=on_moto, Key="workspace/a.txt.file.y.zst", Body=body)
        assert found(jupyter_bookstore)["documents"]["status"] == "ok"
