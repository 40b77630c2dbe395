"""The command ``python -m pml_ahsml``."""

import sys

from .audit.command import main

if __name__ == "__main__":
    sys.exit(main())
