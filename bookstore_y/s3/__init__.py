"""One versioned bucket. Speaks S3; knows no Yjs."""
