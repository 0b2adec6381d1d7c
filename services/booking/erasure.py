"""Erasing a person: what is personal goes for good, what the books need stays without a name.

Kept: bookings, transfers and fees under the id of the client, since places, credits and money must add up; the names of
packages, which are products; audit entries: ids, and what staff gave as a reason. Answers kept for repeated requests
are emptied, so that a repeat neither tells of the person nor makes it anew.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from powerhouse.booking.v1.events_pb2 import ClientErased
from services.booking import cancellations, changes, clients, exports, imports, ledger, locks, person_keys, waitlist
from services.booking.clients import Profile
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import Aborted, FailedPrecondition, check_etag

NAME = "Erased client"
_GUEST = "Erased guest"
_ERASED = "erased"

_UPCOMING = text(
    "SELECT id, class_session_id FROM bookings WHERE tenant_id = :tenant AND client_id = :client"
    " AND cancel_time IS NULL AND start_time > :now ORDER BY start_time, id"
)
_WAITS = text(
    "SELECT id, class_session_id FROM waitlist_entries WHERE tenant_id = :tenant AND client_id = :client"
    " AND state IN ('WAITING', 'OFFERED')"
)
_IN_LINE = text(
    "SELECT DISTINCT client_id FROM waitlist_entries WHERE tenant_id = :tenant"
    " AND class_session_id = ANY (CAST(:sessions AS uuid[])) AND state IN ('WAITING', 'OFFERED')"
)
_PACKAGES = text(
    "SELECT id, credits_left FROM client_packages"
    " WHERE tenant_id = :tenant AND client_id = :client AND credits_left > 0 ORDER BY id"
)
_OWN_ACCOUNTS = (
    "SELECT id FROM client_packages WHERE tenant_id = :tenant AND client_id = :client"
    " UNION ALL SELECT id FROM credit_holds WHERE tenant_id = :tenant AND client_id = :client"
)
# Who became the client, also by way of another.
_DUPLICATES = text(
    "WITH RECURSIVE became AS ("
    " SELECT duplicate_id FROM client_merges WHERE tenant_id = :tenant AND survivor_id = :client AND undo_time IS NULL"
    " UNION SELECT m.duplicate_id FROM client_merges m JOIN became b ON m.survivor_id = b.duplicate_id"
    " WHERE m.tenant_id = :tenant AND m.undo_time IS NULL"
    ") SELECT duplicate_id FROM became ORDER BY duplicate_id"
)
# Everything personal, beside the client's own row.
_BLANK = tuple(
    text(statement)
    for statement in (
        "UPDATE client_packages SET reason = '', update_time = :now,"
        " revoke_time = CASE WHEN id = ANY (CAST(:revoked AS uuid[])) THEN :now ELSE revoke_time END"
        " WHERE tenant_id = :tenant AND client_id = :client",
        f"UPDATE transfers SET reason = :erased WHERE tenant_id = :tenant AND reason NOT IN ('', :erased)"  # noqa: S608
        f" AND (debit_account IN ({_OWN_ACCOUNTS}) OR credit_account IN ({_OWN_ACCOUNTS}))",
        "UPDATE fees SET reason = :erased, version = version + 1, update_time = :now"
        " WHERE tenant_id = :tenant AND client_id = :client AND reason <> ''",
        # An empty name would be the client's own place.
        "UPDATE bookings SET guest_display_name = :guest, version = version + 1, update_time = :now"
        " WHERE tenant_id = :tenant AND client_id = :client AND guest_display_name <> ''",
        "UPDATE drop_in_payments p SET reason = :erased FROM bookings b WHERE b.tenant_id = :tenant"
        " AND b.client_id = :client AND p.tenant_id = b.tenant_id AND p.booking_id = b.id AND p.reason <> ''",
        "DELETE FROM client_tag_links WHERE tenant_id = :tenant AND client_id = :client",
        "DELETE FROM external_ids WHERE tenant_id = :tenant AND kind = 'CLIENT_NOTES' AND id IN ("
        " SELECT id FROM client_notes WHERE tenant_id = :tenant AND client_id = :client)",
        # Their text has gone with the key.
        "DELETE FROM client_notes WHERE tenant_id = :tenant AND client_id = :client",
        "UPDATE clients SET guardian_id = NULL, account_id = NULL, is_self = false, version = version + 1,"
        " update_time = :now WHERE tenant_id = :tenant AND guardian_id = :client",
        "UPDATE calendar_feeds SET revoke_time = coalesce(revoke_time, :now), account_id = NULL"
        " WHERE tenant_id = :tenant AND subject_collection = 'clients' AND subject_id = :client",
        "DELETE FROM external_ids WHERE tenant_id = :tenant AND id IN (SELECT CAST(:client AS uuid) UNION ALL"  # noqa: S608
        f" {_OWN_ACCOUNTS})",
        "UPDATE idempotency SET response = '' WHERE tenant_id = :tenant"
        " AND position(convert_to(CAST(CAST(:client AS uuid) AS text), 'UTF8') IN response) > 0",
    )
)
_COUNTS = text(
    "SELECT (SELECT count(*) FROM bookings WHERE tenant_id = :tenant AND client_id = :client) AS bookings,"  # noqa: S608
    f" (SELECT count(*) FROM transfers WHERE tenant_id = :tenant"
    f" AND (debit_account IN ({_OWN_ACCOUNTS}) OR credit_account IN ({_OWN_ACCOUNTS}))) AS transfers,"
    " (SELECT count(*) FROM fees WHERE tenant_id = :tenant AND client_id = :client) AS fees,"
    " (SELECT count(*) FROM audit_entries WHERE tenant_id = :tenant"
    " AND resource = format('studios/%s/clients/%s', CAST(:tenant AS uuid), CAST(:client AS uuid))) AS audit_entries,"
    " (SELECT coalesce(sum(credits_left), 0) FROM client_packages"
    " WHERE tenant_id = :tenant AND client_id = :client)"
    " + (SELECT coalesce(sum(credits), 0) FROM credit_holds"
    " WHERE tenant_id = :tenant AND client_id = :client) AS credits_left,"
    " (SELECT count(*) FROM imports WHERE tenant_id = :tenant AND sha256 IS NOT NULL) AS import_files,"
    " (SELECT count(*) FROM exports WHERE tenant_id = :tenant AND sha256 IS NOT NULL) AS export_files"
)
# What stays, and why.
PURPOSES = {
    "bookings": "places in classes and their counts must add up",
    "transfers": "credits must add up",
    "fees": "money that is due or was waived must be accounted for",
    "audit_entries": "who did what must stay on record",
}


@dataclass(frozen=True)
class Preview:
    """What erasing would do."""

    upcoming_bookings: int
    waits: int
    credits_left: int
    import_files: int
    export_files: int
    # By the names of PURPOSES.
    kept: dict[str, int]


async def preview(tx: UnitOfWork, client_id: UUID) -> Preview:
    """Counts, and changes nothing. Raises NotFound."""
    await clients.get(tx, client_id, None)
    key = {"tenant": tx.tenant, "client": client_id}
    counts = (await tx.session.execute(_COUNTS, key)).one()
    return Preview(
        upcoming_bookings=len((await tx.session.execute(_UPCOMING, {**key, "now": tx.now()})).all()),
        waits=len((await tx.session.execute(_WAITS, key)).all()),
        credits_left=counts.credits_left,
        import_files=counts.import_files,
        export_files=counts.export_files,
        kept={name: getattr(counts, name) for name in PURPOSES},
    )


async def erase(tx: UnitOfWork, client_id: UUID, *, cancel_future: bool, etag: str) -> Profile:
    """Erases the client; once erased, changes nothing.

    Raises NotFound, Aborted ETAG_MISMATCH, TRY_AGAIN, FailedPrecondition UPCOMING_BOOKINGS, IMPORT_IN_PROGRESS.
    """
    await clients.get(tx, client_id, None)
    # A run that begins later finds nobody.
    await imports.release_files(tx, all_of_them=True)
    await exports.expire(tx, all_of_them=True)
    locked = await _lock(tx, client_id)
    client = await clients.lock(tx, client_id)
    if client.erase_time is not None:
        return await clients.get(tx, client_id, None)
    check_etag(etag, client.etag)
    if not await _ahead(tx, client_id) <= locked:
        raise Aborted("the client booked or joined a line meanwhile; try again", reason="TRY_AGAIN")
    await _leave_classes(tx, client_id, cancel_future=cancel_future)
    revoked = await _revoke(tx, client_id)
    values = {
        "tenant": tx.tenant,
        "client": client_id,
        "now": tx.now(),
        "erased": _ERASED,
        "guest": _GUEST,
        "revoked": revoked,
    }
    await person_keys.destroy(tx, client_id)
    for statement in _BLANK:
        await tx.session.execute(statement, {name: values[name] for name in statement.compile().params})
    await changes.publish_packages(tx, revoked)
    # Who was merged into the client is the same person.
    for duplicate_id in (await tx.session.scalars(_DUPLICATES, {"tenant": tx.tenant, "client": client_id})).all():
        await _forget(tx, duplicate_id)
    tx.note_change("erased", False, True)
    return await _forget(tx, client_id)


async def _forget(tx: UnitOfWork, client_id: UUID) -> Profile:
    """Blanks the client's own row, and tells of it."""
    client = await clients.lock(tx, client_id)
    client.display_name, client.language, client.emergency_contact_name = NAME, "", ""
    client.email = client.phone = client.emergency_contact_phone = client.birth_date = client.account_id = None
    client.is_self, client.guardian_id = False, None
    client.erase_time = tx.now()
    client.archive_time = client.archive_time or tx.now()
    erased = await clients.changed(tx, client)
    event = ClientErased(client_id=str(client_id))
    await tx.publish(event, aggregate="client", aggregate_id=client_id, version=client.version)
    return erased


async def _lock(tx: UnitOfWork, client_id: UUID) -> set[UUID]:
    """All sessions that the client leaves, then all clients whom that may concern. Returns the sessions."""
    left = await _ahead(tx, client_id)
    await locks.lock_sessions(tx, left)
    line = await tx.session.scalars(_IN_LINE, {"tenant": tx.tenant, "sessions": list(left)})
    await locks.lock_clients(tx, {client_id, *line})
    return left


async def _ahead(tx: UnitOfWork, client_id: UUID) -> set[UUID]:
    """The sessions that the client is booked on or waits for."""
    key = {"tenant": tx.tenant, "client": client_id}
    upcoming = await tx.session.execute(_UPCOMING, {**key, "now": tx.now()})
    waits = await tx.session.execute(_WAITS, key)
    return {row.class_session_id for row in (*upcoming, *waits)}


async def _leave_classes(tx: UnitOfWork, client_id: UUID, *, cancel_future: bool) -> None:
    key = {"tenant": tx.tenant, "client": client_id}
    upcoming = (await tx.session.execute(_UPCOMING, {**key, "now": tx.now()})).all()
    waits = (await tx.session.execute(_WAITS, key)).all()
    if (upcoming or waits) and not cancel_future:
        raise FailedPrecondition(
            f"the client has {len(upcoming)} places in classes to come and waits for {len(waits)}",
            reason="UPCOMING_BOOKINGS",
            metadata={"bookings": str(len(upcoming)), "waits": str(len(waits))},
        )
    # First, so that no place that comes back goes to the client.
    await waitlist.end(tx, [wait.id for wait in waits], "REMOVED", "CLIENT_ERASED")
    for booking in upcoming:
        await cancellations.cancel(tx, booking.id, account=None, etag="")
    for wait in waits:
        await waitlist.fill(tx, wait.class_session_id)


async def _revoke(tx: UnitOfWork, client_id: UUID) -> list[UUID]:
    """The packages that had credits left."""
    packages = (await tx.session.execute(_PACKAGES, {"tenant": tx.tenant, "client": client_id})).all()
    for package in packages:
        await ledger.transfer(tx, package.id, ledger.REVOKED, package.credits_left, "revoked", reason=_ERASED)
    return [package.id for package in packages]
