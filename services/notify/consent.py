"""Consent: that somebody agreed to be sent something, or took it back; with its source and its time, for good.

The book of consents only grows. What follows from it is kept where sending looks: in a client's preferences, or, when a
number or an address spoke by itself, in the suppressions.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select

from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import new_id
from services.notify import client_merges, suppressions
from services.notify.models import Channel, Consent


class Source(StrEnum):
    """How somebody said it."""

    # Told to, or decided by, people who work at the studio.
    STAFF = "staff"
    # The client, signed in.
    CLIENT = "client"
    # The page that a signed link opens.
    LINK = "link"
    # One click in a mail.
    UNSUBSCRIBE = "unsubscribe"
    # The words STOP and START, by SMS.
    STOP = "stop"
    START = "start"
    # The mail was called spam.
    COMPLAINT = "complaint"
    # On paper, handed in at the studio.
    PAPER = "paper"
    # By who is the same person, as two clients were merged; or not any more, as that was taken back.
    MERGE = "merge"


async def record(
    tx: UnitOfWork, *, channel: Channel, address: str, granted: bool, source: Source, at: datetime
) -> None:
    """What a number or an address said by itself at that time: STOP, START, spam. An older word changes nothing."""
    address_hash = await suppressions.hash_of(tx, channel, address)
    tx.session.add(
        Consent(
            tenant_id=tx.tenant,
            id=new_id(),
            address_hash=address_hash,
            channel=channel,
            kind="*",
            granted=granted,
            source=source,
            principal="anonymous",
            at=at,
        )
    )
    complained = source == Source.COMPLAINT
    reason = suppressions.Reason.COMPLAINED if complained else suppressions.Reason.UNSUBSCRIBED
    await suppressions.put(tx, channel, address, reason, active=not granted, at=at)


async def add(
    tx: UnitOfWork,
    *,
    client_id: UUID,
    kind: str,
    channel: Channel,
    granted: bool,
    source: Source,
    principal: str,
    at: datetime | None = None,
) -> Consent:
    """What a client agreed to or took back, then or now."""
    row = Consent(
        tenant_id=tx.tenant,
        id=new_id(),
        client_id=client_id,
        channel=channel,
        kind=kind,
        granted=granted,
        source=source,
        principal=principal,
        at=at or tx.now(),
    )
    tx.session.add(row)
    return row


async def said_later(tx: UnitOfWork, client_id: UUID, kind: str, channel: Channel, at: datetime) -> bool:
    """Whether the client has said something else of the same since then."""
    mine = (Consent.tenant_id == tx.tenant, Consent.client_id.in_(await client_merges.all_of(tx, client_id)))
    same = (Consent.kind == kind, Consent.channel == channel, Consent.at > at)
    return await tx.session.scalar(select(Consent.id).where(*mine, *same).limit(1)) is not None


async def list_newest(tx: UnitOfWork, page: Page, client_id: UUID) -> Sequence[Consent]:
    """Consents of a client and of those that became it, newest first."""
    mine = Consent.client_id.in_(await client_merges.all_of(tx, client_id))
    query = select(Consent).where(Consent.tenant_id == tx.tenant, mine)
    if page.after:
        query = query.where(Consent.id < page.after[0])
    return (await tx.session.scalars(query.order_by(Consent.id.desc()).limit(page.limit))).all()
