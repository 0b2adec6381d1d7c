"""How a subscription goes from one period to the next."""

import copy

from embedded.sandboxes.stripe.api import timer
from embedded.sandboxes.stripe.billing import period_end
from embedded.sandboxes.stripe.invoice_bodies import drafted
from embedded.sandboxes.stripe.invoices import given_up, stored, voided
from embedded.sandboxes.stripe.items import priced, regular_lines
from embedded.sandboxes.stripe.merchant import Merchant
from embedded.sandboxes.stripe.wire import Object

TOLD_BEFORE = 3 * 86400
RENEWS = ("trialing", "active", "past_due")


def interval_of(body: Object) -> tuple[str, int]:
    """How long its periods are."""
    recurring = body["items"]["data"][0]["price"]["recurring"]
    return recurring["interval"], recurring["interval_count"]


def set_period(body: Object, start: int, end: int) -> None:
    """All items have one period."""
    for item in body["items"]["data"]:
        item |= {"current_period_start": start, "current_period_end": end}


def begins_period(merchant: Merchant, body: Object, *, now: bool = False) -> None:
    """Sees to it that the next period begins when this one ends, or `now`."""
    merchant.forget("subscription.renew", body["id"])
    if now:
        renew(merchant, body["id"])
    else:
        merchant.at(body["items"]["data"][0]["current_period_end"], "subscription.renew", body["id"])


def end_trial_later(merchant: Merchant, body: Object) -> None:
    """Three days before a trial is over its owner is told."""
    if body["trial_end"]:
        merchant.at(max(merchant.now, body["trial_end"] - TOLD_BEFORE), "subscription.trial_ends", body["id"])


@timer("subscription.trial_ends")
def trial_ends(merchant: Merchant, identity: str) -> None:
    """A trial is nearly over."""
    body = merchant.need("subscription", identity)
    if body["status"] == "trialing":
        merchant.emit("customer.subscription.trial_will_end", body)


@timer("subscription.resume")
def resume(merchant: Merchant, identity: str) -> None:
    """A pause is over."""
    body = merchant.need("subscription", identity)
    before, body["pause_collection"] = body["pause_collection"], None
    merchant.save(body)
    merchant.emit("customer.subscription.updated", body, {"pause_collection": before})


@timer("subscription.renew")
def renew(merchant: Merchant, identity: str) -> None:
    """A period is over: the next begins with a draft invoice, which is finalised and collected an hour later."""
    body = merchant.need("subscription", identity)
    if body["status"] not in RENEWS or (body["cancel_at"] or merchant.now + 1) <= merchant.now:
        return
    before = copy.deepcopy({name: body[name] for name in ("status", "items", "latest_invoice")})
    if body["status"] == "trialing":
        body["status"] = "active"
        body["billing_cycle_anchor"] = merchant.now
    start = merchant.now
    end = period_end(body["billing_cycle_anchor"], *interval_of(body), start)
    set_period(body, start, end)
    customer = merchant.need("customer", body["customer"])
    lines, body["_pending"] = [*body["_pending"], *regular_lines(body["items"]["data"], (start, end))], []
    priced(merchant, lines, body)
    invoice = drafted(merchant, customer, body["currency"], lines, "subscription_cycle", body, (start, end))
    body["latest_invoice"] = invoice["id"]
    merchant.save(body)
    changed = {name: old for name, old in before.items() if body[name] != old}
    merchant.emit("customer.subscription.updated", body, changed)
    pause = (body["pause_collection"] or {}).get("behavior")
    if pause:
        invoice["auto_advance"] = False
    stored(merchant, invoice, finalises=not pause)
    if pause == "void":
        voided(merchant, invoice)
    elif pause == "mark_uncollectible":
        given_up(merchant, invoice)
    begins_period(merchant, body)
