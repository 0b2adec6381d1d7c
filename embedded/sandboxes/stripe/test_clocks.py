"""Test clocks: a time of its own for some customers, which goes forward when it is told to."""

from dataclasses import replace

from embedded.sandboxes.stripe.api import on, readable
from embedded.sandboxes.stripe.merchant import Merchant, new_id
from embedded.sandboxes.stripe.subscriptions import end_all
from embedded.sandboxes.stripe.timers import fire, next_due
from embedded.sandboxes.stripe.wire import Object, Params, Refusal

KIND, PATH = "test_helpers.test_clock", "/v1/test_helpers/test_clocks"
LIVES = 30 * 86400

readable(PATH, KIND, ())


@on("POST", PATH)
def create(merchant: Merchant, params: Params) -> Object:
    """Creates one, frozen."""
    frozen = params.integer("frozen_time")
    if frozen is None:
        raise Refusal("Missing required param: frozen_time.", code="parameter_missing", param="frozen_time")
    body: Object = {
        "id": new_id("clock"),
        "object": KIND,
        "created": merchant.now,
        "deletes_after": merchant.now + LIVES,
        "frozen_time": frozen,
        "livemode": False,
        "name": params.text("name"),
        "status": "ready",
        "status_details": {},
    }
    merchant.add(body)
    merchant.emit("test_helpers.test_clock.created", body)
    return body


@on("POST", PATH + "/{id}/advance")
def advance(merchant: Merchant, params: Params, id: str) -> Object:
    """Does all that happens until then, in its order."""
    body = merchant.need(KIND, id)
    until = params.integer("frozen_time")
    if until is None or until <= body["frozen_time"]:
        raise Refusal("frozen_time must be later than the clock's current time.", param="frozen_time")
    merchant.emit("test_helpers.test_clock.advancing", body | {"status": "advancing"})

    def at(account: str, now: int, clock: str | None) -> Merchant:
        # What happens by itself belongs to no request.
        return replace(merchant, now=now, clock=clock, request=None, key=None)

    while (row := next_due(merchant.store, id, until, merchant.id)) is not None:
        merchant.save(body | {"frozen_time": max(body["frozen_time"], row["due_at"])})
        fire(merchant.store, at, row)
    body |= {"frozen_time": until, "status": "ready"}
    merchant.save(body)
    merchant.emit("test_helpers.test_clock.ready", body)
    return body


@on("DELETE", PATH + "/{id}")
def delete(merchant: Merchant, params: Params, id: str) -> Object:
    """Forgets one; its customers' subscriptions end."""
    body = merchant.need(KIND, id)
    for customer in merchant.find("customer", "json_extract(body, '$.test_clock') = ?", id):
        end_all(merchant, customer["id"])
    merchant.store.run("DELETE FROM timers WHERE clock = ?", id)
    merchant.save(body | {"deleted": True})
    merchant.emit("test_helpers.test_clock.deleted", body)
    return {"id": id, "object": KIND, "deleted": True}
