"""Why a place is not given: each code of `book_v4`, of the waitlist and of a preview, as an error and in words."""

from uuid import UUID

from services.chassis.errors import (
    Aborted,
    AlreadyExists,
    DomainError,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)

# What another moment may see otherwise, so a preview tells it. Anything else is an error there too.
OF_THE_MOMENT = (FailedPrecondition, AlreadyExists, Aborted)

# FAILED_PRECONDITION: the request is sound, but not now.
NOT_NOW = {
    "SESSION_NOT_KNOWN_YET": "the class is not known yet; try again",
    "SESSION_CANCELLED": "the class is cancelled",
    "SESSION_STARTED": "the class has started",
    "SESSION_OVER": "the class is over",
    "SESSION_FULL": "no place is left",
    "BOOKING_NOT_OPEN": "booking has not opened yet",
    "BOOKING_CLOSED": "booking has closed",
    "OVERLAPPING_BOOKING": "the client is booked in another class at that time",
    "TOO_MANY_BOOKINGS": "the client has as many classes ahead as the studio allows",
    "TOO_MANY_BOOKINGS_THAT_DAY": "the client has as many classes that day as the studio allows",
    "TOO_MANY_GUESTS": "the studio allows no further guest in a class",
    "WAITLIST_FIRST": "others wait for the free place; join the waitlist",
    "WAIVER_NOT_SIGNED": "the studio's waiver must be signed for the client first",
    "NO_CREDIT": "no package has a credit for this class",
    "DROP_IN_NOT_OFFERED": "the studio sells no single places",
    "CLIENT_ARCHIVED": "the client is archived",
    "CLIENT_REQUIRED": "join the studio before you book",
    "PLACE_FREE": "a place is free; book it",
    "WAITLIST_OFF": "the studio has no waitlist",
    "WAITLIST_CLOSED": "the waitlist has closed",
    "NOT_WAITING": "the entry is no longer in line",
    "NOT_OFFERED": "no place is on offer",
    "OFFER_EXPIRED": "the offer was not answered in time",
}


def to_error(code: str, tenant: UUID | None = None) -> DomainError:
    """The error that a code becomes. With the studio it names what there is to do something about."""
    match code:
        case "ALREADY_BOOKED":
            return AlreadyExists("the client has a place in this class", reason=code)
        case "GUEST_ALREADY_BOOKED":
            return AlreadyExists(
                "the client brings a guest of this name", reason=code, field="booking.guest_display_name"
            )
        case "ALREADY_WAITING":
            return AlreadyExists("the client waits for this class already", reason=code)
        case "SPOT_TAKEN":
            return AlreadyExists("somebody has this spot", reason=code, field="booking.spot")
        case "UNKNOWN_SPOT":
            return InvalidArgument("booking.spot", "is no spot of the room", reason=code)
        case "IDEMPOTENCY_KEY_REUSED":
            return InvalidArgument("request_id", "was used for another request", reason=code)
        case "CLIENT_NOT_FOUND":
            return NotFound("client")
        case "PERMISSION_DENIED":
            return PermissionDenied()
        case "AGAIN":
            return Aborted("others were faster again and again; try again", reason="TRY_AGAIN")
    # Scheduling's event may be on its way.
    wait = 1 if code == "SESSION_NOT_KNOWN_YET" else None
    named = {"waiver": f"studios/{tenant}/waiver"} if code == "WAIVER_NOT_SIGNED" and tenant else {}
    return FailedPrecondition(NOT_NOW[code], reason=code, retry_after=wait, metadata=named)
