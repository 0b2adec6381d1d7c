"""Alerts: those who run a studio are told of messages that could not be delivered, many in one mail."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text

from powerhouse.identity.v1 import identity_service_pb2
from powerhouse.identity.v1.identity_service_pb2 import GetStaffRecipientsRequest, GetStaffRecipientsResponse
from powerhouse.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import NO_TENANT
from services.chassis.resources import Resources
from services.notify import deliveries
from services.notify.deliveries import Plan, step
from services.notify.models import TO_TELL, Channel, Delivery, Kind

Staff = GetStaffRecipientsResponse.Recipient

# Different reasons that a mail lists.
MOST_REASONS = 5
_STUDIOS = f"SELECT DISTINCT tenant_id FROM deliveries WHERE {TO_TELL}"  # noqa: S608 - constants only


async def tell_all(work: Resources, tick_at: datetime) -> None:
    """One mail for each studio and person about all that has failed since the last."""
    for row in await work.database.queue(_STUDIOS):
        staff = await staff_of(work, row["tenant_id"]) if row["tenant_id"] != NO_TENANT else []
        async with work.database.transaction(row["tenant_id"]) as tx:
            await tell(tx, [UUID(person.account_id) for person in staff], tick_at)


async def tell(tx: UnitOfWork, accounts: Sequence[UUID], tick_at: datetime) -> None:
    """Plans the mails of a studio. What fails of them is told to nobody."""
    query = select(Delivery).where(Delivery.tenant_id == tx.tenant, text(TO_TELL)).with_for_update(skip_locked=True)
    failed = (await tx.session.scalars(query)).all()
    for delivery in failed:
        delivery.alert_time = tx.now()
        delivery.story = [*delivery.story, step(tx.now(), "told the studio")]
    about = [delivery for delivery in failed if delivery.kind != Kind.DELIVERY_ALERT]
    if about:
        args = {
            "count": len(about),
            "reasons": Counter(delivery.reason for delivery in about).most_common(MOST_REASONS),
        }
        await deliveries.plan(
            tx,
            *(
                Plan(
                    kind=Kind.DELIVERY_ALERT,
                    channel=Channel.EMAIL,
                    subject_id=account,
                    time_version=int(tick_at.timestamp()),
                    args=args,
                )
                for account in accounts
            ),
        )


async def staff_of(work: Resources, tenant: UUID) -> Sequence[Staff]:
    """Those who run a studio. Raises AioRpcError when identity cannot be asked now."""
    identity = work.stubs.get(
        IdentityServiceStub, identity_service_pb2.DESCRIPTOR.services_by_name["IdentityService"], "identity"
    )
    request = GetStaffRecipientsRequest(parent=f"studios/{tenant}", roles=[Role.ROLE_OWNER, Role.ROLE_MANAGER])
    return (await identity.GetStaffRecipients(request)).recipients
