"""Calendar feeds: whose they are, what they show and hide, and when they end."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import grpc
import pytest
from grpc import StatusCode
from icalendar import Calendar

from powerhouse.booking.v1 import calendar_service_pb2 as pb
from powerhouse.booking.v1.calendar_service_pb2_grpc import CalendarServiceStub
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking import calendar_feeds
from services.chassis.ids import new_id
from tests.integration.booking.house import INSTRUCTOR, ROOM, House, key, last_id, refused

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def make(house: House, subject: str, stub: Any = None, request_id: str = "") -> Any:
    """A call that creates a feed: by staff, or as whom `stub` calls."""
    return (stub or house.staff).CreateCalendarFeed(
        pb.CreateCalendarFeedRequest(
            parent=house.name, calendar_feed=pb.NewCalendarFeed(subject=subject), request_id=request_id or key()
        )
    )


def download(house: House, file: str) -> Any:
    """A call of somebody who knows nothing but the address."""
    stub = house.running.anonymous(CalendarServiceStub)
    return stub.DownloadCalendar(pb.DownloadCalendarRequest(file=file.rpartition("/")[2]))


async def events(house: House, feed: pb.CalendarFeed) -> list[Any]:
    return list(Calendar.from_ical((await download(house, feed.url)).data).walk("VEVENT"))


def revoke(house: House, feed: pb.CalendarFeed, stub: Any = None) -> Any:
    return (stub or house.staff).RevokeCalendarFeed(pb.RevokeCalendarFeedRequest(name=feed.name, request_id=key()))


async def listed(house: House, stub: Any = None, **fields: Any) -> pb.ListCalendarFeedsResponse:
    answer: pb.ListCalendarFeedsResponse = await (stub or house.staff).ListCalendarFeeds(
        pb.ListCalendarFeedsRequest(parent=house.name, **fields)
    )
    return answer


async def gone(house: House, url: str) -> tuple[StatusCode, str, Any]:
    """How an address that does not answer says so."""
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await download(house, url)
    return refusal.value.code(), refusal.value.details() or "", tuple(refusal.value.trailing_metadata() or ())


def room(house: House) -> str:
    return f"{house.name}/rooms/{ROOM}"


def instructor(house: House) -> str:
    return f"{house.name}/instructors/{INSTRUCTOR}"


async def add_own(house: House, account: UUID) -> Client:
    return await house.add_client(credits=5, account=f"accounts/{account}")


async def test_a_clients_bookings(house: House) -> None:
    client = await house.add_client(credits=3)
    session = await house.plan(spots=["A", "B"], capacity=2)
    await house.plan()
    booking = await house.book(session, client, spot="B")
    feed = await make(house, client.name)
    assert feed.subject == client.name
    assert feed.url.startswith("http://127.0.0.1:8080/v1/calendars/")
    assert feed.url.endswith(f"{feed.hint}.ics")

    answer = await download(house, feed.url)
    assert answer.content_type == "text/calendar; charset=utf-8"
    calendar = Calendar.from_ical(answer.data)
    assert (calendar["method"], calendar["x-wr-calname"]) == ("PUBLISH", "Clara")
    (event,) = calendar.walk("VEVENT")
    start = house.now + timedelta(days=2)
    assert event["uid"] == f"{last_id(booking.name)}@bookings.powerhouse.studio"
    assert (event["dtstart"].dt, event["dtend"].dt) == (start, start + timedelta(minutes=50))
    assert event["dtstart"].params["TZID"] == BERLIN
    assert (event["summary"], event["location"], event["status"]) == ("Reformer Flow", "Room 1, Mitte", "CONFIRMED")
    assert str(event["description"]).split("\n") == [
        "Instructor: Ines",
        "Spot: B",
        "Free to cancel until Tue 05 Jan 2027, 21:00 (Europe/Berlin)",
        f"http://127.0.0.1:8080/?studio={house.tenant}",
    ]
    assert (await download(house, feed.url)).data == answer.data


async def test_over_both_changes_of_the_clocks_instants_are_right(house: House) -> None:
    client = await house.add_client(credits=8)
    changes = {
        BERLIN: [datetime(2027, 3, 28, 1, tzinfo=UTC), datetime(2027, 10, 31, 1, tzinfo=UTC)],
        NEW_YORK: [datetime(2027, 3, 14, 7, tzinfo=UTC), datetime(2027, 11, 7, 6, tzinfo=UTC)],
    }
    starts = []
    for time_zone, instants in changes.items():
        for instant in instants:
            for hours in (-12, 12):
                starts.append(start := instant + timedelta(hours=hours))
                house.running.mesh.clock.instant = start - timedelta(days=2)
                await house.book(await house.plan(start=start, time_zone=time_zone), client)
    house.running.mesh.clock.instant = datetime(2027, 3, 10, tzinfo=UTC)
    shown = await events(house, await make(house, client.name))
    assert [event["dtstart"].dt.astimezone(UTC) for event in shown] == sorted(starts)
    assert {event["dtstart"].params["TZID"] for event in shown} == {BERLIN, NEW_YORK}
    text = (await download(house, (await make(house, client.name)).url)).data
    zones = [zone["tzid"] for zone in Calendar.from_ical(text).walk("VTIMEZONE")]
    assert zones == [NEW_YORK, BERLIN]
    # New York's spring: told at the wall time before the clocks change, as RFC 5545 says.
    assert b"DTSTART:20270314T020000\r\nTZNAME:EDT\r\nTZOFFSETFROM:-0500\r\nTZOFFSETTO:-0400" in text


async def test_what_changes_is_a_newer_version_of_the_same_event(house: House) -> None:
    client = await house.add_client()
    session = await house.plan()
    await house.book(session, client)
    feed = await make(house, client.name)
    (before,) = await events(house, feed)
    house.move(hours=1)
    later = house.now + timedelta(days=3)
    await house.change(session, 2, start=later, time_version=2)
    (moved,) = await events(house, feed)
    await house.change(session, 3, start=later, time_version=2, room_display_name="Room 2")
    (elsewhere,) = await events(house, feed)
    assert before["uid"] == moved["uid"] == elsewhere["uid"]
    assert before["sequence"] < moved["sequence"] < elsewhere["sequence"]
    assert before["last-modified"].dt < moved["last-modified"].dt == house.now
    assert (moved["dtstart"].dt, elsewhere["location"]) == (later, "Room 2, Mitte")


async def test_cancelled_bookings_stay_as_such_for_a_month(house: House) -> None:
    client = await house.add_client(credits=2)
    session = await house.plan(start=house.now + timedelta(days=25))
    called_off = await house.plan(start=house.now + timedelta(days=26))
    booking = await house.book(session, client)
    await house.book(called_off, client)
    feed = await make(house, client.name)
    before = {event["uid"]: event["sequence"] for event in await events(house, feed)}
    await house.cancel(booking)
    await house.change(called_off, 2, cancelled=True, start=house.now + timedelta(days=26))
    after = await events(house, feed)
    assert [event["status"] for event in after] == ["CANCELLED", "CANCELLED"]
    assert all(event["sequence"] > before[event["uid"]] for event in after)
    assert not any("Free to cancel" in event["description"] for event in after)
    house.move(days=31)
    assert await events(house, feed) == []


async def test_a_month_back_and_all_that_is_booked_ahead(house: House) -> None:
    client = await house.add_client(credits=2)
    await house.book(await house.plan(), client)
    feed = await make(house, client.name)
    house.move(days=31)
    assert len(await events(house, feed)) == 1
    house.move(days=2)
    assert await events(house, feed) == []


async def test_an_instructors_and_a_rooms_calendar_tell_numbers_and_no_names(house: House) -> None:
    session = await house.plan()
    await house.plan(instructor_id=str(new_id()), room_id=str(new_id()))
    await house.plan(start=house.now + timedelta(days=62))
    cancelled = await house.plan()
    await house.change(cancelled, 2, cancelled=True)
    await house.book(session, await house.add_client("Secretive Clara", email="clara@example.com"))
    for subject, name in ((instructor(house), "Ines"), (room(house), "Room 1\\, Mitte")):
        feed = await make(house, subject)
        answer = (await download(house, feed.url)).data
        assert b"Clara" not in answer
        calendar = Calendar.from_ical(answer)
        assert f"X-WR-CALNAME:{name}\r\n".encode() in answer
        shown = {event["uid"]: event for event in calendar.walk("VEVENT")}
        uids = [f"{last_id(each)}@sessions.powerhouse.studio" for each in (session, cancelled)]
        assert set(shown) == set(uids)
        assert "Booked: 1 of 8" in shown[uids[0]]["description"]
        assert [shown[uid]["status"] for uid in uids] == ["CONFIRMED", "CANCELLED"]
        assert [shown[uid]["sequence"] for uid in uids] == [1, 2]


async def test_people_make_them_for_whom_they_act_for(house: House) -> None:
    account = new_id()
    own, child = await add_own(house, account), await add_own(house, account)
    stranger = await house.add_client()
    person = house.as_account(account)
    for client in (own, child):
        assert (await make(house, client.name, person)).subject == client.name
    await house.plan()
    for subject in (stranger.name, f"{house.name}/clients/{new_id()}", instructor(house), room(house)):
        await refused(make(house, subject, person), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    assert len((await listed(house, person)).calendar_feeds) == 2


async def test_instructors_make_them_for_what_they_teach(house: House) -> None:
    account = new_id()
    await house.plan(instructor_account_id=str(account))
    teacher = house.as_role(Role.ROLE_INSTRUCTOR, account)
    feed = await make(house, instructor(house), teacher)
    assert len(await events(house, feed)) == 1
    other = house.as_role(Role.ROLE_INSTRUCTOR)
    await refused(make(house, instructor(house), other), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    await refused(make(house, room(house), teacher), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    # Another account for the same instructor: the address of the old one answers no more.
    await house.plan(start=house.now + timedelta(days=3), instructor_account_id=str(new_id()))
    assert (await gone(house, feed.url))[0] is StatusCode.NOT_FOUND


async def test_a_feed_of_an_account_ends_with_its_link_to_the_client(house: House) -> None:
    account = new_id()
    client = await add_own(house, account)
    own, of_staff = await make(house, client.name, house.as_account(account)), await make(house, client.name)
    await house.running.sql("UPDATE clients SET account_id = $1 WHERE id = $2", new_id(), last_id(client.name))
    assert (await gone(house, own.url))[0] is StatusCode.NOT_FOUND
    assert await events(house, of_staff) == []


async def test_what_is_not_there_or_no_subject_is_refused(house: House) -> None:
    for subject in ("clients", "instructors", "rooms"):
        await refused(make(house, f"{house.name}/{subject}/{new_id()}"), StatusCode.NOT_FOUND, "NOT_FOUND")
    for subject in ("clients/1", f"{house.name}/bookings/{new_id()}", f"{house.name}/clients/1"):
        await refused(make(house, subject), StatusCode.INVALID_ARGUMENT, "MALFORMED_NAME")
    foreign = f"studios/{new_id()}/clients/{new_id()}"
    await refused(make(house, foreign), StatusCode.INVALID_ARGUMENT, "FOREIGN_RESOURCE")


async def test_the_secret_is_told_once_and_stored_nowhere(house: House) -> None:
    client, request_id = await house.add_client(), key()
    first = await make(house, client.name, request_id=request_id)
    again = await make(house, client.name, request_id=request_id)
    assert (again.name, again.url) == (first.name, "")
    (seen,) = (await listed(house)).calendar_feeds
    assert (seen.name, seen.url, seen.hint) == (first.name, "", first.hint)
    token = first.url.rpartition("/")[2].removesuffix(".ics")
    tables = await house.running.sql(
        "SELECT table_name AS name FROM information_schema.tables"
        " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
    )
    for table in tables:
        rows = await house.running.sql(f"SELECT count(*) AS n FROM {table['name']} t WHERE t::text LIKE '%{token}%'")
        assert rows[0]["n"] == 0, table["name"]


async def test_what_is_revoked_never_was(house: House) -> None:
    feed = await make(house, (await house.add_client()).name)
    assert await events(house, feed) == []
    revoked = await revoke(house, feed)
    assert revoked.HasField("revoke_time")
    house.move(hours=1)
    assert (await revoke(house, feed)).revoke_time == revoked.revoke_time
    token = feed.url.rpartition("/")[2]
    never = await make(house, feed.subject)
    await house.running.sql("DELETE FROM calendar_feeds WHERE id = $1", last_id(never.name))
    answers = {
        await gone(house, file)
        for file in (token, never.url, "x.ics", token.removesuffix(".ics"), f"ä{token}", f"A{token[1:]}")
    }
    assert len(answers) == 1
    assert {answer[0] for answer in answers} == {StatusCode.NOT_FOUND}


async def test_only_who_may_revokes(house: House) -> None:
    account = new_id()
    client = await add_own(house, account)
    feed = await make(house, client.name)
    stranger = house.as_account(new_id())
    await refused(revoke(house, feed, stranger), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    absent = pb.CalendarFeed(name=f"{house.name}/calendarFeeds/{new_id()}")
    await refused(revoke(house, absent), StatusCode.NOT_FOUND, "NOT_FOUND")
    await refused(revoke(house, absent, stranger), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    # Staff made it, and it is about them.
    assert (await revoke(house, feed, house.as_account(account))).HasField("revoke_time")
    (entry,) = await house.running.sql(
        "SELECT principal FROM audit_entries WHERE tenant_id = $1 AND method = 'RevokeCalendarFeed'", house.tenant
    )
    assert entry["principal"] == f"accounts/{account}"


async def test_another_studio_has_no_part_in_it(house: House) -> None:
    feed = await make(house, (await house.add_client()).name)
    other = House(house.running, new_id(), None)
    other.staff = other.as_role(Role.ROLE_OWNER)
    await refused(revoke(house, feed, other.staff), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    moved = pb.CalendarFeed(name=f"{other.name}/calendarFeeds/{last_id(feed.name)}")
    await refused(revoke(other, moved), StatusCode.NOT_FOUND, "NOT_FOUND")
    assert (await listed(other)).calendar_feeds == []


async def test_there_are_not_too_many(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendar_feeds, "MOST_FEEDS", 2)
    client = await house.add_client()
    first, second = await make(house, client.name), await make(house, client.name)
    await refused(make(house, client.name), StatusCode.FAILED_PRECONDITION, "TOO_MANY_CALENDAR_FEEDS")
    await revoke(house, first)
    third = await make(house, client.name)
    page = await listed(house, page_size=2)
    rest = await listed(house, page_size=2, page_token=page.next_page_token)
    names = [feed.name for feed in (*page.calendar_feeds, *rest.calendar_feeds)]
    assert names == [third.name, second.name, first.name]
    assert rest.next_page_token == ""


async def test_its_use_is_noted_once_a_day(house: House) -> None:
    feed = await make(house, (await house.add_client()).name)

    async def used() -> Any:
        (seen,) = (await listed(house)).calendar_feeds
        return seen.last_used_time.ToDatetime(tzinfo=UTC) if seen.HasField("last_used_time") else None

    assert await used() is None
    await events(house, feed)
    first = house.now
    house.move(hours=23)
    await events(house, feed)
    assert await used() == first
    house.move(hours=1)
    await events(house, feed)
    assert await used() == house.now


async def test_no_calendar_is_longer_than_it_may_be(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendar_feeds, "MOST_ENTRIES", 2)
    for day in (3, 1, 2):
        await house.plan(start=house.now + timedelta(days=day))
    shown = await events(house, await make(house, room(house)))
    assert [event["dtstart"].dt for event in shown] == [house.now + timedelta(days=day) for day in (1, 2)]
