"""What stands in the way of sessions that somebody wants, for any number of them in two statements."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from services.chassis.db.unit_of_work import UnitOfWork
from services.scheduling import generation_inputs
from services.scheduling.planning import Candidate, clashes_of

# Nothing helps against these: two sessions never share a room or an instructor.
OVERLAPS = {"ROOM_TAKEN", "INSTRUCTOR_TAKEN"}


async def find(tx: UnitOfWork, candidates: Sequence[Candidate], besides: Collection[UUID] = ()) -> None:
    """Fills in the clashes of each, closures beside all others.

    Sessions of `besides` are in nobody's way, nor are the candidates in each other's.
    """
    if not candidates:
        return
    start, end = min(each.start for each in candidates), max(each.end for each in candidates)
    who = {each.target.room_id for each in candidates} | {each.target.instructor_id for each in candidates}
    taken = await generation_inputs.occupied(tx, who, start, end, besides)
    # Every zone is within a day of UTC.
    one = timedelta(days=1)
    closures, hours = await generation_inputs.limits(tx, start.date() - one, end.date() + one)
    for each in candidates:
        closed = [clash for clash in clashes_of(each, taken, closures, None) if clash.kind == "CLOSURE"]
        each.clashes = [*closed, *clashes_of(each, taken, (), hours.get(each.target.instructor_id))]
