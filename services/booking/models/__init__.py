"""The tables of booking, and the two views it reads them through. Checks and triggers are in migrations/ and sql/."""

from services.booking.models.base import Base, View
from services.booking.models.bookings import (
    IN_LINE,
    Booking,
    BookingDetail,
    CheckInAttempts,
    DropInPayment,
    WaitlistDecision,
    WaitlistEntry,
)
from services.booking.models.credits import ClientPackage, CreditFreeze, CreditHold, Fee, PackageSale, Transfer
from services.booking.models.files import Export, ExternalId, Import, ImportKey, ImportRow
from services.booking.models.people import (
    CLIENT_EMAIL,
    CLIENT_SELF,
    CLIENT_TAG_NAME,
    CalendarFeed,
    Client,
    ClientKey,
    ClientMerge,
    ClientNote,
    ClientTag,
    ClientTagLink,
    Waiver,
    WaiverSignature,
)
from services.booking.models.sessions import BookableSession, BookingPolicy, ClassSession, StudioId

__all__ = [
    "CLIENT_EMAIL",
    "CLIENT_SELF",
    "CLIENT_TAG_NAME",
    "IN_LINE",
    "Base",
    "BookableSession",
    "Booking",
    "BookingDetail",
    "BookingPolicy",
    "CalendarFeed",
    "CheckInAttempts",
    "ClassSession",
    "Client",
    "ClientKey",
    "ClientMerge",
    "ClientNote",
    "ClientPackage",
    "ClientTag",
    "ClientTagLink",
    "CreditFreeze",
    "CreditHold",
    "DropInPayment",
    "Export",
    "ExternalId",
    "Fee",
    "Import",
    "ImportKey",
    "ImportRow",
    "PackageSale",
    "StudioId",
    "Transfer",
    "View",
    "WaitlistDecision",
    "WaitlistEntry",
    "Waiver",
    "WaiverSignature",
]
