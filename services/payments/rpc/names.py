"""What the servicers read and write alike: ids in names, and whose things a call may touch."""

from uuid import UUID

from services.chassis.ids import parse_child
from services.chassis.rpc.call import current_call

# Cards lie below their client.
CARDS = "clients/*/paymentMethods"


def only_own() -> UUID | None:
    """The account to which the call is narrowed; None when it may touch the whole studio."""
    call = current_call()
    return None if call.whole_studio else call.account()


def child(name: str, collection: str, field: str) -> UUID:
    """The id in the name of a resource of the call's studio. Raises InvalidArgument for `field`."""
    return parse_child(name, f"studios/*/{collection}/*", field, current_call().tenant)


def optional(name: str, collection: str, field: str) -> UUID | None:
    """The same of a field that may be empty."""
    return child(name, collection, field) if name else None


def name_of(tenant: UUID, collection: str, resource_id: UUID | None) -> str:
    """`studios/{studio}/{collection}/{id}`; empty for what is not there."""
    return f"studios/{tenant}/{collection}/{resource_id}" if resource_id else ""
