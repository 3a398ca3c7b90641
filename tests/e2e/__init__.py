"""End-to-end tests: real Jupyter servers, real clients; nothing mocked but the S3."""
