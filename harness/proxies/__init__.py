"""Proxies between bookstore_y and an S3 server, each with a fault of its own."""
