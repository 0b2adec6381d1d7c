"""ClientService: decode, call the noun, encode."""

from collections.abc import Collection
from typing import Any

from powerhouse.booking.v1 import client_service_pb2 as pb
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.booking.v1.client_service_pb2_grpc import ClientServiceServicer
from services.booking import clients
from services.booking.rpc.client_encoding import encode_client
from services.booking.rpc.names import child, only_own
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import parse_name
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import masked_fields

# What people may change about themselves; staff may also change who acts for them.
_OWN_FIELDS = ("display_name", "email", "phone", "language")
_STAFF_FIELDS = (*_OWN_FIELDS, "account")


class ClientServicer(ClientServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._database, self._pager = resources.database, resources.pager

    async def CreateClient(self, request: pb.CreateClientRequest, context: Any) -> Client:
        values = _client_values(request.client, _STAFF_FIELDS)

        async def change(tx: UnitOfWork) -> Client:
            return encode_client(await clients.create(tx, values), 0)

        return await self._database.write(change)

    async def JoinStudio(self, request: pb.JoinStudioRequest, context: Any) -> Client:
        account, values = current_call().account(), _client_values(request.client, _OWN_FIELDS)

        async def change(tx: UnitOfWork) -> Client:
            client = await clients.join(tx, account, values)
            return encode_client(*await clients.get(tx, client.id, account))

        return await self._database.write(change)

    async def GetClient(self, request: pb.GetClientRequest, context: Any) -> Client:
        client_id = child(request.name, "clients", "name")
        async with self._database.read() as tx:
            return encode_client(*await clients.get(tx, client_id, only_own()))

    async def ListClients(self, request: pb.ListClientsRequest, context: Any) -> pb.ListClientsResponse:
        page = self._pager.page(f"clients {request.parent}", request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows = await clients.list_by_name(tx, page, only_own())
        shown, token = page.cut(rows, lambda row: (row[0].display_name, row[0].id))
        return pb.ListClientsResponse(clients=[encode_client(*row) for row in shown], next_page_token=token)

    async def UpdateClient(self, request: pb.UpdateClientRequest, context: Any) -> Client:
        client_id, account = child(request.client.name, "clients", "client.name"), only_own()
        mutable = _STAFF_FIELDS if account is None else _OWN_FIELDS
        fields = masked_fields(request.update_mask, request.client, "client", mutable)

        async def change(tx: UnitOfWork) -> Client:
            values = _client_values(request.client, fields)
            return encode_client(
                *await clients.update(tx, client_id, values, account=account, etag=request.client.etag)
            )

        return await self._database.write(change)


def _client_values(client: Client, fields: Collection[str]) -> dict[str, object]:
    values: dict[str, object] = {field: getattr(client, field) for field in fields if field != "account"}
    if "account" in fields:
        values["account_id"] = parse_name(client.account, "accounts/*", "client.account")[0] if client.account else None
    return values
