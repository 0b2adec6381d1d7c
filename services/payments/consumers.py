"""Events of other services and what they do here."""

from uuid import UUID

from powerhouse.booking.v1.events_pb2 import BookingChanged, ClientPackageChanged
from powerhouse.scheduling.v1.events_pb2 import StudioChanged
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.messaging.consumers import Consumers, Event
from services.payments import earnings, letterheads

consumers = Consumers()


@consumers.on(ClientPackageChanged)
async def earn(tx: UnitOfWork, event: Event[ClientPackageChanged]) -> None:
    """What is left of a package says what of it is earned."""
    await _tell(tx, event.payload)


@consumers.on(BookingChanged)
async def earn_by_booking(tx: UnitOfWork, event: Event[BookingChanged]) -> None:
    """A change of a booking carries its package."""
    if event.payload.HasField("client_package"):
        await _tell(tx, event.payload.client_package)


@consumers.on(StudioChanged)
async def know_studio(tx: UnitOfWork, event: Event[StudioChanged]) -> None:
    """A studio has another name or zone, or is new."""
    studio = event.payload
    await letterheads.put_studio(
        tx, version=studio.version, display_name=studio.display_name, time_zone=studio.time_zone
    )


async def _tell(tx: UnitOfWork, package: ClientPackageChanged) -> None:
    await earnings.tell(tx, UUID(package.client_package_id), package.credits_left, package.version)
