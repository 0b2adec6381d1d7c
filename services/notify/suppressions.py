"""Suppressions: addresses to which a studio does not send any more, whatever the preferences of a client say.

Kept by a keyed hash: whom not to write to must outlive the erasure of the person, and need not be readable.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ARRAY, LargeBinary, Select, any_, literal, select
from sqlalchemy.dialects.postgresql import insert

from services.chassis.db.unit_of_work import UnitOfWork
from services.notify.models import AddressKey, Channel, Suppression

_KEY_BYTES = 32


class Reason(StrEnum):
    """Why; in the order in which the studio is told."""

    UNSUBSCRIBED = "unsubscribed"
    COMPLAINED = "complained"
    BOUNCED = "bounced"


_WORDS = {
    (Channel.EMAIL, Reason.UNSUBSCRIBED): "E-mail skipped - the address has unsubscribed",
    (Channel.EMAIL, Reason.COMPLAINED): "E-mail skipped - the reader called an earlier one spam",
    (Channel.EMAIL, Reason.BOUNCED): "E-mail skipped - an earlier one bounced",
    (Channel.SMS, Reason.UNSUBSCRIBED): "SMS skipped - the number has sent STOP",
    (Channel.SMS, Reason.COMPLAINED): "SMS skipped - the number has complained",
    (Channel.SMS, Reason.BOUNCED): "SMS skipped - the number cannot be reached",
}


async def put(
    tx: UnitOfWork, channel: Channel, address: str, reason: Reason, *, at: datetime, active: bool = True
) -> None:
    """Suppresses an address, or lets it go, from then on; what is known of a later time stands."""
    row = insert(Suppression).values(
        tenant_id=tx.tenant,
        channel=channel,
        address_hash=await hash_of(tx, channel, address),
        reason=reason,
        active=active,
        at=at,
    )
    await tx.session.execute(
        row.on_conflict_do_update(
            index_elements=["tenant_id", "channel", "address_hash", "reason"],
            set_={"active": row.excluded.active, "at": row.excluded.at},
            where=Suppression.at < row.excluded.at,
        )
    )


async def find(tx: UnitOfWork, asked: Collection[tuple[Channel, str]]) -> dict[tuple[Channel, str], str]:
    """Which of these addresses are suppressed, and why, in words for the studio."""
    key = await tx.session.scalar(_key_of(tx))
    if key is None:
        # Nobody has been written down yet.
        return {}
    # Several may be spellings of one.
    hashes = {each: _hash(key, *each) for each in asked}
    # By one parameter: the statement is prepared and planned once, however many are asked for.
    among = Suppression.address_hash == any_(literal(list({*hashes.values()}), ARRAY(LargeBinary)))
    query = select(Suppression.address_hash, Suppression.reason).where(
        Suppression.tenant_id == tx.tenant, Suppression.channel.in_(Channel), among, Suppression.active
    )
    found: dict[bytes, set[str]] = {}
    for address_hash, reason in await tx.session.execute(query):
        found.setdefault(address_hash, set()).add(reason)
    return {
        each: _WORDS[each[0], next(reason for reason in Reason if reason in found[address_hash])]
        for each, address_hash in hashes.items()
        if address_hash in found
    }


async def hash_of(tx: UnitOfWork, channel: Channel, address: str) -> bytes:
    """How an address is written down here."""
    return _hash(await _key(tx), channel, address)


async def _key(tx: UnitOfWork) -> bytes:
    """The studio's own, made when first needed, also by two at once."""
    if (key := await tx.session.scalar(_key_of(tx))) is None:
        made = insert(AddressKey).values(tenant_id=tx.tenant, key=secrets.token_bytes(_KEY_BYTES))
        await tx.session.execute(made.on_conflict_do_nothing())
        key = await tx.session.scalar(_key_of(tx))
    assert key is not None
    return key


def _key_of(tx: UnitOfWork) -> Select[bytes]:
    return select(AddressKey.key).where(AddressKey.tenant_id == tx.tenant)


def _hash(key: bytes, channel: Channel, address: str) -> bytes:
    """Of `Ann@Example.com ` as of `ann@example.com`: mailboxes that differ in case alone are one in practice."""
    return hmac.new(key, f"{channel} {address.strip().lower()}".encode(), hashlib.sha256).digest()
