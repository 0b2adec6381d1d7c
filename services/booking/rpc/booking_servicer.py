"""BookingService: decode, call the noun, encode."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from powerhouse.booking.v1 import booking_pb2
from powerhouse.booking.v1 import booking_service_pb2 as pb
from powerhouse.booking.v1.booking_service_pb2_grpc import BookingServiceServicer
from services.booking import bookings, cancellations, class_sessions, credits, policies, previews
from services.booking.desk import Desk, Wanted
from services.booking.live import LiveSessions
from services.booking.rpc.encoding import (
    encode_booking,
    encode_booking_preview,
    encode_cancellation_preview,
    encode_offer,
    encode_package,
    encode_policy,
    encode_recipient,
    policy_changes,
)
from services.booking.rpc.names import child, client_and_account, only_own, optional
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import PermissionDenied
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
        return encode_booking(await self._desk.book(_wanted(request.booking)))

    async def PreviewBooking(self, request: pb.PreviewBookingRequest, context: Any) -> pb.BookingPreview:
        wanted = _wanted(request.booking)
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

    async def PreviewCancellation(self, request: pb.PreviewCancellationRequest, context: Any) -> pb.CancellationPreview:
        booking_id = child(request.name, "bookings", "name")
        async with self._database.read() as tx:
            return encode_cancellation_preview(await previews.preview_cancellation(tx, booking_id, only_own()))

    async def GetRoster(self, request: pb.GetRosterRequest, context: Any) -> pb.Roster:
        session_id = child(request.class_session, "classSessions", "class_session")
        async with self._database.read() as tx:
            offer = await class_sessions.get_taught(tx, session_id, only_own())
            rows = await bookings.roster(tx, session_id)
        return pb.Roster(session=encode_offer(offer), bookings=[encode_booking(row) for row in rows])

    async def GrantClientPackage(
        self, request: pb.GrantClientPackageRequest, context: Any
    ) -> booking_pb2.ClientPackage:
        wanted = request.client_package
        client_id = child(wanted.client, "clients", "client_package.client")

        async def change(tx: UnitOfWork) -> booking_pb2.ClientPackage:
            package = await credits.grant(
                tx,
                client_id=client_id,
                display_name=wanted.display_name,
                credits=wanted.credits,
                valid_days=wanted.valid_days,
                reason=wanted.reason,
            )
            return encode_package(package)

        return await self._database.write(change)

    async def ListClientPackages(
        self, request: pb.ListClientPackagesRequest, context: Any
    ) -> pb.ListClientPackagesResponse:
        page = self._pager.page(f"packages {request.parent} {request.client}", request.page_size, request.page_token)
        client_id = optional(request.client, "clients", "client")
        async with self._database.read() as tx:
            rows = await credits.list_packages(tx, page, account=only_own(), client_id=client_id)
        shown, token = page.cut(rows, lambda row: (row.create_time, row.id))
        return pb.ListClientPackagesResponse(
            client_packages=[encode_package(row) for row in shown], next_page_token=token
        )

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
        booking_ids = [parse_name(text, "*", "booking_ids")[0] for text in request.booking_ids]
        async with self._database.read() as tx:
            found = await bookings.recipients(tx, booking_ids)
        return pb.BatchGetRecipientsResponse(recipients=[encode_recipient(recipient) for recipient in found])


def _wanted(booking: pb.NewBooking) -> Wanted:
    """Who may book for anybody may also override the rules. Raises PermissionDenied/OVERRIDE_NOT_ALLOWED."""
    call, (client_id, account) = current_call(), client_and_account(booking.client, "booking.client")
    override, guest = booking.override_reason.strip(), booking.guest_display_name.strip()
    if override and not call.whole_studio:
        raise PermissionDenied("only staff override the rules", reason="OVERRIDE_NOT_ALLOWED")
    return Wanted.of_call(
        call,
        class_session=child(booking.class_session, "classSessions", "booking.class_session"),
        client=client_id,
        account=account,
        spot=booking.spot,
        guest=guest,
        drop_in=booking.drop_in,
        override=override,
    )
