"""`python run.py [OVERRIDE…]` is the same as `cvlib train [OVERRIDE…]`: one run, or a sweep with -m."""

import sys

from cvlib.cli.train import train

if __name__ == "__main__":
    sys.exit(train(sys.argv[1:]))
