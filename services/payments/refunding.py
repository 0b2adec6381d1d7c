"""Making a refund, step by step: booking freezes the credits, the provider sends the money, the outcome is recorded.

Each step may run again: booking and the provider know the refund by its id.
"""

from uuid import UUID

import grpc

from powerhouse.booking.v1.client_package_pb2 import ClientPackage
from powerhouse.booking.v1.drop_in_service_pb2 import ReleaseDropInRequest
from powerhouse.booking.v1.sale_service_pb2 import FreezeCreditsRequest, GetSoldPackageRequest, UnfreezeCreditsRequest
from services.chassis.clock import real_now
from services.chassis.crashpoints import crashpoint
from services.chassis.resources import Resources
from services.payments import earnings, payments, purchases, refunds
from services.payments.buyers import drop_in_stub, reason_of, sale_stub
from services.payments.gateways import gateway_of
from services.payments.models import Payment, Refund
from services.payments.providers.card_gateway import Refused


async def credits_left(resources: Resources, tenant: UUID, purchase_id: UUID) -> int:
    """What booking has left of a purchase; 0 when it has none of it yet."""
    request = GetSoldPackageRequest(parent=f"studios/{tenant}", purchase_id=str(purchase_id))
    try:
        return (await sale_stub(resources.stubs).GetSoldPackage(request)).credits_left
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise
        return 0


async def make(work: Resources, tenant: UUID, refund_id: UUID) -> None:
    """From wherever it is to what the provider says. Raises Away when the provider must be asked again."""
    async with work.database.transaction(tenant) as tx:
        refund = await refunds.get(tx, refund_id)
    if refund.state == "REQUESTED" and not await _freeze(work, tenant, refund):
        return
    if refund.state in ("REQUESTED", "FROZEN"):
        await _send(work, tenant, refund_id)


async def restore(work: Resources, tenant: UUID, refund_id: UUID) -> None:
    """Gives the credits of a refund that failed back; those that were never taken stay where they are."""
    request = UnfreezeCreditsRequest(parent=f"studios/{tenant}", refund_id=str(refund_id))
    try:
        package = await sale_stub(work.stubs).UnfreezeCredits(request)
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise
        return
    await _tell(work, tenant, package)


async def take_over(work: Resources, tenant: UUID, external_account: str, external_id: str) -> bool:
    """What a refund at the provider is now, whoever made it. False when it is of no payment here."""
    gateway = gateway_of(work.settings)
    made = await gateway.get_refund(external_account, external_id)
    # One that was made there may be told before its payment is.
    intent = await gateway.get_intent(external_account, made.intent) if made.intent and not made.reference else None
    async with work.database.transaction(tenant) as tx:
        if intent is not None:
            await payments.apply(tx, external_account, intent)
        return await refunds.apply(tx, external_account, made)


async def _freeze(work: Resources, tenant: UUID, refund: Refund) -> bool:
    package = None
    if refund.credits:
        request = FreezeCreditsRequest(
            parent=f"studios/{tenant}",
            purchase_id=str(refund.purchase_id),
            refund_id=str(refund.id),
            credits=refund.credits,
        )
        try:
            package = await sale_stub(work.stubs).FreezeCredits(request)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.FAILED_PRECONDITION:
                raise
            async with work.database.transaction(tenant) as tx:
                await refunds.fail(tx, refund.id, "CREDITS_USED")
            return False
        crashpoint("payments_after_freeze")
    if refund.releases_place and not await _release(work, tenant, refund):
        return False
    async with work.database.transaction(tenant) as tx:
        await refunds.frozen(tx, refund.id)
    if package is not None:
        await _tell(work, tenant, package)
    return True


async def _release(work: Resources, tenant: UUID, refund: Refund) -> bool:
    """Booking lets go of a place for good. False when the client has it again, since the class is on again."""
    async with work.database.transaction(tenant) as tx:
        purchase = await purchases.get(tx, refund.purchase_id, None)
    studio = f"studios/{tenant}"
    request = ReleaseDropInRequest(parent=studio, booking=f"{studio}/bookings/{purchase.booking_id}")
    try:
        await drop_in_stub(work.stubs).ReleaseDropIn(request)
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.FAILED_PRECONDITION:
            raise
        async with work.database.transaction(tenant) as tx:
            await refunds.fail(tx, refund.id, reason_of(error))
        return False
    return True


async def _send(work: Resources, tenant: UUID, refund_id: UUID) -> None:
    gateway = gateway_of(work.settings)
    async with work.database.transaction(tenant) as tx:
        refund = await tx.session.get(Refund, (tenant, refund_id), with_for_update=True)
        assert refund is not None
        payment = await tx.session.get(Payment, (tenant, refund.payment_id))
        assert payment is not None
        assert payment.external_id is not None
        asked_before = refund.send_time is not None
        refund.send_time = refund.send_time or real_now()
    account, intent, made = payment.external_account, payment.external_id, None
    if asked_before:
        # The provider forgets keys after a day, and answers an error of its own for ever until then.
        made = await gateway.find_refund(account, intent, str(refund_id))
    try:
        made = made or await gateway.refund(
            account, str(refund_id), intent=intent, amount=refund.amount_minor, currency=refund.currency_code
        )
    except Refused as refusal:
        async with work.database.transaction(tenant) as tx:
            await refunds.fail(tx, refund_id, refusal.code or "REFUSED")
        return
    crashpoint("payments_after_refund")
    async with work.database.transaction(tenant) as tx:
        await refunds.apply(tx, account, made)


async def _tell(work: Resources, tenant: UUID, package: ClientPackage) -> None:
    """An answer of booking says as much as its events."""
    async with work.database.transaction(tenant) as tx:
        await earnings.tell(tx, UUID(package.name.rpartition("/")[2]), package.credits_left, int(package.etag))
