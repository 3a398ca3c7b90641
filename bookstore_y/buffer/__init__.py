"""Updates in SQLite, until the bucket has them. Knows no S3."""
