"""What scheduling tells of its sessions, in events and in the snapshot that a new or emptied projection loads."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC
from uuid import UUID

from sqlalchemy import text

from powerhouse.scheduling.v1 import scheduling_service_pb2
from powerhouse.scheduling.v1.events_pb2 import ClassSessionsScheduled, ClassSessionState
from powerhouse.scheduling.v1.scheduling_service_pb2_grpc import SchedulingServiceStub
from services.booking import class_sessions
from services.booking.class_sessions import PlannedSession
from services.chassis.resources import Resources

# Seconds for the whole stream.
_DEADLINE = 30.0
# Across all studios, which a query under row level security could not tell. True after a TRUNCATE, not after DELETE.
_IS_EMPTY = text("SELECT pg_relation_size('class_sessions') = 0")


def decode(state: ClassSessionState) -> PlannedSession:
    """The state of a session as booking keeps it. Where a room has spots, a place is a spot."""
    spots = list(state.spots)
    return PlannedSession(
        id=UUID(state.class_session_id),
        version=state.version,
        time_version=state.time_version,
        class_type_display_name=state.class_type_display_name,
        room_display_name=state.room_display_name,
        location_display_name=state.location_display_name,
        instructor_display_name=state.instructor_display_name,
        instructor_account_id=UUID(state.instructor_account_id) if state.instructor_account_id else None,
        start_time=state.start_time.ToDatetime(tzinfo=UTC),
        end_time=state.end_time.ToDatetime(tzinfo=UTC),
        time_zone=state.time_zone,
        spots=spots,
        cancelled=state.cancelled,
        planned_capacity=min(state.capacity, len(spots)) if spots else state.capacity,
        class_type_id=UUID(state.class_type_id),
        room_id=UUID(state.room_id),
        location_id=UUID(state.location_id),
        instructor_id=UUID(state.instructor_id),
        currency_code=state.currency_code,
        update_time=state.update_time.ToDatetime(tzinfo=UTC),
    )


def decode_scheduled(event: ClassSessionsScheduled) -> Iterator[PlannedSession]:
    """The states of new sessions that have all but their times in common."""
    state = event.common
    for dated in event.class_sessions:
        state.class_session_id = dated.class_session_id
        state.start_time.CopyFrom(dated.start_time)
        state.end_time.FromSeconds(dated.start_time.seconds + event.duration_minutes * 60)
        yield decode(state)


async def load(resources: Resources) -> int:
    """Applies scheduling's snapshot and returns how many sessions were news. Safe at any time, beside events too."""
    service = scheduling_service_pb2.DESCRIPTOR.services_by_name["SchedulingService"]
    stub = resources.stubs.get(SchedulingServiceStub, service, "scheduling")
    news = 0
    async for message in stub.SnapshotClassSessions(
        scheduling_service_pb2.SnapshotClassSessionsRequest(), timeout=_DEADLINE
    ):
        by_studio: dict[UUID, list[PlannedSession]] = defaultdict(list)
        for item in message.items:
            by_studio[UUID(item.studio_id)].append(decode(item.class_session))
        for studio, sessions in by_studio.items():
            async with resources.database.transaction(studio) as tx:
                for planned in sorted(sessions, key=lambda session: session.id):
                    news += await class_sessions.apply(tx, planned)
    return news


async def is_empty(resources: Resources) -> bool:
    """Whether the projection has never held a session, or was truncated."""
    async with resources.database.transaction() as tx:
        return bool(await tx.session.scalar(_IS_EMPTY))
