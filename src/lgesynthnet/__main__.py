"""`python -m lgesynthnet` is the command line."""

import sys

from lgesynthnet.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
