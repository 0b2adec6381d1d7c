"""What a change of a class session does to its line, and to those who lose their place when there are fewer.

In the transaction that applies the change, whose caller holds `displacements.lock` of the session.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select, text, update

from powerhouse.booking.v1.events_pb2 import ClientsDisplaced
from services.booking import announcements, changes, holds, ledger, promotions, waitlist
from services.booking.models import IN_LINE, BookableSession, WaitlistEntry
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import new_id

# Who stands last in line gives back what nobody has taken yet.
_WITHDRAW = text(
    "UPDATE waitlist_entries SET state = 'WAITING', offer_expire_time = NULL, version = version + 1,"
    " update_time = :now WHERE tenant_id = :tenant AND id IN ("
    " SELECT id FROM waitlist_entries"
    " WHERE tenant_id = :tenant AND class_session_id = :session AND state = 'OFFERED'"
    " ORDER BY displaced, join_time DESC, id DESC LIMIT :places) RETURNING id"
)
# Who paid otherwise than with a credit cannot wait with one, and stays.
_DISPLACE = text(
    "UPDATE bookings SET state = 'CANCELLED_EARLY', credit_returned = true, cancel_time = :now,"
    " version = version + 1, update_time = :now WHERE tenant_id = :tenant AND id IN ("
    " SELECT id FROM bookings WHERE tenant_id = :tenant AND class_session_id = :session"
    " AND state = 'CONFIRMED' AND client_package_id IS NOT NULL"
    " ORDER BY create_time DESC, id DESC LIMIT :places)"
    " RETURNING id, client_id, client_package_id, create_time, guest_display_name = '' AS comes"
)
_FREE = text(
    "UPDATE class_sessions SET booked_count = booked_count - :places,"
    " effective_capacity = greatest(planned_capacity, booked_count - :places)"
    " WHERE tenant_id = :tenant AND id = :session"
)
_CANCELLED = text(
    "SELECT e.id, e.client_id, client_refusal_v1(s, e.client_id) AS conflict"
    " FROM waitlist_entries e JOIN bookable_sessions s ON s.tenant_id = e.tenant_id AND s.id = e.class_session_id"
    " WHERE e.tenant_id = :tenant AND e.class_session_id = :session"
    " AND e.state = 'REMOVED' AND e.reason = 'SESSION_CANCELLED'"
    " ORDER BY e.displaced DESC, e.join_time, e.id"
)


async def cut(tx: UnitOfWork, session_id: UUID) -> None:
    """Takes back the places that are no longer planned: first what is on offer, then what was booked last.

    Their credits come back, and wait with them at the head of the line; of guests, and where the line has closed or is
    not wanted, they only come back. A class that has started is left as it is.
    """
    session = await _session(tx, session_id)
    excess = session.booked_count - session.planned_capacity
    if excess <= 0 or tx.now() >= session.start_time:
        return
    withdrawn = (await tx.session.scalars(_WITHDRAW, {**_parameters(tx, session_id), "places": excess})).all()
    values = {**_parameters(tx, session_id), "places": excess - len(withdrawn)}
    displaced = (await tx.session.execute(_DISPLACE, values)).all()
    await free_places(tx, session_id, len(withdrawn) + len(displaced))
    moves = [(ledger.REDEEMED, booking.client_package_id, booking.id) for booking in displaced]
    await ledger.transfer_ones(tx, moves, "displaced")
    waiting: dict[UUID, UUID] = {}
    if _is_open(tx, session):
        waiting = await _stand_first(tx, session_id, [booking for booking in displaced if booking.comes])
    await changes.publish_bookings(tx, [booking.id for booking in displaced])
    await changes.publish_waits(tx, [*withdrawn, *waiting.values()])
    places = [
        ClientsDisplaced.Place(
            booking_id=str(booking.id),
            client_id=str(booking.client_id),
            waitlist_entry_id=str(waiting.get(booking.id, "")),
            guest=not booking.comes,
        )
        for booking in displaced
    ]
    await announcements.tell_displaced(tx, session, places)


async def free_places(tx: UnitOfWork, session_id: UUID, places: int) -> None:
    """So many places are held no more."""
    await tx.session.execute(_FREE, {"tenant": tx.tenant, "session": session_id, "places": places})


async def cancel_all(tx: UnitOfWork, session_id: UUID) -> None:
    """The session is cancelled: nobody waits for it any more, and the credits come back."""
    await waitlist.end(tx, await _in_line(tx, session_id), "REMOVED", "SESSION_CANCELLED")


async def restore_all(tx: UnitOfWork, session_id: UUID) -> None:
    """The session is on again: who waited waits where they stood, if there is a credit to set aside and no conflict.

    For the others it is over for good.
    """
    parameters = {"tenant": tx.tenant, "session": session_id}
    cancelled = (await tx.session.execute(_CANCELLED, parameters)).all()
    if not cancelled:
        return
    session = await _session(tx, session_id)
    for entry in cancelled:
        hold_id = None
        reason = entry.conflict or ("" if _is_open(tx, session) else "LINE_CLOSED")
        if not reason:
            hold_id = await holds.set_aside(tx, session, entry.client_id)
            reason = "" if hold_id else "NO_CREDIT"
        back = {"state": "WAITING", "credit_hold_id": hold_id, "passed_over": ""} if hold_id else {}
        await _update(tx, entry.id, reason=reason, **back)
    await changes.publish_waits(tx, [entry.id for entry in cancelled])


async def follow_move(tx: UnitOfWork, session_id: UUID) -> None:
    """Waits that shared a credit and could now both come true: the later one has one of its own, or ends."""
    torn = await holds.torn(tx, session_id)
    entry, session = WaitlistEntry, BookableSession
    query = (
        select(entry.id, entry.client_id, session)
        .join(session, (session.tenant_id == entry.tenant_id) & (session.id == entry.class_session_id))
        .where(entry.tenant_id == tx.tenant, entry.id.in_(torn))
        .order_by(entry.join_time, entry.id)
    )
    for entry_id, client_id, its_session in (await tx.session.execute(query)).all() if torn else ():
        hold_id = await holds.set_aside(tx, its_session, client_id)
        if hold_id is None:
            await waitlist.end(tx, [entry_id], "REMOVED", "NO_CREDIT")
        else:
            await _update(tx, entry_id, credit_hold_id=hold_id)
            await changes.publish_waits(tx, [entry_id])


async def _stand_first(tx: UnitOfWork, session_id: UUID, displaced: Sequence[Row[Any]]) -> dict[UUID, UUID]:
    """Those who lost a booking wait at the head of the line, who booked first first, with the credit they paid.

    Returns the wait that each booking became.
    """
    if not displaced:
        return {}
    # Who was passed over and then booked directly may still be in line.
    twice = await _in_line(tx, session_id, *(booking.client_id for booking in displaced))
    await waitlist.end(tx, twice, "REMOVED", "ALREADY_BOOKED")
    hold_ids = [new_id() for _ in displaced]
    wanted = zip(hold_ids, displaced, strict=True)
    await holds.hold(tx, [(hold_id, booking.client_id, booking.client_package_id) for hold_id, booking in wanted])
    rows = [
        {
            "tenant_id": tx.tenant,
            "id": new_id(),
            "class_session_id": session_id,
            "client_id": booking.client_id,
            "credit_hold_id": hold_id,
            "state": "WAITING",
            "displaced": True,
            "join_time": booking.create_time,
            "create_time": tx.now(),
            "update_time": tx.now(),
        }
        for hold_id, booking in zip(hold_ids, displaced, strict=True)
    ]
    await tx.session.execute(insert(WaitlistEntry), rows)
    return {booking.id: row["id"] for booking, row in zip(displaced, rows, strict=True)}


def _is_open(tx: UnitOfWork, session: BookableSession) -> bool:
    return session.waitlist_mode != "OFF" and tx.now() < promotions.close_time(session)


async def _session(tx: UnitOfWork, session_id: UUID) -> BookableSession:
    query = select(BookableSession).where(BookableSession.tenant_id == tx.tenant, BookableSession.id == session_id)
    return (await tx.session.scalars(query, execution_options={"populate_existing": True})).one()


async def _in_line(tx: UnitOfWork, session_id: UUID, *clients: UUID) -> Sequence[UUID]:
    """The entries in line of a session: all, or those of some clients."""
    entry = WaitlistEntry
    query = select(entry.id).where(
        entry.tenant_id == tx.tenant, entry.class_session_id == session_id, entry.state.in_(IN_LINE)
    )
    if clients:
        query = query.where(entry.client_id.in_(clients))
    return (await tx.session.scalars(query)).all()


async def _update(tx: UnitOfWork, entry_id: UUID, **values: Any) -> None:
    entry = WaitlistEntry
    change = update(entry).where(entry.tenant_id == tx.tenant, entry.id == entry_id)
    change = change.values(version=entry.version + 1, update_time=tx.now(), **values)
    await tx.session.execute(change.execution_options(synchronize_session=False))


def _parameters(tx: UnitOfWork, session_id: UUID) -> dict[str, Any]:
    return {"tenant": tx.tenant, "session": session_id, "now": tx.now()}
