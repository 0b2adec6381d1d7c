"""ClientService: decode, call the noun, encode."""

from typing import Any
from uuid import UUID

from powerhouse.booking.v1 import client_service_pb2 as pb
from powerhouse.booking.v1.client_pb2 import Client, ClientMerge, ClientTag
from powerhouse.booking.v1.client_service_pb2_grpc import ClientServiceServicer
from services.booking import client_merges, client_search, client_tags, clients, guardians
from services.booking.rpc.client_encoding import decode_client, decode_tags, encode_client, encode_merge, encode_tag
from services.booking.rpc.names import child, only_own, optional
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import masked_fields

# What people may change about themselves; staff may also change who acts for them.
_OWN_FIELDS = (
    "display_name",
    "email",
    "phone",
    "language",
    "birth_date",
    "emergency_contact_name",
    "emergency_contact_phone",
)
_STAFF_FIELDS = (*_OWN_FIELDS, "account", "tags")


class ClientServicer(ClientServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._database, self._pager = resources.database, resources.pager

    async def CreateClient(self, request: pb.CreateClientRequest, context: Any) -> Client:
        values, tags = decode_client(request.client, _STAFF_FIELDS), decode_tags(request.client, _STAFF_FIELDS)

        async def change(tx: UnitOfWork) -> Client:
            return encode_client(await clients.create(tx, values, tags or []))

        return await self._database.write(change)

    async def JoinStudio(self, request: pb.JoinStudioRequest, context: Any) -> Client:
        account, values = current_call().account(), decode_client(request.client, _OWN_FIELDS)

        async def change(tx: UnitOfWork) -> Client:
            return encode_client(await clients.join(tx, account, values))

        return await self._database.write(change)

    async def AddDependant(self, request: pb.AddDependantRequest, context: Any) -> Client:
        values = decode_client(request.client, _OWN_FIELDS)
        guardian_id = optional(request.guardian, "clients", "guardian")
        # Staff who name a guardian act for the studio, and for themselves when they do not.
        account = current_call().account() if guardian_id is None else only_own()
        tags = decode_tags(request.client, _STAFF_FIELDS if account is None else _OWN_FIELDS)

        async def change(tx: UnitOfWork) -> Client:
            return encode_client(
                await guardians.add_dependant(tx, values, tags or [], guardian_id=guardian_id, account=account)
            )

        return await self._database.write(change)

    async def LinkGuardian(self, request: pb.LinkGuardianRequest, context: Any) -> Client:
        client_id = child(request.name, "clients", "name")
        guardian_id = child(request.guardian, "clients", "guardian")

        async def change(tx: UnitOfWork) -> Client:
            return encode_client(await guardians.link(tx, client_id, guardian_id))

        return await self._database.write(change)

    async def UnlinkGuardian(self, request: pb.UnlinkGuardianRequest, context: Any) -> Client:
        client_id = child(request.name, "clients", "name")

        async def change(tx: UnitOfWork) -> Client:
            return encode_client(await guardians.unlink(tx, client_id))

        return await self._database.write(change)

    async def GetClient(self, request: pb.GetClientRequest, context: Any) -> Client:
        client_id = child(request.name, "clients", "name")
        async with self._database.read() as tx:
            return encode_client(await clients.get(tx, client_id, only_own()))

    async def GetClientAccount(self, request: pb.GetClientAccountRequest, context: Any) -> pb.GetClientAccountResponse:
        async with self._database.read() as tx:
            client = (await clients.get(tx, UUID(request.client_id), None)).client
        return pb.GetClientAccountResponse(account_id=str(client.account_id or ""))

    async def ListClients(self, request: pb.ListClientsRequest, context: Any) -> pb.ListClientsResponse:
        query = f"clients {request.parent} {request.show_archived} {request.client_tag}"
        page = self._pager.page(query, request.page_size, request.page_token)
        tag_id = optional(request.client_tag, "clientTags", "client_tag")
        async with self._database.read() as tx:
            rows = await clients.list_by_name(tx, page, only_own(), tag_id=tag_id, show_archived=request.show_archived)
        shown, token = page.cut(rows, lambda row: (row.client.display_name, row.client.id))
        return pb.ListClientsResponse(clients=[encode_client(row) for row in shown], next_page_token=token)

    async def SearchClients(self, request: pb.SearchClientsRequest, context: Any) -> pb.SearchClientsResponse:
        async with self._database.read() as tx:
            found = await client_search.search(tx, request.q)
        return pb.SearchClientsResponse(clients=[encode_client(profile) for profile in found])

    async def UpdateClient(self, request: pb.UpdateClientRequest, context: Any) -> Client:
        client_id, account = child(request.client.name, "clients", "client.name"), only_own()
        mutable = _STAFF_FIELDS if account is None else _OWN_FIELDS
        fields = masked_fields(request.update_mask, request.client, "client", mutable)
        values, tags = decode_client(request.client, fields), decode_tags(request.client, fields)

        async def change(tx: UnitOfWork) -> Client:
            return encode_client(
                await clients.update(tx, client_id, values, tags, account=account, etag=request.client.etag)
            )

        return await self._database.write(change)

    async def DeleteClient(self, request: pb.DeleteClientRequest, context: Any) -> Client:
        client_id = child(request.name, "clients", "name")

        async def change(tx: UnitOfWork) -> Client:
            return encode_client(await clients.archive(tx, client_id, request.etag))

        return await self._database.write(change)

    async def UndeleteClient(self, request: pb.UndeleteClientRequest, context: Any) -> Client:
        client_id = child(request.name, "clients", "name")

        async def change(tx: UnitOfWork) -> Client:
            return encode_client(await clients.restore(tx, client_id))

        return await self._database.write(change)

    async def MergeClients(self, request: pb.MergeClientsRequest, context: Any) -> ClientMerge:
        survivor_id = child(request.name, "clients", "name")
        duplicate_id = child(request.duplicate, "clients", "duplicate")

        async def change(tx: UnitOfWork) -> ClientMerge:
            return encode_merge(await client_merges.merge(tx, survivor_id, duplicate_id))

        return await self._database.write(change)

    async def UndoClientMerge(self, request: pb.UndoClientMergeRequest, context: Any) -> ClientMerge:
        merge_id = child(request.name, "clientMerges", "name")

        async def change(tx: UnitOfWork) -> ClientMerge:
            return encode_merge(await client_merges.undo(tx, merge_id))

        return await self._database.write(change)

    async def ListClientMerges(self, request: pb.ListClientMergesRequest, context: Any) -> pb.ListClientMergesResponse:
        query = f"clientMerges {request.parent} {request.client}"
        page = self._pager.page(query, request.page_size, request.page_token)
        client_id = optional(request.client, "clients", "client")
        async with self._database.read() as tx:
            rows = await client_merges.list_newest(tx, page, client_id)
        shown, token = page.cut(rows, lambda row: (row.create_time, row.id))
        return pb.ListClientMergesResponse(client_merges=[encode_merge(row) for row in shown], next_page_token=token)

    async def CreateClientTag(self, request: pb.CreateClientTagRequest, context: Any) -> ClientTag:
        async def change(tx: UnitOfWork) -> ClientTag:
            return encode_tag(await client_tags.create(tx, request.client_tag.display_name))

        return await self._database.write(change)

    async def ListClientTags(self, request: pb.ListClientTagsRequest, context: Any) -> pb.ListClientTagsResponse:
        page = self._pager.page(f"clientTags {request.parent}", request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows = await client_tags.list_by_name(tx, page)
        shown, token = page.cut(rows, lambda row: (row.display_name, row.id))
        return pb.ListClientTagsResponse(client_tags=[encode_tag(row) for row in shown], next_page_token=token)

    async def UpdateClientTag(self, request: pb.UpdateClientTagRequest, context: Any) -> ClientTag:
        wanted = request.client_tag
        tag_id = child(wanted.name, "clientTags", "client_tag.name")
        masked_fields(request.update_mask, wanted, "client_tag", ["display_name"])

        async def change(tx: UnitOfWork) -> ClientTag:
            return encode_tag(await client_tags.rename(tx, tag_id, wanted.display_name, wanted.etag))

        return await self._database.write(change)

    async def DeleteClientTag(self, request: pb.DeleteClientTagRequest, context: Any) -> ClientTag:
        tag_id = child(request.name, "clientTags", "name")

        async def change(tx: UnitOfWork) -> ClientTag:
            return encode_tag(await client_tags.remove(tx, tag_id, request.etag))

        return await self._database.write(change)
