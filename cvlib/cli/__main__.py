"""`python -m cvlib.cli`: the `cvlib` command."""

import sys

from cvlib.cli import main

if __name__ == "__main__":
    sys.exit(main())
