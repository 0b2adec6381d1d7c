"""BookingService: decode, call the noun, encode."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from powerhouse.booking.v1 import booking_pb2
from powerhouse.booking.v1 import booking_service_pb2 as pb
from powerhouse.booking.v1.booking_service_pb2_grpc import BookingServiceServicer
from services.booking import bookings, cancellations, class_sessions, guardians, policies, previews, recipients, spots
from services.booking.desk import Desk
from services.booking.live import LiveSessions
from services.booking.rpc.decoding import decode_wanted
from services.booking.rpc.encoding import (
    encode_booking,
    encode_booking_preview,
    encode_cancellation_preview,
    encode_offer,
    encode_policy,
    encode_recipient,
    policy_changes,
)
from services.booking.rpc.names import child, only_own, optional
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import parse_name
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import from_timestamp, masked_fields


class BookingServicer(BookingServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._database, self._pager = resources.database, resources.pager
        self._desk = Desk(resources.database)
        self._live = LiveSessions(resources.database)

    async def ListBookableSessions(
        self, request: pb.ListBookableSessionsRequest, context: Any
    ) -> pb.ListBookableSessionsResponse:
        start, end = from_timestamp(request, "start_time"), from_timestamp(request, "end_time")
        page = self._pager.page(f"sessions {request.parent} {start} {end}", request.page_size, request.page_token)
        account = current_call().principal.account_id
        async with self._database.read() as tx:
            offers = await class_sessions.list_bookable(tx, page, start=start, end=end, account=account)
        shown, token = page.cut(offers, lambda offer: (offer.session.start_time, offer.session.id))
        return pb.ListBookableSessionsResponse(
            bookable_sessions=[encode_offer(offer) for offer in shown], next_page_token=token
        )

    async def WatchClassSession(
        self, request: pb.WatchClassSessionRequest, context: Any
    ) -> AsyncIterator[pb.WatchClassSessionResponse]:
        call, session_id = current_call(), child(request.name, "classSessions", "name")
        async with aclosing(self._live.watch(call.tenant, session_id, call.principal.account_id)) as offers:
            async for offer in offers:
                session = encode_offer(offer)
                event_id = hashlib.sha256(session.SerializeToString(deterministic=True)).hexdigest()[:16]
                yield pb.WatchClassSessionResponse(session=session, event_id=event_id)

    async def CreateBooking(self, request: pb.CreateBookingRequest, context: Any) -> booking_pb2.Booking:
        return encode_booking(await self._desk.book(decode_wanted(request.booking)))

    async def PreviewBooking(self, request: pb.PreviewBookingRequest, context: Any) -> pb.BookingPreview:
        wanted = decode_wanted(request.booking)
        async with self._database.read() as tx:
            return encode_booking_preview(await previews.preview_booking(tx, wanted))

    async def GetBooking(self, request: pb.GetBookingRequest, context: Any) -> booking_pb2.Booking:
        booking_id = child(request.name, "bookings", "name")
        async with self._database.read() as tx:
            return encode_booking(await bookings.get(tx, booking_id, only_own()))

    async def ListBookings(self, request: pb.ListBookingsRequest, context: Any) -> pb.ListBookingsResponse:
        query = f"bookings {request.parent} {request.client} {request.active_only}"
        page = self._pager.page(query, request.page_size, request.page_token)
        client_id = optional(request.client, "clients", "client")
        async with self._database.read() as tx:
            rows = await bookings.list_latest(
                tx, page, account=only_own(), client_id=client_id, active_only=request.active_only
            )
        shown, token = page.cut(rows, lambda row: (row.start_time, row.id))
        return pb.ListBookingsResponse(bookings=[encode_booking(row) for row in shown], next_page_token=token)

    async def CancelBooking(self, request: pb.CancelBookingRequest, context: Any) -> booking_pb2.Booking:
        booking_id = child(request.name, "bookings", "name")

        async def change(tx: UnitOfWork) -> booking_pb2.Booking:
            return encode_booking(await cancellations.cancel(tx, booking_id, account=only_own(), etag=request.etag))

        return await self._database.write(change)

    async def ChangeSpot(self, request: pb.ChangeSpotRequest, context: Any) -> booking_pb2.Booking:
        booking_id = child(request.name, "bookings", "name")

        async def change(tx: UnitOfWork) -> booking_pb2.Booking:
            return encode_booking(
                await spots.change(tx, booking_id, request.spot, account=only_own(), etag=request.etag)
            )

        return await self._database.write(change)

    async def PreviewCancellation(self, request: pb.PreviewCancellationRequest, context: Any) -> pb.CancellationPreview:
        booking_id = child(request.name, "bookings", "name")
        async with self._database.read() as tx:
            return encode_cancellation_preview(await previews.preview_cancellation(tx, booking_id, only_own()))

    async def GetBookingPolicy(self, request: pb.GetBookingPolicyRequest, context: Any) -> booking_pb2.BookingPolicy:
        parse_name(request.name, "studios/*/bookingPolicy", "name")
        async with self._database.read() as tx:
            return encode_policy(await policies.in_force(tx))

    async def UpdateBookingPolicy(
        self, request: pb.UpdateBookingPolicyRequest, context: Any
    ) -> booking_pb2.BookingPolicy:
        wanted = request.booking_policy
        parse_name(wanted.name, "studios/*/bookingPolicy", "booking_policy.name")
        fields = masked_fields(request.update_mask, wanted, "booking_policy", policies.TERMS)

        async def change(tx: UnitOfWork) -> booking_pb2.BookingPolicy:
            changes = policy_changes(wanted, fields)
            return encode_policy(await policies.update(tx, changes, wanted.etag))

        return await self._database.write(change)

    async def BatchGetRecipients(
        self, request: pb.BatchGetRecipientsRequest, context: Any
    ) -> pb.BatchGetRecipientsResponse:
        wanted = [
            [parse_name(text, "*", field)[0] for text in getattr(request, field)]
            for field in ("booking_ids", "waitlist_entry_ids", "fee_ids", "client_ids")
        ]
        async with self._database.read() as tx:
            found = await recipients.find(tx, *wanted)
            contacts = await guardians.contacts(tx, [recipient.client for recipient in found])
        return pb.BatchGetRecipientsResponse(
            recipients=[encode_recipient(recipient, contacts[recipient.client.id]) for recipient in found]
        )
