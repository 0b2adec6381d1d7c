"""Dispute alerts: those who own a studio read that a client's bank takes a payment back, and how that ended."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from powerhouse.payments.v1.events_pb2 import PaymentDisputed
from powerhouse.payments.v1.fact_service_pb2 import DisputeFacts
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.resources import Resources
from services.notify import staff
from services.notify.local_words import money
from services.notify.models import Kind
from services.notify.template_variables import YES

TELL_JOB = "tell_of_dispute"
# The provider's words for what somebody has to do something about, and for how it ended. The bank's looking at it is
# no news.
_TO_ANSWER = ("needs_response", "warning_needs_response")
_NEWS = (*_TO_ANSWER, "won", "lost")


async def follow(tx: UnitOfWork, told: PaymentDisputed) -> None:
    """Once for each dispute and state that matters."""
    if told.status in _NEWS:
        args = {"dispute": told.dispute_id, "status": told.status}
        await tx.enqueue(TELL_JOB, f"{told.dispute_id} {told.status}", args=args)


async def tell(work: Resources, tenant: UUID, args: Mapping[str, Any]) -> None:
    """Plans the mail of each owner. Raises AioRpcError when identity cannot be asked now."""
    await staff.tell_owners(work, tenant, Kind.DISPUTE_ALERT, UUID(args["dispute"]), args, news=args["status"])


def values(told: DisputeFacts, language: str) -> dict[str, str]:
    """What the words need of a dispute, beside until when it can be answered."""
    dispute = told.dispute
    return {
        "amount": money(dispute.amount_minor, dispute.currency_code, language),
        "description": told.description,
        # The provider's word.
        "reason": dispute.reason.replace("_", " "),
        "won": YES if dispute.status == "won" else "",
        "lost": YES if dispute.status == "lost" else "",
    }
