"""The line for a full class session: free places go to who waits for them, in order, and it ends when it closes.

Everything here needs `locks.lock_line` of the session, or another lock of the session and of all who wait for it, and
belongs in the transaction of whatever freed a place.
"""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, text

from services.booking import changes, holds, ledger, promotions
from services.booking.models import IN_LINE, BookableSession, WaitlistDecision, WaitlistEntry
from services.booking.promotions import Candidate, Decision
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import new_id

# Beside as many as there are places, so many in line are looked at before all are.
_GLANCE = 5

# Displaced ones first; those of equal times by id.
_CANDIDATES = text(
    "SELECT e.id AS entry, e.client_id AS client, e.credit_hold_id AS hold, e.state = 'OFFERED' AS offered,"
    " e.displaced, e.passed_over, client_refusal_v1(s, e.client_id) AS conflict,"
    " CASE WHEN s.waiver_required AND must_sign_v1(s.tenant_id, e.client_id) THEN 'WAIVER_NOT_SIGNED'"
    " WHEN s.max_upcoming_bookings + s.max_daily_bookings > 0"
    " THEN caps_refusal_v1(s, e.client_id, :now) END AS terms,"
    " c.archive_time IS NOT NULL AS archived,"
    " EXISTS (SELECT FROM waitlist_entries o"
    " JOIN class_sessions t ON t.tenant_id = o.tenant_id AND t.id = o.class_session_id"
    " WHERE o.tenant_id = e.tenant_id AND o.client_id = e.client_id AND o.state = 'OFFERED' AND o.id <> e.id"
    " AND t.start_time < s.end_time AND t.end_time > s.start_time) AS offered_elsewhere,"
    " p.revoke_time IS NULL AND (p.expire_time IS NULL OR p.expire_time > s.start_time)"
    " AND (p.class_type_ids = '{}' OR s.class_type_id = ANY (p.class_type_ids)) AS usable"
    " FROM ("
    " SELECT * FROM waitlist_entries"
    " WHERE tenant_id = :tenant AND class_session_id = :session AND state IN ('WAITING', 'OFFERED')"
    " AND id = coalesce(:entry, id) ORDER BY displaced DESC, join_time, id LIMIT :first) e"
    " JOIN bookable_sessions s ON s.tenant_id = e.tenant_id AND s.id = e.class_session_id"
    " JOIN clients c ON c.tenant_id = e.tenant_id AND c.id = e.client_id"
    " JOIN credit_holds h ON h.tenant_id = e.tenant_id AND h.id = e.credit_hold_id"
    " JOIN client_packages p ON p.tenant_id = h.tenant_id AND p.id = h.client_package_id"
    " ORDER BY e.displaced DESC, e.join_time, e.id"
)
# The entries become bookings, each with the credit of its hold. Who is the more comes into the class beside those that
# held a place already. Spots are given in the order of the layout, as far as there are enough.
_PROMOTE = text(
    "WITH won AS ("
    " SELECT * FROM unnest(CAST(:entries AS uuid[]), CAST(:bookings AS uuid[])) WITH ORDINALITY"
    " AS w (entry_id, booking_id, place)),"
    " promoted AS (UPDATE waitlist_entries e SET state = 'PROMOTED', booking_id = won.booking_id, passed_over = '',"
    " offer_expire_time = NULL, version = e.version + 1, update_time = :now"
    " FROM won WHERE e.tenant_id = :tenant AND e.id = won.entry_id"
    " RETURNING e.tenant_id, e.class_session_id, e.client_id, e.credit_hold_id, e.booking_id, won.place),"
    " booked AS (INSERT INTO bookings (tenant_id, id, class_session_id, client_id, client_package_id, state, spot,"
    " policy_version, credit_returned, session_cancelled, free_decline_time, version, create_time, update_time,"
    " start_time, end_time)"
    " SELECT p.tenant_id, p.booking_id, s.id, p.client_id, h.client_package_id, 'CONFIRMED',"
    " (free_spots_v2(s.tenant_id, s.id, s.spots))[p.place],"
    " s.policy_version, false, false, :free_decline_time, 1, :now, :now, s.start_time, s.end_time"
    " FROM promoted p"
    " JOIN bookable_sessions s ON s.tenant_id = p.tenant_id AND s.id = p.class_session_id"
    " JOIN credit_holds h ON h.tenant_id = p.tenant_id AND h.id = p.credit_hold_id),"
    " counted AS (UPDATE class_sessions SET booked_count = booked_count + :more"
    " WHERE tenant_id = :tenant AND id = :session AND :more > 0)"
    " INSERT INTO transfers (tenant_id, debit_account, credit_account, amount, cause, booking_id, create_time)"
    " SELECT tenant_id, credit_hold_id, :redeemed, 1, 'promoted', booking_id, :now FROM promoted"
)
# Of several, only one can come true.
_OVERLAPPING = text(
    "SELECT e.id FROM waitlist_entries e"
    " JOIN class_sessions t ON t.tenant_id = e.tenant_id AND t.id = e.class_session_id"
    " WHERE e.tenant_id = :tenant AND e.client_id = ANY (:clients) AND e.state = 'WAITING'"
    " AND t.start_time < :end AND t.end_time > :start AND t.id <> :session"
)
_OFFER = text(
    "WITH offered AS (UPDATE waitlist_entries SET state = 'OFFERED', passed_over = '',"
    " offer_expire_time = :expire_time, version = version + 1, update_time = :now"
    " WHERE tenant_id = :tenant AND id = ANY (:ids))"
    " UPDATE class_sessions SET booked_count = booked_count + :more WHERE tenant_id = :tenant AND id = :session"
)
_PASS_OVER = text(
    "UPDATE waitlist_entries e SET passed_over = w.reason, version = e.version + 1, update_time = :now"
    " FROM unnest(CAST(:ids AS uuid[]), CAST(:reasons AS text[])) AS w (id, reason)"
    " WHERE e.tenant_id = :tenant AND e.id = w.id"
)
_END = text(
    "WITH ended AS (UPDATE waitlist_entries e SET state = :state, reason = :reason, offer_expire_time = NULL,"
    " version = e.version + 1, update_time = :now FROM waitlist_entries was"
    " WHERE e.tenant_id = :tenant AND e.id = ANY (:ids) AND e.state IN ('WAITING', 'OFFERED')"
    " AND was.tenant_id = e.tenant_id AND was.id = e.id"
    " RETURNING e.id, e.class_session_id, e.credit_hold_id, was.state = 'OFFERED' AS offered),"
    " freed AS (UPDATE class_sessions s SET booked_count = s.booked_count - f.places,"
    " effective_capacity = greatest(s.planned_capacity, s.booked_count - f.places)"
    " FROM (SELECT class_session_id, count(*) AS places FROM ended WHERE offered GROUP BY class_session_id) f"
    " WHERE s.tenant_id = :tenant AND s.id = f.class_session_id)"
    " SELECT id, credit_hold_id FROM ended"
)


async def fill(tx: UnitOfWork, session_id: UUID, *, thoroughly: bool = False) -> None:
    """Gives the free places of a session to the first in line who can have one, or offers them; not in quiet hours.

    All leave the line when it has closed. Who has a place at that time already leaves it too, if met on the way;
    `thoroughly` looks at everybody.
    """
    session = await _line(tx, session_id)
    if session is None:
        return
    if session.waitlist_mode == "OFF":
        await end(tx, await _waiting(tx, session_id), "REMOVED", "WAITLIST_OFF")
        return
    if tx.now() >= promotions.close_time(session):
        await end(tx, await _waiting(tx, session_id), "EXPIRED", "LINE_CLOSED")
        return
    places = session.planned_capacity - session.booked_count
    first = None if thoroughly else max(places, 0) + _GLANCE
    line = await candidates(tx, session_id, first=first)
    if len(line) == first and sum(candidate.can_have_place() for candidate in line) < places:
        line = await candidates(tx, session_id)
    quiet = promotions.quiet_until(session, tx.now()) is not None
    given = "" if quiet else "OFFERED" if session.waitlist_mode == "TIMED_OFFER" else "PROMOTED"
    await _carry_out(tx, session, promotions.decide(line, places, given), given)


async def candidates(
    tx: UnitOfWork, session_id: UUID, *, first: int | None = None, entry_id: UUID | None = None
) -> list[Candidate]:
    """Who stands in the line of a session, in order, with what decides about them: all, so many, or one entry."""
    values = {"tenant": tx.tenant, "session": session_id, "now": tx.now(), "first": first, "entry": entry_id}
    rows = await tx.session.execute(_CANDIDATES, values)
    return [Candidate(**row) for row in rows.mappings()]


async def promote(tx: UnitOfWork, session: BookableSession, winners: Sequence[Candidate], *, accepted: bool) -> None:
    """Makes bookings of entries. Waits of these clients for classes at the same time end, with their credits back.

    Who accepts an offer knows what it costs to give it back; anybody else has time to do so for nothing.
    """
    booking_ids = [new_id() for _ in winners]
    values = {
        "entries": [winner.entry for winner in winners],
        "bookings": booking_ids,
        "free_decline_time": None if accepted else promotions.free_decline_time(session, tx.now()),
        "more": 0 if accepted else len(winners),
        "redeemed": ledger.REDEEMED,
    }
    await tx.session.execute(_PROMOTE, {**_parameters(tx, session.id), **values})
    await changes.publish_bookings(tx, booking_ids)
    overlapping = await tx.session.scalars(
        _OVERLAPPING,
        {
            "tenant": tx.tenant,
            "session": session.id,
            "clients": [winner.client for winner in winners],
            "start": session.start_time,
            "end": session.end_time,
        },
    )
    await end(tx, overlapping.all(), "REMOVED", "PROMOTED_ELSEWHERE")


async def end(tx: UnitOfWork, ids: Collection[UUID], state: str, reason: str) -> None:
    """Takes entries out of their lines, with their credits back. A place that was on offer is free then.

    Of a session that is not locked only who waits without an offer.
    """
    if not ids:
        return
    ended = (
        await tx.session.execute(
            _END, {"tenant": tx.tenant, "now": tx.now(), "ids": list(ids), "state": state, "reason": reason}
        )
    ).all()
    await holds.release(tx, [row.credit_hold_id for row in ended])
    await changes.publish_waits(tx, [row.id for row in ended])


async def _record(tx: UnitOfWork, session_id: UUID, decisions: Collection[Decision]) -> None:
    """Keeps what became of entries: the answer to "why was I not promoted?"."""
    now = tx.now()
    rows = [
        {
            "tenant_id": tx.tenant,
            "class_session_id": session_id,
            "waitlist_entry_id": decision.candidate.entry,
            "place_in_line": decision.position,
            "outcome": decision.outcome,
            "create_time": now,
        }
        for decision in decisions
    ]
    if rows:
        await tx.session.execute(insert(WaitlistDecision), rows)


async def _line(tx: UnitOfWork, session_id: UUID) -> BookableSession | None:
    """The session, unless nobody waits for it."""
    session, entry = BookableSession, WaitlistEntry
    waiting = select(entry.id).where(
        entry.tenant_id == tx.tenant, entry.class_session_id == session_id, entry.state.in_(IN_LINE)
    )
    query = select(session).where(session.tenant_id == tx.tenant, session.id == session_id, waiting.exists())
    return (await tx.session.scalars(query, execution_options={"populate_existing": True})).one_or_none()


async def _waiting(tx: UnitOfWork, session_id: UUID) -> Sequence[UUID]:
    entry = WaitlistEntry
    query = select(entry.id).where(
        entry.tenant_id == tx.tenant, entry.class_session_id == session_id, entry.state == "WAITING"
    )
    return (await tx.session.scalars(query)).all()


async def _carry_out(tx: UnitOfWork, session: BookableSession, decisions: Sequence[Decision], given: str) -> None:
    leaving = [each for each in decisions if each.outcome in promotions.LEAVES]
    winners = [each.candidate for each in decisions if given and each.outcome == given]
    passed = [
        each
        for each in decisions
        if each.candidate not in winners and each not in leaving and each.outcome != each.candidate.passed_over
    ]
    if passed:
        ids, reasons = [each.candidate.entry for each in passed], [each.outcome for each in passed]
        changed = {"tenant": tx.tenant, "now": tx.now(), "ids": ids, "reasons": reasons}
        await tx.session.execute(_PASS_OVER, changed)
    for reason in {each.outcome for each in leaving}:
        await end(tx, [each.candidate.entry for each in leaving if each.outcome == reason], "REMOVED", reason)
    if winners and given == "PROMOTED":
        await promote(tx, session, winners, accepted=False)
    elif winners:
        await _offer(tx, session, [winner.entry for winner in winners])
    told = [*(each.candidate.entry for each in passed), *(winner.entry for winner in winners)]
    if told:
        await changes.publish_waits(tx, told)
    # When nothing was given out, what was said before need not be said again.
    await _record(tx, session.id, decisions if winners else [each for each in (*leaving, *passed) if each.outcome])


async def _offer(tx: UnitOfWork, session: BookableSession, ids: Sequence[UUID]) -> None:
    expire_time = promotions.offer_expire_time(session, tx.now())
    values = {"ids": ids, "expire_time": expire_time, "more": len(ids)}
    await tx.session.execute(_OFFER, {**_parameters(tx, session.id), **values})
    for entry in ids:
        args = {"class_session": str(session.id)}
        await tx.enqueue("expire_offers", f"{entry}:{expire_time.isoformat()}", due_at=expire_time, args=args)


def _parameters(tx: UnitOfWork, session_id: UUID) -> dict[str, Any]:
    return {"tenant": tx.tenant, "session": session_id, "now": tx.now()}
