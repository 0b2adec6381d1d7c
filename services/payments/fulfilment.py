"""Giving clients what they paid for: booking grants the package, once per purchase, and its id is noted."""

from uuid import UUID

from powerhouse.booking.v1.sale_service_pb2 import GrantPurchaseRequest
from services.chassis.crashpoints import crashpoint
from services.chassis.resources import Resources
from services.payments import catalogue, earnings, purchases
from services.payments.buyers import sale_stub


async def fulfil(work: Resources, tenant: UUID, purchase_id: UUID) -> None:
    """Safe to run again: booking knows the purchase by its id."""
    async with work.database.transaction(tenant) as tx:
        purchase = await purchases.get(tx, purchase_id, None)
        terms = await catalogue.terms_of(tx, purchase.pricing_option_id, purchase.terms_version)
    if purchase.state != "PAID":
        return
    studio = f"studios/{tenant}"
    request = GrantPurchaseRequest(
        parent=studio,
        purchase_id=str(purchase_id),
        client=f"{studio}/clients/{purchase.client_id}",
        display_name=terms.display_name,
        credits=terms.credits,
        valid_days=terms.valid_days,
        starts_on_first_use=terms.starts_on_first_use,
        class_types=[f"{studio}/classTypes/{each}" for each in terms.class_type_ids],
    )
    package = await sale_stub(work.stubs).GrantPurchase(request)
    crashpoint("payments_after_grant")
    async with work.database.transaction(tenant) as tx:
        package_id = UUID(package.name.rpartition("/")[2])
        await purchases.fulfilled(tx, purchase_id, package_id)
        await earnings.tell(tx, package_id, package.credits_left, int(package.etag))
