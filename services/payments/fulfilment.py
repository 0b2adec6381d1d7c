"""Giving clients what they paid for, each kind in its way. All of it is safe to run again."""

from collections.abc import Awaitable, Callable
from datetime import UTC
from uuid import UUID

import grpc

from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.client_package_pb2 import ClientPackage
from powerhouse.booking.v1.drop_in_service_pb2 import ConfirmDropInRequest
from powerhouse.booking.v1.sale_service_pb2 import GrantPurchaseRequest
from services.chassis.crashpoints import crashpoint
from services.chassis.resources import Resources
from services.chassis.rpc.codec import to_timestamp
from services.payments import catalogue, earnings, gift_cards, kinds, membership_periods, places, purchases, refunds
from services.payments.buyers import drop_in_stub, reason_of, sale_stub
from services.payments.models import Purchase, Terms


async def fulfil(work: Resources, tenant: UUID, purchase_id: UUID) -> None:
    """What a purchase that was paid is for."""
    async with work.database.transaction(tenant) as tx:
        purchase = await purchases.get(tx, purchase_id, None)
        terms = await catalogue.terms_of(tx, purchase.pricing_option_id, purchase.terms_version)
    if purchase.state == "PAID":
        await _BY_KIND[purchase.kind](work, purchase, terms)


async def _grant_credits(work: Resources, purchase: Purchase, terms: Terms) -> None:
    """Booking grants the package, once per purchase, since it knows the purchase by its id."""
    studio = f"studios/{purchase.tenant_id}"
    request = GrantPurchaseRequest(
        parent=studio,
        purchase_id=str(purchase.id),
        client=f"{studio}/clients/{purchase.client_id}",
        display_name=terms.display_name,
        credits=terms.credits,
        valid_days=terms.valid_days,
        starts_on_first_use=terms.starts_on_first_use,
        class_types=[f"{studio}/classTypes/{each}" for each in terms.class_type_ids],
    )
    await _grant(work, purchase, request)


async def _grant_period(work: Resources, purchase: Purchase, terms: Terms) -> None:
    """The credits of one paid period of a membership, until its last day."""
    async with work.database.transaction(purchase.tenant_id) as tx:
        period = await membership_periods.get(tx, purchase.id)
    studio = f"studios/{purchase.tenant_id}"
    request = GrantPurchaseRequest(
        parent=studio,
        purchase_id=str(purchase.id),
        client=f"{studio}/clients/{purchase.client_id}",
        display_name=terms.display_name,
        kind=ClientPackage.UNLIMITED if terms.unlimited else ClientPackage.MEMBERSHIP,
        credits=period.credits,
        end_time=to_timestamp(period.end_time),
        class_types=[f"{studio}/classTypes/{each}" for each in terms.class_type_ids],
    )
    await _grant(work, purchase, request)


async def _grant(work: Resources, purchase: Purchase, request: GrantPurchaseRequest) -> None:
    package = await sale_stub(work.stubs).GrantPurchase(request)
    crashpoint("payments_after_grant")
    async with work.database.transaction(purchase.tenant_id) as tx:
        package_id = UUID(package.name.rpartition("/")[2])
        await purchases.fulfilled(tx, await purchases.lock(tx, purchase.id), package_id)
        await earnings.tell(tx, package_id, package.credits_left, int(package.etag))


async def _confirm_place(work: Resources, purchase: Purchase, terms: Terms) -> None:
    """Booking confirms the held place, or takes one again; where it cannot, the money goes back."""
    tenant, studio = purchase.tenant_id, f"studios/{purchase.tenant_id}"
    assert purchase.booking_id is not None
    request = ConfirmDropInRequest(
        parent=studio, booking=f"{studio}/bookings/{purchase.booking_id}", payment_id=str(purchase.id)
    )
    try:
        booking = await drop_in_stub(work.stubs).ConfirmDropIn(request)
    except grpc.aio.AioRpcError as error:
        if error.code() not in _REFUSALS:
            raise
        async with work.database.transaction(tenant) as tx:
            unwanted = await purchases.lock(tx, purchase.id, with_promo_code=True)
            if unwanted.state == "PAID":
                await purchases.returned(tx, unwanted, reason_of(error))
                await refunds.give_back(tx, unwanted, "the place was gone")
        return
    crashpoint("payments_after_confirm")
    async with work.database.transaction(tenant) as tx:
        state, start = Booking.State.Name(booking.state), booking.start_time.ToDatetime(UTC)
        await places.note(tx, purchase.booking_id, state, start, int(booking.etag))
        paid = await purchases.lock(tx, purchase.id)
        await purchases.fulfilled(tx, paid)
        await places.settle(tx, paid)


async def _make_gift_card(work: Resources, purchase: Purchase, terms: Terms) -> None:
    """Its code is made when the buyer asks for it."""
    async with work.database.transaction(purchase.tenant_id) as tx:
        paid = await purchases.lock(tx, purchase.id)
        await gift_cards.make(tx, paid, terms)
        await purchases.fulfilled(tx, paid)


async def _give_nothing(work: Resources, purchase: Purchase, terms: Terms) -> None:
    """A fee is earned by being paid."""
    async with work.database.transaction(purchase.tenant_id) as tx:
        paid = await purchases.lock(tx, purchase.id)
        await purchases.fulfilled(tx, paid)
        await earnings.earn(tx, paid)


# Booking has decided; every other error of a call may pass.
_REFUSALS = (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.NOT_FOUND)
_BY_KIND: dict[str, Callable[[Resources, Purchase, Terms], Awaitable[None]]] = {
    kinds.CLASS_PACK: _grant_credits,
    kinds.DROP_IN: _confirm_place,
    kinds.MEMBERSHIP: _grant_period,
    kinds.GIFT_CARD: _make_gift_card,
    kinds.FEE: _give_nothing,
}
