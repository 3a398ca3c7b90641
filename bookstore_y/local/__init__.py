"""Processes on this machine that the demo and the stress runs start and stop."""
