"""What the servicers read and write alike: ids in names, and whose things a call may touch."""

from uuid import UUID

from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import parse_child
from services.chassis.rpc.call import current_call


def only_own() -> UUID | None:
    """The account to which the call is narrowed; None when it may touch the whole studio."""
    call = current_call()
    return None if call.whole_studio else call.account()


def teacher() -> UUID | None:
    """The account as one that teaches at the studio; None for everybody else."""
    call = current_call()
    return call.principal.account_id if Role.ROLE_INSTRUCTOR in call.principal.roles_in(call.tenant) else None


def client_and_account(client: str, field: str) -> tuple[UUID | None, UUID | None]:
    """For whom a call asks, and as which account: staff for any client, others for those that the account acts for.

    Without a client it is the person itself.
    """
    call, client_id = current_call(), optional(client, "clients", field)
    return client_id, None if client_id and call.whole_studio else call.account()


def child(name: str, collection: str, field: str) -> UUID:
    """The id in the name of a resource of the call's studio. Raises InvalidArgument for `field`."""
    return parse_child(name, f"studios/*/{collection}/*", field, current_call().tenant)


def optional(name: str, collection: str, field: str) -> UUID | None:
    """The same of a field that may be empty."""
    return child(name, collection, field) if name else None


def name_of(tenant: UUID, collection: str, resource_id: UUID) -> str:
    """`studios/{studio}/{collection}/{id}`."""
    return f"studios/{tenant}/{collection}/{resource_id}"
