"""What an invoice would be: the next one, or the one that a change would bring."""

from embedded.sandboxes.stripe.api import on
from embedded.sandboxes.stripe.billing import period_end
from embedded.sandboxes.stripe.invoice_bodies import drafted
from embedded.sandboxes.stripe.items import changed_items, made_item, priced, proration_lines, regular_lines
from embedded.sandboxes.stripe.merchant import Merchant
from embedded.sandboxes.stripe.renewals import interval_of, set_period
from embedded.sandboxes.stripe.subscription_bodies import discounts_of, made
from embedded.sandboxes.stripe.subscriptions import PRORATIONS
from embedded.sandboxes.stripe.wire import Object, Params, Refusal


@on("POST", "/v1/invoices/create_preview")
def preview(merchant: Merchant, params: Params) -> Object:
    """An invoice with all its lines, of which nothing is stored."""
    with merchant.store.nothing_kept():
        return _previewed(merchant, params)


def _previewed(merchant: Merchant, params: Params) -> Object:
    details = params.nested("subscription_details")
    proration = details.choice("proration_behavior", PRORATIONS, "create_prorations")
    if name := params.text("subscription"):
        body = merchant.need("subscription", name, "subscription")
        customer = merchant.customer(params.text("customer") or body["customer"])
        merchant = merchant.of(customer)
        lines = _of_change(merchant, body, details, proration or "none")
    else:
        customer = merchant.customer(params.needed("customer"))
        merchant = merchant.of(customer)
        body = made(merchant, customer, Params({}))
        items = [made_item(merchant, item, body["id"], (merchant.now, 0)) for item in details.each("items")]
        if not items:
            raise Refusal("No upcoming invoices for customer.", status=404, code="invoice_upcoming_none")
        body |= {"items": {"data": items}, "currency": items[0]["price"]["currency"]}
        end = period_end(merchant.now, *interval_of(body), merchant.now)
        set_period(body, merchant.now, end)
        lines = regular_lines(items, (merchant.now, end))
    if "default_tax_rates" in details:
        rates = details.texts("default_tax_rates")
        body["default_tax_rates"] = [merchant.need("tax_rate", rate, "default_tax_rates") for rate in rates]
    if "discounts" in params:
        body["discounts"] = discounts_of(merchant, body, params)
    period = (body["items"]["data"][0]["current_period_start"], body["items"]["data"][0]["current_period_end"])
    invoice = drafted(merchant, customer, body["currency"], priced(merchant, lines, body), "upcoming", body, period)
    return invoice | {"id": f"upcoming_{invoice['id']}"}


def _of_change(merchant: Merchant, body: Object, details: Params, proration: str) -> list[Object]:
    """The next invoice of a subscription after a change; with `always_invoice`, the one that the change brings."""
    instant = details.integer("proration_date") or merchant.now
    before = [dict(item) for item in body["items"]["data"]]
    items = changed_items(merchant, body["items"]["data"], details.each("items"), body["id"])
    was = interval_of(body)
    body["items"] = {**body["items"], "data": items}
    ends = details.flag("cancel_at_period_end", body["cancel_at_period_end"])
    if details.flag("cancel_now"):
        return [line for line in proration_lines(before, [], instant) if line["amount"] < 0]
    if interval_of(body) != was:
        start = merchant.now
        end = period_end(start, *interval_of(body), start)
        unused = proration_lines(before, [], instant) if proration != "none" else []
        return [*unused, *regular_lines(items, (start, end))]
    prorations = proration_lines(before, items, instant) if proration != "none" else []
    if proration == "always_invoice" and prorations:
        return prorations
    start = items[0]["current_period_end"]
    end = period_end(body["billing_cycle_anchor"], *interval_of(body), start)
    lines = [*body["_pending"], *prorations]
    if not ends:
        lines += regular_lines(items, (start, end))
    if not lines:
        raise Refusal("No upcoming invoices for customer.", status=404, code="invoice_upcoming_none")
    return lines
