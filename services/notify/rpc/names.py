"""What notify's servicers read and write alike."""

from uuid import UUID

import grpc

from powerhouse.booking.v1 import client_service_pb2
from powerhouse.booking.v1.client_service_pb2 import GetClientAccountRequest
from powerhouse.booking.v1.client_service_pb2_grpc import ClientServiceStub
from services.chassis.errors import NotFound, PermissionDenied
from services.chassis.ids import parse_name
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call


async def reachable_client(resources: Resources, client_id: UUID) -> UUID:
    """The client, if the call may touch what is its: staff any client's, others of whom their account acts for.

    Booking knows. Ask it before a transaction begins. Raises NotFound, or PermissionDenied for what is not the
    caller's own, known or not.
    """
    call = current_call()
    booking = resources.stubs.get(
        ClientServiceStub, client_service_pb2.DESCRIPTOR.services_by_name["ClientService"], "booking"
    )
    request = GetClientAccountRequest(parent=f"studios/{call.tenant}", client_id=str(client_id))
    try:
        account = (await booking.GetClientAccount(request)).account_id
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise
        account = None
    if not call.whole_studio and account != str(call.account()):
        raise PermissionDenied()
    if account is None:
        raise NotFound("client")
    return client_id


def of_client(name: str, pattern: str, field: str) -> UUID:
    """The client's id in a name of the call's studio: `of_client(name, "studios/*/clients/*/preferences", "name")`."""
    # The interceptor has read the studio from the same name.
    return parse_name(name, pattern, field)[1]
