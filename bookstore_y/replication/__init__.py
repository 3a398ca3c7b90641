"""One document's way from the buffer to the bucket, and back."""
