"""Processes on this machine: those that the demo and the stress runs start, and end."""
