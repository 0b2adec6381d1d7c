"""Receipts and credit notes: one document for each payment, each refund and each refund that came back.

A job writes them, after the money has moved. Their numbers have no gap, since a tax office asks for what is missing: a
sequence would lose a number with each transaction that fails, so a row of the studio counts, locked until the document
is there. What is written never changes; it repeats what it needs of terms and letterhead. Only the client's name is not
in it: booking is asked for that when the document is shown, so that an erased person is in no receipt.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.dialects.postgresql import insert

from powerhouse.payments.v1.events_pb2 import ReceiptIssued
from powerhouse.payments.v1.receipt_service_pb2 import Receipt as Proto
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import NotFound, PermissionDenied
from services.chassis.ids import new_id
from services.chassis.rpc.codec import to_timestamp
from services.payments import client_merges
from services.payments.models import Receipt, ReceiptCounter

ISSUE_JOB = "issue_receipt"
RECEIPT, CREDIT_NOTE, REVERSAL = "RECEIPT", "CREDIT_NOTE", "CREDIT_NOTE_REVERSAL"


async def order(tx: UnitOfWork, kind: str, purchase_id: UUID, refund_id: UUID | None = None) -> None:
    """Has a document written for money that has just moved; the same again is the same document."""
    args = {"kind": kind, "purchase": str(purchase_id), "refund": str(refund_id) if refund_id else ""}
    await tx.enqueue(ISSUE_JOB, f"{kind} {refund_id or purchase_id}", args=args)


async def get(tx: UnitOfWork, receipt_id: UUID, account: UUID | None) -> Receipt:
    """A document; with `account` only one of what it bought.

    Raises PermissionDenied for any other, known or not, when narrowed; else NotFound.
    """
    receipt = await tx.session.get(Receipt, (tx.tenant, receipt_id))
    if account is not None and (receipt is None or receipt.account_id != account):
        raise PermissionDenied()
    if receipt is None:
        raise NotFound("receipt")
    return receipt


async def list_latest(
    tx: UnitOfWork, page: Page, *, account: UUID | None, client_id: UUID | None, purchase_id: UUID | None
) -> Sequence[Receipt]:
    """Highest number first: of one account, one client, one purchase, or all where these are None."""
    query = select(Receipt).where(Receipt.tenant_id == tx.tenant)
    if account is not None:
        query = query.where(Receipt.account_id == account)
    if client_id is not None:
        query = query.where(Receipt.client_id.in_(await client_merges.all_of(tx, client_id)))
    if purchase_id is not None:
        query = query.where(Receipt.purchase_id == purchase_id)
    if page.after:
        query = query.where(tuple_(Receipt.number) < tuple(page.after))
    return (await tx.session.scalars(query.order_by(Receipt.number.desc()).limit(page.limit))).all()


async def of_purchase(tx: UnitOfWork, purchase_id: UUID) -> Sequence[Receipt]:
    """All documents about a purchase."""
    query = select(Receipt).where(Receipt.tenant_id == tx.tenant, Receipt.purchase_id == purchase_id)
    return (await tx.session.scalars(query)).all()


async def write(tx: UnitOfWork, receipt: Receipt) -> None:
    """Gives it the studio's next number. Who writes at the same time waits for the outcome."""
    counter = insert(ReceiptCounter).values(tenant_id=tx.tenant, last_number=1)
    following = counter.on_conflict_do_update(
        index_elements=["tenant_id"], set_={"last_number": ReceiptCounter.last_number + 1}
    )
    number = await tx.session.scalar(following.returning(ReceiptCounter.last_number))
    assert number is not None
    receipt.tenant_id, receipt.id, receipt.number, receipt.create_time = tx.tenant, new_id(), number, tx.now()
    tx.session.add(receipt)
    await tx.session.flush()
    event = ReceiptIssued(
        receipt_id=str(receipt.id),
        purchase_id=str(receipt.purchase_id),
        client_id=str(receipt.client_id),
        kind=Proto.Kind.Value(receipt.kind),
        number=receipt.number,
        description=receipt.description,
        total_minor=receipt.total_minor,
        currency_code=receipt.currency_code,
        create_time=to_timestamp(receipt.create_time),
    )
    await tx.publish(event, aggregate="receipt", aggregate_id=receipt.id, version=1)
