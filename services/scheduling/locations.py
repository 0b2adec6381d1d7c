"""Locations: addresses with the zone in which their sessions are told."""

from typing import Any
from uuid import UUID

from services.chassis.db.unit_of_work import UnitOfWork
from services.scheduling import catalogue, session_events, studios
from services.scheduling.local_time import check_zone
from services.scheduling.models import Location

MUTABLE = ("display_name", "address")


async def create(tx: UnitOfWork, *, display_name: str, address: str, time_zone: str) -> Location:
    """The zone is for good: another one would move every class."""
    check_zone(time_zone, "location.time_zone")
    await studios.lock(tx)
    location = Location(tenant_id=tx.tenant, display_name=display_name, address=address, time_zone=time_zone)
    tx.session.add(location)
    await tx.session.flush()
    return location


async def update(tx: UnitOfWork, location_id: UUID, etag: str, changes: dict[str, Any]) -> Location:
    """Changes some of MUTABLE; a new name reaches the sessions to come."""
    location = await catalogue.open_for_change(tx, Location, location_id, etag)
    if "display_name" in catalogue.apply(tx, location, changes):
        await session_events.republish_users(tx, location)
    return location
