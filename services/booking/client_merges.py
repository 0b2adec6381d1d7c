"""Merging two clients who are one person, and taking that back.

The survivor gets what the duplicate has; the record of the merge names what moved, so that undoing gives exactly that
back. What was booked since stays with the survivor, as do packages that it got since.

Locks are taken in the order that everybody keeps to: sessions, then clients.
"""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, or_, select, tuple_, update
from sqlalchemy.orm import aliased

from services.booking import changes, clients
from services.booking.locks import lock_sessions
from services.booking.models import (
    Booking,
    Client,
    ClientKey,
    ClientMerge,
    ClientNote,
    ClientPackage,
    ClientTagLink,
    CreditHold,
    Fee,
    WaitlistEntry,
    WaiverSignature,
)
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, NotFound
from services.chassis.ids import new_id

# What the survivor takes over where it has nothing itself.
_FILLED = ("email", "phone", "birth_date", "emergency_contact_name", "emergency_contact_phone")
# What follows its client, by the name in the record. Bookings and packages tell of it.
_OWNED: dict[str, Any] = {
    "bookings": Booking,
    "packages": ClientPackage,
    "holds": CreditHold,
    "waits": WaitlistEntry,
    "fees": Fee,
    "notes": ClientNote,
    "signatures": WaiverSignature,
    "keys": ClientKey,
}
_TOLD = (Booking, ClientPackage)
_NOBODY: dict[str, Any] = {"account_id": None, "is_self": False, "guardian_id": None}
# May hold a place, now or when its session comes back.
_WAITS = ("WAITING", "OFFERED")
_MAY_HOLD = or_(Booking.cancel_time.is_(None), Booking.session_cancelled)


async def merge(tx: UnitOfWork, survivor_id: UUID, duplicate_id: UUID) -> ClientMerge:
    """Moves everything of the duplicate to the survivor and archives the duplicate.

    Raises NotFound, FailedPrecondition SAME_CLIENT, ARCHIVED, BOTH_HAVE_ACCOUNTS, BOTH_BOOKED, BOTH_WAITING,
    HAS_DEPENDANTS.
    """
    survivor, duplicate = await _lock(tx, survivor_id, duplicate_id)
    if survivor is duplicate:
        raise FailedPrecondition("a client is no duplicate of itself", reason="SAME_CLIENT")
    clients.require_active(survivor)
    clients.require_active(duplicate)
    if survivor.account_id and duplicate.account_id and survivor.account_id != duplicate.account_id:
        raise FailedPrecondition("both have accounts, of two people", reason="BOTH_HAVE_ACCOUNTS")
    await _require_apart(tx, survivor_id, duplicate_id)

    moved: dict[str, Any] = {
        # Whether the survivor is acted for from now on as the duplicate was.
        "took_over": survivor.guardian_id == duplicate_id or bool(duplicate.account_id and not survivor.account_id),
        "acting": {"survivor": _acting(survivor), "duplicate": _acting(duplicate)},
        "filled": [field for field in _FILLED if getattr(duplicate, field) and not getattr(survivor, field)],
    }
    for name, owned in _OWNED.items():
        mine = select(owned.id).where(owned.tenant_id == tx.tenant, owned.client_id == duplicate_id)
        moved[name] = [str(each) for each in await tx.session.scalars(mine.order_by(owned.id))]
    link, held = ClientTagLink, aliased(ClientTagLink)
    has = select(held.tag_id).where(held.tenant_id == tx.tenant, held.client_id == survivor_id)
    new = select(link.tag_id).where(link.tenant_id == tx.tenant, link.client_id == duplicate_id)
    moved["tags"] = [str(tag) for tag in await tx.session.scalars(new.where(link.tag_id.not_in(has)))]
    dependants = [each for each in await _dependants(tx, duplicate) if each is not survivor]
    moved["dependants"] = [str(each.id) for each in dependants]

    record = ClientMerge(
        tenant_id=tx.tenant,
        id=new_id(),
        survivor_id=survivor_id,
        duplicate_id=duplicate_id,
        moved=moved,
        create_time=tx.now(),
    )
    tx.session.add(record)
    await tx.session.flush()

    acting = moved["acting"]["duplicate" if moved["took_over"] else "survivor"]
    others = [each for each in await _dependants(tx, survivor) if each is not duplicate]
    if acting["guardian_id"] and (dependants or others):
        raise FailedPrecondition("who acts for others has no guardian", reason="HAS_DEPENDANTS")
    _act(duplicate, _NOBODY)
    duplicate.archive_time = tx.now()
    await clients.changed(tx, duplicate)
    _act(survivor, acting)
    for field in moved["filled"]:
        setattr(survivor, field, getattr(duplicate, field))
    await clients.changed(tx, survivor)
    await _hand_over(tx, [*dependants, *others], survivor)

    await _move(tx, moved, duplicate_id, survivor_id)
    if moved["tags"]:
        rows = [{"tenant_id": tx.tenant, "client_id": survivor_id, "tag_id": tag} for tag in map(UUID, moved["tags"])]
        await tx.session.execute(insert(ClientTagLink), rows)
    tx.note_change("duplicate_id", duplicate_id, survivor_id)
    await changes.publish_merge(tx, record)
    return record


async def undo(tx: UnitOfWork, merge_id: UUID) -> ClientMerge:
    """Gives back what moved and has not gone elsewhere since, and brings the duplicate back.

    Raises NotFound, FailedPrecondition ALREADY_UNDONE, ARCHIVED, AlreadyExists/CLIENT_EMAIL_TAKEN.
    """
    record = await tx.session.get(ClientMerge, (tx.tenant, merge_id))
    if record is None:
        raise NotFound("client_merge")
    survivor, duplicate = await _lock(tx, record.survivor_id, record.duplicate_id)
    await tx.session.refresh(record)
    if record.undo_time is not None:
        raise FailedPrecondition("it was undone before", reason="ALREADY_UNDONE")
    clients.require_active(survivor)
    record.undo_time = tx.now()
    await tx.session.flush()

    moved, before = record.moved, record.moved["acting"]
    for field in moved["filled"]:
        # Unless it was changed meanwhile.
        if getattr(survivor, field) == getattr(duplicate, field):
            setattr(survivor, field, "" if field == "emergency_contact_name" else None)
    gives_back = moved["took_over"] and _acting(survivor) == before["duplicate"]
    if gives_back:
        # First, since an account is one client at a time.
        _act(survivor, _NOBODY)
    await clients.changed(tx, survivor)
    duplicate.archive_time = None
    if gives_back or before["duplicate"]["guardian_id"]:
        _act(duplicate, await _still(tx, before["duplicate"]))
    await clients.changed(tx, duplicate)
    if gives_back:
        _act(survivor, await _still(tx, before["survivor"]))
        await clients.changed(tx, survivor)
    returning = {UUID(each) for each in moved["dependants"]}
    dependants = await _dependants(tx, survivor)
    await _hand_over(tx, [each for each in dependants if each.id in returning], duplicate)
    await _hand_over(tx, [each for each in dependants if each.id not in returning], survivor)

    await _move(tx, moved, record.survivor_id, record.duplicate_id)
    tags = [UUID(tag) for tag in moved["tags"]]
    link = ClientTagLink
    await tx.session.execute(
        delete(link).where(link.tenant_id == tx.tenant, link.client_id == record.survivor_id, link.tag_id.in_(tags))
    )
    tx.note_change("duplicate_id", record.survivor_id, record.duplicate_id)
    await changes.publish_merge(tx, record)
    return record


async def list_newest(tx: UnitOfWork, page: Page, client_id: UUID | None) -> Sequence[ClientMerge]:
    """Merges, newest first: those that a client was part of, or all."""
    merge = ClientMerge
    query = select(merge).where(merge.tenant_id == tx.tenant)
    if client_id is not None:
        query = query.where(or_(merge.survivor_id == client_id, merge.duplicate_id == client_id))
    if page.after:
        query = query.where(tuple_(merge.create_time, merge.id) < tuple(page.after))
    return (await tx.session.scalars(query.order_by(merge.create_time.desc(), merge.id.desc()).limit(page.limit))).all()


async def _lock(tx: UnitOfWork, survivor_id: UUID, duplicate_id: UUID) -> tuple[Client, Client]:
    both = sorted({survivor_id, duplicate_id})
    held = select(Booking.class_session_id).where(
        Booking.tenant_id == tx.tenant, Booking.client_id.in_(both), _MAY_HOLD
    )
    await lock_sessions(tx, (await tx.session.scalars(held)).all())
    locked = {each: await clients.lock(tx, each) for each in both}
    return locked[survivor_id], locked[duplicate_id]


async def _require_apart(tx: UnitOfWork, survivor_id: UUID, duplicate_id: UUID) -> None:
    other = aliased(Booking)
    theirs = select(other.class_session_id).where(
        other.tenant_id == tx.tenant,
        other.client_id == duplicate_id,
        or_(other.cancel_time.is_(None), other.session_cancelled),
    )
    query = select(Booking.class_session_id).where(
        Booking.tenant_id == tx.tenant,
        Booking.client_id == survivor_id,
        _MAY_HOLD,
        Booking.class_session_id.in_(theirs),
    )
    session = await tx.session.scalar(query.limit(1))
    if session is not None:
        raise FailedPrecondition(
            "both are booked on a class; cancel one of the bookings",
            reason="BOTH_BOOKED",
            metadata={"class_session": f"studios/{tx.tenant}/classSessions/{session}"},
        )
    entry, other_entry = WaitlistEntry, aliased(WaitlistEntry)
    waits = select(other_entry.class_session_id).where(
        other_entry.tenant_id == tx.tenant, other_entry.client_id == duplicate_id, other_entry.state.in_(_WAITS)
    )
    both = select(entry.class_session_id).where(
        entry.tenant_id == tx.tenant,
        entry.client_id == survivor_id,
        entry.state.in_(_WAITS),
        entry.class_session_id.in_(waits),
    )
    session = await tx.session.scalar(both.limit(1))
    if session is not None:
        raise FailedPrecondition(
            "both wait for a place in a class; leave one of the lines",
            reason="BOTH_WAITING",
            metadata={"class_session": f"studios/{tx.tenant}/classSessions/{session}"},
        )


async def _move(tx: UnitOfWork, moved: dict[str, Any], giver: UUID, taker: UUID) -> None:
    """Gives what the record names from one client to the other, as far as the giver still has it."""
    for name, owned in _OWNED.items():
        values: dict[str, object] = {"client_id": taker}
        if owned in _TOLD:
            values |= {"version": owned.version + 1, "update_time": tx.now()}
        given = (
            update(owned)
            .where(owned.tenant_id == tx.tenant, owned.id.in_(map(UUID, moved[name])), owned.client_id == giver)
            .values(values)
            .returning(owned.id)
            .execution_options(synchronize_session=False)
        )
        ids = list(await tx.session.scalars(given))
        if owned is Booking:
            await changes.publish_bookings(tx, ids)
        elif owned is ClientPackage:
            await changes.publish_packages(tx, ids)


async def _dependants(tx: UnitOfWork, guardian: Client) -> Sequence[Client]:
    query = select(Client).where(Client.tenant_id == tx.tenant, Client.guardian_id == guardian.id)
    return (await tx.session.scalars(query.order_by(Client.id).with_for_update())).all()


async def _hand_over(tx: UnitOfWork, dependants: Collection[Client], guardian: Client) -> None:
    for dependant in dependants:
        dependant.guardian_id, dependant.account_id = guardian.id, guardian.account_id
        await clients.changed(tx, dependant)


def _acting(client: Client) -> dict[str, Any]:
    """Who acts for the client, as the record keeps it."""
    return {
        "account_id": str(client.account_id) if client.account_id else None,
        "is_self": client.is_self,
        "guardian_id": str(client.guardian_id) if client.guardian_id else None,
    }


async def _still(tx: UnitOfWork, acting: dict[str, Any]) -> dict[str, Any]:
    """The same today: with the guardian's account of today, or nobody when the guardian cannot act any more."""
    if not acting["guardian_id"]:
        return acting
    guardian = await clients.lock(tx, UUID(acting["guardian_id"]))
    if guardian.archive_time is not None or guardian.guardian_id is not None:
        return _NOBODY
    return {**acting, "account_id": str(guardian.account_id) if guardian.account_id else None}


def _act(client: Client, acting: dict[str, Any]) -> None:
    client.account_id = UUID(acting["account_id"]) if acting["account_id"] else None
    client.is_self = acting["is_self"]
    client.guardian_id = UUID(acting["guardian_id"]) if acting["guardian_id"] else None
