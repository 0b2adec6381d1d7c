"""Bookings at the service's own desk, in one process: `python -m bench.desk_load`, task on stdin, tally on stdout."""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from uuid import UUID

import uvloop

from bench import plan
from services.booking.desk import Desk, Wanted
from services.chassis.clock import SystemClock
from services.chassis.db.database import Database
from services.chassis.errors import DomainError
from services.chassis.ids import new_id


@dataclass(frozen=True)
class Task:
    """What to do: book number after number from `first` on for `seconds`; or rush, when a `session` is given."""

    database_url: str
    in_flight: int
    first: int = 0
    seconds: float = 0.0
    session: int | None = None


async def load(task: Task) -> dict[str, float]:
    """The tally: `booked`, `booked_in_time`; of a rush `booked`, `full` and the `seconds` until all were answered."""
    database = Database(task.database_url, SystemClock())
    desk = Desk(database)
    try:
        # Opens the pool.
        await database.hot("SELECT 1")
        if task.session is not None:
            return await _rush(desk, task.session, task.in_flight)
        tally: Counter[str] = Counter()
        ends, numbers = time.monotonic() + task.seconds, count(task.first)
        await asyncio.gather(*(_book(desk, numbers, ends, tally) for _ in range(task.in_flight)))
        return dict(tally)
    finally:
        await database.close()


async def _book(desk: Desk, numbers: Iterator[int], ends: float, tally: Counter[str]) -> None:
    while time.monotonic() < ends:
        number = next(numbers)
        booking = plan.wanted(number)
        await desk.book(_wanted(booking.parent, booking.class_session, booking.client))
        tally["booked"] += 1
        tally["booked_in_time"] += time.monotonic() < ends


async def _rush(desk: Desk, session: int, requests: int) -> dict[str, float]:
    names = [plan.rushed(session, client) for client in range(requests)]
    started = time.monotonic()
    reasons = Counter(await asyncio.gather(*(_ask(desk, _wanted(*name)) for name in names)))
    seconds = time.monotonic() - started
    return {"booked": reasons["BOOKED"], "full": reasons["SESSION_FULL"], "seconds": seconds}


async def _ask(desk: Desk, wanted: Wanted) -> str:
    try:
        await desk.book(wanted)
    except DomainError as error:
        return error.reason
    return "BOOKED"


def _wanted(parent: str, class_session: str, client: str) -> Wanted:
    studio, session, person = (UUID(name.rpartition("/")[2]) for name in (parent, class_session, client))
    return Wanted(
        tenant=studio,
        principal=f"apiKeys/{studio}",
        method="/powerhouse.booking.v1.BookingService/CreateBooking",
        request_id=new_id(),
        request_hash=new_id(),
        class_session=session,
        client=person,
        account=None,
    )


if __name__ == "__main__":
    print(json.dumps(uvloop.run(load(Task(**json.load(sys.stdin))))))
