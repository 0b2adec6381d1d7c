"""Who signed which version of the waiver, and when. What was signed is never changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, tuple_

from services.booking import clients, waivers
from services.booking.models import Client, WaiverSignature
from services.booking.person_keys import PersonKeys
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import AlreadyExists, FailedPrecondition
from services.chassis.ids import new_id


@dataclass(frozen=True)
class Signature:
    """A signature and the name that was typed; empty once the client's key was destroyed."""

    row: WaiverSignature
    typed_name: str


async def sign(
    tx: UnitOfWork,
    keys: PersonKeys,
    client_id: UUID,
    version: int,
    typed_name: str,
    *,
    signed_by: str,
    account: UUID | None,
) -> Signature:
    """Signs the version in force for a client that `account` acts for, or as staff when it is None.

    Raises PermissionDenied, NotFound, FailedPrecondition WAIVER_OUTDATED, ARCHIVED, AlreadyExists/ALREADY_SIGNED.
    """
    client = await clients.lock(tx, client_id, account)
    clients.require_active(client)
    in_force = await waivers.get(tx, 0)
    if version != in_force.version:
        raise FailedPrecondition("read the version in force first", reason="WAIVER_OUTDATED")
    if await waivers.is_signed(tx, client_id):
        raise AlreadyExists("it was signed for this client", reason="ALREADY_SIGNED")
    row = WaiverSignature(
        tenant_id=tx.tenant,
        id=new_id(),
        client_id=client_id,
        waiver_version=version,
        typed_name=await keys.encrypt(tx, client_id, typed_name),
        key_id=client_id,
        signed_by=signed_by,
        recorded_by_staff=account is None,
        create_time=tx.now(),
    )
    tx.session.add(row)
    await tx.session.flush()
    tx.note_change("waiver_version", None, version)
    return Signature(row, typed_name)


async def list_newest(
    tx: UnitOfWork, keys: PersonKeys, page: Page, *, account: UUID | None, client_id: UUID | None
) -> Sequence[Signature]:
    """Signatures, newest first: of the clients that `account` acts for, of one client, or of all."""
    query = select(WaiverSignature).where(WaiverSignature.tenant_id == tx.tenant)
    if client_id is not None:
        query = query.where(WaiverSignature.client_id == client_id)
    if account is not None:
        own = select(Client.id).where(Client.tenant_id == tx.tenant, Client.account_id == account)
        query = query.where(WaiverSignature.client_id.in_(own))
    if page.after:
        query = query.where(tuple_(WaiverSignature.create_time, WaiverSignature.id) < tuple(page.after))
    query = query.order_by(WaiverSignature.create_time.desc(), WaiverSignature.id.desc())
    rows = (await tx.session.scalars(query.limit(page.limit))).all()
    names = await keys.decrypt(tx, [(row.key_id, row.typed_name) for row in rows])
    return [Signature(row, name) for row, name in zip(rows, names, strict=True)]
