"""WaitlistService: decode, call the noun, encode."""

from typing import Any

from powerhouse.booking.v1 import waitlist_service_pb2 as pb
from powerhouse.booking.v1.waitlist_pb2 import WaitlistEntry
from powerhouse.booking.v1.waitlist_service_pb2_grpc import WaitlistServiceServicer
from services.booking import explanations, joining, waits
from services.booking.rpc.names import child, client_and_account, only_own, optional, teacher
from services.booking.rpc.waitlist_encoding import encode_explanation, encode_wait
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.resources import Resources


class WaitlistServicer(WaitlistServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._database, self._pager = resources.database, resources.pager

    async def JoinWaitlist(self, request: pb.JoinWaitlistRequest, context: Any) -> WaitlistEntry:
        session_id = child(request.waitlist_entry.class_session, "classSessions", "waitlist_entry.class_session")
        client_id, account = client_and_account(request.waitlist_entry.client, "waitlist_entry.client")

        async def change(tx: UnitOfWork) -> WaitlistEntry:
            return encode_wait(await joining.join(tx, session_id, client_id, account))

        return await self._database.write(change)

    async def LeaveWaitlist(self, request: pb.LeaveWaitlistRequest, context: Any) -> WaitlistEntry:
        entry_id = child(request.name, "waitlistEntries", "name")

        async def change(tx: UnitOfWork) -> WaitlistEntry:
            return encode_wait(await waits.leave(tx, entry_id, account=only_own(), etag=request.etag))

        return await self._database.write(change)

    async def AcceptOffer(self, request: pb.AcceptOfferRequest, context: Any) -> WaitlistEntry:
        entry_id = child(request.name, "waitlistEntries", "name")

        async def change(tx: UnitOfWork) -> WaitlistEntry:
            return encode_wait(await waits.accept(tx, entry_id, account=only_own(), etag=request.etag))

        return await self._database.write(change)

    async def DeclineOffer(self, request: pb.DeclineOfferRequest, context: Any) -> WaitlistEntry:
        entry_id = child(request.name, "waitlistEntries", "name")

        async def change(tx: UnitOfWork) -> WaitlistEntry:
            return encode_wait(await waits.decline(tx, entry_id, account=only_own(), etag=request.etag))

        return await self._database.write(change)

    async def GetWaitlistEntry(self, request: pb.GetWaitlistEntryRequest, context: Any) -> WaitlistEntry:
        entry_id = child(request.name, "waitlistEntries", "name")
        async with self._database.read() as tx:
            return encode_wait(await waits.get(tx, entry_id, only_own()))

    async def ListWaitlistEntries(
        self, request: pb.ListWaitlistEntriesRequest, context: Any
    ) -> pb.ListWaitlistEntriesResponse:
        query = f"waits {request.parent} {request.class_session} {request.client} {request.show_ended}"
        page = self._pager.page(query, request.page_size, request.page_token)
        session_id = optional(request.class_session, "classSessions", "class_session")
        client_id = optional(request.client, "clients", "client")
        async with self._database.read() as tx:
            rows = await waits.list_in_order(
                tx,
                page,
                account=only_own(),
                teacher=teacher(),
                session_id=session_id,
                client_id=client_id,
                show_ended=request.show_ended,
            )
        shown, token = page.cut(rows, waits.sort_key)
        return pb.ListWaitlistEntriesResponse(
            waitlist_entries=[encode_wait(row) for row in shown], next_page_token=token
        )

    async def ExplainWaitlistEntry(
        self, request: pb.ExplainWaitlistEntryRequest, context: Any
    ) -> pb.ExplainWaitlistEntryResponse:
        entry_id = child(request.name, "waitlistEntries", "name")
        page = self._pager.page(f"decisions {request.name}", request.page_size, request.page_token)
        async with self._database.read() as tx:
            explanation = await explanations.explain(tx, page, entry_id, only_own())
        shown, token = page.cut(explanation.decisions, lambda row: (row.create_time, row.id))
        return encode_explanation(explanation, shown, token)
