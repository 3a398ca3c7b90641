"""`python -m bookstore_y.stress.layers [NAME …]`: run layers one by one."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from . import LAYERS, run


def main(argv: Sequence[str] | None = None) -> int:
    """Run the layers named, or all; 1 if one of them is not as it should be."""
    parser = argparse.ArgumentParser(
        prog="python -m bookstore_y.stress.layers",
        description="Run layers of the RTC stack one by one: "
        + "; ".join(f"{layer.name}, {layer.says}" for layer in LAYERS.values())
        + ".",
    )
    parser.add_argument("layers", nargs="*", metavar="NAME", choices=[*LAYERS, []])
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--edits", type=int, default=400, help="edits by all clients together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON in place of lines")
    args = parser.parse_args(argv)
    results = []
    for name in args.layers or LAYERS:
        try:
            results.append(run(name, args.clients, args.edits, args.seed))
        except ValueError as error:
            parser.error(str(error))
        if not args.json:
            print(results[-1], flush=True)
    if args.json:
        print(json.dumps([asdict(result) for result in results], indent=1))
    return 0 if all(result.passed or result.skipped for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
