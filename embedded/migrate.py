"""Makes the databases and queues of all services in one process: `python -m embedded.migrate` (`make migrate`)."""

import sys
from importlib import import_module

from embedded.programs import SERVICES
from services.chassis.config import ConfigurationError
from services.chassis.migrate import prepare


def main() -> None:
    """Prepares one service after another; the first failure ends it."""
    try:
        for name in SERVICES:
            prepare(import_module(f"services.{name}.service").SERVICE)
    except ConfigurationError as error:
        sys.exit(f"migrate: {error}")


if __name__ == "__main__":
    main()
