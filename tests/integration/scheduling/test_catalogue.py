"""Locations, rooms, class types and instructors: what they share, and each one's own rules."""

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode
from timetable_house import House, key, open_house, refused

from powerhouse.scheduling.v1 import scheduling_service_pb2 as pb
from powerhouse.scheduling.v1.studio_pb2 import ClassType, Instructor, Location, Room
from services.chassis.ids import new_id
from tests.support.services import Running, reason_of

INVALID, FAILED = StatusCode.INVALID_ARGUMENT, StatusCode.FAILED_PRECONDITION

# Field of the house, name in RPCs, plural, field in requests, collection.
KINDS = [
    ("location", "Location", "Locations", "location", "locations"),
    ("room", "Room", "Rooms", "room", "rooms"),
    ("class_type", "ClassType", "ClassTypes", "class_type", "classTypes"),
    ("instructor", "Instructor", "Instructors", "instructor", "instructors"),
]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind[1])


class Shelf:
    """The RPCs of one kind."""

    def __init__(self, house: House, kind: tuple[str, str, str, str, str]) -> None:
        self.house, (self.field, self.one, self.many, self.request_field, self.collection) = house, kind
        self.first: Any = getattr(house, self.field)

    async def _call(self, method: str, **fields: Any) -> Any:
        return await getattr(self.house.stub, method)(getattr(pb, f"{method}Request")(**fields))

    async def add(self, display_name: str) -> Any:
        return await getattr(self.house, f"add_{self.field}")(display_name=display_name)

    async def get(self, name: str) -> Any:
        return await self._call(f"Get{self.one}", name=name)

    async def page(self, **fields: Any) -> tuple[list[str], str]:
        page = await self._call(f"List{self.many}", **{"parent": self.house.name, **fields})
        items = next(value for field, value in page.ListFields() if field.is_repeated) if page.ListFields() else []
        return [item.display_name for item in items], page.next_page_token

    async def update(self, name: str, mask: list[str], **fields: Any) -> Any:
        resource = type(self.first)(name=name, **fields)
        return await self._call(
            f"Update{self.one}",
            update_mask=FieldMask(paths=mask),
            request_id=key(),
            **{self.request_field: resource},
        )

    async def delete(self, name: str, etag: str = "") -> Any:
        return await self._call(f"Delete{self.one}", name=name, etag=etag, request_id=key())

    async def undelete(self, name: str) -> Any:
        return await self._call(f"Undelete{self.one}", name=name, request_id=key())


@every_kind
async def test_reading_one(house: House, kind: Any) -> None:
    shelf = Shelf(house, kind)
    assert await shelf.get(shelf.first.name) == shelf.first
    unknown = f"{house.name}/{shelf.collection}/{new_id()}"
    async with refused(StatusCode.NOT_FOUND, "NOT_FOUND", resource=unknown):
        await shelf.get(unknown)
    async with refused(INVALID, "MALFORMED_NAME", "name"):
        await shelf.get(f"{house.name}/{shelf.collection}/7")
    async with refused(INVALID, "MALFORMED_NAME", "name"):
        await shelf.get(f"{house.name}/sofas/{new_id()}")


@every_kind
async def test_listing_by_name_page_by_page(house: House, kind: Any) -> None:
    shelf = Shelf(house, kind)
    for display_name in ("Zita", "Anna", "Anna", "Mia"):
        await shelf.add(display_name)
    everyone = sorted(["Zita", "Anna", "Anna", "Mia", shelf.first.display_name])
    assert await shelf.page() == (everyone, "")
    seen: list[str] = []
    token = ""
    for _ in range(3):
        names, token = await shelf.page(page_size=2, page_token=token)
        seen += names
    assert (seen, token) == (everyone, "")


@every_kind
async def test_page_tokens_are_bound_to_their_list(scheduling: Running, house: House, kind: Any) -> None:
    shelf = Shelf(house, kind)
    await shelf.add("Zita")
    _, token = await shelf.page(page_size=1)
    elsewhere = Shelf(await open_house(scheduling), kind)
    for list_other in (
        elsewhere.page(page_size=1, page_token=token),
        shelf.page(page_size=1, page_token=token, show_archived=True),
        shelf.page(page_token=token[:-4] + "AAAA"),
        shelf.page(page_token="x"),
    ):
        async with refused(INVALID, "INVALID_PAGE_TOKEN", "page_token"):
            await list_other


@every_kind
async def test_renaming_one(house: House, kind: Any) -> None:
    shelf = Shelf(house, kind)
    name = shelf.first.name
    renamed = await shelf.update(name, ["display_name"], display_name="Renamed", etag=shelf.first.etag)
    assert renamed.display_name == "Renamed"
    assert renamed.etag != shelf.first.etag
    async with refused(StatusCode.ABORTED, "ETAG_MISMATCH", etag=renamed.etag):
        await shelf.update(name, ["display_name"], display_name="Late", etag=shelf.first.etag)
    async with refused(INVALID, "INVALID_FIELD", f"{shelf.request_field}.display_name"):
        await shelf.update(name, ["display_name"])
    async with refused(INVALID, "UNKNOWN_FIELD"):
        await shelf.update(name, ["colour"])
    async with refused(INVALID, "FIELD_NOT_MUTABLE"):
        await shelf.update(name, ["archive_time"])
    async with refused(StatusCode.NOT_FOUND, "NOT_FOUND"):
        await shelf.update(f"{house.name}/{shelf.collection}/{new_id()}", [], display_name="Nobody")
    # Nothing changes, so the etag stays.
    assert await shelf.update(name, [], display_name="Renamed") == renamed
    assert await shelf.get(name) == renamed


@every_kind
async def test_archiving_and_bringing_back(house: House, kind: Any) -> None:
    shelf = Shelf(house, kind)
    other = await shelf.add("Other")
    async with refused(StatusCode.ABORTED, "ETAG_MISMATCH"):
        await shelf.delete(other.name, "7")
    archived = await shelf.delete(other.name, other.etag)
    assert archived.HasField("archive_time")
    assert await shelf.get(other.name) == archived
    assert "Other" not in (await shelf.page())[0]
    assert "Other" in (await shelf.page(show_archived=True))[0]
    async with refused(FAILED, "ARCHIVED", resource=other.name):
        await shelf.update(other.name, [], display_name="Changed")
    async with refused(FAILED, "ARCHIVED"):
        await shelf.delete(other.name)
    back = await shelf.undelete(other.name)
    assert not back.HasField("archive_time")
    assert "Other" in (await shelf.page())[0]
    async with refused(FAILED, "NOT_ARCHIVED"):
        await shelf.undelete(other.name)


@every_kind
async def test_what_sessions_need_stays(house: House, kind: Any) -> None:
    shelf = Shelf(house, kind)
    session = await house.plan()
    async with refused(FAILED, "STILL_IN_USE", resource=shelf.first.name, class_session=session.name):
        await shelf.delete(shelf.first.name)
    cancelled = await house.cancel(session)
    archived = await shelf.delete(shelf.first.name)
    assert archived.HasField("archive_time")
    async with refused(FAILED, "ARCHIVED", resource=shelf.first.name):
        await house.plan("2027-01-06T10:00")
    async with refused(FAILED, "ARCHIVED", resource=shelf.first.name):
        await house.uncancel(cancelled)
    await shelf.undelete(shelf.first.name)
    await house.uncancel(cancelled)


@every_kind
async def test_sessions_that_are_over_need_nothing(house: House, kind: Any) -> None:
    shelf = Shelf(house, kind)
    session = await house.plan()
    house.running.mesh.clock.instant = session.end_time.ToDatetime(house.running.mesh.clock.now().tzinfo)
    await shelf.delete(shelf.first.name)


async def test_planning_and_archiving_at_once_never_both_succeed(house: House) -> None:
    rooms = await asyncio.gather(*(house.add_room() for _ in range(8)))
    instructors = await asyncio.gather(*(house.add_instructor() for _ in rooms))
    outcomes = await asyncio.gather(
        *(house.plan(room=room.name, instructor=one.name) for room, one in zip(rooms, instructors, strict=True)),
        *(Shelf(house, KINDS[1]).delete(room.name) for room in rooms),
        return_exceptions=True,
    )
    for planned, archived in zip(outcomes[:8], outcomes[8:], strict=True):
        reasons = {reason_of(each) for each in (planned, archived) if isinstance(each, grpc.aio.AioRpcError)}
        assert reasons in ({"ARCHIVED"}, {"STILL_IN_USE"})


async def test_renaming_and_moving_at_once_end_in_no_deadlock(house: House) -> None:
    sessions = [await house.plan(f"2027-01-0{day}T10:00") for day in range(5, 10)]
    shelf = Shelf(house, KINDS[1])
    await asyncio.gather(
        *(house.move(session, local_start=f"2027-02-0{n + 1}T10:00") for n, session in enumerate(sessions)),
        *(shelf.update(house.room.name, [], display_name=f"Room {n}") for n in range(5)),
    )
    told = [event.class_session for event in await house.changes()]
    for session in sessions:
        mine = [state.version for state in told if session.name.endswith(state.class_session_id)]
        assert mine == list(range(1, 8))
        assert (await house.get(session.name)).etag == "7"


async def test_a_location_keeps_its_zone(house: House) -> None:
    async with refused(INVALID, "UNKNOWN_TIME_ZONE", "location.time_zone"):
        await house.add_location(time_zone="Mars/Base")
    async with refused(INVALID, "FIELD_NOT_MUTABLE"):
        await Shelf(house, KINDS[0]).update(house.location.name, ["time_zone"], time_zone="UTC")
    moved = await Shelf(house, KINDS[0]).update(house.location.name, [], address="Torstr. 1", time_zone="UTC")
    assert (moved.address, moved.time_zone) == ("Torstr. 1", "Europe/Berlin")


async def test_spots_are_none_or_one_for_each_place(house: House) -> None:
    reformers = [f"Reformer {n}" for n in range(1, 4)]
    room = await house.add_room(capacity=3, spots=reformers)
    assert list(room.spots) == reformers
    for spots in (reformers[:2], [*reformers, "Reformer 4"]):
        async with refused(INVALID, "SPOTS_CAPACITY_MISMATCH", "room.spots"):
            await house.add_room(capacity=3, spots=spots)
    async with refused(INVALID, "INVALID_FIELD", "room.spots"):
        await house.add_room(capacity=3, spots=["Reformer", "Reformer", "Mat"])
    async with refused(INVALID, "INVALID_FIELD", "room.capacity"):
        await house.add_room(capacity=0)
    shelf = Shelf(house, KINDS[1])
    async with refused(INVALID, "SPOTS_CAPACITY_MISMATCH", "room.spots"):
        await shelf.update(room.name, ["capacity"], capacity=4)
    larger = await shelf.update(room.name, [], capacity=4, spots=[*reformers, "Mat"])
    assert (larger.capacity, list(larger.spots)) == (4, [*reformers, "Mat"])
    without = await shelf.update(room.name, ["spots"])
    assert (without.capacity, list(without.spots)) == (4, [])


async def test_a_room_stays_large_enough_for_its_sessions(house: House) -> None:
    shelf = Shelf(house, KINDS[1])
    session = await house.plan(capacity=6)
    async with refused(FAILED, "CAPACITY_BELOW_SESSIONS", class_session=session.name):
        await shelf.update(house.room.name, [], capacity=5)
    assert (await shelf.update(house.room.name, [], capacity=6)).capacity == 6
    cancelled = await house.cancel(session)
    await shelf.update(house.room.name, [], capacity=5)
    async with refused(FAILED, "CAPACITY_ABOVE_ROOM", room_capacity="5"):
        await house.uncancel(cancelled)


async def test_a_room_lies_in_a_location_in_use(scheduling: Running, house: House) -> None:
    elsewhere = await open_house(scheduling)
    async with refused(INVALID, "FOREIGN_RESOURCE", "room.location"):
        await house.add_room(location=elsewhere.location.name)
    async with refused(StatusCode.NOT_FOUND, "NOT_FOUND"):
        await house.add_room(location=f"{house.name}/locations/{new_id()}")
    async with refused(INVALID, "MALFORMED_NAME", "room.location"):
        await house.add_room(location=house.room.name)
    async with refused(INVALID, "FIELD_NOT_MUTABLE"):
        await Shelf(house, KINDS[1]).update(house.room.name, ["location"], location=house.location.name)
    closed = await house.add_location()
    await Shelf(house, KINDS[0]).delete(closed.name)
    async with refused(FAILED, "ARCHIVED", resource=closed.name):
        await house.add_room(location=closed.name)


async def test_a_class_type_has_a_sensible_length(house: House) -> None:
    for minutes in (4, 481):
        async with refused(INVALID, "INVALID_FIELD", "class_type.duration_minutes"):
            await house.add_class_type(duration_minutes=minutes)
    longer = await Shelf(house, KINDS[2]).update(house.class_type.name, [], duration_minutes=75, description="Slow.")
    assert (longer.duration_minutes, longer.description) == (75, "Slow.")


async def test_an_instructor_has_an_account_and_class_types_or_not(scheduling: Running, house: House) -> None:
    account = f"accounts/{new_id()}"
    instructor = await house.add_instructor(account=account, class_types=[house.class_type.name])
    assert (instructor.account, list(instructor.class_types)) == (account, [house.class_type.name])
    shelf = Shelf(house, KINDS[3])
    bare = await shelf.update(instructor.name, ["account", "class_types"])
    assert (bare.account, list(bare.class_types)) == ("", [])
    async with refused(INVALID, "MALFORMED_NAME", "instructor.account"):
        await house.add_instructor(account="Ines")
    elsewhere = await open_house(scheduling)
    async with refused(INVALID, "FOREIGN_RESOURCE", "instructor.class_types[1]"):
        await house.add_instructor(class_types=[house.class_type.name, elsewhere.class_type.name])
    unknown = f"{house.name}/classTypes/{new_id()}"
    async with refused(StatusCode.NOT_FOUND, "NOT_FOUND", resource=unknown):
        await shelf.update(instructor.name, ["class_types"], class_types=[unknown])


async def test_audit_names_what_changed_and_no_person(house: House) -> None:
    account = f"accounts/{new_id()}"
    await Shelf(house, KINDS[3]).update(house.instructor.name, [], display_name="Ina", account=account)
    [entry] = await house.running.sql(
        "SELECT changes::text FROM audit_entries WHERE tenant_id = $1 AND method = 'UpdateInstructor'", house.tenant
    )
    assert account.rpartition("/")[2] in entry["changes"]
    assert "Ina" not in entry["changes"]


@pytest.mark.parametrize("message", [Location, Room, ClassType, Instructor])
async def test_a_parent_must_be_a_studio(house: House, message: Any) -> None:
    one = message.__name__
    request: Any = getattr(pb, f"List{one}sRequest")
    method = getattr(house.stub, f"List{one}s")
    async with refused(INVALID, "MALFORMED_NAME", "parent"):
        await method(request(parent="nowhere"))
