"""The commands of a service: `python -m services.<name> serve | work | migrate | replay`."""

import argparse
import asyncio
import sys

import uvloop

from services.chassis import config
from services.chassis.messaging import inbox
from services.chassis.resources import open_resources
from services.chassis.serve import serve
from services.chassis.service import Service
from services.chassis.settings import ServiceSettings


def main(service: Service) -> None:
    """Runs one command; a bad environment ends it with the list of what is wrong."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{service.name}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="answer gRPC until told to stop")
    commands.add_parser("work", help="relay, apply events and run jobs until told to stop")
    commands.add_parser("migrate", help="bring the database and the broker's queues up to date")
    commands.add_parser("replay", help="try the dead letters once more")
    command = parser.parse_args().command
    try:
        match command:
            case "migrate":
                from services.chassis.migrate import prepare  # Alembic is dear to import and only needed here

                prepare(service)
            case "serve":
                uvloop.run(serve(service, config.load(service.settings)))
            case "work":
                from services.chassis.jobs.work import run_work  # Celery is dear to import and only needed here

                run_work(service)
            case "replay":
                sys.exit(asyncio.run(_replay(service, config.load(service.settings))))
    except config.ConfigurationError as error:
        sys.exit(f"{service.name} {command}: {error}")


async def _replay(service: Service, settings: ServiceSettings) -> int:
    """Safe to run twice, also at the same time. 1 when some are still dead."""
    resources = open_resources(service.name, settings)
    try:
        worked, failed = await inbox.replay(resources.database, service.consumers)
    finally:
        await resources.close()
    print(f"{worked} dead letters applied, {failed} still fail")
    return 1 if failed else 0
