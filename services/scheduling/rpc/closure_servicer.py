"""ClosureService at the wire."""

from datetime import UTC
from typing import Any
from uuid import UUID

from powerhouse.scheduling.v1 import closure_service_pb2 as pb
from powerhouse.scheduling.v1.closure_service_pb2_grpc import ClosureServiceServicer
from powerhouse.scheduling.v1.events_pb2 import ClassSessionState
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import parse_name
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import masked_fields, to_timestamp
from services.scheduling import closures, session_events, session_previews
from services.scheduling.local_time import to_wall
from services.scheduling.models import Closure, Location, resource_name, session_name
from services.scheduling.recurrence import parse_date
from services.scheduling.rpc.methods import Methods, child_id

_LISTED = 200


class ClosureServicer(Methods, ClosureServiceServicer):
    async def PreviewClosure(self, request: pb.PreviewClosureRequest, context: Any) -> pb.PreviewClosureResponse:
        parse_name(request.parent, "studios/*", "parent")
        new, tenant = request.closure, current_call().tenant
        location_id, days = _location_id(new), {field: _decode(new, field) for field in ("start_date", "end_date")}
        async with self._database.read() as tx:
            states = [session_events.state(entry) for entry in await closures.preview(tx, location_id, **days)]
        for state in states:
            state.cancelled = True
        return encode_preview(tenant, states, await session_previews.count_affected(self._stubs, tenant, states))

    async def CreateClosure(self, request: pb.CreateClosureRequest, context: Any) -> pb.Closure:
        new = request.closure
        location_id, fields = _location_id(new), {field: _decode(new, field) for field in closures.MUTABLE}

        async def change(tx: UnitOfWork) -> pb.Closure:
            return encode_closure(
                await closures.create(
                    tx, location_id=location_id, cancel_class_sessions=request.cancel_class_sessions, **fields
                )
            )

        return await self._database.write(change)

    async def GetClosure(self, request: pb.GetClosureRequest, context: Any) -> pb.Closure:
        return await self._get(Closure, encode_closure, request.name)

    async def ListClosures(self, request: pb.ListClosuresRequest, context: Any) -> pb.ListClosuresResponse:
        parse_name(request.parent, "studios/*", "parent")
        query = f"closures {request.parent} {request.show_archived} {request.show_past}"
        page = self._pager.page(query, request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows = await closures.list_page(tx, page, show_archived=request.show_archived, show_past=request.show_past)
        shown, next_page_token = page.cut(rows, lambda row: (row.start_date.isoformat(), row.id))
        return pb.ListClosuresResponse(closures=[encode_closure(row) for row in shown], next_page_token=next_page_token)

    async def UpdateClosure(self, request: pb.UpdateClosureRequest, context: Any) -> pb.Closure:
        given = request.closure
        closure_id = child_id(given.name, Closure, "closure.name")
        fields = masked_fields(request.update_mask, given, "closure", closures.MUTABLE)
        changes = {field: _decode(given, field) for field in fields}

        async def change(tx: UnitOfWork) -> pb.Closure:
            return encode_closure(
                await closures.update(
                    tx, closure_id, given.etag, changes, cancel_class_sessions=request.cancel_class_sessions
                )
            )

        return await self._database.write(change)

    async def DeleteClosure(self, request: pb.DeleteClosureRequest, context: Any) -> pb.Closure:
        closure_id = child_id(request.name, Closure, "name")

        async def change(tx: UnitOfWork) -> pb.Closure:
            return encode_closure(await closures.delete(tx, closure_id, request.etag))

        return await self._database.write(change)


def encode_closure(closure: Closure) -> pb.Closure:
    location_id = closure.location_id
    return pb.Closure(
        name=closure.name,
        display_name=closure.display_name,
        start_date=closure.start_date.isoformat(),
        end_date=closure.end_date.isoformat(),
        location=resource_name(closure.tenant_id, Location.COLLECTION, location_id) if location_id else "",
        etag=closure.etag,
        create_time=to_timestamp(closure.create_time),
        update_time=to_timestamp(closure.update_time),
        archive_time=to_timestamp(closure.archive_time),
    )


def encode_preview(tenant: UUID, states: list[ClassSessionState], bookings: list[int]) -> pb.PreviewClosureResponse:
    listed = list(zip(states, bookings, strict=True))[:_LISTED]
    return pb.PreviewClosureResponse(
        cancelled_sessions=[
            pb.PreviewClosureResponse.CancelledSession(
                class_session=session_name(tenant, UUID(state.class_session_id)),
                local_start=to_wall(state.start_time.ToDatetime(tzinfo=UTC), state.time_zone),
                time_zone=state.time_zone,
                class_type_display_name=state.class_type_display_name,
                bookings=number,
            )
            for state, number in listed
        ],
        cancelled_session_count=len(states),
        affected_booking_count=sum(bookings),
    )


def _location_id(message: pb.Closure) -> UUID | None:
    return child_id(message.location, Location, "closure.location") if message.location else None


def _decode(message: pb.Closure, field: str) -> Any:
    """Of the mutable fields all but the name are days."""
    text: str = getattr(message, field)
    return text if field == "display_name" else parse_date(text, f"closure.{field}")
