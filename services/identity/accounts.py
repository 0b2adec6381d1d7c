"""Accounts: people who can sign in. Of no studio; an address has at most one."""

import re
import unicodedata
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from services.chassis.clock import real_now
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import AlreadyExists, InvalidArgument, NotFound
from services.chassis.ids import new_id
from services.identity.models import Account

# Whether mail arrives is for the confirmation to find out; this keeps out what cannot be an address.
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+\.[^@\s.\x00-\x1f\x7f]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def normalised(email: str, field: str = "email") -> str:
    """The one spelling of an e-mail address. Raises InvalidArgument for `field` when it cannot be one."""
    plain = unicodedata.normalize("NFC", email.strip()).lower()
    if not _EMAIL.fullmatch(plain):
        raise InvalidArgument(field, "is not an e-mail address", reason="INVALID_EMAIL")
    return plain


def label(text: str, field: str) -> str:
    """A name that people read, trimmed. Raises InvalidArgument when nothing is left or it holds control characters."""
    trimmed = text.strip()
    if not trimmed or _CONTROL.search(trimmed):
        raise InvalidArgument(field, "must be one line of readable text")
    return trimmed


async def create(tx: UnitOfWork, email: str, display_name: str, password_hash: str) -> Account:
    """Raises AlreadyExists (EMAIL_TAKEN). `email` is normalised."""
    now = real_now()
    account: Account | None = await tx.session.scalar(
        insert(Account)
        .values(
            id=new_id(),
            email=email,
            display_name=display_name,
            password_hash=password_hash,
            create_time=now,
            update_time=now,
        )
        .on_conflict_do_nothing()
        .returning(Account)
    )
    if account is None:
        raise AlreadyExists("this address has an account already", reason="EMAIL_TAKEN")
    return account


async def get(tx: UnitOfWork, account_id: UUID, *, lock: bool = False) -> Account:
    """With `lock`, nobody else changes its password until the transaction ends. Raises NotFound."""
    account = await tx.session.get(Account, account_id, with_for_update=lock or None)
    if account is None:
        raise NotFound("account")
    return account


async def find(tx: UnitOfWork, email: str) -> Account | None:
    """By normalised address."""
    account: Account | None = await tx.session.scalar(select(Account).where(func.lower(Account.email) == email))
    return account


def set_password(account: Account, password_hash: str) -> None:
    """The account's row must be locked."""
    account.password_hash = password_hash
    account.update_time = real_now()
