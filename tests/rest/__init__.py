"""The REST calls, against real servers."""
