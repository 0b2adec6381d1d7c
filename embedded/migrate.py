"""Brings the databases of all services up to date in one process: `python -m embedded.migrate` (`make migrate`)."""

import sys

from services.booking.service import SERVICE as BOOKING
from services.chassis.config import ConfigurationError
from services.chassis.migrate import prepare
from services.identity.service import SERVICE as IDENTITY
from services.notify.service import SERVICE as NOTIFY
from services.scheduling.service import SERVICE as SCHEDULING


def main() -> None:
    """Migrates one service after another; the first failure ends it."""
    try:
        for service in (IDENTITY, SCHEDULING, BOOKING, NOTIFY):
            prepare(service)
    except ConfigurationError as error:
        sys.exit(f"migrate: {error}")


if __name__ == "__main__":
    main()
