"""Ten thousand preferences: none is ever violated, whatever kind, channel, quiet hours, zone and day of the year."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given, settings
from hypothesis import strategies as st

from services.notify.models import Channel, Kind
from services.notify.preferences import ALL, CLIENT_KINDS, Preferences
from services.notify.quiet_hours import QuietHours, send_time

CASES = 10_000
ZONES = sorted(available_timezones() - {"localtime", "Factory", "posixrules"})
# Around the days on which clocks change somewhere, and around others.
DAYS = [
    datetime(year, month, day, tzinfo=UTC)
    for year in (2025, 2026, 2027)
    for month, day in ((3, 8), (3, 28), (4, 4), (4, 25), (9, 5), (9, 27), (10, 3), (10, 24), (11, 1), (1, 1), (7, 1))
]

walls = st.integers(0, 24 * 60 - 1).map(lambda minute: time(minute // 60, minute % 60))
quiet_hours = st.one_of(
    st.none(),
    st.tuples(walls, walls).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: QuietHours(*pair)),
)
opt_outs = st.frozensets(
    st.tuples(st.sampled_from([ALL, *CLIENT_KINDS]), st.sampled_from(Channel)).map("/".join), max_size=8
)
minutes = st.integers(0, 3 * 24 * 60).map(lambda count: timedelta(minutes=count))


def leaves(
    wanted: Preferences, kind: Kind, channel: Channel, due: datetime, until: datetime, now: datetime
) -> tuple[datetime | None, str]:
    """As sending does it: the choice first, then the hour."""
    if refusal := wanted.refusal(kind, channel):
        return None, refusal
    return send_time(due, until, wanted.quiet, wanted.zone, earliest=now), "quiet hours"


@settings(max_examples=CASES, deadline=None)
@given(
    wanted=st.builds(Preferences, opt_outs=opt_outs, quiet=quiet_hours, zone=st.sampled_from(ZONES)),
    kind=st.sampled_from(Kind),
    channel=st.sampled_from(Channel),
    day=st.sampled_from(DAYS),
    later=minutes,
    useful=minutes.filter(bool),
    lead=minutes,
)
def test_no_preference_is_ever_violated(
    wanted: Preferences,
    kind: Kind,
    channel: Channel,
    day: datetime,
    later: timedelta,
    useful: timedelta,
    lead: timedelta,
) -> None:
    due = day + later
    now, until = due - lead, due + useful
    leave, reason = leaves(wanted, kind, channel, due, until, now)
    unwanted = kind in CLIENT_KINDS and {f"{kind}/{channel}", f"*/{channel}"} & wanted.opt_outs
    if unwanted:
        words = {"email": "E-mail", "sms": "SMS", "push": "Push"}[channel]
        assert (leave, reason) == (None, f"{words} skipped - client preference")
        return
    if leave is None:
        # Only for want of a moment: when it was due the person was not to be disturbed.
        assert wanted.quiet is not None
        return
    assert now <= leave < until
    if wanted.quiet is None:
        assert leave == due
        return
    # What the person's own clock shows, read without the code that is tested.
    shown = leave.astimezone(ZoneInfo(wanted.zone)).time()
    start, end = wanted.quiet.start, wanted.quiet.end
    assert not (start <= shown < end if start < end else shown >= start or shown < end)
