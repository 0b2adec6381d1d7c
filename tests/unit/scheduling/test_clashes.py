"""What stands in the way of a session, against the plainest words for it."""

from datetime import date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scheduling.clashes import Closed, Hours, Occupied

MIDNIGHT = datetime.fromisoformat("2027-01-04T00:00")
ROOM, OTHER = uuid4(), uuid4()


def _at(minutes: int) -> datetime:
    return MIDNIGHT + timedelta(minutes=minutes)


@given(st.lists(st.tuples(st.integers(0, 600), st.integers(1, 90))))
def test_an_interval_is_free_when_it_overlaps_none(wanted: list[tuple[int, int]]) -> None:
    occupied, taken = Occupied(), dict[UUID, tuple[int, int]]()
    for start, length in wanted:
        end = start + length
        others = {session for session, (a, b) in taken.items() if a < end and b > start}
        found = occupied.by(ROOM, _at(start), _at(end))
        assert (found in others) if others else (found is None)
        if found is None:
            taken[session := uuid4()] = (start, end)
            occupied.add(ROOM, _at(start), _at(end), session)
    assert occupied.by(OTHER, _at(0), _at(1000)) is None


windows = st.lists(st.tuples(st.integers(0, 23), st.integers(1, 24)).filter(lambda w: w[0] < w[1]), max_size=3)
spans = st.tuples(st.integers(0, 1), st.integers(0, 1)).map(sorted)


@given(
    st.dictionaries(st.sampled_from([0, 1]), windows, max_size=2),
    st.lists(st.tuples(spans, st.tuples(st.integers(0, 23), st.integers(1, 24)).filter(lambda w: w[0] < w[1]))),
    st.lists(st.tuples(spans, st.tuples(st.integers(0, 23), st.integers(1, 24)).filter(lambda w: w[0] < w[1]))),
    st.integers(0, 47),
    st.integers(1, 8),
)
def test_hours_cover_what_every_minute_of_it_lies_in(weekly, away, extra, start, length) -> None:  # type: ignore[no-untyped-def]
    """Monday and Tuesday, hour by hour."""
    monday = MIDNIGHT.date()

    def dated(exceptions):  # type: ignore[no-untyped-def]
        return [(monday + timedelta(a), monday + timedelta(b), h * 60, i * 60) for (a, b), (h, i) in exceptions]

    hours = Hours({day: [(a * 60, b * 60) for a, b in each] for day, each in weekly.items()}, dated(away), dated(extra))

    def can(hour: int) -> bool:
        day, of_day = divmod(hour, 24)
        if any(a <= day <= b and h <= of_day < i for (a, b), (h, i) in away):
            return False
        if not weekly:
            return True
        there = any(a <= of_day < b for a, b in weekly.get(day, ()))
        return there or any(a <= day <= b and h <= of_day < i for (a, b), (h, i) in extra)

    end = min(start + length, 48)
    expected = all(can(hour) for hour in range(start, end))
    assert hours.cover(_at(start * 60), _at(end * 60)) == expected


def test_hours_are_exact_to_the_minute() -> None:
    hours = Hours({0: [(540, 600), (600, 660)]})
    assert hours.cover(_at(540), _at(660))
    assert not hours.cover(_at(539), _at(600))
    assert not hours.cover(_at(600), _at(661))
    assert not hours.cover(_at(23 * 60), _at(25 * 60))
    assert Hours().cover(_at(0), _at(5000))


@pytest.mark.parametrize(
    ("start", "length", "closed"),
    [(-60, 60, False), (-60, 61, True), (0, 50, True), (2 * 1440 - 1, 50, True), (2 * 1440, 50, False)],
)
def test_a_closure_reaches_from_midnight_to_midnight(start: int, length: int, closed: bool) -> None:
    here, first = uuid4(), MIDNIGHT.date()
    for location in (None, here):
        closure = Closed(uuid4(), location, first, first + timedelta(days=1))
        assert closure.touches(here, _at(start), _at(start + length)) is closed
    elsewhere = Closed(uuid4(), uuid4(), date.min, date.max)
    assert not elsewhere.touches(here, _at(start), _at(start + length))
