"""Class sessions at the wire."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from powerhouse.booking.v1.session_change_service_pb2 import PreviewSessionChangeResponse
from powerhouse.scheduling.v1 import scheduling_service_pb2 as pb
from powerhouse.scheduling.v1.class_session_pb2 import ClassSession as ClassSessionMessage
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import InvalidArgument
from services.chassis.ids import parse_child, parse_name
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import from_timestamp, to_timestamp
from services.scheduling import class_sessions, session_events, session_previews, studios, timetable
from services.scheduling.local_time import to_wall
from services.scheduling.models import ClassType, Instructor, Room, resource_name, schedule_name
from services.scheduling.rpc.methods import Methods, child_id
from services.scheduling.timetable import Entry

DEFAULT_RANGE = timedelta(days=7)
LONGEST_RANGE = timedelta(days=62)
SNAPSHOT_PAGE = 200


class ClassSessionMethods(Methods):
    async def CreateClassSession(self, request: pb.CreateClassSessionRequest, context: Any) -> ClassSessionMessage:
        new = request.class_session
        class_type_id = child_id(new.class_type, ClassType, "class_session.class_type")
        room_id = child_id(new.room, Room, "class_session.room")
        instructor_id = child_id(new.instructor, Instructor, "class_session.instructor")

        async def change(tx: UnitOfWork) -> ClassSessionMessage:
            entry = await class_sessions.create(
                tx,
                class_type_id=class_type_id,
                room_id=room_id,
                instructor_id=instructor_id,
                local_start=new.local_start,
                duration_minutes=new.duration_minutes,
                capacity=new.capacity,
            )
            return encode_class_session(entry)

        return await self._database.write(change)

    async def GetClassSession(self, request: pb.GetClassSessionRequest, context: Any) -> ClassSessionMessage:
        session_id = _session_id(request.name)
        async with self._database.read() as tx:
            return encode_class_session(await timetable.get(tx, session_id))

    async def ListClassSessions(
        self, request: pb.ListClassSessionsRequest, context: Any
    ) -> pb.ListClassSessionsResponse:
        parse_name(request.parent, "studios/*", "parent")
        start, end = _range(request, self._clock.now())
        # The range as given: a default that moves with the clock must not spoil the token.
        query = f"classSessions {request.parent} {request.start_time} {request.end_time}"
        page = self._pager.page(query, request.page_size, request.page_token)
        async with self._database.read() as tx:
            entries = await timetable.list_page(tx, start, end, page)
        shown, next_page_token = page.cut(entries, lambda entry: (entry.session.start_at, entry.session.id))
        return pb.ListClassSessionsResponse(
            class_sessions=[encode_class_session(entry) for entry in shown], next_page_token=next_page_token
        )

    async def MoveClassSession(self, request: pb.MoveClassSessionRequest, context: Any) -> ClassSessionMessage:
        session_id = _session_id(request.name)
        room_id = child_id(request.room, Room, "room") if request.room else None

        async def change(tx: UnitOfWork) -> ClassSessionMessage:
            return encode_class_session(
                await class_sessions.move(
                    tx, session_id, request.etag, local_start=request.local_start, room_id=room_id
                )
            )

        return await self._database.write(change)

    async def SubstituteInstructor(self, request: pb.SubstituteInstructorRequest, context: Any) -> ClassSessionMessage:
        session_id = _session_id(request.name)
        instructor_id = child_id(request.instructor, Instructor, "instructor")

        async def change(tx: UnitOfWork) -> ClassSessionMessage:
            return encode_class_session(await class_sessions.substitute(tx, session_id, request.etag, instructor_id))

        return await self._database.write(change)

    async def ChangeCapacity(self, request: pb.ChangeCapacityRequest, context: Any) -> ClassSessionMessage:
        session_id = _session_id(request.name)

        async def change(tx: UnitOfWork) -> ClassSessionMessage:
            return encode_class_session(
                await class_sessions.change_capacity(tx, session_id, request.etag, request.capacity)
            )

        return await self._database.write(change)

    async def CancelClassSession(self, request: pb.CancelClassSessionRequest, context: Any) -> ClassSessionMessage:
        session_id = _session_id(request.name)

        async def change(tx: UnitOfWork) -> ClassSessionMessage:
            return encode_class_session(await class_sessions.cancel(tx, session_id, request.etag, request.reason))

        return await self._database.write(change)

    async def UncancelClassSession(self, request: pb.UncancelClassSessionRequest, context: Any) -> ClassSessionMessage:
        session_id = _session_id(request.name)

        async def change(tx: UnitOfWork) -> ClassSessionMessage:
            return encode_class_session(await class_sessions.uncancel(tx, session_id, request.etag))

        return await self._database.write(change)

    async def PreviewClassSessionChange(
        self, request: pb.PreviewClassSessionChangeRequest, context: Any
    ) -> pb.PreviewClassSessionChangeResponse:
        session_id, change, tenant = _session_id(request.name), decode_change(request), current_call().tenant
        async with self._database.read() as tx:
            state = await session_previews.outcome(tx, session_id, request.etag, change)
        affected = await session_previews.affected_bookings(self._stubs, tenant, state)
        return pb.PreviewClassSessionChangeResponse(
            affected_bookings=[encode_affected(tenant, each) for each in affected]
        )

    async def SnapshotClassSessions(
        self, request: pb.SnapshotClassSessionsRequest, context: Any
    ) -> AsyncIterator[pb.SnapshotClassSessionsResponse]:
        """Studio by studio, page by page; each page is a transaction of its own, which versions make safe."""
        async with self._database.transaction() as tx:
            studio_ids = await studios.all_ids(tx)
        for studio_id in studio_ids:
            last: UUID | None = None
            while True:
                async with self._database.transaction(studio_id) as tx:
                    entries = await timetable.list_after(tx, last, SNAPSHOT_PAGE)
                if entries:
                    yield encode_snapshot_page(studio_id, entries)
                    last = entries[-1].session.id
                if len(entries) < SNAPSHOT_PAGE:
                    break


def encode_class_session(entry: Entry) -> ClassSessionMessage:
    session, plan = entry.session, entry.plan
    return ClassSessionMessage(
        name=session.name,
        class_type=plan.class_type.name,
        room=plan.room.name,
        location=plan.location.name,
        instructor=plan.instructor.name,
        start_time=to_timestamp(session.start_at),
        end_time=to_timestamp(session.end_at),
        local_start=to_wall(session.start_at, plan.location.time_zone),
        time_zone=plan.location.time_zone,
        capacity=session.capacity,
        state=ClassSessionMessage.CANCELLED if session.cancelled else ClassSessionMessage.SCHEDULED,
        cancel_reason=session.cancel_reason,
        etag=session.etag,
        create_time=to_timestamp(session.create_time),
        update_time=to_timestamp(session.update_time),
        class_schedule=schedule_name(session.tenant_id, session.schedule_id) if session.schedule_id else "",
        original_date=session.original_date.isoformat() if session.original_date else "",
        auto_generated=session.auto_generated,
        series_exception=session.series_exception,
    )


def decode_change(request: pb.PreviewClassSessionChangeRequest) -> session_previews.Change:
    return session_previews.Change(
        cancel=request.cancel,
        capacity=request.capacity if request.HasField("capacity") else None,
        local_start=request.move.local_start,
        room_id=child_id(request.move.room, Room, "move.room") if request.move.room else None,
    )


def encode_affected(
    tenant: UUID, affected: PreviewSessionChangeResponse.AffectedBooking
) -> pb.PreviewClassSessionChangeResponse.AffectedBooking:
    """The effects have the names that booking gives them."""
    message = pb.PreviewClassSessionChangeResponse.AffectedBooking
    effect = PreviewSessionChangeResponse.Effect.Name(affected.effect)
    return message(
        booking=resource_name(tenant, "bookings", UUID(affected.booking_id)),
        client=resource_name(tenant, "clients", UUID(affected.client_id)),
        effect=message.Effect.Value(effect),
    )


def encode_snapshot_page(studio_id: UUID, entries: list[Entry]) -> pb.SnapshotClassSessionsResponse:
    return pb.SnapshotClassSessionsResponse(
        items=[
            pb.SnapshotClassSessionsResponse.Item(studio_id=str(studio_id), class_session=session_events.state(entry))
            for entry in entries
        ]
    )


def _session_id(name: str) -> UUID:
    return parse_child(name, "studios/*/classSessions/*", "name", current_call().tenant)


def _range(request: pb.ListClassSessionsRequest, now: datetime) -> tuple[datetime, datetime]:
    start = from_timestamp(request, "start_time") or now
    end = from_timestamp(request, "end_time")
    if end is None:
        try:
            end = start + DEFAULT_RANGE
        except OverflowError:
            raise InvalidArgument("start_time", "is too late", reason="INVALID_RANGE") from None
    if end <= start:
        raise InvalidArgument("end_time", "must be after start_time", reason="INVALID_RANGE")
    if end - start > LONGEST_RANGE:
        raise InvalidArgument("end_time", f"is more than {LONGEST_RANGE.days} days off", reason="RANGE_TOO_LONG")
    return start, end
