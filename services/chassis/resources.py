"""What the code of a service works with: opened once per process, on its event loop, and closed together."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from services.chassis import config
from services.chassis.clock import Clock, make_clock
from services.chassis.db.database import Database
from services.chassis.db.paging import Pager
from services.chassis.db.urls import service_url
from services.chassis.rpc.stubs import Stubs, Tls
from services.chassis.settings import ServiceSettings


@dataclass(frozen=True)
class Resources:
    """Handed to servicers, consumers and jobs."""

    settings: ServiceSettings
    clock: Clock
    database: Database
    stubs: Stubs
    pager: Pager
    # What a service has opened beside them.
    others: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def close(self) -> None:
        await self.others.aclose()
        await self.stubs.close()
        await self.database.close()


def open_resources(service: str, settings: ServiceSettings) -> Resources:
    """Opens nothing yet: connections are made when first used."""
    clock = make_clock(settings.clock_file, production=settings.production)
    return Resources(
        settings=settings,
        clock=clock,
        database=Database(service_url(service, "app"), clock),
        stubs=Stubs(config.targets(), Tls(settings.tls_dir)),
        pager=Pager(settings.secret),
    )
