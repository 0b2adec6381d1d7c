"""SessionChangeService: decode, call the noun, encode."""

from typing import Any

from powerhouse.booking.v1 import session_change_service_pb2 as pb
from powerhouse.booking.v1.session_change_service_pb2_grpc import SessionChangeServiceServicer
from services.booking import session_changes, snapshots
from services.chassis.resources import Resources


class SessionChangeServicer(SessionChangeServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._database = resources.database

    async def PreviewSessionChange(
        self, request: pb.PreviewSessionChangeRequest, context: Any
    ) -> pb.PreviewSessionChangeResponse:
        async with self._database.read() as tx:
            affected = await session_changes.preview(tx, snapshots.decode(request.class_session))
        return pb.PreviewSessionChangeResponse(
            affected_bookings=[
                pb.PreviewSessionChangeResponse.AffectedBooking(
                    booking_id=str(each.booking_id),
                    client_id=str(each.client_id),
                    effect=pb.PreviewSessionChangeResponse.Effect.Value(each.effect.name),
                )
                for each in affected
            ]
        )
