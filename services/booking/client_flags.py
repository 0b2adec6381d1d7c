"""What whoever stands in front of a class should know of a client at a glance."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import exists, select

from services.booking.client_notes import HEALTH
from services.booking.models import Booking, ClassSession, Client, ClientNote
from services.chassis.db.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class Flags:
    """`birthday` is of the day that was asked for."""

    has_health_note: bool
    first_visit: bool
    birthday: bool


async def client_flags(tx: UnitOfWork, client_ids: Sequence[UUID], day: date) -> dict[UUID, Flags]:
    """The flags of each client on the local `day` of a class. A first visit is one without a class before it."""
    note, booking, session = ClientNote, Booking, ClassSession
    has_health_note = exists().where(
        note.tenant_id == Client.tenant_id, note.client_id == Client.id, note.kind == HEALTH
    )
    came_before = exists().where(
        booking.tenant_id == Client.tenant_id,
        booking.client_id == Client.id,
        booking.state.in_(("CONFIRMED", "ATTENDED")),
        session.tenant_id == booking.tenant_id,
        session.id == booking.class_session_id,
        session.end_time < tx.now(),
    )
    query = select(Client.id, Client.birth_date, has_health_note, ~came_before)
    rows = await tx.session.execute(query.where(Client.tenant_id == tx.tenant, Client.id.in_(client_ids)))
    return {
        client_id: Flags(has_health_note=noted, first_visit=first, birthday=_is_birthday(born, day))
        for client_id, born, noted, first in rows
    }


def _is_birthday(born: date | None, day: date) -> bool:
    """Who was born on 29 February has it on the 28th in other years."""
    if born is None:
        return False
    last_of_february = (day + timedelta(days=1)).month == 3 and day.month == 2
    on_leap_day = (born.month, born.day) == (2, 29)
    return last_of_february if on_leap_day else (born.month, born.day) == (day.month, day.day)
