"""`python -m bookstore_y.cli` does what `jupyter bookstore` does."""

import sys

from . import main

sys.exit(main())
