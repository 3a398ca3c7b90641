"""The torture harness: what is promised of acknowledged updates, held against faults.

`python -m harness.torture --help` tells how to run it; `make torture` runs all of it.
"""
