"""The credit ledger: transfers from one account to another, append-only, so that credits only ever move.

An account is one of those below, a client_package or a credit_hold. Packages and holds cache their balance; a trigger
keeps it in step with the transfers and lets none fall below zero. The others are hot in a studio, and their balance is
the sum of their transfers. Who moves a client's credits holds the lock of the client's row.
"""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import insert

from services.booking.models import Transfer
from services.chassis.db.records import insert_many
from services.chassis.db.unit_of_work import UnitOfWork

# Accounts that every studio has.
ISSUED = UUID(int=1)
REDEEMED = UUID(int=2)
EXPIRED = UUID(int=3)
REVOKED = UUID(int=4)
ADJUSTED = UUID(int=5)


async def transfer(
    tx: UnitOfWork,
    debit: UUID,
    credit: UUID,
    amount: int,
    cause: str,
    *,
    booking_id: UUID | None = None,
    reason: str = "",
) -> None:
    """Moves credits. `cause` is one of the table's; `reason` is what staff say of it."""
    await tx.session.execute(insert(Transfer), [_row(tx, debit, credit, amount, cause, booking_id, reason)])


async def transfer_ones(tx: UnitOfWork, moves: Iterable[tuple[UUID, UUID, UUID]], cause: str) -> None:
    """Moves one credit each: from a debit to a credit account, for a booking."""
    rows = [_row(tx, debit, credit, 1, cause, booking_id, "") for debit, credit, booking_id in moves]
    if rows:
        await tx.session.execute(insert(Transfer), rows)


async def issue(tx: UnitOfWork, grants: Iterable[tuple[UUID, int]], reason: str) -> None:
    """Credits for many new packages at once."""
    rows = [_row(tx, ISSUED, package, amount, "granted", None, reason) for package, amount in grants]
    await insert_many(tx, Transfer, rows)


def _row(
    tx: UnitOfWork, debit: UUID, credit: UUID, amount: int, cause: str, booking_id: UUID | None, reason: str
) -> dict[str, object]:
    return {
        "tenant_id": tx.tenant,
        "debit_account": debit,
        "credit_account": credit,
        "amount": amount,
        "cause": cause,
        "booking_id": booking_id,
        "create_time": tx.now(),
        "reason": reason,
    }
