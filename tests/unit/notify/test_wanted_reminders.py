"""Which reminders a booking has, over zones, clock changes, quiet hours and offsets."""

from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import available_timezones

from hypothesis import given, settings
from hypothesis import strategies as st

from services.notify.models import Channel, RemindedBooking
from services.notify.preferences import Preferences
from services.notify.quiet_hours import QuietHours, is_quiet
from services.notify.reminders import reminders_of

ZONES = st.sampled_from(sorted(available_timezones() - {"localtime"}))
INSTANTS = st.integers(0, 4 * 365 * 1440).map(lambda n: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=n))
OFFSETS = st.dictionaries(
    st.sampled_from(list(Channel)), st.lists(st.integers(15, 20160) | st.sampled_from([120, 1440, 2880]), max_size=4)
)
QUIET = st.none() | st.builds(QuietHours, st.times(), st.times()).filter(lambda quiet: quiet.start != quiet.end)


def booking(start: datetime, zone: str, time_version: int) -> RemindedBooking:
    return RemindedBooking(
        tenant_id=UUID(int=1),
        id=UUID(int=2),
        version=1,
        client_id=UUID(int=3),
        class_session_id=UUID(int=4),
        class_type_id=UUID(int=5),
        confirmed=True,
        start_time=start,
        time_zone=zone,
        time_version=time_version,
        change_time=start,
    )


@settings(max_examples=1000)
@given(INSTANTS, ZONES, ZONES, OFFSETS, QUIET, st.timedeltas(timedelta(0), timedelta(days=20)))
def test_never_in_quiet_hours_never_after_its_use_never_stale(
    start: datetime,
    zone: str,
    own_zone: str,
    offsets: dict[Channel, list[int]],
    quiet: QuietHours | None,
    before: timedelta,
) -> None:
    now = start - before
    wishes = Preferences(quiet=quiet, zone=own_zone)
    found = reminders_of(booking(start, zone, 7), offsets, wishes, since=now, now=now)
    for (offset, channel, time_version), wanted in found.items():
        assert offset in offsets[channel]
        assert time_version == 7
        assert wanted.due_time > now
        if wanted.send_time is None:
            assert quiet is not None
            continue
        assert now <= wanted.send_time < start
        assert not is_quiet(wanted.send_time, quiet, own_zone)
        if quiet is None:
            assert wanted.send_time == wanted.due_time
    due = {(offset, channel) for channel, minutes in offsets.items() for offset in minutes}
    assert {(offset, channel) for offset, channel, _ in found} <= due


def test_a_text_two_hours_before_an_early_class_leaves_before_the_night() -> None:
    """22:00 to 08:00, class at 07:00: the text would leave at 05:00."""
    start = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
    wishes = Preferences(quiet=QuietHours(time(22), time(8)), zone="UTC")
    offsets = {Channel.SMS: [120], Channel.EMAIL: [120]}
    evening = datetime(2026, 11, 23, 21, 45, tzinfo=UTC)
    early, late = start - timedelta(days=2), start - timedelta(hours=8)
    found = reminders_of(booking(start, "UTC", 1), offsets, wishes, since=early, now=early)
    text, mail = found[(120, Channel.SMS, 1)], found[(120, Channel.EMAIL, 1)]
    assert text.due_time == mail.due_time == datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
    assert text.send_time == mail.send_time == evening
    # Booked at 23:00, when that is over, it is dropped.
    assert (
        reminders_of(booking(start, "UTC", 1), offsets, wishes, since=late, now=late)[(120, Channel.SMS, 1)].send_time
        is None
    )


def test_what_waits_for_the_morning_goes_on_waiting_when_something_else_changes() -> None:
    """Due at 23:00; at 23:30 it is planned again, without being anew."""
    start = datetime(2026, 11, 24, 23, 0, tzinfo=UTC)
    wishes = Preferences(quiet=QuietHours(time(22), time(8)), zone="UTC")
    offsets, night = {Channel.SMS: [1440]}, start - timedelta(hours=23, minutes=30)
    key = (1440, Channel.SMS, 1)
    assert not reminders_of(booking(start, "UTC", 1), offsets, wishes, since=night, now=night)
    found = reminders_of(booking(start, "UTC", 1), offsets, wishes, since=night, now=night, waiting={key})
    assert found[key].send_time == datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
