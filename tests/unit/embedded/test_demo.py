"""The demo's data, before anyone loads it."""

from collections import defaultdict
from datetime import date, datetime, timedelta

import pytest

from embedded.demo.data import BERLIN, DAYS, NEW_YORK, Studio, clients, planned_sessions

FIRST_DAYS = [date(2026, 11, 16), date(2027, 3, 24), date(2027, 10, 25)]


@pytest.mark.parametrize("first_day", FIRST_DAYS, ids=str)
@pytest.mark.parametrize("studio", [BERLIN, NEW_YORK], ids=lambda studio: studio.display_name)
def test_no_room_and_no_instructor_is_needed_twice_at_once(studio: Studio, first_day: date) -> None:
    taken = defaultdict(list)
    for session in planned_sessions(studio, first_day):
        start = datetime.fromisoformat(session.local_start)
        end = start + timedelta(minutes=studio.class_types[session.class_type][1])
        for who in (f"room {session.room}", f"instructor {session.instructor}"):
            assert all(end <= begun or start >= over for begun, over in taken[who])
            taken[who].append((start, end))
    # Everyone teaches each week, so the instructor who can sign in does too.
    assert all(len(taken[f"instructor {number}"]) >= DAYS // 7 for number in range(len(studio.instructors)))


def test_it_is_as_large_as_promised_and_always_the_same() -> None:
    studios = (BERLIN, NEW_YORK)
    assert sum(len(studio.rooms) for studio in studios) == 4
    assert sum(len(studio.instructors) for studio in studios) == 8
    people = [person for studio in studios for person in clients(studio)]
    assert len(people) == 300
    assert people == [person for studio in studios for person in clients(studio)]
    for studio in studios:
        addresses = [email for _, email in clients(studio) if email]
        assert len(set(addresses)) == len(addresses)
        # A write is known by its content: two people may not look the same.
        assert len(set(clients(studio))) == studio.clients
        assert studio.packs > max(room.capacity for room in studio.rooms)
