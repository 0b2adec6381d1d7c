"""What booking says about a recipient's class, in the words of a language: values of the templates. Pure."""

from datetime import UTC, datetime

from powerhouse.booking.v1.booking_service_pb2 import BatchGetRecipientsResponse
from services.chassis.rpc.codec import from_timestamp
from services.notify.local_words import day_and_time, short_time


def values(
    recipient: BatchGetRecipientsResponse.Recipient, language: str, *, link: str, as_of: datetime
) -> dict[str, str]:
    """`as_of`: a deadline that was over then is not spoken of."""
    session = recipient.session
    start, zone = session.start_time.ToDatetime(tzinfo=UTC), session.time_zone
    until = from_timestamp(recipient, "free_cancel_until")
    return {
        "name": recipient.guardian_display_name or recipient.display_name,
        # Whose place it is, when it is not the reader's own.
        "dependant": recipient.display_name if recipient.guardian_display_name else "",
        "class_type": session.class_type_display_name,
        "instructor": session.instructor_display_name,
        "room": session.room_display_name,
        "location": session.location_display_name,
        "spot": recipient.spot,
        "start": day_and_time(start, zone, language),
        "start_short": short_time(start, zone, language),
        "time_zone": zone,
        "free_cancel_until": day_and_time(until, zone, language) if until is not None and until > as_of else "",
        "link": link,
    }
