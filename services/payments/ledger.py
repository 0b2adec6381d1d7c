"""The money ledger: transfers between accounts, append-only, so that money only ever moves.

An account is credited with what comes to it and debited with what leaves: deferred and tax are what the studio
owes, revenue is what it earned; provider and bank, where money is, have the opposite sign. All accounts of a currency
together are zero by construction. A deferred account is one purchase's, that of a gift card one card's; neither is ever
below zero: a trigger keeps it so.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import derived_id
from services.payments.models import LedgerAccount, Transfer

# At the provider, and paid out by it.
PROVIDER, BANK = "provider", "bank"
# Paid for and not used yet; one for each purchase.
DEFERRED = "deferred"
# Left on a gift card; one for each card.
GIFT_CARD = "gift_card"
OF_SUBJECTS = (DEFERRED, GIFT_CARD)
REVENUE, TAX = "revenue", "tax"
# What the provider keeps, what went back to clients of what was earned, what disputes took.
PROVIDER_FEES, REFUNDS, DISPUTES = "provider_fees", "refunds", "disputes"


@dataclass(frozen=True)
class Move:
    """Money from the account `debit` to `credit`. Nothing when 0.

    `subject` is the purchase or gift card whose account one of them is; `to_subject` that of `credit`, when both are.
    """

    debit: str
    credit: str
    amount: int
    cause: str
    subject: UUID | None = None
    to_subject: UUID | None = None


async def post(tx: UnitOfWork, source: str, currency: str, moves: Iterable[Move]) -> None:
    """Posts what one thing outside (`source`) moved. The same again moves nothing."""
    for move in moves:
        if move.amount == 0:
            continue
        sides = ((move.debit, move.subject), (move.credit, move.to_subject or move.subject))
        debit, credit = [await _account(tx, kind, currency, subject) for kind, subject in sides]
        row = insert(Transfer).values(
            tenant_id=tx.tenant,
            debit_account=debit,
            credit_account=credit,
            amount_minor=move.amount,
            currency_code=currency,
            source=source,
            cause=move.cause,
            create_time=tx.now(),
        )
        await tx.session.execute(row.on_conflict_do_nothing(index_elements=["tenant_id", "source", "cause"]))


def account_id(tenant: UUID, kind: str, currency: str, subject: UUID | None = None) -> UUID:
    """The id of an account: it follows from what it is."""
    return derived_id(tenant, f"{kind} {currency} {subject or ''}")


async def balance(tx: UnitOfWork, kind: str, currency: str, subject: UUID | None = None) -> int:
    """What was credited less what was debited."""
    account = account_id(tx.tenant, kind, currency, subject)
    mine = Transfer.tenant_id == tx.tenant
    credited, debited = [
        await tx.session.scalar(select(func.coalesce(func.sum(Transfer.amount_minor), 0)).where(mine, side == account))
        for side in (Transfer.credit_account, Transfer.debit_account)
    ]
    return int((credited or 0) - (debited or 0))


async def _account(tx: UnitOfWork, kind: str, currency: str, subject: UUID | None) -> UUID:
    subject = subject if kind in OF_SUBJECTS else None
    account = account_id(tx.tenant, kind, currency, subject)
    row = insert(LedgerAccount).values(
        tenant_id=tx.tenant, id=account, kind=kind, currency_code=currency, subject_id=subject, balance_minor=0
    )
    await tx.session.execute(row.on_conflict_do_nothing(index_elements=["tenant_id", "id"]))
    return account
