"""The commands of a service: `python -m services.<name> serve | work | migrate | replay`."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import uvloop

from services.chassis import config
from services.chassis.messaging import inbox
from services.chassis.resources import Resources, open_resources
from services.chassis.serve import serve
from services.chassis.service import Service
from services.chassis.settings import ServiceSettings


@dataclass(frozen=True)
class Maintenance:
    """A command of one service, run by hand. Returns what it did, in words."""

    help: str
    run: Callable[[Resources], Awaitable[str]]


def main(service: Service, maintenance: Mapping[str, Maintenance] | None = None) -> None:
    """Runs one command, of all services or by its name; a bad environment ends it with the list of what is wrong."""
    own = maintenance or {}
    parser = argparse.ArgumentParser(prog=f"python -m services.{service.name}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="answer gRPC until told to stop")
    commands.add_parser("work", help="relay, apply events and run jobs until told to stop")
    commands.add_parser("migrate", help="bring the database and the broker's queues up to date")
    commands.add_parser("replay", help="try the dead letters once more")
    for name, work in own.items():
        commands.add_parser(name, help=work.help)
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
            case _:
                print(asyncio.run(_maintain(service, config.load(service.settings), own[command])))
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


async def _maintain(service: Service, settings: ServiceSettings, work: Maintenance) -> str:
    resources = open_resources(service.name, settings)
    try:
        return await work.run(resources)
    finally:
        await resources.close()
