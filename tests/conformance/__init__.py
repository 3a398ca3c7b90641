"""What the bucket and the archive promise, the same on every S3 server."""
