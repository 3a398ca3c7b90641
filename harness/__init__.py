"""Programs that hold bookstore_y against faults, and what tests and benchmarks share with them."""
