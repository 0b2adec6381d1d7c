"""Edits of a series at the wire."""

from datetime import date, time
from typing import Any
from uuid import UUID

from powerhouse.scheduling.v1 import class_schedule_service_pb2 as pb
from powerhouse.scheduling.v1.class_schedule_pb2 import ClassSchedule as ClassScheduleMessage
from powerhouse.scheduling.v1.generation_pb2 import GeneratedDate
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import InvalidArgument
from services.chassis.rpc.call import current_call
from services.scheduling import series_edits, session_previews
from services.scheduling.clashes import describe
from services.scheduling.local_time import to_wall
from services.scheduling.models import ClassSchedule, ClassType, Instructor, Room, session_name
from services.scheduling.recurrence import parse_date
from services.scheduling.rpc.class_schedule_methods import encode_schedule
from services.scheduling.rpc.generation_methods import encode_clash
from services.scheduling.rpc.methods import Methods, child_id
from services.scheduling.series_edits import Preview

_LISTED = 200
_NAMED = {"class_type": ClassType, "room": Room, "instructor": Instructor}


class SeriesEditMethods(Methods):
    async def EditFollowingClassSessions(
        self, request: pb.EditFollowingClassSessionsRequest, context: Any
    ) -> ClassScheduleMessage:
        schedule_id = child_id(request.name, ClassSchedule, "name")
        from_date, changes = parse_date(request.from_date, "from_date"), decode_edit(request.edit)

        async def change(tx: UnitOfWork) -> ClassScheduleMessage:
            return encode_schedule(await series_edits.edit(tx, schedule_id, request.etag, from_date, changes))

        return await self._database.write(change)

    async def PreviewSeriesEdit(self, request: pb.PreviewSeriesEditRequest, context: Any) -> pb.SeriesEditPreview:
        schedule_id, changes = child_id(request.name, ClassSchedule, "name"), decode_edit(request.edit)
        from_date: date | None = parse_date(request.from_date, "from_date") if request.from_date else None
        tenant = current_call().tenant
        async with self._database.read() as tx:
            preview = await series_edits.preview(tx, schedule_id, request.etag, from_date, changes)
        bookings = await session_previews.count_affected(self._stubs, tenant, preview.affected)
        return encode_preview(tenant, request.name, preview, sum(bookings))


def decode_edit(edit: pb.SeriesEdit) -> dict[str, Any]:
    """Columns with their new values. Raises InvalidArgument NOTHING_TO_EDIT."""
    changes = dict(_decode(field.name, value) for field, value in edit.ListFields())
    if not changes:
        raise InvalidArgument("edit", "changes nothing", reason="NOTHING_TO_EDIT")
    return changes


def _decode(field: str, value: Any) -> tuple[str, Any]:
    if field in _NAMED:
        return f"{field}_id", child_id(value, _NAMED[field], f"edit.{field}")
    if field == "end_date":
        return field, parse_date(value, "edit.end_date") if value else None
    return field, time.fromisoformat(value) if field == "local_time" else value


def encode_preview(tenant: UUID, schedule: str, preview: Preview, bookings: int) -> pb.SeriesEditPreview:
    """`schedule` is the name of the one to be edited."""
    return pb.SeriesEditPreview(
        changed_sessions=preview.changed,
        cancelled_sessions=preview.cancelled,
        kept_exceptions=preview.kept,
        affected_bookings=bookings,
        new_dates=preview.new_dates,
        conflicts=[
            GeneratedDate(
                class_schedule=schedule,
                class_schedule_display_name=each.target.display_name,
                local_start=to_wall(each.start, each.target.time_zone),
                time_zone=each.target.time_zone,
                outcome=GeneratedDate.CONFLICT,
                class_session=session_name(tenant, each.id),
                clashes=[encode_clash(tenant, clash.as_json()) for clash in each.clashes],
                message=describe(clash.kind for clash in each.clashes),
            )
            for each in preview.conflicts[:_LISTED]
        ],
    )
