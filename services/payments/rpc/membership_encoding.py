"""Memberships as messages."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from powerhouse.payments.v1 import membership_pb2, membership_service_pb2, purchase_service_pb2
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import to_timestamp
from services.payments import catalogue, client_merges, memberships
from services.payments.membership_refunds import Unused
from services.payments.models import Membership, MembershipAttempt, Terms
from services.payments.plan_changes import Change
from services.payments.quotes import Quote
from services.payments.rpc.encoding import DECLINED, encode_interval
from services.payments.rpc.names import name_of


async def encode_membership(tx: UnitOfWork, row: Membership) -> membership_pb2.Membership:
    [encoded] = await encode_memberships(tx, [row])
    return encoded


async def encode_memberships(tx: UnitOfWork, rows: Sequence[Membership]) -> list[membership_pb2.Membership]:
    terms = await catalogue.terms_of_all(tx, {(row.pricing_option_id, row.terms_version) for row in rows})
    costs = {plan: catalogue.quote_of(agreed) for plan, agreed in terms.items()}
    clients = await client_merges.current(tx, {each for row in rows for each in (row.client_id, row.payer_id)})
    tries = await memberships.attempts(tx, rows)
    return [
        _encode(
            row,
            clients,
            terms[row.pricing_option_id, row.terms_version],
            costs[row.pricing_option_id, row.terms_version],
            [each for each in tries if each.membership_id == row.id],
        )
        for row in rows
    ]


def _encode(
    row: Membership, clients: Mapping[UUID, UUID], terms: Terms, quote: Quote, tries: Sequence[MembershipAttempt]
) -> membership_pb2.Membership:
    pb = membership_pb2.Membership
    changes = (row.next_pricing_option_id, row.next_terms_version) != (row.pricing_option_id, row.terms_version)
    message = pb(
        name=name_of(row.tenant_id, "memberships", row.id),
        client=name_of(row.tenant_id, "clients", clients[row.client_id]),
        pricing_option=name_of(row.tenant_id, "pricingOptions", row.pricing_option_id),
        quote=encode_quote(quote, terms),
        interval=encode_interval(terms),
        interval_count=terms.interval_count,
        unlimited=terms.unlimited,
        state=pb.State.Value(row.state),
        end_reason=pb.EndReason.Value(row.end_reason or "END_REASON_UNSPECIFIED"),
        period_start_time=to_timestamp(row.period_start),
        period_end_time=to_timestamp(row.period_end),
        cancel_at_period_end=row.cancel_at_period_end,
        resume_time=to_timestamp(row.resume_time),
        end_time=to_timestamp(row.end_time),
        next_pricing_option=name_of(row.tenant_id, "pricingOptions", row.next_pricing_option_id) if changes else "",
        etag=row.etag,
        create_time=to_timestamp(row.create_time),
        update_time=to_timestamp(row.update_time),
        first_total_minor=row.first_total_minor,
        card=_encode_card(row, clients[row.payer_id]) if row.card_id else None,
    )
    if row.state == "PAST_DUE":
        attempts = [_encode_attempt(each) for each in tries]
        next_time = to_timestamp(row.next_attempt_time)
        message.dunning.MergeFrom(pb.Dunning(due_minor=row.due_minor, attempts=attempts, next_attempt_time=next_time))
    return message


def _encode_card(row: Membership, payer_id: UUID) -> membership_pb2.Membership.Card:
    # A bank account is none of the saved cards.
    listed = row.card_id if row.card_expire_year else None
    to_client = not current_call().whole_studio
    return membership_pb2.Membership.Card(
        payment_method=name_of(row.tenant_id, f"clients/{payer_id}/paymentMethods", listed),
        brand=row.card_brand,
        last4=row.card_last4,
        expire_month=row.card_expire_month if to_client else 0,
        expire_year=row.card_expire_year if to_client else 0,
    )


def encode_quote(quote: Quote, terms: Terms) -> purchase_service_pb2.Quote:
    """What an interval costs and gives."""
    return purchase_service_pb2.Quote(
        price_minor=quote.price,
        net_minor=quote.net,
        tax_minor=quote.tax,
        total_minor=quote.total,
        renewal_minor=quote.total,
        currency_code=terms.currency_code,
        display_name=terms.display_name,
        credits=terms.credits,
    )


def encode_plan_change(tenant: UUID, change: Change) -> membership_service_pb2.PlanChange:
    return membership_service_pb2.PlanChange(
        pricing_option=name_of(tenant, "pricingOptions", change.option_id),
        quote=encode_quote(change.quote, change.terms),
        effective_time=to_timestamp(change.effective_time),
        due_minor=change.due,
        credits=change.credits,
        quote_time=to_timestamp(change.quote_time),
    )


def encode_unused(unused: Sequence[Unused], currency: str) -> membership_service_pb2.MembershipRefund:
    """What is given back, in all."""
    return membership_service_pb2.MembershipRefund(
        refund_minor=sum(each.shown.amount for each in unused),
        currency_code=currency,
        credits_revoked=sum(each.shown.credits for each in unused),
    )


def _encode_attempt(attempt: MembershipAttempt) -> purchase_service_pb2.Purchase.Attempt:
    return purchase_service_pb2.Purchase.Attempt(
        create_time=to_timestamp(attempt.create_time),
        succeeded=False,
        message=DECLINED,
        code=attempt.code,
        decline_code=attempt.decline_code,
    )
