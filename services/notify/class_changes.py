"""What clients are told of a class that changes: that it is cancelled, on again, at another time, elsewhere or with
somebody else. The newest change speaks for those before it that nobody has been told of."""

from datetime import UTC
from uuid import UUID

from sqlalchemy import select

from powerhouse.booking.v1.events_pb2 import ClassChanged
from services.chassis.db.unit_of_work import UnitOfWork
from services.notify import deliveries
from services.notify.deliveries import Plan
from services.notify.models import Channel, Delivery, Kind

_KINDS = (Kind.CLASS_CANCELLED, Kind.CLASS_CHANGED)
# Urgent enough for a text.
_URGENT = {ClassChanged.CANCELLED, ClassChanged.RESTORED, ClassChanged.TIME}
_SUPERSEDED = "told with a later change"


async def announce(tx: UnitOfWork, told: ClassChanged) -> None:
    """Plans one message for each client and channel, unless a later change is known already."""
    bookings = [UUID(place.booking_id) for place in told.places]
    about = (Delivery.kind.in_(_KINDS), Delivery.subject_id.in_(bookings))
    later = await tx.session.scalars(
        select(Delivery.subject_id).where(
            Delivery.tenant_id == tx.tenant, *about, Delivery.time_version > told.session_version
        )
    )
    spoken_for = set(later)
    await deliveries.skip_waiting(tx, _SUPERSEDED, *about, Delivery.time_version < told.session_version)
    kind = Kind.CLASS_CANCELLED if ClassChanged.CANCELLED in told.changes else Kind.CLASS_CHANGED
    moved = told.start_time != told.previous_start_time
    before = told.previous_start_time.ToDatetime(tzinfo=UTC)
    await deliveries.plan(
        tx,
        *(
            Plan(
                kind=kind,
                channel=channel,
                subject_id=UUID(place.booking_id),
                time_version=told.session_version,
                client_id=UUID(place.client_id),
                booking_id=UUID(place.booking_id),
                class_session_id=UUID(told.class_session_id),
                args={
                    "changes": [ClassChanged.Change.Name(change).lower() for change in told.changes],
                    **({"previous_start": before.isoformat()} if moved else {}),
                },
                useful_until=told.start_time.ToDatetime(tzinfo=UTC),
            )
            for place in told.places
            for channel in _channels(told)
            if UUID(place.booking_id) not in spoken_for
        ),
    )


def _channels(told: ClassChanged) -> tuple[Channel, ...]:
    return (Channel.EMAIL, Channel.SMS) if _URGENT & set(told.changes) else (Channel.EMAIL,)
