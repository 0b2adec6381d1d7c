"""Changes of a class session that are only tried: what would come of them, and whom they would concern."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from powerhouse.booking.v1 import session_change_service_pb2
from powerhouse.booking.v1.session_change_service_pb2 import PreviewSessionChangeRequest, PreviewSessionChangeResponse
from powerhouse.booking.v1.session_change_service_pb2_grpc import SessionChangeServiceStub
from powerhouse.scheduling.v1.events_pb2 import ClassSessionState
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.rpc.stubs import Stubs
from services.scheduling import class_sessions, session_events

# Questions to booking.
_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change: a cancellation, another capacity, or a move, of which what is not given stays."""

    cancel: bool = False
    capacity: int | None = None
    local_start: str = ""
    room_id: UUID | None = None


async def outcome(tx: UnitOfWork, session_id: UUID, etag: str, change: Change) -> ClassSessionState:
    """The session as the change would leave it, by making the change and taking all of it back.

    Ends the transaction. Raises what the change itself does: `class_sessions.cancel`, `change_capacity`, `move`.
    """
    if change.cancel:
        entry = await class_sessions.cancel(tx, session_id, etag, reason="")
    elif change.capacity is not None:
        entry = await class_sessions.change_capacity(tx, session_id, etag, change.capacity)
    else:
        entry = await class_sessions.move(tx, session_id, etag, local_start=change.local_start, room_id=change.room_id)
    state = session_events.state(entry)
    await tx.session.rollback()
    return state


async def affected_bookings(
    stubs: Stubs, studio_id: UUID, state: ClassSessionState
) -> Sequence[PreviewSessionChangeResponse.AffectedBooking]:
    """Asks booking whom the session would concern as `state` has it. Call it outside of any transaction."""
    service = session_change_service_pb2.DESCRIPTOR.services_by_name["SessionChangeService"]
    stub = stubs.get(SessionChangeServiceStub, service, "booking")
    request = PreviewSessionChangeRequest(parent=f"studios/{studio_id}", class_session=state)
    return (await stub.PreviewSessionChange(request)).affected_bookings


async def count_affected(stubs: Stubs, studio_id: UUID, states: Sequence[ClassSessionState]) -> list[int]:
    """How many bookings each of the sessions would concern, a few questions at a time. Outside of any transaction."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def ask(state: ClassSessionState) -> int:
        async with places:
            return len(await affected_bookings(stubs, studio_id, state))

    return list(await asyncio.gather(*map(ask, states)))
