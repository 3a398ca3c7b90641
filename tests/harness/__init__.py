"""The harness itself: it must find what is wrong."""
