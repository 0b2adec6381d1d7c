"""What whoever stands in front of a class should know of a client at a glance."""

from calendar import isleap
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import exists, select

from services.booking.client_notes import HEALTH
from services.booking.models import Booking, Client, ClientNote
from services.chassis.db.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class Flags:
    """What is said of a client in a class."""

    has_health_note: bool = False
    has_general_note: bool = False
    # Without a class before it.
    first_visit: bool = False
    # On the day of the class or in the six days after it.
    birthday_soon: bool = False


async def client_flags(
    tx: UnitOfWork, client_ids: Collection[UUID], start: datetime, time_zone: str
) -> dict[UUID, Flags]:
    """The flags of each client for a class that starts then at a location of that IANA zone."""
    note, booking = ClientNote, Booking
    noted = (note.tenant_id == Client.tenant_id, note.client_id == Client.id)
    of_health, general = exists().where(*noted, note.kind == HEALTH), exists().where(*noted, note.kind != HEALTH)
    came_before = exists().where(
        booking.tenant_id == Client.tenant_id,
        booking.client_id == Client.id,
        booking.guest_display_name == "",
        # Where nobody is checked in, who did not cancel was there.
        booking.state.in_(("CONFIRMED", "ATTENDED")),
        booking.start_time < start,
    )
    query = select(Client.id, Client.birth_date, of_health, general, ~came_before)
    rows = await tx.session.execute(query.where(Client.tenant_id == tx.tenant, Client.id.in_(client_ids)))
    day = start.astimezone(ZoneInfo(time_zone)).date()
    return {
        client_id: Flags(
            has_health_note=health,
            has_general_note=other,
            first_visit=first,
            birthday_soon=born is not None and is_soon(born, day),
        )
        for client_id, born, health, other, first in rows
    }


def is_soon(born: date, day: date) -> bool:
    """Whether a birthday is on a day or in the six after it."""
    return any(_is_birthday(born, day + timedelta(days=ahead)) for ahead in range(7))


def _is_birthday(born: date, day: date) -> bool:
    """Who was born on 29 February has it on the 28th in other years."""
    if (born.month, born.day) == (2, 29) and not isleap(day.year):
        return (day.month, day.day) == (2, 28)
    return (born.month, born.day) == (day.month, day.day)
