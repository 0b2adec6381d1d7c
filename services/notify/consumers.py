"""What notify does with the events of others: plan a delivery."""

from uuid import UUID

from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.events_pb2 import BookingChanged
from powerhouse.identity.v1.events_pb2 import InvitationCreated, PasswordResetRequested
from powerhouse.scheduling.v1.events_pb2 import StudioChanged
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.messaging.consumers import Consumers, Event
from services.notify import deliveries, senders
from services.notify.models import Kind

consumers = Consumers()


@consumers.on(BookingChanged)
async def confirm_booking(tx: UnitOfWork, event: Event[BookingChanged]) -> None:
    """A booking that holds a place is confirmed once; whether it still does is asked when the mail is sent."""
    if event.payload.state == Booking.CONFIRMED:
        await deliveries.plan(tx, Kind.BOOKING_CONFIRMATION, UUID(event.payload.booking_id))


@consumers.on(InvitationCreated)
async def send_invitation(tx: UnitOfWork, event: Event[InvitationCreated]) -> None:
    """Someone was invited to a role."""
    await deliveries.plan(tx, Kind.INVITATION, UUID(event.payload.invitation_id))


@consumers.on(PasswordResetRequested)
async def send_password_link(tx: UnitOfWork, event: Event[PasswordResetRequested]) -> None:
    """Someone forgot a password; of no studio."""
    await deliveries.plan(tx, Kind.PASSWORD_RESET, UUID(event.payload.password_reset_id))


@consumers.on(StudioChanged)
async def know_studio(tx: UnitOfWork, event: Event[StudioChanged]) -> None:
    """A studio has another name or zone, or is new."""
    studio = event.payload
    await senders.put_studio(tx, version=studio.version, display_name=studio.display_name, time_zone=studio.time_zone)
