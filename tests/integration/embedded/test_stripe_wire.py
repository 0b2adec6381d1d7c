"""Keys, accounts, errors, idempotency, lists, expansion and the shape of every object, through the SDK."""

import asyncio
from typing import Any, ClassVar, get_args, get_origin

import httpx
import pytest
import stripe

from tests.integration.embedded.stripe_like import OTHER_KEY, StripeLike, Studio, onboarded, once


async def test_a_key_is_needed_and_must_be_known(stripe_like: StripeLike) -> None:
    with pytest.raises(stripe.AuthenticationError) as refused:
        await stripe_like.client("sk_test_nobody").v1.customers.list_async()
    assert refused.value.http_status == 401
    async with httpx.AsyncClient(timeout=60) as client:
        bare = await client.get(f"{stripe_like.url}/v1/customers")
        basic = await client.get(f"{stripe_like.url}/v1/customers", auth=(stripe_like.key, ""))
    assert (bare.status_code, bare.json()["error"]["type"]) == (401, "invalid_request_error")
    assert basic.status_code == 200
    assert basic.headers["request-id"].startswith("req_")


async def test_another_version_is_refused(our_sandbox: StripeLike) -> None:
    client = our_sandbox.client()
    with pytest.raises(stripe.InvalidRequestError, match="version"):
        await client.v1.customers.list_async(options={"stripe_version": "2020-08-27"})


async def test_accounts_see_only_what_is_theirs(our_sandbox: StripeLike) -> None:
    north, south = await onboarded(our_sandbox), await onboarded(our_sandbox)
    own = Studio(our_sandbox, our_sandbox.client(), None)
    customer = await north.customer("pm_card_visa")
    paid = await north.pay(customer=customer.id, method=customer.invoice_settings.default_payment_method)
    for stranger in (south, own):
        for ask in (
            stranger.v1.customers.retrieve_async(customer.id),
            stranger.v1.payment_intents.retrieve_async(paid.id),
            stranger.v1.charges.retrieve_async(paid.latest_charge),
            stranger.v1.refunds.create_async({"payment_intent": paid.id}),
            stranger.pay(customer=customer.id),
        ):
            with pytest.raises(stripe.InvalidRequestError) as refused:
                await ask
            assert refused.value.code == "resource_missing"
        listed = await stranger.v1.payment_intents.list_async({"limit": 100})
        assert paid.id not in [one.id for one in listed.data]
        assert paid.id not in [
            one.data.object["id"] for one in (await stranger.v1.events.list_async({"limit": 100})).data
        ]
    foreign = our_sandbox.client(OTHER_KEY, account=north.account)
    with pytest.raises(stripe.PermissionError) as denied:
        await foreign.v1.customers.list_async()
    assert denied.value.http_status == 403
    with pytest.raises(stripe.PermissionError):
        await our_sandbox.client(account="acct_none").v1.customers.list_async()


async def test_a_key_of_its_own_is_a_merchant_too(our_sandbox: StripeLike) -> None:
    alone = Studio(our_sandbox, our_sandbox.client(OTHER_KEY), None)
    paid = await alone.pay()
    assert paid.status == "succeeded"
    account = await alone.v1.accounts.retrieve_current_async()
    assert (account.charges_enabled, account.payouts_enabled) == (True, True)
    with pytest.raises(stripe.InvalidRequestError):
        await our_sandbox.client().v1.payment_intents.retrieve_async(paid.id)


async def test_onboarding_is_done_on_a_page(our_sandbox: StripeLike) -> None:
    platform: Any = our_sandbox.client().v1
    account = await platform.accounts.create_async(
        {"type": "express", "country": "GB", "email": "north@example.com", "business_profile": {"name": "Studio North"}}
    )
    assert (account.charges_enabled, account.details_submitted, account.default_currency) == (False, False, "gbp")
    assert account.requirements.currently_due
    link = await platform.account_links.create_async(
        {
            "account": account.id,
            "type": "account_onboarding",
            "return_url": "https://studio.example/done",
            "refresh_url": "https://studio.example/again",
        }
    )
    async with httpx.AsyncClient(timeout=60) as client:
        finished = await client.post(f"{link.url}/state", json={})
        again = await client.post(f"{link.url}/state", json={})
    assert (finished.json(), again.status_code) == ({"redirect": "https://studio.example/done"}, 404)
    ready = await platform.accounts.retrieve_async(account.id)
    assert (ready.charges_enabled, ready.payouts_enabled, ready.requirements.currently_due) == (True, True, [])
    studio = Studio(our_sandbox, our_sandbox.client(account=account.id), account.id)
    assert await studio.events(account.id) == ["account.updated"]
    assert account.id in [one.id for one in (await platform.accounts.list_async({"limit": 3})).data]
    with pytest.raises(stripe.PermissionError):
        await our_sandbox.client(OTHER_KEY).v1.accounts.retrieve_async(account.id)


async def test_an_account_that_may_not_take_money(our_sandbox: StripeLike) -> None:
    account: Any = await our_sandbox.client().v1.accounts.create_async({"type": "standard"})
    studio = Studio(our_sandbox, our_sandbox.client(account=account.id), account.id)
    with pytest.raises(stripe.InvalidRequestError, match="charges"):
        await studio.pay()


async def test_a_browser_s_key_does_little(our_sandbox: StripeLike) -> None:
    studio = await onboarded(our_sandbox)
    intent = await studio.v1.payment_intents.create_async({"amount": 2000, "currency": "usd"})
    publishable = our_sandbox.key.replace("sk_", "pk_")
    browser: Any = our_sandbox.client(publishable, account=studio.account).v1
    with pytest.raises(stripe.AuthenticationError):
        await browser.payment_intents.list_async()
    with pytest.raises(stripe.InvalidRequestError):
        await browser.payment_intents.retrieve_async(intent.id)
    with pytest.raises(stripe.InvalidRequestError):
        await browser.payment_intents.retrieve_async(intent.id, {"client_secret": f"{intent.id}_secret_guess"})
    seen = await browser.payment_intents.retrieve_async(intent.id, {"client_secret": intent.client_secret})
    assert seen.id == intent.id
    paid = await browser.payment_intents.confirm_async(
        intent.id,
        {"client_secret": intent.client_secret, "payment_method": "pm_card_visa", "return_url": "https://a.example"},
    )
    assert paid.status == "succeeded"


async def test_a_key_is_honoured_once(studio: Studio) -> None:
    key, params = once(), {"email": "once@example.com"}
    first = await studio.v1.customers.create_async(params, {"idempotency_key": key})
    again = await studio.v1.customers.create_async(params, {"idempotency_key": key})
    assert again.id == first.id
    assert again.last_response.headers["idempotent-replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError) as refused:
        await studio.v1.customers.create_async({"email": "other@example.com"}, {"idempotency_key": key})
    assert refused.value.http_status == 400


async def test_a_decline_is_replayed_and_a_refusal_is_not(studio: Studio) -> None:
    key = {"idempotency_key": once()}
    params = {"amount": 2000, "currency": "usd", "payment_method": "pm_card_chargeDeclined", "confirm": True}
    params["return_url"] = "https://a.example"
    told = []
    for _ in range(2):
        with pytest.raises(stripe.CardError) as declined:
            await studio.v1.payment_intents.create_async(params, key)
        error: Any = declined.value.error
        told.append(error.payment_intent.id)
    assert told[0] == told[1]
    key = {"idempotency_key": once()}
    with pytest.raises(stripe.InvalidRequestError):
        await studio.v1.payment_intents.create_async({"amount": 1, "currency": "usd"}, key)


async def test_two_at_once_with_one_key(our_sandbox: StripeLike, studio: Studio) -> None:
    await our_sandbox.control("/sandbox/faults", {"slow": {"count": 1, "seconds": 1, "path": "payment_intents"}}, "PUT")
    key = {"idempotency_key": once()}
    params = {"amount": 2000, "currency": "usd"}
    answers = await asyncio.gather(
        *(studio.v1.payment_intents.create_async(params, key) for _ in range(4)), return_exceptions=True
    )
    made = [one for one in answers if not isinstance(one, Exception)]
    refused: list[Any] = [one for one in answers if isinstance(one, stripe.StripeError)]
    assert len(made) == 1
    assert [(one.http_status, one.error.code) for one in refused] == [(409, "idempotency_key_in_use")] * 3
    again = await studio.v1.payment_intents.create_async(params, key)
    assert again.id == made[0].id
    assert len((await studio.v1.payment_intents.list_async()).data) == 1


async def test_the_same_key_in_two_accounts_is_two_keys(our_sandbox: StripeLike) -> None:
    key = {"idempotency_key": once()}
    north, south = await onboarded(our_sandbox), await onboarded(our_sandbox)
    made = [await one.v1.customers.create_async({"name": "Ann"}, key) for one in (north, south)]
    assert made[0].id != made[1].id


async def test_lists_are_walked_both_ways(studio: Studio) -> None:
    customer = await studio.customer()
    made = [
        (
            await studio.v1.payment_intents.create_async(
                {"amount": 2000 + n, "currency": "usd", "customer": customer.id}
            )
        ).id
        for n in range(7)
    ]
    newest = made[::-1]
    params: dict[str, Any] = {"customer": customer.id, "limit": 3}
    first = await studio.v1.payment_intents.list_async(params)
    assert ([one.id for one in first.data], first.has_more) == (newest[:3], True)
    second = await studio.v1.payment_intents.list_async({**params, "starting_after": newest[2]})
    assert [one.id for one in second.data] == newest[3:6]
    back = await studio.v1.payment_intents.list_async({**params, "ending_before": newest[4]})
    assert [one.id for one in back.data] == newest[1:4]
    walked = [one.id async for one in first.auto_paging_iter()]
    assert walked == newest
    for bad in ({"limit": 0}, {"limit": 101}, {"starting_after": "pi_none"}):
        with pytest.raises(stripe.InvalidRequestError):
            await studio.v1.payment_intents.list_async(bad)


async def test_events_are_found_by_type_and_time(studio: Studio) -> None:
    paid = await studio.pay()
    page = await studio.v1.events.list_async({"type": "payment_intent.succeeded", "limit": 100})
    assert {one.type for one in page.data} == {"payment_intent.succeeded"}
    (event,) = [one for one in page.data if one.data.object["id"] == paid.id]
    found = await studio.v1.events.list_async({"types": ["charge.succeeded", "payment_intent.succeeded"], "limit": 100})
    assert {one.type for one in found.data} == {"charge.succeeded", "payment_intent.succeeded"}
    since = await studio.v1.events.list_async({"created": {"gte": event.created}, "limit": 100})
    assert event.id in [one.id for one in since.data]
    before = await studio.v1.events.list_async({"created": {"lt": event.created}, "limit": 100})
    assert event.id not in [one.id for one in before.data]
    one = await studio.v1.events.retrieve_async(event.id)
    assert (one.api_version, one.data.object["amount"]) == (stripe.api_version, 2000)
    if studio.account:
        assert one.account == studio.account


async def test_what_is_expanded_and_what_is_not(studio: Studio) -> None:
    customer = await studio.customer("pm_card_visa")
    paid = await studio.pay(customer=customer.id, method=customer.invoice_settings.default_payment_method)
    flat = await studio.v1.payment_intents.retrieve_async(paid.id)
    assert (flat.customer, isinstance(flat.latest_charge, str)) == (customer.id, True)
    expand = {"expand": ["customer", "latest_charge.payment_method"]}
    deep = await studio.v1.payment_intents.retrieve_async(paid.id, expand)
    assert (deep.customer.email, deep.latest_charge.payment_method.card.last4) == ("ann@example.com", "4242")
    listed = await studio.v1.charges.list_async({"payment_intent": paid.id, "expand": ["data.customer"]})
    assert listed.data[0].customer.id == customer.id
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        await studio.v1.payment_intents.retrieve_async(paid.id, {"expand": ["nonsense"]})


async def test_unknown_addresses_and_objects(studio: Studio) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await studio.v1.charges.retrieve_async("ch_none")
    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")
    assert refused.value.request_id.startswith("req_")
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {studio.like.key}"}) as client:
        unknown = await client.get(f"{studio.like.url}/v1/nonsense")
        bad_kind = await client.post(f"{studio.like.url}/v1/customers", json={"a": 1})
    assert (unknown.status_code, bad_kind.status_code) == (404, 400)


def lacking(body: Any, path: str) -> list[str]:
    """Fields that the SDK's types promise and an object lacks, and those that it has beside them, at any depth."""
    missing = []
    if isinstance(body, stripe.StripeObject):
        typed = getattr(type(body), "__annotations__", {})
        if "_data" not in typed and not isinstance(body, stripe.ListObject) and "previous_attributes" not in path:
            missing += [f"{path}.{name} is unknown" for name in body._data if name not in typed]
        for name, kind in typed.items():
            optional = type(None) in get_args(kind) or get_origin(kind) is ClassVar or name.startswith("_")
            if not optional and name not in body:
                missing.append(f"{path}.{name}")
        for name, value in body._data.items():
            missing += lacking(value, f"{path}.{name}")
    elif isinstance(body, list):
        for value in body:
            missing += lacking(value, path)
    return missing


async def test_every_object_has_what_the_sdk_s_types_promise(studio: Studio) -> None:
    customer = await studio.customer("pm_card_visa")
    method = customer.invoice_settings.default_payment_method
    paid = await studio.pay(customer=customer.id, method=method, expand=["latest_charge.payment_method"])
    asked = await studio.pay(method="pm_card_threeDSecure2Required")
    product = await studio.v1.products.create_async({"name": "Unlimited"})
    price = await studio.v1.prices.create_async(
        {"product": product.id, "currency": "usd", "unit_amount": 5000, "recurring": {"interval": "month"}}
    )
    rate = await studio.v1.tax_rates.create_async({"display_name": "VAT", "percentage": 8, "inclusive": True})
    coupon = await studio.v1.coupons.create_async({"percent_off": 10})
    code = await studio.v1.promotion_codes.create_async({"promotion": {"type": "coupon", "coupon": coupon.id}})
    subscription = await studio.v1.subscriptions.create_async(
        {
            "customer": customer.id,
            "items": [{"price": price.id}],
            "default_tax_rates": [rate.id],
            "discounts": [{"promotion_code": code.id}],
            "expand": ["latest_invoice.payments", "latest_invoice.confirmation_secret", "discounts", "customer"],
        }
    )
    setup = await studio.v1.setup_intents.create_async({"customer": customer.id})
    disputed = await studio.pay(method="pm_card_createDispute")
    charge = await studio.settled(disputed.latest_charge)

    async def opened() -> Any:
        return (await studio.v1.disputes.list_async({"charge": charge.id})).data

    disputes = await studio.until(opened, bool)
    refund = await studio.v1.refunds.create_async({"payment_intent": paid.id, "expand": ["balance_transaction"]})
    balance = await studio.v1.balance.retrieve_async()
    components = {"payment_element": {"enabled": True}}
    session = await studio.v1.customer_sessions.create_async({"customer": customer.id, "components": components})
    assert session.customer == customer.id
    events = await studio.v1.events.list_async({"limit": 100})
    account = await studio.v1.accounts.retrieve_current_async()
    endpoint = await studio.v1.webhook_endpoints.create_async(
        {"url": "https://a.example/hook", "enabled_events": ["*"]}
    )
    await studio.v1.webhook_endpoints.delete_async(endpoint.id)
    clock = await studio.v1.test_helpers.test_clocks.create_async({"frozen_time": 1_800_000_000})
    everything = (
        customer,
        paid,
        asked,
        product,
        price,
        rate,
        coupon,
        code,
        subscription,
        setup,
        charge,
        refund,
        balance,
    )
    bodies = (*everything, account, endpoint, clock, events, *disputes)
    assert sorted({name for body in bodies for name in lacking(body, body["object"])}) == []


@pytest.mark.parametrize(
    "form",
    [
        "a[b=1",
        "metadata=1&metadata[b]=2",
        "=x",
        "[]=1",
        "metadata[=x",
        "items[0]=1",
        "expand=x",
        "%ff=%ff",
        "metadata[a][b]=1",
    ],
)
async def test_a_broken_form_is_refused_or_read_but_never_a_failure(our_sandbox: StripeLike, form: str) -> None:
    headers = {"authorization": f"Bearer {our_sandbox.key}", "content-type": "application/x-www-form-urlencoded"}
    async with httpx.AsyncClient(headers=headers, base_url=our_sandbox.url) as client:
        for path in ("customers", "payment_intents", "subscriptions"):
            answer = await client.post(f"/v1/{path}", content=form)
            assert answer.status_code == 400 or (path == "customers" and answer.status_code == 200), answer.text
