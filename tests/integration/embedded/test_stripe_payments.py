"""Customers, methods and intents through the SDK, as Stripe documents them."""

from typing import Any

import pytest
import stripe

from tests.integration.embedded.stripe_like import BACK, Studio


async def test_a_customer_lives_and_is_deleted(studio: Studio) -> None:
    made = await studio.v1.customers.create_async({"email": "ann@example.com", "metadata": {"client": "c1", "a": "b"}})
    changed = await studio.v1.customers.update_async(made.id, {"name": "Ann", "metadata": {"a": "", "n": "2"}})
    assert (changed.name, changed.email) == ("Ann", "ann@example.com")
    assert changed.metadata.to_dict() == {"client": "c1", "n": "2"}
    gone = await studio.v1.customers.delete_async(made.id)
    assert gone.deleted
    found = await studio.v1.customers.retrieve_async(made.id)
    assert found.deleted
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await studio.v1.payment_methods.attach_async("pm_card_visa", {"customer": made.id})
    assert refused.value.code == "resource_missing"


async def test_methods_are_attached_listed_and_detached(studio: Studio) -> None:
    customer = await studio.customer()
    method = await studio.v1.payment_methods.attach_async("pm_card_visa", {"customer": customer.id})
    assert (method.type, method.card.brand, method.card.last4) == ("card", "visa", "4242")
    second = await studio.v1.payment_methods.attach_async("pm_card_mastercard", {"customer": customer.id})
    listed = await studio.v1.payment_methods.list_async({"customer": customer.id, "type": "card"})
    assert [one.id for one in listed.data] == [second.id, method.id]
    of_customer = await studio.v1.customers.payment_methods.list_async(customer.id)
    assert {one.id for one in of_customer.data} == {method.id, second.id}
    other = await studio.customer()
    with pytest.raises(stripe.InvalidRequestError):
        await studio.v1.payment_methods.attach_async(method.id, {"customer": other.id})
    detached = await studio.v1.payment_methods.detach_async(method.id)
    assert detached.customer is None
    with pytest.raises(stripe.InvalidRequestError):
        await studio.v1.payment_methods.attach_async(method.id, {"customer": customer.id})


async def test_a_card_that_its_bank_refuses_is_not_saved(studio: Studio) -> None:
    customer = await studio.customer()
    with pytest.raises(stripe.CardError) as declined:
        await studio.v1.payment_methods.attach_async("pm_card_chargeDeclined", {"customer": customer.id})
    assert (declined.value.code, declined.value.http_status) == ("card_declined", 402)
    saved = await studio.v1.payment_methods.attach_async("pm_card_chargeCustomerFail", {"customer": customer.id})
    with pytest.raises(stripe.CardError):
        await studio.pay(method=saved.id, customer=customer.id, off_session=True)


async def test_a_payment_from_quote_to_charge(studio: Studio) -> None:
    customer = await studio.customer()
    intent = await studio.v1.payment_intents.create_async(
        {
            "amount": 12000,
            "currency": "usd",
            "customer": customer.id,
            "automatic_payment_methods": {"enabled": True},
            "metadata": {"purchase": "p1"},
            "description": "Ten classes",
            "receipt_email": "ann@example.com",
        }
    )
    assert (intent.status, intent.amount_received) == ("requires_payment_method", 0)
    assert intent.client_secret.startswith(f"{intent.id}_secret_")
    paid = await studio.v1.payment_intents.confirm_async(
        intent.id, {"payment_method": "pm_card_visa", "return_url": BACK, "expand": ["latest_charge", "payment_method"]}
    )
    charge = paid.latest_charge
    assert (paid.status, paid.amount_received, paid.payment_method.card.last4) == ("succeeded", 12000, "4242")
    assert (charge.paid, charge.captured, charge.amount, charge.amount_captured) == (True, True, 12000, 12000)
    assert (charge.payment_intent, charge.customer, charge.metadata.to_dict()) == (
        intent.id,
        customer.id,
        {"purchase": "p1"},
    )
    assert charge.outcome.type == "authorized"
    assert charge.payment_method_details.card.brand == "visa"
    settled = await studio.settled(charge.id)
    assert settled.balance_transaction.amount == 12000
    assert await studio.events(intent.id) == ["payment_intent.created", "payment_intent.succeeded"]
    assert "charge.succeeded" in await studio.events(charge.id)
    with pytest.raises(stripe.InvalidRequestError) as again:
        await studio.v1.payment_intents.confirm_async(intent.id, {"payment_method": "pm_card_visa", "return_url": BACK})
    assert again.value.code == "payment_intent_unexpected_state"


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
        ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
    ],
)
async def test_a_declined_card_is_told_and_another_pays(
    studio: Studio, card: str, code: str, decline_code: str
) -> None:
    intent = await studio.v1.payment_intents.create_async({"amount": 2500, "currency": "usd"})
    with pytest.raises(stripe.CardError) as declined:
        await studio.v1.payment_intents.confirm_async(intent.id, {"payment_method": card, "return_url": BACK})
    error = declined.value
    assert (error.code, error.http_status, error.param) == (code, 402, None)
    told: Any = error.error
    assert (told.type, told.payment_intent.id) == ("card_error", intent.id)
    if told.decline_code is not None:
        assert told.decline_code == decline_code
    seen = await studio.v1.payment_intents.retrieve_async(intent.id, {"expand": ["latest_charge"]})
    assert (seen.status, seen.payment_method, seen.last_payment_error.code) == ("requires_payment_method", None, code)
    assert (seen.latest_charge.status, seen.latest_charge.paid) == ("failed", False)
    assert seen.latest_charge.failure_code == code
    paid = await studio.v1.payment_intents.confirm_async(
        intent.id, {"payment_method": "pm_card_visa", "return_url": BACK}
    )
    assert (paid.status, paid.last_payment_error) == ("succeeded", None)
    failed = await studio.events(seen.latest_charge.id)
    assert failed == ["charge.failed"]
    assert "payment_intent.payment_failed" in await studio.events(intent.id)


@pytest.mark.parametrize("outcome", ["succeed", "fail"])
async def test_a_bank_that_asks(studio: Studio, outcome: str) -> None:
    intent = await studio.pay(method="pm_card_threeDSecure2Required")
    assert (intent.status, intent.next_action.type) == ("requires_action", "redirect_to_url")
    assert intent.next_action.redirect_to_url.return_url == BACK
    assert intent.latest_charge is None
    answer = await studio.authenticate(intent, outcome)
    assert answer["redirect"].startswith(f"{BACK}?payment_intent={intent.id}&payment_intent_client_secret=")
    seen = await studio.v1.payment_intents.retrieve_async(intent.id, {"expand": ["latest_charge"]})
    if outcome == "succeed":
        assert (seen.status, answer["redirect"].endswith("redirect_status=succeeded")) == ("succeeded", True)
        assert seen.latest_charge.payment_method_details.card.three_d_secure.result == "authenticated"
    else:
        assert (seen.status, seen.latest_charge) == ("requires_payment_method", None)
        assert seen.last_payment_error.code == "payment_intent_authentication_failure"


async def test_a_bank_that_asks_and_then_declines(studio: Studio) -> None:
    intent = await studio.pay(method="pm_card_threeDSecureRequiredChargeDeclined")
    assert intent.status == "requires_action"
    await studio.authenticate(intent)
    seen = await studio.v1.payment_intents.retrieve_async(intent.id)
    assert (seen.status, seen.last_payment_error.code) == ("requires_payment_method", "card_declined")


async def test_an_optional_question_is_asked_on_request(studio: Studio) -> None:
    assert (await studio.pay(method="pm_card_threeDSecureOptional")).status == "succeeded"
    options = {"card": {"request_three_d_secure": "any"}}
    asked = await studio.pay(method="pm_card_threeDSecureOptional", payment_method_options=options)
    assert asked.status == "requires_action"


async def test_nobody_is_there_to_answer_the_bank(studio: Studio) -> None:
    customer = await studio.customer("pm_card_authenticationRequired")
    method = customer.invoice_settings.default_payment_method
    with pytest.raises(stripe.CardError) as declined:
        await studio.pay(method=method, customer=customer.id, off_session=True)
    error: Any = declined.value.error
    assert (declined.value.code, error.payment_method.id) == ("authentication_required", method)
    assert error.payment_intent.status == "requires_payment_method"


async def test_a_card_set_up_once_pays_in_absence(studio: Studio) -> None:
    customer = await studio.customer()
    setup = await studio.v1.setup_intents.create_async(
        {
            "customer": customer.id,
            "payment_method": "pm_card_authenticationRequiredOnSetup",
            "confirm": True,
            "return_url": BACK,
        }
    )
    assert setup.status == "requires_action"
    await studio.authenticate(setup)
    setup = await studio.v1.setup_intents.retrieve_async(setup.id, {"expand": ["payment_method"]})
    assert (setup.status, setup.payment_method.customer) == ("succeeded", customer.id)
    paid = await studio.pay(method=setup.payment_method.id, customer=customer.id, off_session=True)
    assert paid.status == "succeeded"


async def test_a_payment_saves_its_card(studio: Studio) -> None:
    customer = await studio.customer()
    paid = await studio.pay(customer=customer.id, setup_future_usage="off_session")
    (saved,) = (await studio.v1.payment_methods.list_async({"customer": customer.id})).data
    assert saved.id == paid.payment_method
    alone = await studio.pay()
    with pytest.raises(stripe.InvalidRequestError, match="previously used"):
        await studio.pay(method=alone.payment_method)


async def test_setup_intents_fail_are_canceled_and_listed(studio: Studio) -> None:
    customer = await studio.customer()
    setup = await studio.v1.setup_intents.create_async({"customer": customer.id})
    with pytest.raises(stripe.CardError) as declined:
        await studio.v1.setup_intents.confirm_async(
            setup.id, {"payment_method": "pm_card_chargeDeclined", "return_url": BACK}
        )
    error: Any = declined.value.error
    assert (error.code, error.setup_intent.status) == ("card_declined", "requires_payment_method")
    done = await studio.v1.setup_intents.confirm_async(setup.id, {"payment_method": "pm_card_visa", "return_url": BACK})
    assert (done.status, done.usage) == ("succeeded", "off_session")
    other = await studio.v1.setup_intents.create_async({"customer": customer.id})
    canceled = await studio.v1.setup_intents.cancel_async(other.id)
    assert canceled.status == "canceled"
    listed = await studio.v1.setup_intents.list_async({"customer": customer.id})
    assert [one.id for one in listed.data] == [other.id, setup.id]
    assert await studio.events(setup.id) == [
        "setup_intent.created",
        "setup_intent.setup_failed",
        "setup_intent.succeeded",
    ]


async def test_what_is_authorised_is_captured_in_part(studio: Studio) -> None:
    intent = await studio.pay(5000, capture_method="manual")
    assert (intent.status, intent.amount_capturable) == ("requires_capture", 5000)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await studio.v1.payment_intents.capture_async(intent.id, {"amount_to_capture": 5001})
    assert refused.value.param == "amount_to_capture"
    done = await studio.v1.payment_intents.capture_async(
        intent.id, {"amount_to_capture": 4000, "expand": ["latest_charge"]}
    )
    assert (done.status, done.amount_received, done.latest_charge.amount_captured) == ("succeeded", 4000, 4000)
    rest = await studio.v1.refunds.create_async({"payment_intent": intent.id})
    assert rest.amount == 4000


async def test_an_intent_is_canceled_once(studio: Studio) -> None:
    intent = await studio.pay(5000, capture_method="manual")
    canceled = await studio.v1.payment_intents.cancel_async(intent.id, {"cancellation_reason": "abandoned"})
    assert (canceled.status, canceled.cancellation_reason) == ("canceled", "abandoned")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await studio.v1.payment_intents.cancel_async(intent.id)
    assert refused.value.code == "payment_intent_unexpected_state"


async def test_a_bank_debit_takes_days(studio: Studio) -> None:
    if not studio.like.ours:
        pytest.skip("takes days there")
    intent = await studio.pay(9000, "pm_usBankAccount_success")
    assert intent.status == "processing"
    await studio.hurry(5 * 86400)
    paid = await studio.v1.payment_intents.retrieve_async(intent.id)
    assert (paid.status, paid.latest_charge[:3]) == ("succeeded", "py_")
    refused = await studio.pay(9000, "pm_usBankAccount_insufficientFunds")
    await studio.hurry(5 * 86400)
    refused = await studio.v1.payment_intents.retrieve_async(refused.id)
    assert refused.status == "requires_payment_method"


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({"amount": 20}, "amount_too_small", "amount"),
        ({"amount": 100_000_000}, "amount_too_large", "amount"),
        ({"amount": -5}, "parameter_invalid_integer", "amount"),
        ({"amount": "12.50"}, "parameter_invalid_integer", "amount"),
        ({"currency": "xyz"}, None, "currency"),
        ({"currency": ""}, "parameter_missing", "currency"),
        ({"customer": "cus_none"}, "resource_missing", "customer"),
        ({"payment_method": "pm_none"}, "resource_missing", "payment_method"),
        ({"surprise": "x"}, "parameter_unknown", "surprise"),
        ({"confirm": True}, None, None),
        ({"confirm": True, "payment_method": "pm_card_visa"}, None, None),
        ({"metadata": {"k" * 41: "v"}}, None, None),
    ],
)
async def test_bad_payments_are_refused(
    studio: Studio, params: dict[str, Any], code: str | None, param: str | None
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await studio.v1.payment_intents.create_async({"amount": 2000, "currency": "usd", **params})
    if code:
        assert refused.value.code == code
    if param:
        assert refused.value.param == param


async def test_a_card_number_is_never_taken(studio: Studio) -> None:
    card = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2040}
    with pytest.raises(stripe.StripeError):
        await studio.v1.payment_methods.create_async({"type": "card", "card": card})
    made = await studio.v1.payment_methods.create_async({"type": "card", "card": {"token": "tok_visa"}})
    assert made.card.last4 == "4242"
