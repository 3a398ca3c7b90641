"""How fast bookstore_y is, against other stores and against the floor: `python -m benchmarks`."""
