"""Booking's rows as messages."""

from collections.abc import Collection
from datetime import datetime
from zoneinfo import ZoneInfo

from powerhouse.booking.v1 import booking_pb2 as pb
from powerhouse.booking.v1 import booking_service_pb2 as service_pb
from powerhouse.booking.v1.attendance_service_pb2 import RosterEntry
from powerhouse.booking.v1.booking_service_pb2 import BatchGetRecipientsResponse
from powerhouse.booking.v1.series_service_pb2 import BookingSeries
from powerhouse.booking.v1.waitlist_pb2 import WaitlistEntry
from services.booking import policies
from services.booking.cancellation import free_cancel_until, policy_deadline
from services.booking.class_sessions import Offer
from services.booking.models import BookingDetail, BookingPolicy, Client
from services.booking.previews import BookingPreview, CancellationPreview
from services.booking.recipients import Recipient
from services.booking.rosters import Entry
from services.booking.rpc.names import name_of
from services.booking.series import Week
from services.chassis.rpc.call import current_call
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
        local_start=local_time(session.start_time, session.time_zone),
        time_zone=session.time_zone,
        capacity=session.planned_capacity,
        free_places=max(0, session.planned_capacity - session.booked_count),
        free_spots=offer.free_spots,
        availability=_AVAILABILITY[offer.refusal],
        free_cancel_until=to_timestamp(
            policy_deadline(session.start_time, session.time_zone, session.cancellation_window_minutes)
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
        client_package=_package_name(booking),
        class_type_display_name=booking.class_type_display_name,
        start_time=to_timestamp(booking.start_time),
        local_start=local_time(booking.start_time, booking.time_zone),
        time_zone=booking.time_zone,
        free_cancel_until=to_timestamp(free_cancel_until(booking)),
        policy_version=booking.policy_version,
        credit_returned=booking.credit_returned,
        etag=booking.etag,
        create_time=to_timestamp(booking.create_time),
        update_time=to_timestamp(booking.update_time),
        cancel_time=to_timestamp(booking.cancel_time),
        end_time=to_timestamp(booking.end_time),
        guest_display_name=booking.guest_display_name,
        hold_expire_time=to_timestamp(booking.hold_expire_time),
        check_in_time=to_timestamp(booking.check_in_time),
        late_cancel_fee_minor=booking.late_cancel_fee_minor,
        no_show_fee_minor=booking.no_show_fee_minor,
        currency_code=booking.currency_code,
    )


def encode_roster_entry(entry: Entry) -> RosterEntry:
    booking, guest = entry.booking, entry.booking.guest_display_name
    return RosterEntry(
        booking=encode_booking(booking),
        display_name=guest or booking.client_display_name,
        guest_of=booking.client_display_name if guest else "",
        first_visit=entry.flags.first_visit,
        birthday_soon=entry.flags.birthday_soon,
        unpaid=booking.state == "PENDING_PAYMENT",
        has_health_note=entry.flags.has_health_note,
        has_general_note=entry.flags.has_general_note,
    )


def encode_booking_preview(preview: BookingPreview) -> service_pb.BookingPreview:
    booking, package, refusal = preview.booking, preview.package, preview.refusal
    if booking is None:
        assert refusal is not None
        return service_pb.BookingPreview(reason=refusal.reason, message=refusal.message)
    deadline = free_cancel_until(booking)
    return service_pb.BookingPreview(
        bookable=True,
        client_package=_package_name(booking),
        client_package_display_name=package.display_name if package else "",
        credits_left=package.credits_left if package else 0,
        price_minor=preview.price_minor,
        currency_code=booking.currency_code,
        spot=booking.spot or "",
        free_cancel_until=to_timestamp(deadline),
        local_free_cancel_until=local_time(deadline, booking.time_zone),
        time_zone=booking.time_zone,
        late_cancel_fee_minor=booking.late_cancel_fee_minor,
        no_show_fee_minor=booking.no_show_fee_minor,
    )


def encode_cancellation_preview(preview: CancellationPreview) -> service_pb.CancellationPreview:
    booking, cancelled, refusal = preview.booking, preview.cancelled, preview.refusal
    deadline = free_cancel_until(booking)
    return service_pb.CancellationPreview(
        cancellable=cancelled is not None,
        reason=refusal.reason if refusal else "",
        message=refusal.message if refusal else "",
        state=pb.Booking.State.Value((cancelled or booking).state),
        credit_returned=cancelled.credit_returned if cancelled else False,
        fee_minor=preview.fee_minor,
        currency_code=booking.currency_code,
        free_cancel_until=to_timestamp(deadline),
        local_free_cancel_until=local_time(deadline, booking.time_zone),
        time_zone=booking.time_zone,
    )


def encode_week(week: Week, *, previewed: bool = False) -> BookingSeries.Week:
    """What would be made has no name yet."""
    booking = encode_booking(week.booking) if week.booking else None
    if booking and previewed:
        booking.name = booking.etag = ""
    return BookingSeries.Week(
        local_day=week.day.isoformat(),
        class_session=name_of(current_call().tenant, "classSessions", week.class_session) if week.class_session else "",
        booking=booking,
        reason=week.refusal.reason if week.refusal else "",
        message=week.refusal.message if week.refusal else "",
    )


def encode_policy(policy: BookingPolicy) -> pb.BookingPolicy:
    return pb.BookingPolicy(
        name=f"studios/{policy.tenant_id}/bookingPolicy",
        version=policy.version,
        **{term: getattr(policy, term) for term in policies.TERMS},
        etag=str(policy.version),
        update_time=to_timestamp(policy.create_time),
    )


def policy_changes(policy: pb.BookingPolicy, fields: Collection[str]) -> dict[str, object]:
    """The values of a policy's fields as the table has them."""
    changes: dict[str, object] = {field: getattr(policy, field) for field in fields}
    if "waitlist_mode" in changes:
        changes["waitlist_mode"] = pb.BookingPolicy.WaitlistMode.Name(policy.waitlist_mode)
    if "no_show_marking" in changes:
        changes["no_show_marking"] = pb.BookingPolicy.NoShowMarking.Name(policy.no_show_marking)
    return changes


def encode_recipient(recipient: Recipient, contact: Client) -> BatchGetRecipientsResponse.Recipient:
    """`contact` is whom to write to about the client."""
    client, booking, wait, fee = recipient.client, recipient.booking, recipient.wait, recipient.fee
    return BatchGetRecipientsResponse.Recipient(
        display_name=client.display_name,
        email=contact.email or "",
        phone=contact.phone or "",
        language=contact.language,
        guardian_display_name="" if contact.id == client.id else contact.display_name,
        client_id=str(client.id),
        session=encode_offer(recipient.offer) if recipient.offer else None,
        time_version=recipient.offer.session.time_version if recipient.offer else 0,
        booking_id=str(booking.id) if booking else "",
        state=pb.Booking.State.Value(booking.state) if booking else pb.Booking.STATE_UNSPECIFIED,
        spot=(booking.spot or "") if booking else "",
        free_cancel_until=to_timestamp(free_cancel_until(booking)) if booking else None,
        waitlist_entry_id=str(wait.id) if wait else "",
        waitlist_state=WaitlistEntry.State.Value(wait.state) if wait else WaitlistEntry.STATE_UNSPECIFIED,
        offer_expire_time=to_timestamp(wait.offer_expire_time) if wait else None,
        fee_id=str(fee.id) if fee else "",
        fee_kind=pb.Fee.Kind.Value(fee.kind) if fee else pb.Fee.KIND_UNSPECIFIED,
        fee_state=pb.Fee.State.Value(fee.state) if fee else pb.Fee.STATE_UNSPECIFIED,
        amount_minor=fee.amount_minor if fee else 0,
        currency_code=fee.currency_code if fee else "",
    )


def _package_name(booking: BookingDetail) -> str:
    return name_of(booking.tenant_id, "clientPackages", booking.client_package_id) if booking.client_package_id else ""


def local_time(instant: datetime, time_zone: str) -> str:
    """Wall time at a location, `2026-11-23T10:00`."""
    return instant.astimezone(ZoneInfo(time_zone)).strftime("%Y-%m-%dT%H:%M")
