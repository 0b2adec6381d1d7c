"""The tables of notify. Guards of states and the policies are in migrations/."""

from services.notify.models.base import Base, Channel, Kind
from services.notify.models.deliveries import (
    MAX_ATTEMPTS,
    OPEN,
    TO_TELL,
    WAITING,
    Delivery,
    Outcome,
    ProviderEvent,
    RemindedBooking,
    ReminderSettings,
    State,
)
from services.notify.models.push_subscriptions import PushSubscription
from services.notify.models.studios import (
    AddressKey,
    ClientMerge,
    ClientPreferences,
    Consent,
    DismissedWarning,
    MessageTemplate,
    Sender,
    SenderNumber,
    Studio,
    Suppression,
)

__all__ = [
    "MAX_ATTEMPTS",
    "OPEN",
    "TO_TELL",
    "WAITING",
    "AddressKey",
    "Base",
    "Channel",
    "ClientMerge",
    "ClientPreferences",
    "Consent",
    "Delivery",
    "DismissedWarning",
    "Kind",
    "MessageTemplate",
    "Outcome",
    "ProviderEvent",
    "PushSubscription",
    "RemindedBooking",
    "ReminderSettings",
    "Sender",
    "SenderNumber",
    "State",
    "Studio",
    "Suppression",
]
