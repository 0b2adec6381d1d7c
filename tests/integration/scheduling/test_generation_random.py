"""Generation of made-up timetables: what is planned is free, what is left out is taken, and again it is the same."""

import asyncio
import random
from collections import Counter

import pytest
from recurring_house import RecurringHouse, berlin, counts

from services.scheduling.recurrence import parse

DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
# Open conflicts, each with the sessions it names, as they are.
_NAMED = """
SELECT c.schedule_id, c.original_date, clash->>'kind' AS kind, s.cancelled,
    s.start_at < c.end_at AND s.end_at > c.start_at AS overlaps,
    CASE clash->>'kind' WHEN 'ROOM_TAKEN' THEN s.room_id = k.room_id ELSE s.instructor_id = k.instructor_id END AS same
FROM schedule_conflicts c
JOIN class_schedules k ON k.tenant_id = c.tenant_id AND k.id = c.schedule_id
CROSS JOIN LATERAL jsonb_array_elements(c.clashes) clash
LEFT JOIN class_sessions s ON s.tenant_id = c.tenant_id AND s.id = (clash->>'class_session')::uuid
WHERE c.tenant_id = $1 AND c.state = 'OPEN'
"""


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_free_is_left_out_and_nothing_taken_is_planned(recurring: RecurringHouse, seed: int) -> None:
    chance, house = random.Random(seed), recurring.house
    house.running.mesh.clock.instant = berlin("2027-01-03T06:00")
    rooms = [house.room.name, (await house.add_room()).name]
    people = [house.instructor.name, (await house.add_instructor()).name, (await house.add_instructor()).name]
    dates: Counter[str] = Counter()
    for _ in range(12):
        interval, days = chance.choice([1, 1, 2]), sorted(chance.sample(range(7), chance.randint(1, 3)))
        made = await recurring.create(
            rrule=f"FREQ=WEEKLY;INTERVAL={interval};BYDAY={','.join(DAYS[day] for day in days)}",
            local_time=f"{chance.randint(8, 12):02}:{chance.choice([0, 15, 30, 45]):02}",
            room=chance.choice(rooms),
            instructor=chance.choice(people),
            duration_minutes=chance.choice([30, 50, 90]),
        )
        start = berlin("2027-01-04T00:00").date()
        rule = parse(made.rrule, start, None, "rrule")
        dates[made.name] = len(rule.dates(start, berlin("2027-01-31T00:00").date()))
    for day in chance.sample(range(4, 31), 8):
        await house.plan(
            f"2027-01-{day:02}T{chance.randint(8, 13):02}:00", room=rooms[0], instructor=chance.choice(people)
        )
    runs = await asyncio.gather(*(recurring.generate() for _ in range(3)))
    first = max(runs, key=lambda run: run.created_count)
    # Each date has been dealt with, once.
    assert first.created_count + first.conflict_count == sum(dates.values())
    assert first.created_count > 20
    assert first.conflict_count > 5
    named = await house.running.sql(_NAMED, house.tenant)
    assert len({(row["schedule_id"], row["original_date"]) for row in named}) == first.conflict_count
    # What is in the way is planned and not itself left out.
    assert all(row["overlaps"] and row["same"] and row["cancelled"] is False for row in named)
    for run in (*runs, await recurring.generate()):
        if run is not first:
            assert counts(run) == (0, first.created_count, first.conflict_count, 0, 0)
    assert len(await recurring.sessions()) == first.created_count + 8
