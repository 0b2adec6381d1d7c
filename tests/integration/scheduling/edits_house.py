"""Short ways to close a house, to tell when its people can teach, to decide conflicts and to edit series."""

from collections.abc import Iterable
from typing import Any

from recurring_house import RecurringHouse
from timetable_house import House, key

from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1 import availability_service_pb2 as availability_pb
from powerhouse.scheduling.v1 import class_schedule_service_pb2 as schedules_pb
from powerhouse.scheduling.v1 import closure_service_pb2 as closures_pb
from powerhouse.scheduling.v1 import conflict_service_pb2 as conflicts_pb
from powerhouse.scheduling.v1.availability_service_pb2 import Availability, AvailabilityException
from powerhouse.scheduling.v1.availability_service_pb2_grpc import AvailabilityServiceStub
from powerhouse.scheduling.v1.class_schedule_pb2 import ClassSchedule
from powerhouse.scheduling.v1.class_schedule_service_pb2 import SeriesEdit, SeriesEditPreview
from powerhouse.scheduling.v1.class_session_pb2 import ClassSession
from powerhouse.scheduling.v1.closure_service_pb2 import Closure
from powerhouse.scheduling.v1.closure_service_pb2_grpc import ClosureServiceStub
from powerhouse.scheduling.v1.conflict_service_pb2 import Resolution, ScheduleConflict
from powerhouse.scheduling.v1.conflict_service_pb2_grpc import ConflictServiceStub
from tests.support.services import together

STUBS = together(AvailabilityServiceStub, ClosureServiceStub, ConflictServiceStub)


class EditsHouse(RecurringHouse):
    """`decide` calls as the house's owner."""

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self.decide = house.running.as_account(STUBS, house.owner, {house.tenant: [Role.ROLE_OWNER]})

    async def can_teach(self, instructor: str, *windows: tuple[int, str, str], **fields: Any) -> Availability:
        """Weekday, from, to of each window."""
        given = Availability(name=instructor.replace("/instructors/", "/availabilities/"), **fields)
        for weekday, start, end in windows:
            given.windows.add(weekday=weekday, start_time_of_day=start, end_time_of_day=end)
        request = availability_pb.UpdateAvailabilityRequest(availability=given, request_id=key())
        request.update_mask.paths.append("windows")
        return await self.decide.UpdateAvailability(request)

    async def different(
        self, instructor: str, kind: str, first: str, last: str, **fields: Any
    ) -> AvailabilityException:
        new = AvailabilityException(
            instructor=instructor,
            kind=AvailabilityException.Kind.Value(kind),
            start_date=first,
            end_date=last,
            **fields,
        )
        return await self.decide.CreateAvailabilityException(
            availability_pb.CreateAvailabilityExceptionRequest(
                parent=self.house.name, availability_exception=new, request_id=key()
            )
        )

    async def close_days(
        self, first: str, last: str, *, cancel: bool = False, name: str = "Christmas", location: str = ""
    ) -> Closure:
        closure = Closure(display_name=name, start_date=first, end_date=last, location=location)
        return await self.decide.CreateClosure(
            closures_pb.CreateClosureRequest(
                parent=self.house.name, closure=closure, cancel_class_sessions=cancel, request_id=key()
            )
        )

    async def preview_closure(self, first: str, last: str, location: str = "") -> closures_pb.PreviewClosureResponse:
        closure = Closure(display_name="Christmas", start_date=first, end_date=last, location=location)
        return await self.decide.PreviewClosure(
            closures_pb.PreviewClosureRequest(parent=self.house.name, closure=closure)
        )

    async def change_closure(self, closure: Closure, mask: str, *, cancel: bool = False, **fields: Any) -> Closure:
        request = closures_pb.UpdateClosureRequest(
            closure=Closure(name=closure.name, **fields), cancel_class_sessions=cancel, request_id=key()
        )
        request.update_mask.paths.extend(mask.split(","))
        return await self.decide.UpdateClosure(request)

    async def open_days(self, closure: Closure, **fields: Any) -> Closure:
        return await self.decide.DeleteClosure(
            closures_pb.DeleteClosureRequest(name=closure.name, request_id=key(), **fields)
        )

    async def inbox(self, state: str = "STATE_UNSPECIFIED", **fields: Any) -> list[ScheduleConflict]:
        answer = await self.decide.ListScheduleConflicts(
            conflicts_pb.ListScheduleConflictsRequest(
                parent=self.house.name, state=ScheduleConflict.State.Value(state), **fields
            )
        )
        return list(answer.schedule_conflicts)

    async def look(self, conflict: ScheduleConflict) -> ScheduleConflict:
        return await self.decide.GetScheduleConflict(conflicts_pb.GetScheduleConflictRequest(name=conflict.name))

    async def resolve(self, conflict: ScheduleConflict, etag: str = "", **resolution: Any) -> ScheduleConflict:
        return await self.decide.ResolveScheduleConflict(
            conflicts_pb.ResolveScheduleConflictRequest(
                name=conflict.name, resolution=Resolution(**resolution), etag=etag, request_id=key()
            )
        )

    async def resolve_all(self, conflicts: Iterable[ScheduleConflict], **resolution: Any) -> list[tuple[str, str]]:
        """State and reason of each."""
        answer = await self.decide.BatchResolveScheduleConflicts(
            conflicts_pb.BatchResolveScheduleConflictsRequest(
                parent=self.house.name,
                schedule_conflicts=[each.name for each in conflicts],
                resolution=Resolution(**resolution),
                request_id=key(),
            )
        )
        states = ScheduleConflict.State.Name
        return [(states(each.schedule_conflict.state), each.reason) for each in answer.results]

    async def edit_following(
        self, schedule: ClassSchedule, from_date: str, etag: str = "", **edit: Any
    ) -> ClassSchedule:
        return await self.stub.EditFollowingClassSessions(
            schedules_pb.EditFollowingClassSessionsRequest(
                name=schedule.name, from_date=from_date, edit=SeriesEdit(**edit), etag=etag, request_id=key()
            )
        )

    async def preview_edit(
        self, schedule: ClassSchedule, from_date: str = "", etag: str = "", **edit: Any
    ) -> SeriesEditPreview:
        return await self.stub.PreviewSeriesEdit(
            schedules_pb.PreviewSeriesEditRequest(
                name=schedule.name, from_date=from_date, edit=SeriesEdit(**edit), etag=etag
            )
        )

    async def by_date(self, schedule: ClassSchedule | None = None) -> dict[str, ClassSession]:
        """Sessions of the schedule, or of all, by their original dates."""
        return {
            each.original_date: each
            for each in await self.sessions()
            if schedule is None or each.class_schedule == schedule.name
        }
