"""Whom a free place goes to, and when the line closes."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.booking.promotions import (
    LEAVES,
    Candidate,
    close_time,
    decide,
    free_decline_time,
    offer_expire_time,
    quiet_until,
)
from services.chassis.ids import new_id

BERLIN = "Europe/Berlin"


@dataclass(frozen=True)
class Session:
    """A session under a policy with quiet hours from 22:00 to 07:00."""

    start_time: datetime
    time_zone: str = BERLIN
    waitlist_mode: str = "AUTO_PROMOTE"
    waitlist_cutoff_minutes: int = 60
    waitlist_offer_minutes: int = 60
    quiet_start_minute: int = 22 * 60
    quiet_end_minute: int = 7 * 60
    cancellation_window_minutes: int = 720
    late_promotion_decline_minutes: int = 120


def local(text: str, zone: str = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


NOON = Session(local("2027-01-06T12:00"))


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2027-01-05T21:59", None),
        ("2027-01-05T22:00", "2027-01-06T07:00"),
        ("2027-01-06T00:00", "2027-01-06T07:00"),
        ("2027-01-06T06:59", "2027-01-06T07:00"),
        ("2027-01-06T07:00", None),
        # The clocks go forward at 02:00, and back at 03:00.
        ("2027-03-28T03:30", "2027-03-28T07:00"),
        ("2027-10-31T02:30", "2027-10-31T07:00"),
    ],
)
def test_quiet_hours_over_midnight(at: str, until: str | None) -> None:
    assert quiet_until(NOON, local(at)) == (local(until) if until else None)


def test_quiet_hours_within_a_day_and_none() -> None:
    siesta = replace(NOON, quiet_start_minute=13 * 60, quiet_end_minute=15 * 60)
    assert quiet_until(siesta, local("2027-01-05T14:00")) == local("2027-01-05T15:00")
    assert quiet_until(siesta, local("2027-01-05T15:00")) is None
    never = replace(NOON, quiet_start_minute=60, quiet_end_minute=60)
    assert quiet_until(never, local("2027-01-05T01:00")) is None


def test_quiet_hours_that_end_in_an_hour_that_exists_twice_or_not_at_all() -> None:
    early = replace(NOON, quiet_end_minute=150)
    assert quiet_until(early, local("2027-10-31T01:00")) == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
    # The second 02:15 is after their end.
    assert quiet_until(early, datetime(2027, 10, 31, 1, 15, tzinfo=UTC)) is None
    assert quiet_until(early, local("2027-03-28T01:00")) == local("2027-03-28T03:30")


@pytest.mark.parametrize(
    ("start", "closes"),
    [
        ("2027-01-06T12:00", "2027-01-06T11:00"),
        ("2027-01-06T08:01", "2027-01-06T07:01"),
        # At seven the quiet hours end and the line would close: nobody is promoted in between.
        ("2027-01-06T08:00", "2027-01-05T22:00"),
        ("2027-01-06T07:30", "2027-01-05T22:00"),
        ("2027-01-05T23:00", "2027-01-05T22:00"),
        ("2027-01-05T22:30", "2027-01-05T21:30"),
    ],
)
def test_a_line_closes_at_the_cut_off_or_before_a_night_that_lasts_until_it(start: str, closes: str) -> None:
    assert close_time(replace(NOON, start_time=local(start))) == local(closes)


@given(
    start=st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # Hypothesis wants naive bounds
    zone=st.timezone_keys(allow_prefix=False),
    quiet=st.tuples(st.integers(0, 1439), st.integers(0, 1439)),
    cutoff=st.integers(0, 10080),
)
def test_anywhere_the_last_moment_of_a_line_is_not_quiet(
    start: datetime, zone: str, quiet: tuple[int, int], cutoff: int
) -> None:
    session = Session(
        start, zone, waitlist_cutoff_minutes=cutoff, quiet_start_minute=quiet[0], quiet_end_minute=quiet[1]
    )
    closes = close_time(session)
    assert closes <= start
    ends = quiet_until(session, closes - timedelta(microseconds=1))
    # Two nights may touch where the clocks are put back or a day is left out.
    assert ends is None or ends <= closes


def test_an_offer_lasts_no_longer_than_the_line() -> None:
    assert offer_expire_time(NOON, local("2027-01-06T09:00")) == local("2027-01-06T10:00")
    assert offer_expire_time(NOON, local("2027-01-06T10:30")) == local("2027-01-06T11:00")


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2027-01-05T12:00", None),
        # Free until midnight by the policy; promoted shortly before, a little longer.
        ("2027-01-05T23:00", "2027-01-06T01:00"),
        ("2027-01-06T08:00", "2027-01-06T10:00"),
        ("2027-01-06T10:30", "2027-01-06T12:00"),
    ],
)
def test_promoted_late_one_has_time_to_decline(now: str, until: str | None) -> None:
    assert free_decline_time(NOON, local(now)) == (local(until) if until else None)


def candidate(**facts: object) -> Candidate:
    usual = {
        "entry": new_id(),
        "client": new_id(),
        "hold": new_id(),
        "offered": False,
        "displaced": False,
        "passed_over": "",
        "conflict": None,
        "terms": None,
        "archived": False,
        "offered_elsewhere": False,
        "usable": True,
    }
    return Candidate(**{**usual, **facts})  # type: ignore[arg-type]


def outcomes(line: list[Candidate], places: int) -> list[tuple[int, str]]:
    return [(each.position, each.outcome) for each in decide(line, places, "PROMOTED")]


def test_the_first_who_can_have_it() -> None:
    line = [candidate(terms="TOO_MANY_BOOKINGS"), candidate(archived=True), candidate(), candidate()]
    assert outcomes(line, 1) == [(1, "TOO_MANY_BOOKINGS"), (2, "CLIENT_ARCHIVED"), (3, "PROMOTED")]
    assert outcomes(line, 0) == []


def test_an_offer_holds_its_place_and_who_is_booked_elsewhere_frees_it() -> None:
    offered = candidate(offered=True)
    assert outcomes([offered, candidate()], 1) == [(2, "PROMOTED")]
    gone = candidate(offered=True, conflict="OVERLAPPING_BOOKING")
    assert outcomes([candidate(), gone, candidate()], 0) == [(1, "PROMOTED"), (2, "OVERLAPPING_BOOKING")]


def test_who_was_displaced_has_paid_already() -> None:
    line = [candidate(usable=False), candidate(usable=False, displaced=True)]
    assert outcomes(line, 1) == [(1, "PACKAGE_NOT_USABLE"), (2, "PROMOTED")]


@given(
    st.lists(
        st.builds(
            candidate,
            offered=st.booleans(),
            archived=st.booleans(),
            conflict=st.sampled_from([None, *sorted(LEAVES)]),
            terms=st.sampled_from([None, "TOO_MANY_BOOKINGS", "WAIVER_NOT_SIGNED"]),
        ),
        max_size=12,
    ),
    st.integers(-2, 6),
)
def test_never_more_than_there_are_and_nobody_eligible_is_passed(line: list[Candidate], places: int) -> None:
    decisions = decide(line, places, "PROMOTED")
    places += sum(each.offered for each in line if each.conflict)
    won = [each.candidate for each in decisions if each.outcome == "PROMOTED"]
    able = [each for each in line if each.can_have_place()]
    assert won == able[: max(places, 0)]
    left = {each.candidate.entry for each in decisions if each.outcome in LEAVES}
    assert left == {each.entry for each in line if each.conflict}
