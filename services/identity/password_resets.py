"""Password resets: a link by mail, valid for an hour and once. Unknown addresses leave the same rows as known ones."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, select, update

from powerhouse.identity.v1.events_pb2 import PasswordResetRequested
from services.chassis.clock import real_now
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import new_id
from services.identity import accounts, sessions
from services.identity.links import LinkExpired, Links, MailLink
from services.identity.models import Account, PasswordReset

LIFETIME = timedelta(hours=1)
RETENTION = timedelta(days=30)


async def request(tx: UnitOfWork, email: str) -> None:
    """Tells notify to send a link, if the address is known; does the same work if it is not."""
    account = await accounts.find(tx, email)
    now = real_now()
    reset = PasswordReset(
        id=new_id(), account_id=account.id if account else None, create_time=now, expire_time=now + LIFETIME
    )
    tx.session.add(reset)
    await tx.session.flush()
    await tx.publish(
        PasswordResetRequested(password_reset_id=str(reset.id)),
        aggregate="password_reset",
        aggregate_id=reset.id,
        version=1,
    )


async def account_of(tx: UnitOfWork, reset_id: UUID, *, lock: bool = False) -> tuple[Account, PasswordReset]:
    """Whose password a reset may set; with `lock`, for this transaction alone. Raises LinkExpired when it may not."""
    account_id = await tx.session.scalar(select(PasswordReset.account_id).where(PasswordReset.id == reset_id))
    if account_id is None:
        raise LinkExpired
    account = await accounts.get(tx, account_id, lock=lock)
    # Read after the account is locked: a reset that ran meanwhile has made this one void.
    reset = await tx.session.get(PasswordReset, reset_id)
    if reset is None or reset.use_time or reset.expire_time <= real_now():
        raise LinkExpired
    return account, reset


async def use(tx: UnitOfWork, reset_id: UUID, password_hash: str) -> Account:
    """Sets the new password, ends every session and makes all links of the account void. Raises LinkExpired."""
    account, _ = await account_of(tx, reset_id, lock=True)
    accounts.set_password(account, password_hash)
    await tx.session.execute(
        update(PasswordReset)
        .where(PasswordReset.account_id == account.id, PasswordReset.use_time.is_(None))
        .values(use_time=real_now())
    )
    await sessions.end_all(tx, account.id)
    return account


async def mail_link(tx: UnitOfWork, reset_id: UUID, links: Links) -> MailLink:
    """What the mail needs. Raises LinkExpired when there is nothing left to send."""
    account, reset = await account_of(tx, reset_id)
    token = links.token("password-reset", reset.id)
    return MailLink(account.email, account.display_name, token, reset.expire_time, role=None)


async def purge(tx: UnitOfWork) -> None:
    """Deletes resets that ended long ago."""
    await tx.session.execute(delete(PasswordReset).where(PasswordReset.create_time < real_now() - RETENTION))
