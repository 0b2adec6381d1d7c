"""Packages and bookings from CSV files: credits as they remain, places by the rules of the desk."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from powerhouse.booking.v1 import booking_service_pb2, credit_service_pb2
from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.client_package_pb2 import ClientPackage
from powerhouse.booking.v1.import_service_pb2 import Import
from services.chassis.ids import new_id
from tests.integration.booking.files import Files, counts
from tests.integration.booking.house import House, last_id

PEOPLE = "Client ID,Name,Email\n100,Clara,clara@example.org\n101,Ben,ben@example.org\n102,Ada,\n"
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
async def files(house: House) -> Files:
    """With three people from `mindbody`."""
    files = Files(house)
    await files.bring(PEOPLE, source="mindbody")
    return files


async def packages(house: House) -> dict[str, ClientPackage]:
    request = credit_service_pb2.ListClientPackagesRequest(parent=house.name)
    return {each.display_name: each for each in (await house.staff.ListClientPackages(request)).client_packages}


async def bookings(house: House) -> list[Booking]:
    request = booking_service_pb2.ListBookingsRequest(parent=house.name)
    return list((await house.staff.ListBookings(request)).bookings)


PACKAGES = """\
Package ID,Client ID,Email,Pricing Option,Remaining,Total,Expiration Date
p1,100,,10 classes,7,10,2027-06-30
p2,,BEN@example.org,5 classes,5,5,
"""


async def test_credits_come_as_they_remain(house: House, files: Files) -> None:
    await house.plan()
    made = await files.upload(PACKAGES, Import.CLIENT_PACKAGES, source="mindbody")
    assert made.time_zone == "Europe/Berlin"
    assert counts(await files.check(made)) == (2, 0, 0, 0)
    assert await packages(house) == {}
    assert counts(await files.run(made)) == (2, 0, 0, 0)
    there = await packages(house)
    ten = there["10 classes"]
    assert (ten.credits_left, ten.credits_granted, ten.reason) == (7, 10, "imported from mindbody")
    assert ten.expire_time.ToDatetime(tzinfo=UTC) == datetime(2027, 7, 1, tzinfo=BERLIN)
    assert not there["5 classes"].HasField("expire_time")
    assert await house.violations() == {}


async def test_what_was_used_since_stays_used(house: House, files: Files) -> None:
    session = await house.plan()
    await files.bring(PACKAGES, Import.CLIENT_PACKAGES, "mindbody")
    clara = (await packages(house))["10 classes"].client
    wanted = booking_service_pb2.NewBooking(class_session=session, client=clara)
    await house.staff.CreateBooking(
        booking_service_pb2.CreateBookingRequest(parent=house.name, booking=wanted, request_id="once")
    )
    assert counts(await files.bring(PACKAGES, Import.CLIENT_PACKAGES, "mindbody")) == (0, 0, 2, 0)
    assert (await packages(house))["10 classes"].credits_left == 6
    assert await house.violations() == {}


async def test_packages_that_cannot_be_are_refused(files: Files, house: House) -> None:
    data = (
        "Kundennummer;E-Mail;Paket;Guthaben;Anzahl;Gültig bis\n"
        "999;;Zehn;1;10;\n"
        ";;Zehn;1;10;\n"
        "100;;;1;10;\n"
        "100;;Zehn;;10;\n"
        "100;;Zehn;-1;10;\n"
        "100;;Zehn;11;10;\n"
        "100;;Zehn;1;10;30.02.2027\n"
        "100;;Zehn;1;10;31.12.2026\n"
        "100;;Zehn;7,00;10;3.1.2028\n"
        "100;;Zehn;7,00;10;03.01.2028\n"
        "100;;Leer;0;5;\n"
    )
    done = await files.bring(data, Import.CLIENT_PACKAGES, "mindbody")
    assert [(row.line, row.reason, row.column) for row in await files.rows(done) if row.reason] == [
        (2, "CLIENT_UNKNOWN", ""),
        (3, "VALUE_REQUIRED", "Kundennummer"),
        (4, "VALUE_REQUIRED", "Paket"),
        (5, "VALUE_REQUIRED", "Guthaben"),
        (6, "NUMBER_INVALID", "Guthaben"),
        (7, "CREDITS_EXCEED_GRANTED", "Guthaben"),
        (8, "DATE_INVALID", "Gültig bis"),
        (9, "IN_THE_PAST", "Gültig bis"),
        (11, "DUPLICATE_IN_FILE", ""),
    ]
    assert {name: each.credits_left for name, each in (await packages(house)).items()} == {"Zehn": 7, "Leer": 0}
    assert await house.violations() == {}


async def test_bookings_take_places_and_credits(house: House, files: Files) -> None:
    start = datetime(2027, 1, 6, 18, 30, tzinfo=BERLIN)
    session = await house.plan(start=start, capacity=2)
    other = await house.plan(start=start + timedelta(hours=3), location_display_name="Kreuzberg")
    await files.bring(PACKAGES, Import.CLIENT_PACKAGES, "mindbody")
    data = (
        "Client ID,Email,Date,Time,Class,Location\n"
        "100,,01/06/2027,6:30 PM,reformer flow,\n"
        ",ben@example.org,01/06/2027,18:30,Reformer Flow,Mitte\n"
        "102,,01/06/2027,18:30,Reformer Flow,Mitte\n"
        "102,,01/06/2027,9:30pm,Reformer Flow,Kreuzberg\n"
        "100,,01/06/2027,18:45,Reformer Flow,\n"
        "100,,01/06/2027,18:30,Yoga,\n"
        "100,,01/02/2027,18:30,Reformer Flow,\n"
        "100,,02/30/2027,18:30,Reformer Flow,\n"
        "777,,01/06/2027,18:30,Reformer Flow,\n"
        "100,,01/06/2027,,Reformer Flow,\n"
    )
    made = await files.upload(data, Import.BOOKINGS, source="mindbody")
    checked = await files.check(made, date_order=Import.MONTH_FIRST)
    assert await bookings(house) == []
    report = await files.report(made)
    assert report == [
        (2, "CREATED", ""),
        (3, "CREATED", ""),
        (4, "REFUSED", "SESSION_FULL"),
        (5, "REFUSED", "NO_CREDIT"),
        (6, "REFUSED", "CLASS_SESSION_UNKNOWN"),
        (7, "REFUSED", "CLASS_SESSION_UNKNOWN"),
        (8, "REFUSED", "CLASS_SESSION_UNKNOWN"),
        (9, "REFUSED", "DATE_INVALID"),
        (10, "REFUSED", "CLIENT_UNKNOWN"),
        (11, "REFUSED", "VALUE_REQUIRED"),
    ]
    done = await files.run(made)
    assert counts(done) == counts(checked) == (2, 0, 0, 8)
    assert await files.report(made) == report
    assert {each.class_session for each in await bookings(house)} == {session}
    assert (await house.counters(session), await house.counters(other)) == ((2, 2, 2), (8, 8, 0))
    assert {name: each.credits_left for name, each in (await packages(house)).items()} == {
        "10 classes": 6,
        "5 classes": 4,
    }
    assert await house.violations() == {}
    (row,) = await house.running.sql(
        "SELECT count(*) FROM audit_entries WHERE tenant_id = $1 AND changes ->> 'override' LIKE '%imported%'",
        house.tenant,
    )
    assert row[0] == 2


async def test_bookings_again_stay_as_they_are_also_when_cancelled_since(house: House, files: Files) -> None:
    session = await house.plan()
    await files.bring(PACKAGES, Import.CLIENT_PACKAGES, "mindbody")
    data = f"Client ID,Class Session\n100,{last_id(session)}\n101,{session}\n"
    assert counts(await files.bring(data, Import.BOOKINGS, "mindbody")) == (2, 0, 0, 0)
    (booking, _) = await bookings(house)
    await house.cancel(booking)
    assert counts(await files.bring(data, Import.BOOKINGS, "mindbody")) == (0, 0, 2, 0)
    assert (await house.counters(session))[2] == 1


async def test_classes_that_are_over_or_alike_are_refused(house: House, files: Files) -> None:
    start = datetime(2027, 1, 6, 18, 30, tzinfo=BERLIN)
    past = await house.plan(start=house.now - timedelta(days=1))
    await house.plan(start=start)
    await house.plan(start=start, location_display_name="Kreuzberg")
    data = (
        "Client ID,Class Session ID,Start Time,Class,Start Date\n"
        f"100,{last_id(past)},,,\n100,nonsense,,,\n100,,18:30,Reformer Flow,2027-01-06\n"
    )
    done = await files.bring(data, Import.BOOKINGS, "mindbody")
    assert [row.reason for row in await files.rows(done)] == [
        "IN_THE_PAST",
        "CLASS_SESSION_UNKNOWN",
        "CLASS_SESSION_AMBIGUOUS",
    ]


async def test_who_is_booked_in_another_way_is_not_booked_twice(house: House, files: Files) -> None:
    session = await house.plan()
    await files.bring(PACKAGES, Import.CLIENT_PACKAGES, "mindbody")
    there = await packages(house)
    wanted = booking_service_pb2.NewBooking(class_session=session, client=there["10 classes"].client)
    await house.staff.CreateBooking(
        booking_service_pb2.CreateBookingRequest(parent=house.name, booking=wanted, request_id="by hand")
    )
    done = await files.bring(f"Client ID,Class Session ID\n100,{last_id(session)}\n", Import.BOOKINGS, "mindbody")
    assert await files.report(done) == [(2, "UNCHANGED", "ALREADY_BOOKED")]
    assert (await house.counters(session))[2] == 1


async def test_class_types_come_by_their_names(house: House, files: Files) -> None:
    flow, tower = new_id(), new_id()
    await house.plan(class_type_id=str(flow), class_type_display_name="Reformer Flow")
    await house.plan(class_type_id=str(tower), class_type_display_name="Tower")
    made = await files.upload(
        "Package ID,Client ID,Package,Remaining,Class types\np1,100,Both,5,reformer flow; Tower\n"
        "p2,100,All,5,\np3,100,None,5,Tower;Aqua\n",
        Import.CLIENT_PACKAGES,
        source="mindbody",
    )
    assert made.columns["class_types"] == "Class types"
    assert counts(await files.run(made)) == (2, 0, 0, 1)
    (refused,) = [row for row in await files.rows(made) if row.reason]
    assert (refused.line, refused.reason, refused.column) == (4, "CLASS_TYPE_UNKNOWN", "Class types")
    there = await packages(house)
    assert {last_id(name) for name in there["Both"].class_types} == {flow, tower}
    assert not there["All"].class_types
