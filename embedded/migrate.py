"""Brings the databases of all services up to date in one process: `python -m embedded.migrate` (`make migrate`)."""

import sys
from pathlib import Path

from embedded.programs import SERVICES
from services.chassis.config import ConfigurationError
from services.chassis.migrate import migrate

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Migrates one service after another; the first failure ends it."""
    try:
        for service in SERVICES:
            migrate(service, ROOT / "services" / service)
    except ConfigurationError as error:
        sys.exit(f"migrate: {error}")


if __name__ == "__main__":
    main()
