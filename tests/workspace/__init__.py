"""Tests of the workspace on an empty disk."""
