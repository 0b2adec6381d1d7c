"""Subscriptions: begun, changed, paused, ended, and what their invoices make of them."""

import copy

from embedded.sandboxes.stripe.api import collection, listed, on, timer
from embedded.sandboxes.stripe.attempts import checked_method
from embedded.sandboxes.stripe.billing import period_end
from embedded.sandboxes.stripe.invoice_bodies import drafted
from embedded.sandboxes.stripe.invoices import collect, default_method, finalised, stored, voided
from embedded.sandboxes.stripe.items import changed_items, made_item, priced, proration_lines, regular_lines
from embedded.sandboxes.stripe.merchant import Merchant
from embedded.sandboxes.stripe.renewals import begins_period, end_trial_later, interval_of, set_period
from embedded.sandboxes.stripe.subscription_bodies import discounts_of, made
from embedded.sandboxes.stripe.wire import Declined, Object, Params, Refusal

INCOMPLETE_FOR = 23 * 3600
RUNNING = ("trialing", "active", "past_due", "unpaid", "incomplete", "paused")
BEHAVIORS = ("allow_incomplete", "default_incomplete", "error_if_incomplete")
PRORATIONS = ("create_prorations", "always_invoice", "none")


@on("POST", "/v1/subscriptions")
def create(merchant: Merchant, params: Params) -> Object:
    """Begins one: its first invoice is paid at once, or it is incomplete until it is."""
    customer = merchant.customer(params.needed("customer"))
    merchant = merchant.of(customer)
    behavior = params.choice("payment_behavior", BEHAVIORS, "allow_incomplete")
    body = made(merchant, customer, params)
    trial_end = _trial_end(merchant, params)
    period = (merchant.now, trial_end or 0)
    items = [made_item(merchant, item, body["id"], period) for item in params.each("items")]
    if not items:
        raise Refusal("Missing required param: items.", code="parameter_missing", param="items")
    if len({item["price"]["currency"] for item in items}) > 1:
        raise Refusal("All prices of a subscription must have the same currency.", param="items")
    body["items"] = collection(items, f"/v1/subscription_items?subscription={body['id']}")
    body["currency"] = items[0]["price"]["currency"]
    body["billing_cycle_anchor"] = trial_end or merchant.now
    end = trial_end or period_end(merchant.now, *interval_of(body), merchant.now)
    set_period(body, merchant.now, end)
    if trial_end:
        body |= {"status": "trialing", "trial_start": merchant.now, "trial_end": trial_end}
    _write(merchant, body, params)
    params.text("off_session"), params.choice("proration_behavior", PRORATIONS)
    merchant.add(body)
    lines = priced(merchant, regular_lines(items, (merchant.now, end), free=trial_end is not None), body)
    invoice = drafted(merchant, customer, body["currency"], lines, "subscription_create", body, (merchant.now, end))
    body["latest_invoice"] = invoice["id"]
    merchant.save(body)
    needs_money = invoice["amount_due"] > 0
    if needs_money and behavior != "default_incomplete" and default_method(merchant, invoice) is None:
        message = "This customer has no attached payment source or default payment method. Please consider adding one."
        raise Refusal(message, code="resource_missing")
    merchant.emit("customer.subscription.created", body)
    stored(merchant, invoice, finalises=False)
    invoice = finalised(merchant, invoice)
    if needs_money and behavior != "default_incomplete":
        declined = collect(merchant, invoice, off_session=False)
        if behavior == "error_if_incomplete":
            _insist(merchant, invoice, declined)
    body = merchant.need("subscription", body["id"])
    if body["status"] == "incomplete":
        merchant.after(INCOMPLETE_FOR, "subscription.expire", body["id"])
    begins_period(merchant, body)
    end_trial_later(merchant, body)
    return body


@on("GET", "/v1/subscriptions/{id}")
def retrieve(merchant: Merchant, params: Params, id: str) -> Object:
    """One."""
    return merchant.need("subscription", id)


@on("GET", "/v1/subscriptions")
def listing(merchant: Merchant, params: Params) -> Object:
    """All that run, unless `status` says otherwise."""
    status, where, values = params.text("status"), "1", tuple[str, ...]()
    if status is None:
        where = "json_extract(body, '$.status') <> 'canceled'"
    elif status == "ended":
        where = "json_extract(body, '$.status') IN ('canceled', 'incomplete_expired')"
    elif status != "all":
        where, values = "json_extract(body, '$.status') = ?", (status,)
    return listed(merchant, params, "subscription", "/v1/subscriptions", ("customer",), where, values)


@on("POST", "/v1/subscriptions/{id}")
def update(merchant: Merchant, params: Params, id: str) -> Object:
    """Changes one; another plan in mid-period is prorated."""
    body = merchant.need("subscription", id)
    merchant = merchant.of(merchant.customer(body["customer"]))
    if body["status"] in ("canceled", "incomplete_expired"):
        raise Refusal("A canceled subscription can only update its cancellation_details and metadata.")
    before = copy.deepcopy(body)
    proration = params.choice("proration_behavior", PRORATIONS, "create_prorations")
    behavior = params.choice("payment_behavior", BEHAVIORS, "allow_incomplete")
    instant = params.integer("proration_date") or merchant.now
    params.text("off_session"), params.choice("billing_cycle_anchor", ("unchanged",))
    _write(merchant, body, params)
    if params.text("trial_end") == "now" and body["status"] == "trialing":
        body |= {"trial_end": merchant.now}
        merchant.save(body)
        begins_period(merchant, body, now=True)
        return merchant.need("subscription", id)
    items = changed_items(merchant, body["items"]["data"], params.each("items"), id)
    body["items"] = {**body["items"], "data": items}
    merchant.save(body)
    if interval_of(body) != interval_of(before):
        _begin_anew(merchant, body, before, proration or "none", instant)
    elif proration != "none" and body["status"] in ("active", "past_due"):
        lines = proration_lines(before["items"]["data"], items, instant)
        if proration == "always_invoice" and lines:
            _bill(merchant, body, lines, behavior == "error_if_incomplete")
        else:
            body["_pending"] = [*body["_pending"], *lines]
            merchant.save(body)
    body = merchant.need("subscription", id)
    changed = {name: old for name, old in before.items() if body[name] != old and not name.startswith("_")}
    merchant.emit("customer.subscription.updated", body, changed)
    return body


@on("DELETE", "/v1/subscriptions/{id}")
def cancel(merchant: Merchant, params: Params, id: str) -> Object:
    """Ends one now."""
    body = merchant.need("subscription", id)
    merchant = merchant.of(merchant.customer(body["customer"]))
    if body["status"] == "canceled":
        raise Refusal(f"No such subscription: '{id}'", status=404, code="resource_missing", param="id")
    details = params.nested("cancellation_details")
    body["cancellation_details"] |= {name: details.text(name) for name in ("comment", "feedback")}
    invoice_now, prorate = params.flag("invoice_now"), params.flag("prorate")
    if prorate and body["status"] == "active":
        items = body["items"]["data"]
        unused = [line for line in proration_lines(items, [], merchant.now) if line["amount"] < 0]
        body["_pending"] = [*body["_pending"], *unused]
    if invoice_now and body["_pending"]:
        lines, body["_pending"] = body["_pending"], []
        merchant.save(body)
        _bill(merchant, body, lines, False)
        body = merchant.need("subscription", id)
    return ended(merchant, body, "cancellation_requested")


@timer("subscription.expire")
def expire(merchant: Merchant, identity: str) -> None:
    """The first payment never came."""
    body = merchant.need("subscription", identity)
    if body["status"] == "incomplete":
        body |= {"status": "incomplete_expired", "ended_at": merchant.now}
        merchant.save(body)
        voided(merchant, merchant.need("invoice", body["latest_invoice"]))
        merchant.emit("customer.subscription.updated", body, {"status": "incomplete"})


@timer("subscription.paid")
def paid(merchant: Merchant, identity: str) -> None:
    """An invoice was paid: it runs, if the newest one is."""
    body = merchant.need("subscription", identity)
    before = body["status"]
    invoice = merchant.get(body["latest_invoice"] or "")
    if before in ("incomplete", "past_due", "unpaid") and invoice and invoice["status"] in ("paid", "draft", "void"):
        body["status"] = "active"
    if body["payment_settings"]["save_default_payment_method"] == "on_subscription" and invoice and invoice["_intent"]:
        body["default_payment_method"] = merchant.need("payment_intent", invoice["_intent"])["payment_method"]
    merchant.save(body)
    if body["status"] != before:
        merchant.emit("customer.subscription.updated", body, {"status": before})


@timer("subscription.unpaid")
def unpaid(merchant: Merchant, identity: str) -> None:
    """An invoice was not paid: it is past due while the schedule lasts."""
    body = merchant.need("subscription", identity)
    if body["status"] == "active":
        body["status"] = "past_due"
        merchant.save(body)
        merchant.emit("customer.subscription.updated", body, {"status": "active"})


@timer("subscription.given_up")
def given_up(merchant: Merchant, identity: str) -> None:
    """The schedule is over: it ends."""
    body = merchant.need("subscription", identity)
    if body["status"] != "canceled":
        ended(merchant, body, "payment_failed")


@timer("subscription.cancel")
def cancel_on_time(merchant: Merchant, identity: str) -> None:
    """The date set by `cancel_at`, or the end of the period, has come."""
    body = merchant.need("subscription", identity)
    if body["status"] in RUNNING and body["cancel_at"] is not None and body["cancel_at"] <= merchant.now:
        ended(merchant, body, "cancellation_requested")


def ended(merchant: Merchant, body: Object, reason: str) -> Object:
    """A subscription that is over."""
    body |= {"status": "canceled", "ended_at": merchant.now, "canceled_at": body["canceled_at"] or merchant.now}
    body["cancellation_details"]["reason"] = reason
    merchant.save(body)
    for kind in ("subscription.renew", "subscription.expire", "subscription.resume", "subscription.cancel"):
        merchant.forget(kind, body["id"])
    invoice = merchant.get(body["latest_invoice"] or "")
    if invoice and invoice["status"] == "draft":
        merchant.save(invoice | {"auto_advance": False})
    merchant.emit("customer.subscription.deleted", body)
    return body


def end_all(merchant: Merchant, customer: str) -> None:
    """Ends what a customer is subscribed to."""
    for body in merchant.find("subscription", "customer = ?", customer):
        if body["status"] in RUNNING:
            ended(merchant.of(merchant.customer(customer)), body, "cancellation_requested")


def _begin_anew(merchant: Merchant, body: Object, before: Object, proration: str, instant: int) -> None:
    """Another interval: a period begins now, and what was unused of the old one is taken off."""
    start = merchant.now
    end = period_end(start, *interval_of(body), start)
    unused = proration_lines(before["items"]["data"], [], instant) if proration != "none" else []
    body["billing_cycle_anchor"] = start
    set_period(body, start, end)
    merchant.save(body)
    begins_period(merchant, body)
    _bill(merchant, body, [*unused, *regular_lines(body["items"]["data"], (start, end))], False)


def _bill(merchant: Merchant, body: Object, lines: list[Object], strict: bool) -> None:
    """An invoice at once."""
    customer = merchant.customer(body["customer"])
    invoice = drafted(merchant, customer, body["currency"], priced(merchant, lines, body), "subscription_update", body)
    body["latest_invoice"] = invoice["id"]
    merchant.save(body)
    stored(merchant, invoice, finalises=False)
    invoice = finalised(merchant, invoice)
    if invoice["status"] == "open":
        declined = collect(merchant, invoice, off_session=False)
        if strict:
            _insist(merchant, invoice, declined)


def _insist(merchant: Merchant, invoice: Object, declined: Declined | None) -> None:
    """Nothing of the request stays unless its invoice was paid. Raises Declined."""
    if declined is None and merchant.need("invoice", invoice["id"])["status"] == "open":
        code = "subscription_payment_intent_requires_action"
        declined = Declined("Payment for this subscription requires additional user action.", code=code)
    if declined:
        declined.kept = False
        raise declined


def _write(merchant: Merchant, body: Object, params: Params) -> None:
    body["metadata"] = params.metadata(body["metadata"])
    if "default_payment_method" in params:
        method = params.text("default_payment_method")
        if method is not None:
            method = checked_method(merchant, {**body, "payment_method_types": ["card", "us_bank_account"]}, method)[
                "id"
            ]
        body["default_payment_method"] = method
    if "description" in params:
        body["description"] = params.text("description")
    if "default_tax_rates" in params:
        rates = params.texts("default_tax_rates")
        body["default_tax_rates"] = [merchant.need("tax_rate", rate, "default_tax_rates") for rate in rates]
    if "discounts" in params:
        body["discounts"] = discounts_of(merchant, body, params)
    settings = params.nested("payment_settings")
    if "save_default_payment_method" in settings:
        saves = settings.choice("save_default_payment_method", ("on_subscription", "off"))
        body["payment_settings"]["save_default_payment_method"] = saves
    settings.raw("payment_method_types"), settings.raw("payment_method_options")
    details = params.nested("cancellation_details")
    body["cancellation_details"] |= {name: details.text(name) for name in ("comment", "feedback") if name in details}
    _cancel_later(merchant, body, params)
    _pause(merchant, body, params)


def _cancel_later(merchant: Merchant, body: Object, params: Params) -> None:
    at_end = params.flag("cancel_at_period_end", body["cancel_at_period_end"])
    when = params.integer("cancel_at") if "cancel_at" in params else body["cancel_at"]
    if at_end != body["cancel_at_period_end"]:
        when = body["items"]["data"][0]["current_period_end"] if at_end else None
    if when == body["cancel_at"] and at_end == body["cancel_at_period_end"]:
        return
    merchant.forget("subscription.cancel", body["id"])
    body |= {"cancel_at_period_end": at_end, "cancel_at": when, "canceled_at": merchant.now if when else None}
    body["cancellation_details"]["reason"] = "cancellation_requested" if when else None
    if when:
        merchant.at(when, "subscription.cancel", body["id"])


def _pause(merchant: Merchant, body: Object, params: Params) -> None:
    if "pause_collection" not in params:
        return
    merchant.forget("subscription.resume", body["id"])
    pause = params.nested("pause_collection") if params.raw("pause_collection") else None
    if pause is None:
        body["pause_collection"] = None
        return
    resumes = pause.integer("resumes_at")
    kinds = ("keep_as_draft", "mark_uncollectible", "void")
    body["pause_collection"] = {"behavior": pause.choice("behavior", kinds), "resumes_at": resumes}
    if body["pause_collection"]["behavior"] is None:
        raise Refusal("Missing required param: pause_collection[behavior].", code="parameter_missing")
    if resumes:
        merchant.at(resumes, "subscription.resume", body["id"])


def _trial_end(merchant: Merchant, params: Params) -> int | None:
    days = params.integer("trial_period_days", least=1)
    given = params.text("trial_end")
    params.raw("trial_settings")
    if days:
        return merchant.now + days * 86400
    if given in (None, "now"):
        return None
    when = params.integer("trial_end")
    if when is not None and when <= merchant.now:
        raise Refusal("Timestamp is in the past.", param="trial_end")
    return when
