"""What Yjs updates say: pure functions on them and on documents. Knows no S3."""
