"""Refunds, disputes, fees, balance transactions and payouts through the SDK: every cent is accounted for."""

from typing import Any

import pytest
import stripe

from embedded.sandboxes.stripe.money import fee
from tests.integration.embedded.stripe_like import StripeLike, Studio


async def transactions(studio: Studio, **filters: Any) -> list[Any]:
    page = await studio.v1.balance_transactions.list_async({"limit": 100, **filters})
    return list(page.data)


async def test_refunds_in_parts_until_nothing_is_left(studio: Studio) -> None:
    paid = await studio.pay(3000)
    first = await studio.v1.refunds.create_async(
        {"payment_intent": paid.id, "amount": 1000, "reason": "requested_by_customer", "metadata": {"refund": "r1"}}
    )
    assert (first.status, first.amount, first.reason, first.charge) == (
        "succeeded",
        1000,
        "requested_by_customer",
        paid.latest_charge,
    )
    with pytest.raises(stripe.InvalidRequestError) as too_much:
        await studio.v1.refunds.create_async({"payment_intent": paid.id, "amount": 2001})
    assert too_much.value.param == "amount"
    assert "greater than unrefunded amount" in str(too_much.value)
    rest = await studio.v1.refunds.create_async({"charge": paid.latest_charge, "expand": ["balance_transaction"]})
    assert (rest.amount, rest.balance_transaction.amount, rest.balance_transaction.fee) == (2000, -2000, 0)
    charge = await studio.v1.charges.retrieve_async(paid.latest_charge, {"expand": ["refunds"]})
    assert (charge.refunded, charge.amount_refunded, len(charge.refunds.data)) == (True, 3000, 2)
    with pytest.raises(stripe.InvalidRequestError) as nothing_left:
        await studio.v1.refunds.create_async({"charge": paid.latest_charge})
    assert nothing_left.value.code == "charge_already_refunded"
    listed = await studio.v1.refunds.list_async({"payment_intent": paid.id})
    assert [one.id for one in listed.data] == [rest.id, first.id]
    assert (await studio.events(paid.latest_charge)).count("charge.refunded") == 2


async def test_what_was_not_paid_is_not_refunded(studio: Studio) -> None:
    intent = await studio.v1.payment_intents.create_async({"amount": 2000, "currency": "usd"})
    for params in ({"payment_intent": intent.id}, {"payment_intent": "pi_none"}, {}):
        with pytest.raises(stripe.InvalidRequestError):
            await studio.v1.refunds.create_async(params)


async def test_a_refund_that_is_pending_first(studio: Studio) -> None:
    paid = await studio.pay(method="pm_card_pendingRefund")
    made = await studio.v1.refunds.create_async({"payment_intent": paid.id})
    assert made.status == "pending"

    async def look() -> Any:
        return await studio.v1.refunds.retrieve_async(made.id)

    assert (await studio.until(look, lambda seen: seen.status != "pending")).status == "succeeded"
    assert "refund.updated" in await studio.events(made.id)


async def test_a_refund_that_comes_back(studio: Studio) -> None:
    paid = await studio.pay(method="pm_card_refundFail")
    made = await studio.v1.refunds.create_async({"payment_intent": paid.id})
    assert made.status == "succeeded"

    async def look() -> Any:
        return await studio.v1.refunds.retrieve_async(made.id, {"expand": ["failure_balance_transaction"]})

    failed = await studio.until(look, lambda seen: seen.status == "failed")
    assert (failed.failure_reason, failed.failure_balance_transaction.amount) == ("expired_or_canceled_card", 2000)
    charge = await studio.v1.charges.retrieve_async(paid.latest_charge)
    assert (charge.refunded, charge.amount_refunded) == (False, 0)
    assert "refund.failed" in await studio.events(made.id)


@pytest.mark.parametrize(("currency", "amount"), [("usd", 2000), ("usd", 1999), ("eur", 2000), ("jpy", 2000)])
async def test_fees_by_the_written_formula(our_sandbox: StripeLike, studio: Studio, currency: str, amount: int) -> None:
    paid = await studio.pay(amount, currency=currency)
    transaction = (await studio.settled(paid.latest_charge)).balance_transaction
    expected = {("usd", 2000): 88, ("usd", 1999): 88, ("eur", 2000): 83, ("jpy", 2000): 58}[currency, amount]
    assert transaction.fee == fee(amount, currency) == expected
    assert (transaction.net, transaction.currency) == (amount - expected, currency)
    assert [(one.amount, one.type) for one in transaction.fee_details] == [(expected, "stripe_fee")]


async def test_yen_have_no_cents(studio: Studio) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="¥50"):
        await studio.pay(49, currency="jpy")
    paid = await studio.pay(5000, currency="jpy")
    with pytest.raises(stripe.InvalidRequestError, match="¥5,001"):
        await studio.v1.refunds.create_async({"payment_intent": paid.id, "amount": 5001})


async def test_evidence_wins_or_loses_a_dispute(studio: Studio) -> None:
    for text, outcome in (("winning_evidence", "won"), ("losing_evidence", "lost")):
        paid = await studio.pay(method="pm_card_createDispute")

        async def opened(charge: str = paid.latest_charge) -> Any:
            page = await studio.v1.disputes.list_async({"charge": charge})
            return page.data

        (dispute,) = await studio.until(opened, bool)
        assert (dispute.status, dispute.reason, dispute.amount) == ("needs_response", "fraudulent", 2000)
        (withdrawn,) = dispute.balance_transactions
        assert (withdrawn.type, withdrawn.amount, withdrawn.fee) == ("adjustment", -2000, 1500)
        assert (await studio.v1.charges.retrieve_async(paid.latest_charge)).disputed
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await studio.v1.refunds.create_async({"payment_intent": paid.id})
        assert refused.value.code == "charge_disputed"
        answered = await studio.v1.disputes.update_async(dispute.id, {"evidence": {"uncategorized_text": text}})
        assert answered.evidence_details.submission_count == 1

        async def closed(identity: str = dispute.id) -> Any:
            return await studio.v1.disputes.retrieve_async(identity)

        done = await studio.until(closed, lambda seen: seen.status in ("won", "lost"))
        assert done.status == outcome
        told = await studio.events(dispute.id)
        assert told[:2] == ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
        assert told[-1] == "charge.dispute.closed"
        assert ("charge.dispute.funds_reinstated" in told) is (outcome == "won")


async def test_an_inquiry_takes_no_money_and_a_dispute_can_be_accepted(studio: Studio) -> None:
    paid = await studio.pay(method="pm_card_createDisputeInquiry")

    async def opened() -> Any:
        return (await studio.v1.disputes.list_async({"payment_intent": paid.id})).data

    (inquiry,) = await studio.until(opened, bool)
    assert (inquiry.status, inquiry.balance_transactions) == ("warning_needs_response", [])
    refund = await studio.v1.refunds.create_async({"payment_intent": paid.id})
    assert refund.status == "succeeded"
    closed = await studio.v1.disputes.close_async(inquiry.id)
    assert closed.status in ("lost", "warning_closed")


async def test_the_balance_is_the_sum_of_its_transactions(our_sandbox: StripeLike, studio: Studio) -> None:
    for method in ("pm_card_visa", "pm_card_bypassPending", "pm_card_createDispute", "pm_card_refundFail"):
        paid = await studio.pay(7000, method)
        await studio.settled(paid.latest_charge)
        if method != "pm_card_createDispute":
            await studio.v1.refunds.create_async({"payment_intent": paid.id, "amount": 500})
    await studio.hurry()
    everything = await transactions(studio)
    balance = await studio.v1.balance.retrieve_async()
    there = sum(part.amount for part in (*balance.available, *balance.pending))
    assert there == sum(one.net for one in everything)
    assert all(one.net == one.amount - one.fee for one in everything)
    kinds = sorted(one.type for one in everything)
    assert kinds == ["adjustment", *["charge"] * 4, *["refund"] * 3, "refund_failure"]
    assert sum(one.amount for one in everything) == 4 * 7000 - 3 * 500 + 500 - 7000


async def test_a_payout_lists_what_it_pays(our_sandbox: StripeLike, studio: Studio) -> None:
    for amount in (4000, 6000):
        await studio.settled((await studio.pay(amount, "pm_card_bypassPending")).latest_charge)
    net = sum(amount - fee(amount, "usd") for amount in (4000, 6000))
    (made,) = (await our_sandbox.control("/sandbox/payouts", {"account": studio.account}))["payouts"]
    payout = await studio.v1.payouts.retrieve_async(made["id"], {"expand": ["balance_transaction"]})
    assert (payout.amount, payout.automatic, payout.status) == (net, True, "pending")
    assert payout.balance_transaction.amount == -net
    listed = await transactions(studio, payout=payout.id)
    assert sum(one.net for one in listed) == 0
    assert sorted(one.type for one in listed) == ["charge", "charge", "payout"]
    await studio.hurry(2 * 86400)
    paid = await studio.v1.payouts.retrieve_async(payout.id)
    assert (paid.status, paid.reconciliation_status) == ("paid", "completed")
    assert await studio.events(payout.id) == ["payout.created", "payout.paid", "payout.reconciliation_completed"]
    failed = await our_sandbox.control(f"/sandbox/payouts/{payout.id}/fail", {"account": studio.account})
    assert (failed["status"], failed["failure_code"]) == ("failed", "account_closed")
    balance = await studio.v1.balance.retrieve_async()
    assert [part.amount for part in balance.available] == [net]


async def test_a_payout_by_hand_needs_the_money(studio: Studio) -> None:
    if not studio.like.ours:
        pytest.skip("an account there may have money or none")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await studio.v1.payouts.create_async({"amount": 1000, "currency": "usd"})
    assert refused.value.code == "balance_insufficient"
    await studio.settled((await studio.pay(4000, "pm_card_bypassPending")).latest_charge)
    payout = await studio.v1.payouts.create_async({"amount": 1000, "currency": "usd"})
    canceled = await studio.v1.payouts.cancel_async(payout.id)
    assert (payout.automatic, canceled.status) == (False, "canceled")
    balance = await studio.v1.balance.retrieve_async()
    assert balance.available[0].amount == 4000 - fee(4000, "usd")
