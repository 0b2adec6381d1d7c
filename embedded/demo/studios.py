"""Building one demo studio in the name of its owner."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import grpc
from google.protobuf.message import Message

from embedded.demo import data
from embedded.demo.people import Mesh, Person, eventually
from powerhouse.booking.v1 import (
    booking_pb2,
    booking_service_pb2,
    client_pb2,
    client_service_pb2,
    credit_service_pb2,
    waitlist_service_pb2,
)
from powerhouse.scheduling.v1 import (
    class_schedule_pb2,
    class_schedule_service_pb2,
    generation_service_pb2,
    scheduling_service_pb2,
    studio_pb2,
)

# Who wait for a place in the full class.
WAITING = 3
# Days whose classes get bookings, from tomorrow on.
BOOKED_DAYS = 7


class Builder:
    """Makes one studio in the name of its owner."""

    def __init__(self, mesh: Mesh, owner: Person, plan: data.Studio) -> None:
        self._mesh, self._owner, self._plan = mesh, owner, plan
        self._zone = ZoneInfo(plan.time_zone)
        # Scheduling plans nothing in the past, and part of today is.
        self._first_day = datetime.now(self._zone).date() + timedelta(days=1)
        self.name = ""
        self._location = ""

    async def found(self) -> None:
        """Creates the studio and its location; the founder becomes owner by an event, so this waits for it."""
        plan, scheduling = self._plan, self._mesh.scheduling
        studio = studio_pb2.Studio(
            display_name=plan.display_name, time_zone=plan.time_zone, currency_code=plan.currency_code
        )
        self.name = (
            await self._owner.call(scheduling.CreateStudio, scheduling_service_pb2.CreateStudioRequest(studio=studio))
        ).name
        location = studio_pb2.Location(display_name=plan.location, address=plan.address, time_zone=plan.time_zone)

        async def create_location() -> str | None:
            request = scheduling_service_pb2.CreateLocationRequest(parent=self.name, location=location)
            try:
                return str((await self._owner.call(scheduling.CreateLocation, request)).name)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.PERMISSION_DENIED:
                    raise
                self._owner.forget_tokens()
                return None

        self._location = await eventually(create_location, f"the owner's role in {plan.display_name}")

    async def build(self, instructor_account: str) -> None:
        """Timetable, clients with packs, and some bookings. The first instructor gets the account, if there is one."""
        parts, clients = await asyncio.gather(self._schedule(instructor_account), self._enrol())
        await self._book(clients)
        await self._recur(*parts)

    async def grant(self, client: str, credits: int) -> None:
        """Gives a class pack."""
        pack = credit_service_pb2.NewClientPackage(
            client=client, display_name=f"{credits} classes", credits=credits, valid_days=180, reason="Demo"
        )
        request = credit_service_pb2.GrantClientPackageRequest(parent=self.name, client_package=pack)
        await self._owner.call(self._mesh.credits.GrantClientPackage, request)

    async def _schedule(self, instructor_account: str) -> tuple[list[str], list[str], list[str]]:
        """Plans the single classes; the names of rooms, class types and instructors."""
        plan, scheduling, pb = self._plan, self._mesh.scheduling, scheduling_service_pb2
        rooms, class_types, instructors = await asyncio.gather(
            self._create_all(
                scheduling.CreateRoom,
                [
                    pb.CreateRoomRequest(
                        parent=self.name,
                        room=studio_pb2.Room(
                            display_name=room.display_name,
                            location=self._location,
                            capacity=room.capacity,
                            spots=room.spots,
                        ),
                    )
                    for room in plan.rooms
                ],
            ),
            self._create_all(
                scheduling.CreateClassType,
                [
                    pb.CreateClassTypeRequest(
                        parent=self.name, class_type=studio_pb2.ClassType(display_name=name, duration_minutes=minutes)
                    )
                    for name, minutes in plan.class_types
                ],
            ),
            self._create_all(
                scheduling.CreateInstructor,
                [
                    pb.CreateInstructorRequest(
                        parent=self.name,
                        instructor=studio_pb2.Instructor(
                            display_name=name, account="" if position else instructor_account
                        ),
                    )
                    for position, name in enumerate(plan.instructors)
                ],
            ),
        )
        await self._create_all(
            scheduling.CreateClassSession,
            [
                pb.CreateClassSessionRequest(
                    parent=self.name,
                    class_session=pb.NewClassSession(
                        class_type=class_types[session.class_type],
                        room=rooms[session.room],
                        instructor=instructors[session.instructor],
                        local_start=session.local_start,
                    ),
                )
                for session in data.planned_sessions(plan, self._first_day)
            ],
        )
        return rooms, class_types, instructors

    async def _recur(self, rooms: Sequence[str], class_types: Sequence[str], instructors: Sequence[str]) -> None:
        """Classes that recur, from the second week on: what is booked by then stays as it is."""
        start = self._first_day + timedelta(days=BOOKED_DAYS)
        await self._create_all(
            self._mesh.class_schedules.CreateClassSchedule,
            [
                class_schedule_service_pb2.CreateClassScheduleRequest(
                    parent=self.name,
                    class_schedule=class_schedule_pb2.ClassSchedule(
                        display_name=schedule.display_name,
                        class_type=class_types[schedule.class_type],
                        room=rooms[schedule.room],
                        instructor=instructors[schedule.instructor],
                        rrule=schedule.rrule,
                        start_date=start.isoformat(),
                        local_time=schedule.local_time,
                    ),
                )
                for schedule in self._plan.schedules
            ],
        )
        request = generation_service_pb2.GenerateClassSessionsRequest(parent=self.name)
        await self._owner.call(self._mesh.generation.GenerateClassSessions, request)

    async def _enrol(self) -> list[str]:
        """Creates the clients and gives the first of them a pack; the names of those."""
        clients = await self._create_all(
            self._mesh.clients.CreateClient,
            [
                client_service_pb2.CreateClientRequest(
                    parent=self.name, client=client_pb2.Client(display_name=name, email=email)
                )
                for name, email in data.clients(self._plan)
            ],
        )
        with_pack = clients[: self._plan.packs]
        await asyncio.gather(*(self.grant(client, 10 if number % 3 else 5) for number, client in enumerate(with_pack)))
        return with_pack

    async def _book(self, clients: Sequence[str]) -> None:
        """Fills one class with spots, with a line for it, and spreads other bookings over the coming days."""
        sessions = await eventually(self._bookable, f"the timetable of {self._plan.display_name} at booking")
        with_spots = next(room.display_name for room in self._plan.rooms if room.has_spots)
        # Not of the first day: its lines may have closed by now.
        second_day = self._midnight(self._first_day + timedelta(days=1))
        full = next(
            session
            for session in sessions
            if session.room_display_name == with_spots and session.start_time.ToDatetime(UTC) > second_day
        )
        others = [session for session in sessions if session is not full]
        chosen = [full] * full.capacity
        chosen += [others[number % len(others)] for number in range(len(clients) - full.capacity)]
        await asyncio.gather(
            *(
                self._owner.call(
                    self._mesh.booking.CreateBooking,
                    booking_service_pb2.CreateBookingRequest(
                        parent=self.name,
                        booking=booking_service_pb2.NewBooking(class_session=session.class_session, client=client),
                    ),
                )
                for session, client in zip(chosen, clients, strict=True)
            )
        )
        elsewhen = [
            client
            for session, client in zip(chosen, clients, strict=True)
            if session.local_start[:10] != full.local_start[:10]
        ]
        for client in elsewhen[:WAITING]:
            await self._owner.call(
                self._mesh.waitlist.JoinWaitlist,
                waitlist_service_pb2.JoinWaitlistRequest(
                    parent=self.name,
                    waitlist_entry=waitlist_service_pb2.NewWaitlistEntry(
                        class_session=full.class_session, client=client
                    ),
                ),
            )

    async def _bookable(self) -> list[booking_pb2.BookableSession] | None:
        """Sessions of the first days, once booking knows them all."""
        end = self._first_day + timedelta(days=BOOKED_DAYS)
        request = booking_service_pb2.ListBookableSessionsRequest(parent=self.name, page_size=200)
        request.start_time.FromDatetime(self._midnight(self._first_day))
        request.end_time.FromDatetime(self._midnight(end))
        answer = await self._owner.call(self._mesh.booking.ListBookableSessions, request)
        planned = data.planned_sessions(self._plan, self._first_day)
        expected = sum(session.local_start < end.isoformat() for session in planned)
        return list(answer.bookable_sessions) if len(answer.bookable_sessions) == expected else None

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time.min, self._zone).astimezone(UTC)

    async def _create_all(self, method: Callable[..., Awaitable[Any]], requests: Sequence[Message]) -> list[str]:
        made = await asyncio.gather(*(self._owner.call(method, request) for request in requests))
        return [resource.name for resource in made]
