"""Short ways to plan recurring classes in a house, and to look at what came of them."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from timetable_house import House, key, last_id

from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1 import class_schedule_service_pb2 as schedules_pb
from powerhouse.scheduling.v1 import generation_service_pb2 as generation_pb
from powerhouse.scheduling.v1 import scheduling_service_pb2 as pb
from powerhouse.scheduling.v1.class_schedule_pb2 import ClassSchedule
from powerhouse.scheduling.v1.class_schedule_service_pb2_grpc import ClassScheduleServiceStub
from powerhouse.scheduling.v1.class_session_pb2 import ClassSession
from powerhouse.scheduling.v1.events_pb2 import ClassSessionsScheduled, GenerationRunFinished
from powerhouse.scheduling.v1.generation_pb2 import GenerationRun
from powerhouse.scheduling.v1.generation_service_pb2_grpc import GenerationServiceStub
from services.chassis.ids import new_id
from tests.support.services import together

STUBS = together(ClassScheduleServiceStub, GenerationServiceStub)


@dataclass
class RecurringHouse:
    """`stub` calls as the house's owner."""

    house: House
    stub: Any = field(init=False)

    def __post_init__(self) -> None:
        self.stub = self.as_roles(Role.ROLE_OWNER)

    def as_roles(self, *roles: "Role.ValueType") -> Any:
        return self.house.running.as_account(STUBS, self.house.owner, {self.house.tenant: roles})

    def draft(self, **fields: Any) -> ClassSchedule:
        """Mondays, Wednesdays and Fridays at 10:00 from 4 January 2027, with the house's own room and people."""
        return ClassSchedule(
            **{
                "display_name": "Reformer Mon/Wed/Fri 10am",
                "class_type": self.house.class_type.name,
                "room": self.house.room.name,
                "instructor": self.house.instructor.name,
                "rrule": "FREQ=WEEKLY;BYDAY=MO,WE,FR",
                "start_date": "2027-01-04",
                "local_time": "10:00",
                **fields,
            }
        )

    async def create(self, **fields: Any) -> ClassSchedule:
        request = schedules_pb.CreateClassScheduleRequest(
            parent=self.house.name, class_schedule=self.draft(**fields), request_id=key()
        )
        return await self.stub.CreateClassSchedule(request)

    async def get(self, schedule: ClassSchedule) -> ClassSchedule:
        return await self.stub.GetClassSchedule(schedules_pb.GetClassScheduleRequest(name=schedule.name))

    async def update(self, schedule: ClassSchedule, mask: str = "", **fields: Any) -> ClassSchedule:
        request = schedules_pb.UpdateClassScheduleRequest(
            class_schedule=ClassSchedule(name=schedule.name, **fields), request_id=key()
        )
        request.update_mask.paths.extend(mask.split(",") if mask else [])
        return await self.stub.UpdateClassSchedule(request)

    async def delete(self, schedule: ClassSchedule, **fields: Any) -> ClassSchedule:
        return await self.stub.DeleteClassSchedule(
            schedules_pb.DeleteClassScheduleRequest(name=schedule.name, request_id=key(), **fields)
        )

    async def undelete(self, schedule: ClassSchedule) -> ClassSchedule:
        return await self.stub.UndeleteClassSchedule(
            schedules_pb.UndeleteClassScheduleRequest(name=schedule.name, request_id=key())
        )

    async def preview_new(self, **fields: Any) -> GenerationRun:
        return await self.stub.PreviewClassSchedule(
            schedules_pb.PreviewClassScheduleRequest(parent=self.house.name, class_schedule=self.draft(**fields))
        )

    async def generate(self, schedule: ClassSchedule | None = None) -> GenerationRun:
        return await self.stub.GenerateClassSessions(
            generation_pb.GenerateClassSessionsRequest(
                parent=self.house.name, class_schedule=schedule.name if schedule else "", request_id=key()
            )
        )

    async def preview(self, schedule: ClassSchedule | None = None) -> GenerationRun:
        return await self.stub.PreviewGeneration(
            generation_pb.PreviewGenerationRequest(
                parent=self.house.name, class_schedule=schedule.name if schedule else ""
            )
        )

    async def runs(self) -> list[GenerationRun]:
        request = generation_pb.ListGenerationRunsRequest(parent=self.house.name)
        return list((await self.stub.ListGenerationRuns(request)).generation_runs)

    async def sessions(self) -> list[ClassSession]:
        """All of the studio within 62 days from now."""
        request = pb.ListClassSessionsRequest(parent=self.house.name, page_size=200)
        request.start_time.FromDatetime(self.house.running.mesh.clock.now() - timedelta(days=1))
        request.end_time.FromDatetime(self.house.running.mesh.clock.now() + timedelta(days=61))
        return list((await self.house.stub.ListClassSessions(request)).class_sessions)

    async def starts(self) -> list[str]:
        return [session.local_start for session in await self.sessions()]

    async def told(self) -> list[ClassSessionsScheduled]:
        return await self.house.running.events(ClassSessionsScheduled, self.house.tenant)

    async def summaries(self) -> list[GenerationRunFinished]:
        return await self.house.running.events(GenerationRunFinished, self.house.tenant)

    async def close(self, first: str, last: str, location: str = "") -> None:
        """A closure, as its own service would store it."""
        await self.house.running.sql(
            "INSERT INTO closures (tenant_id, id, display_name, location_id, start_date, end_date, version)"
            " VALUES ($1, $2, 'Closed', $3, $4, $5, 1)",
            self.house.tenant,
            new_id(),
            last_id(location) if location else None,
            date.fromisoformat(first),
            date.fromisoformat(last),
        )

    async def conflicts(self) -> list[dict[str, Any]]:
        rows = await self.house.running.sql(
            "SELECT original_date, state, resolution, clashes, version, class_session_id FROM schedule_conflicts"
            " WHERE tenant_id = $1 ORDER BY start_at, schedule_id",
            self.house.tenant,
        )
        return [dict(row) for row in rows]


def counts(run: GenerationRun) -> tuple[int, int, int, int, int]:
    """Created, existing, conflicts, skipped, attention."""
    return (run.created_count, run.existing_count, run.conflict_count, run.skipped_count, run.attention_count)


def berlin(text: str) -> datetime:
    """An instant of Berlin's winter."""
    return datetime.fromisoformat(f"{text}+01:00")
