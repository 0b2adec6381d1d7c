"""Rosters: who comes to a class, and what whoever stands in front of it should know of them."""

from calendar import isleap
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import exists, func, select

from services.booking.models import Booking, BookingDetail, ClassSession, Client
from services.chassis.db.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class Flags:
    """What is said of a client in a class."""

    first_visit: bool = False
    birthday_soon: bool = False


@dataclass(frozen=True)
class Entry:
    """One place of a class."""

    booking: BookingDetail
    # None set for a guest, of whom nothing is known.
    flags: Flags


async def of_session(tx: UnitOfWork, session_id: UUID) -> Sequence[Entry]:
    """Those who hold a place in a session, by spot, then by name."""
    booking = BookingDetail
    query = select(booking).where(
        booking.tenant_id == tx.tenant, booking.class_session_id == session_id, booking.cancel_time.is_(None)
    )
    place = func.array_position(ClassSession.spots, booking.spot)
    query = query.join(ClassSession, (ClassSession.tenant_id == tx.tenant) & (ClassSession.id == session_id))
    rows = (await tx.session.scalars(query.order_by(place, booking.client_display_name, booking.id))).all()
    if not rows:
        return []
    flags = await _flags(tx, {row.client_id for row in rows}, rows[0].start_time, rows[0].time_zone)
    return [Entry(row, Flags() if row.guest_display_name else flags[row.client_id]) for row in rows]


async def _flags(tx: UnitOfWork, client_ids: Collection[UUID], start: datetime, time_zone: str) -> dict[UUID, Flags]:
    """Of each client for a class that starts then at a location of that zone."""
    booking = Booking
    came_before = exists().where(
        booking.tenant_id == Client.tenant_id,
        booking.client_id == Client.id,
        booking.guest_display_name == "",
        # Where nobody is checked in, who did not cancel was there.
        booking.state.in_(("ATTENDED", "CONFIRMED")),
        booking.start_time < start,
    )
    query = select(Client.id, Client.birth_date, ~came_before)
    rows = await tx.session.execute(query.where(Client.tenant_id == tx.tenant, Client.id.in_(client_ids)))
    day = start.astimezone(ZoneInfo(time_zone)).date()
    return {client_id: Flags(first, born is not None and is_soon(born, day)) for client_id, born, first in rows}


def is_soon(born: date, day: date) -> bool:
    """Whether a birthday is on a day or in the six after it."""
    return any(_is_birthday(born, day + timedelta(days=ahead)) for ahead in range(7))


def _is_birthday(born: date, day: date) -> bool:
    """Who was born on 29 February has it on the 28th in other years."""
    if (born.month, born.day) == (2, 29) and not isleap(day.year):
        return (day.month, day.day) == (2, 28)
    return (born.month, born.day) == (day.month, day.day)
