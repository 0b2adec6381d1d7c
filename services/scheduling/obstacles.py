"""What stands in the way of sessions that somebody wants, for any number of them in three statements."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.chassis.db.unit_of_work import UnitOfWork
from services.scheduling import generation_inputs
from services.scheduling.clashes import Clash
from services.scheduling.planning import clashes_of
from services.scheduling.timetable import Plan

# Nothing helps against these: two sessions never share a room or an instructor.
OVERLAPS = {"ROOM_TAKEN", "INSTRUCTOR_TAKEN"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A session as it would be."""

    plan: Plan
    start: datetime
    end: datetime
    capacity: int


async def find(tx: UnitOfWork, wanted: Sequence[Wanted], besides: Collection[UUID] = ()) -> list[list[Clash]]:
    """The clashes of each. Sessions of `besides` are in nobody's way, nor are the wanted ones in each other's."""
    if not wanted:
        return []
    start, end = min(each.start for each in wanted), max(each.end for each in wanted)
    # Every zone is within a day of UTC.
    first, last = start.date() - timedelta(days=1), end.date() + timedelta(days=1)
    taken = await generation_inputs.occupied(tx, start, end, besides)
    closures = await generation_inputs.closures(tx, first, last)
    hours = await generation_inputs.hours(tx, list({each.plan.instructor.id for each in wanted}), first, last)
    return [
        list(
            clashes_of(
                each.plan, each.capacity, (each.start, each.end), taken, closures, hours.get(each.plan.instructor.id)
            )
        )
        for each in wanted
    ]
