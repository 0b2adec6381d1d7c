"""Staff: those who run a studio, asked of identity when they are written to."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from powerhouse.identity.v1 import identity_service_pb2
from powerhouse.identity.v1.identity_service_pb2 import GetStaffRecipientsRequest, GetStaffRecipientsResponse
from powerhouse.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import derived_id
from services.chassis.resources import Resources
from services.notify import deliveries
from services.notify.deliveries import Plan
from services.notify.models import Channel, Kind

Person = GetStaffRecipientsResponse.Recipient

OWNERS = (Role.ROLE_OWNER,)
OWNERS_AND_MANAGERS = (Role.ROLE_OWNER, Role.ROLE_MANAGER)


async def who_run(
    work: Resources, tenant: UUID, roles: Sequence[Role.ValueType] = OWNERS_AND_MANAGERS
) -> Sequence[Person]:
    """Those who run a studio. Raises AioRpcError when identity cannot be asked now."""
    identity = work.stubs.get(
        IdentityServiceStub, identity_service_pb2.DESCRIPTOR.services_by_name["IdentityService"], "identity"
    )
    request = GetStaffRecipientsRequest(parent=f"studios/{tenant}", roles=roles)
    return (await identity.GetStaffRecipients(request)).recipients


async def tell_owners(
    work: Resources, tenant: UUID, kind: Kind, thing: UUID, args: Mapping[str, Any], *, news: str = ""
) -> None:
    """Plans a mail to each owner about a thing, once, or once for each `news` of it.

    `args` go with it, and which `account` it is for. Raises AioRpcError when identity cannot be asked now.
    """
    owners = await who_run(work, tenant, OWNERS)
    plans = [
        Plan(
            kind=kind,
            channel=Channel.EMAIL,
            subject_id=derived_id(thing, f"{news} {owner.account_id}".strip()),
            args={**args, "account": owner.account_id},
        )
        for owner in owners
    ]
    async with work.database.transaction(tenant) as tx:
        await deliveries.plan(tx, *plans)
