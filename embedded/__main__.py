"""`make run`: everything on this machine, until Ctrl-C."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - for whoever starts it without make
    sys.exit(f"Powerhouse needs Python 3.11 or newer; {sys.executable} is Python {sys.version.split()[0]}.")

from embedded.run import main

if __name__ == "__main__":
    sys.exit(main())
