"""What booking tells the mesh: the state of bookings, packages, waits and clients after a change, in any number."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from powerhouse.booking.v1.events_pb2 import ClientChanged, ClientMergeChanged
from services.booking.models import Client, ClientMerge
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import new_id
from services.chassis.telemetry import current_traceparent

_PUBLISH_BOOKINGS = text(
    "INSERT INTO outbox (event_id, tenant_id, type, aggregate, aggregate_id, version, payload, traceparent)"
    " SELECT changed.event_id, b.tenant_id, 'powerhouse.booking.v1.BookingChanged', 'booking', b.id, b.version,"
    " booking_changed_v3(b.id, b.class_session_id, b.client_id, b.state, b.start_time, b.time_version,"
    " p.id, p.credits_left, p.version, b.time_zone, s.class_type_id, b.update_time,"
    " EXISTS (SELECT FROM waitlist_entries e WHERE e.tenant_id = b.tenant_id AND e.booking_id = b.id),"
    " b.guest_display_name <> ''), :traceparent"
    " FROM unnest(CAST(:ids AS uuid[]), CAST(:event_ids AS uuid[])) AS changed (id, event_id)"
    " JOIN booking_details b ON b.tenant_id = :tenant AND b.id = changed.id"
    " JOIN class_sessions s ON s.tenant_id = b.tenant_id AND s.id = b.class_session_id"
    " LEFT JOIN client_packages p ON p.tenant_id = b.tenant_id AND p.id = b.client_package_id"
)
_PUBLISH_PACKAGES = text(
    "INSERT INTO outbox (event_id, tenant_id, type, aggregate, aggregate_id, version, payload, traceparent)"
    " SELECT changed.event_id, p.tenant_id, 'powerhouse.booking.v1.ClientPackageChanged', 'client_package', p.id,"
    " p.version, client_package_changed_v2(p), :traceparent"
    " FROM unnest(CAST(:ids AS uuid[]), CAST(:event_ids AS uuid[])) AS changed (id, event_id)"
    " JOIN client_packages p ON p.tenant_id = :tenant AND p.id = changed.id"
)
_PUBLISH_WAITS = text(
    "INSERT INTO outbox (event_id, tenant_id, type, aggregate, aggregate_id, version, payload, traceparent)"
    " SELECT changed.event_id, e.tenant_id, 'powerhouse.booking.v1.WaitlistEntryChanged', 'waitlist_entry', e.id,"
    " e.version, waitlist_entry_changed_v1(e), :traceparent"
    " FROM unnest(CAST(:ids AS uuid[]), CAST(:event_ids AS uuid[])) AS changed (id, event_id)"
    " JOIN waitlist_entries e ON e.tenant_id = :tenant AND e.id = changed.id"
)


async def publish_bookings(tx: UnitOfWork, ids: Sequence[UUID]) -> None:
    """The bookings as they are now, with the packages that paid."""
    await tx.session.execute(_PUBLISH_BOOKINGS, _parameters(tx, ids))


async def publish_packages(tx: UnitOfWork, ids: Sequence[UUID]) -> None:
    """The packages as they are now."""
    await tx.session.execute(_PUBLISH_PACKAGES, _parameters(tx, ids))


async def publish_waits(tx: UnitOfWork, ids: Sequence[UUID]) -> None:
    """The waitlist entries as they are now."""
    await tx.session.execute(_PUBLISH_WAITS, _parameters(tx, ids))


async def publish_client(tx: UnitOfWork, client: Client) -> None:
    """That a client is new or different; who wants to know more asks."""
    event = ClientChanged(client_id=str(client.id))
    await tx.publish(event, aggregate="client", aggregate_id=client.id, version=client.version)


async def publish_merge(tx: UnitOfWork, merge: ClientMerge) -> None:
    """That two clients are one, or two again: it happens once each."""
    undone = merge.undo_time is not None
    event = ClientMergeChanged(
        client_merge_id=str(merge.id),
        survivor_id=str(merge.survivor_id),
        duplicate_id=str(merge.duplicate_id),
        undone=undone,
    )
    await tx.publish(event, aggregate="client_merge", aggregate_id=merge.id, version=2 if undone else 1)


def _parameters(tx: UnitOfWork, ids: Sequence[UUID]) -> dict[str, object]:
    return {
        "tenant": tx.tenant,
        "ids": list(ids),
        "event_ids": [new_id() for _ in ids],
        "traceparent": current_traceparent(),
    }
