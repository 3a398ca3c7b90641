"""SavedFiles: a second opinion on what the bucket holds of saved files, by plain boto3."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client


class SavedFiles:
    """The saved files under `workspace/` in one bucket."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def bodies(self, path: str) -> list[bytes]:
        """The bodies of all versions of a file, oldest first."""
        return [
            self._s3.get_object(Bucket=self._bucket, Key=key, VersionId=version)["Body"].read()
            for key, version in reversed(self._versions(path))
        ]

    def current(self, path: str) -> bytes | None:
        """What the file says now; None if it is not there."""
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=f"workspace/{path}")
        except self._s3.exceptions.NoSuchKey:
            return None
        return answer["Body"].read()

    def metadata(self, path: str) -> dict[str, str]:
        """The user metadata of the current version."""
        return self._s3.head_object(Bucket=self._bucket, Key=f"workspace/{path}")["Metadata"]

    def markers(self, path: str) -> int:
        """How many delete markers the file has."""
        answer = self._s3.list_object_versions(Bucket=self._bucket, Prefix=f"workspace/{path}")
        return sum(m["Key"] == f"workspace/{path}" for m in answer.get("DeleteMarkers", []))

    def _versions(self, path: str) -> list[tuple[str, str]]:
        answer = self._s3.list_object_versions(Bucket=self._bucket, Prefix=f"workspace/{path}")
        listed = [(v["Key"], v["VersionId"]) for v in answer.get("Versions", [])]
        return [each for each in listed if each[0] == f"workspace/{path}"]
