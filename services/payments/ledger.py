"""The money ledger: transfers between accounts, append-only, so that money only ever moves.

An account is credited with what comes to it and debited with what leaves: deferred and tax are what the studio
owes, revenue is what it earned; provider and bank, where money is, have the opposite sign. All accounts of a currency
together are zero by construction. A deferred account is one purchase's, that of a gift card one card's; neither is ever
below zero: a trigger keeps it so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text

from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import derived_id
from services.payments.models import Transfer

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


@dataclass(frozen=True)
class Posting:
    """What one thing outside (`source`) moved in a studio."""

    tenant: UUID
    source: str
    currency: str
    moves: Iterable[Move]


async def post(tx: UnitOfWork, source: str, currency: str, moves: Iterable[Move]) -> None:
    """Posts what one thing outside (`source`) moved. The same again moves nothing."""
    await post_all(tx, [Posting(tx.tenant, source, currency, moves)])


async def post_all(tx: UnitOfWork, postings: Iterable[Posting]) -> None:
    """The same for many things, of any of the transaction's studios."""
    accounts, transfers = set[tuple[Any, ...]](), []
    for posting in postings:
        for move in posting.moves:
            if move.amount == 0:
                continue
            sides = ((move.debit, move.subject), (move.credit, move.to_subject or move.subject))
            debit, credit = [_account(posting, kind, subject) for kind, subject in sides]
            accounts |= {debit, credit}
            moved = (posting.tenant, debit[1], credit[1], move.amount, posting.currency, posting.source, move.cause)
            transfers.append(moved)
    if transfers:
        # By their ids: who opens the same accounts at the same time waits, and nobody for each other.
        await tx.session.execute(_OPEN, _by_name(_ACCOUNT, sorted(accounts)))
        await tx.session.execute(_MOVE, _by_name(_TRANSFER, transfers) | {"now": tx.now()})


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


def _account(posting: Posting, kind: str, subject: UUID | None) -> tuple[UUID, UUID, str, str, UUID | None]:
    """Its row."""
    subject = subject if kind in OF_SUBJECTS else None
    id = account_id(posting.tenant, kind, posting.currency, subject)
    return posting.tenant, id, kind, posting.currency, subject


def _by_name(names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> dict[str, list[Any]]:
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


_ACCOUNT = ("tenants", "ids", "kinds", "currencies", "subjects")
_TRANSFER = ("tenants", "debits", "credits", "amounts", "currencies", "sources", "causes")
_OPEN = text("""
INSERT INTO ledger_accounts (tenant_id, id, kind, currency_code, subject_id, balance_minor)
SELECT r.*, 0 FROM unnest(CAST(:tenants AS uuid[]), CAST(:ids AS uuid[]), CAST(:kinds AS text[]),
    CAST(:currencies AS text[]), CAST(:subjects AS uuid[])) AS r
ON CONFLICT (tenant_id, id) DO NOTHING
""")
_MOVE = text("""
INSERT INTO transfers
    (tenant_id, debit_account, credit_account, amount_minor, currency_code, source, cause, create_time)
SELECT r.*, CAST(:now AS timestamptz) FROM unnest(CAST(:tenants AS uuid[]), CAST(:debits AS uuid[]),
    CAST(:credits AS uuid[]), CAST(:amounts AS bigint[]), CAST(:currencies AS text[]), CAST(:sources AS text[]),
    CAST(:causes AS text[])) AS r
ON CONFLICT (tenant_id, source, cause) DO NOTHING
""")
