"""The archive's metrics at jupyter-server's /metrics, through prometheus_client."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

UPDATES = Counter("bookstore_updates", "Yjs updates accepted into the buffer.")
PENDING_UPDATES = Gauge(
    "bookstore_pending_updates", "Updates in the buffer that no version in the bucket holds yet."
)
PENDING_BYTES = Gauge("bookstore_pending_bytes", "Bytes of the pending updates.")
CHECKPOINTS = Counter(
    "bookstore_checkpoints",
    "Checkpoints by result: written, unchanged (nothing new to write), failed.",
    ["result"],
)
CHECKPOINT_SECONDS = Histogram(
    "bookstore_checkpoint_seconds",
    "Seconds from the start of a checkpoint to the bucket's acknowledgement.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
CHECKPOINT_BYTES = Counter("bookstore_checkpoint_bytes", "Bytes of the squashed updates written.")
S3_ERRORS = Counter("bookstore_s3_errors", "Failed requests to the bucket, by kind.", ["kind"])
EVICTIONS = Counter("bookstore_evictions", "Documents evicted from the buffer.")
RETRYING = Gauge(
    "bookstore_retrying", "1 while something can't be archived and is retried, otherwise 0."
)
PATH_CHANGES = Gauge(
    "bookstore_path_changes",
    "Renames and deletions that the bucket has not followed: waiting, or set aside because it "
    "refuses them.",
    ["state"],
)
WAITING_SECONDS = Gauge(
    "bookstore_waiting_seconds",
    "Seconds that the bucket has not answered a request, if longer than a request normally takes.",
)
