"""What all tables of notify have in common, and the words that several of them use."""

from enum import StrEnum
from typing import Any

from sqlalchemy import ARRAY, MetaData, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase

from services.chassis.db.models import COLUMN_TYPES, NAMING

_TYPES = {**COLUMN_TYPES, list[str]: ARRAY(String()), list[Any]: JSONB}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = _TYPES


class Kind(StrEnum):
    """Why a message is sent; also the name of its templates."""

    BOOKING_CONFIRMATION = "booking_confirmation"
    REMINDER = "reminder"
    WAITLIST_PROMOTED = "waitlist_promoted"
    WAITLIST_OFFER = "waitlist_offer"
    CLASS_CANCELLED = "class_cancelled"
    CLASS_CHANGED = "class_changed"
    # The place is gone, since the class has fewer than before.
    DISPLACED = "displaced"
    FEE_DUE = "fee_due"
    INVITATION = "invitation"
    PASSWORD_RESET = "password_reset"  # noqa: S105  # a kind of mail, not a password
    GENERATION_SUMMARY = "generation_summary"
    # To the studio's owners and managers: messages that could not be delivered.
    DELIVERY_ALERT = "delivery_alert"
    RECEIPT = "receipt"
    # To whom its buyer sends it, who need not be a client.
    GIFT_CARD = "gift_card"
    # A card did not pay a fee, while the client was away.
    FEE_DECLINED = "fee_declined"
    MEMBERSHIP_JOINED = "membership_joined"
    # A renewal was declined.
    MEMBERSHIP_PAST_DUE = "membership_past_due"
    MEMBERSHIP_CANCELLED = "membership_cancelled"
    # Nobody paid.
    MEMBERSHIP_ENDED = "membership_ended"
    # Or goes on after that.
    MEMBERSHIP_PAUSED = "membership_paused"
    # A place that was paid could not be had.
    PURCHASE_RETURNED = "purchase_returned"
    # To the studio's owners.
    DISPUTE_ALERT = "dispute_alert"


class Channel(StrEnum):
    """How a message travels."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"
