"""Staff: those who run a studio, asked of identity when they are written to."""

from collections.abc import Sequence
from uuid import UUID

from powerhouse.identity.v1 import identity_service_pb2
from powerhouse.identity.v1.identity_service_pb2 import GetStaffRecipientsRequest, GetStaffRecipientsResponse
from powerhouse.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.resources import Resources

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
