"""Events of other services and what they do here."""

from datetime import UTC
from uuid import UUID

from powerhouse.booking.v1 import booking_pb2
from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.events_pb2 import (
    BookingChanged,
    ClientErased,
    ClientMergeChanged,
    ClientPackageChanged,
    FeeChanged,
)
from powerhouse.scheduling.v1.events_pb2 import StudioChanged
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.messaging.consumers import Consumers, Event
from services.payments import (
    cards,
    client_merges,
    earnings,
    fees,
    gift_card_letters,
    letterheads,
    membership_refunds,
    places,
    refunds,
)
from services.payments.models import ClientMerge, Fee

consumers = Consumers()


@consumers.on(ClientPackageChanged)
async def earn(tx: UnitOfWork, event: Event[ClientPackageChanged]) -> None:
    """What is left of a package says what of it is earned."""
    await _tell(tx, event.payload)


@consumers.on(BookingChanged)
async def earn_by_booking(tx: UnitOfWork, event: Event[BookingChanged]) -> None:
    """A change of a booking carries its package, or is of a place that is paid singly."""
    changed = event.payload
    if changed.HasField("client_package"):
        await _tell(tx, changed.client_package)
    else:
        state, start = Booking.State.Name(changed.state), changed.start_time.ToDatetime(UTC)
        await places.tell(tx, UUID(changed.booking_id), state, start, event.version)


@consumers.on(FeeChanged)
async def charge(tx: UnitOfWork, event: Event[FeeChanged]) -> None:
    """A fee is due, or was let go."""
    told = event.payload
    fee = Fee(
        tenant_id=tx.tenant,
        id=UUID(told.fee_id),
        booking_id=UUID(told.booking_id),
        client_id=UUID(told.client_id),
        kind=booking_pb2.Fee.Kind.Name(told.kind),
        state=booking_pb2.Fee.State.Name(told.state),
        amount_minor=told.amount_minor,
        currency_code=told.currency_code,
        version=event.version,
    )
    await fees.tell(tx, fee)


@consumers.on(ClientErased)
async def forget(tx: UnitOfWork, event: Event[ClientErased]) -> None:
    """The provider forgets who was erased, and charges for no membership any more. Words go; what was paid stays."""
    client_id = UUID(event.payload.client_id)
    await membership_refunds.forget(tx, client_id)
    await refunds.forget_reasons(tx, client_id)
    await gift_card_letters.forget_client(tx, client_id)
    args = {"client": event.payload.client_id}
    await tx.enqueue(cards.FORGET_JOB, event.payload.client_id, args=args)


@consumers.on(ClientMergeChanged)
async def follow_merge(tx: UnitOfWork, event: Event[ClientMergeChanged]) -> None:
    """Two clients are one person, or are not after all: what the one bought is the other's too."""
    told = event.payload
    merge = ClientMerge(
        tenant_id=tx.tenant,
        id=UUID(told.client_merge_id),
        survivor_id=UUID(told.survivor_id),
        duplicate_id=UUID(told.duplicate_id),
        undone=told.undone,
        version=event.version,
    )
    await client_merges.tell(tx, merge)


@consumers.on(StudioChanged)
async def know_studio(tx: UnitOfWork, event: Event[StudioChanged]) -> None:
    """A studio has another name or zone, or is new."""
    studio = event.payload
    await letterheads.put_studio(
        tx, version=studio.version, display_name=studio.display_name, time_zone=studio.time_zone
    )


async def _tell(tx: UnitOfWork, package: ClientPackageChanged) -> None:
    await earnings.tell(tx, UUID(package.client_package_id), package.credits_left, package.version)
