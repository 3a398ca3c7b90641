"""Documents and their versions in the bucket."""
