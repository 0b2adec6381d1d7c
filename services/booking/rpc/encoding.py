"""Booking's rows as messages."""

from datetime import datetime
from zoneinfo import ZoneInfo

from powerhouse.booking.v1 import booking_pb2 as pb
from powerhouse.booking.v1.booking_service_pb2 import BatchGetRecipientsResponse
from services.booking.bookings import Recipient
from services.booking.cancellation import free_cancel_until
from services.booking.class_sessions import Offer
from services.booking.models import BookingDetail, BookingPolicy, Client, ClientPackage
from services.booking.rpc.names import name_of
from services.chassis.rpc.codec import to_timestamp

_AVAILABILITY = {
    None: pb.BookableSession.OPEN,
    "SESSION_FULL": pb.BookableSession.FULL,
    "BOOKING_NOT_OPEN": pb.BookableSession.NOT_YET_OPEN,
    "BOOKING_CLOSED": pb.BookableSession.CLOSED,
    "SESSION_STARTED": pb.BookableSession.CLOSED,
    "SESSION_CANCELLED": pb.BookableSession.CANCELLED,
}


def encode_offer(offer: Offer) -> pb.BookableSession:
    session = offer.session
    return pb.BookableSession(
        class_session=name_of(session.tenant_id, "classSessions", session.id),
        class_type_display_name=session.class_type_display_name,
        instructor_display_name=session.instructor_display_name,
        room_display_name=session.room_display_name,
        location_display_name=session.location_display_name,
        start_time=to_timestamp(session.start_time),
        end_time=to_timestamp(session.end_time),
        local_start=_local(session.start_time, session.time_zone),
        time_zone=session.time_zone,
        capacity=session.planned_capacity,
        free_places=max(0, session.planned_capacity - session.booked_count),
        free_spots=offer.free_spots,
        availability=_AVAILABILITY[offer.refusal],
        free_cancel_until=to_timestamp(
            free_cancel_until(session.start_time, session.time_zone, session.cancellation_window_minutes)
        ),
        my_booking=name_of(session.tenant_id, "bookings", offer.booking_id) if offer.booking_id else "",
    )


def encode_booking(booking: BookingDetail) -> pb.Booking:
    return pb.Booking(
        name=name_of(booking.tenant_id, "bookings", booking.id),
        class_session=name_of(booking.tenant_id, "classSessions", booking.class_session_id),
        client=name_of(booking.tenant_id, "clients", booking.client_id),
        client_display_name=booking.client_display_name,
        state=pb.Booking.State.Value(booking.state),
        spot=booking.spot or "",
        client_package=name_of(booking.tenant_id, "clientPackages", booking.client_package_id),
        class_type_display_name=booking.class_type_display_name,
        start_time=to_timestamp(booking.start_time),
        local_start=_local(booking.start_time, booking.time_zone),
        time_zone=booking.time_zone,
        free_cancel_until=to_timestamp(_free_cancel_until(booking)),
        policy_version=booking.policy_version,
        credit_returned=booking.credit_returned,
        etag=booking.etag,
        create_time=to_timestamp(booking.create_time),
        update_time=to_timestamp(booking.update_time),
        cancel_time=to_timestamp(booking.cancel_time),
    )


def encode_package(package: ClientPackage) -> pb.ClientPackage:
    return pb.ClientPackage(
        name=name_of(package.tenant_id, "clientPackages", package.id),
        client=name_of(package.tenant_id, "clients", package.client_id),
        display_name=package.display_name,
        credits_granted=package.credits_granted,
        credits_left=package.credits_left,
        expire_time=to_timestamp(package.expire_time),
        reason=package.reason,
        create_time=to_timestamp(package.create_time),
    )


def encode_policy(policy: BookingPolicy) -> pb.BookingPolicy:
    return pb.BookingPolicy(
        name=f"studios/{policy.tenant_id}/bookingPolicy",
        version=policy.version,
        booking_opens_hours=policy.booking_opens_hours,
        booking_closes_minutes=policy.booking_closes_minutes,
        cancellation_window_minutes=policy.cancellation_window_minutes,
        etag=str(policy.version),
        update_time=to_timestamp(policy.create_time),
    )


def encode_recipient(recipient: Recipient, contact: Client) -> BatchGetRecipientsResponse.Recipient:
    """`contact` is whom to write to about the client."""
    booking, client = recipient.booking, recipient.client
    return BatchGetRecipientsResponse.Recipient(
        booking_id=str(booking.id),
        state=pb.Booking.State.Value(booking.state),
        time_version=booking.time_version,
        display_name=client.display_name,
        email=contact.email or "",
        phone=contact.phone or "",
        language=contact.language,
        guardian_display_name="" if contact.id == client.id else contact.display_name,
        client_id=str(client.id),
        session=encode_offer(recipient.offer),
        spot=booking.spot or "",
        free_cancel_until=to_timestamp(_free_cancel_until(booking)),
    )


def _free_cancel_until(booking: BookingDetail) -> datetime:
    return free_cancel_until(booking.start_time, booking.time_zone, booking.cancellation_window_minutes)


def _local(start: datetime, time_zone: str) -> str:
    return start.astimezone(ZoneInfo(time_zone)).strftime("%Y-%m-%dT%H:%M")
