"""Guardians: clients who act for other clients of the studio, their dependants. One level deep.

A dependant has its guardian's account, so whoever signs in acts for both; it may have none while the guardian has none.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select

from services.booking import clients
from services.booking.clients import Profile
from services.booking.models import Client
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition


async def add_dependant(
    tx: UnitOfWork,
    values: dict[str, object],
    tag_ids: Sequence[UUID],
    *,
    guardian_id: UUID | None,
    account: UUID | None,
) -> Profile:
    """Adds a client for whom another one acts: `guardian_id`, or without it the person behind `account`.

    With both only a client that the account acts for. Raises PermissionDenied, NotFound, FailedPrecondition
    CLIENT_REQUIRED, ARCHIVED, GUARDIAN_IS_DEPENDANT, and as `clients.create`.
    """
    if guardian_id is None:
        own = await clients.find_self(tx, account)
        if own is None:
            raise FailedPrecondition("join the studio first", reason="CLIENT_REQUIRED")
        guardian_id = own.id
    guardian = await clients.lock(tx, guardian_id, account)
    _require_able(guardian)
    return await clients.create(tx, values | _acted_for_by(guardian), tag_ids)


async def link(tx: UnitOfWork, client_id: UUID, guardian_id: UUID) -> Profile:
    """Lets one client act for another, who had no guardian or another one.

    Raises NotFound, FailedPrecondition GUARDIAN_IS_CLIENT, ARCHIVED, GUARDIAN_IS_DEPENDANT, HAS_DEPENDANTS,
    HAS_ACCOUNT.
    """
    # In one order, so that two links the other way round do not wait for each other.
    locked = {each: await clients.lock(tx, each) for each in sorted({client_id, guardian_id})}
    client, guardian = locked[client_id], locked[guardian_id]
    if client is guardian:
        raise FailedPrecondition("nobody is its own guardian", reason="GUARDIAN_IS_CLIENT")
    clients.require_active(client)
    _require_able(guardian)
    if client.is_self:
        raise FailedPrecondition("the client has an account of its own", reason="HAS_ACCOUNT")
    await clients.require_no_dependants(tx, client)
    tx.note_change("guardian_id", client.guardian_id, guardian.id)
    for field, value in _acted_for_by(guardian).items():
        setattr(client, field, value)
    return await clients.changed(tx, client)


async def unlink(tx: UnitOfWork, client_id: UUID) -> Profile:
    """From now on nobody acts for the client. Raises NotFound, FailedPrecondition ARCHIVED, NO_GUARDIAN."""
    client = await clients.lock(tx, client_id)
    clients.require_active(client)
    if client.guardian_id is None:
        raise FailedPrecondition("nobody acts for the client", reason="NO_GUARDIAN")
    tx.note_change("guardian_id", client.guardian_id, None)
    client.guardian_id = client.account_id = None
    return await clients.changed(tx, client)


async def contacts(tx: UnitOfWork, about: Sequence[Client]) -> dict[UUID, Client]:
    """Whom to write to about each of these clients, by its id: itself, or its guardian when it has no address."""
    to_guardian = {client.id: client.guardian_id for client in about if not client.email and client.guardian_id}
    query = select(Client).where(Client.tenant_id == tx.tenant, Client.id.in_(to_guardian.values()))
    guardians = {guardian.id: guardian for guardian in await tx.session.scalars(query)} if to_guardian else {}
    return {client.id: guardians[to_guardian[client.id]] if client.id in to_guardian else client for client in about}


def _require_able(guardian: Client) -> None:
    clients.require_active(guardian)
    if guardian.guardian_id is not None:
        raise FailedPrecondition("somebody acts for the guardian", reason="GUARDIAN_IS_DEPENDANT")


def _acted_for_by(guardian: Client) -> dict[str, Any]:
    return {"guardian_id": guardian.id, "account_id": guardian.account_id}
