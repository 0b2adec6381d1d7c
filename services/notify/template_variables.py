"""What the templates of each kind may say: its variables, which of them it must not leave out, and a sample of each."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from services.notify.local_words import day_and_time, every, money, phrase, short_time
from services.notify.models import Channel, Kind

_START = datetime(2026, 11, 24, 17, 30, tzinfo=UTC)
_ZONE = "Europe/Berlin"

_CLASS = (
    "name",
    # Whose place it is, when it is not the reader's own.
    "dependant",
    "class_type",
    "instructor",
    "room",
    "location",
    "spot",
    # `Tuesday, 24 November 2026, 18:30`, and as short as an SMS wants it.
    "start",
    "start_short",
    "time_zone",
    "link",
)
# Of what either holds or is empty.
YES = "yes"
_BEFORE = ("previous_start", "previous_start_short", "previous_instructor", "previous_room")
# Beside `studio`, its name, which every message has.
VARIABLES: Mapping[Kind, tuple[str, ...]] = {
    # Until when cancelling is free; empty when that is over.
    Kind.BOOKING_CONFIRMATION: (*_CLASS, "free_cancel_until"),
    Kind.REMINDER: (*_CLASS, "free_cancel_until"),
    Kind.WAITLIST_PROMOTED: (*_CLASS, "free_cancel_until"),
    Kind.WAITLIST_OFFER: (*_CLASS, "offer_until"),
    Kind.CLASS_CANCELLED: _CLASS,
    # What is different, in words; of what was before, what stays is empty.
    Kind.CLASS_CHANGED: (*_CLASS, "changes", *_BEFORE),
    # Whether the place became a wait at the head of the line, and whether it was a guest's; else empty.
    Kind.DISPLACED: (*_CLASS, "waiting", "guest"),
    Kind.FEE_DUE: ("name", "dependant", "amount", "reason", "class_type", "start", "start_short", "time_zone", "link"),
    # `refunded` is not empty when money went back.
    Kind.RECEIPT: ("name", "refunded", "number", "amount", "description", "date", "link"),
    # From whom, with which words of theirs; empty when it never expires.
    Kind.GIFT_CARD: ("name", "sender", "amount", "code", "message", "expires", "link"),
    Kind.INVITATION: ("name", "role", "link", "expires"),
    Kind.PASSWORD_RESET: ("name", "link", "expires"),
    # Counts, and what is behind two of them, one a line: dates that clash, schedules of which nothing can be made.
    Kind.GENERATION_SUMMARY: (
        "name",
        "created",
        "conflicts",
        "skipped",
        "attention",
        "conflict_list",
        "attention_list",
        "link",
    ),
    Kind.DELIVERY_ALERT: ("name", "count", "reasons", "link"),
    # `bank_asks` is not empty when the bank wants to ask its client; `next_attempt` is empty when there is none; so is
    # what tells of a class where the fee is of none.
    Kind.FEE_DECLINED: (
        *("name", "dependant", "amount", "description", "class_type", "start", "time_zone"),
        *("next_attempt", "bank_asks", "link"),
    ),
    # `credits` of each interval is empty when it is unlimited.
    Kind.MEMBERSHIP_JOINED: ("name", "dependant", "membership", "amount", "interval", "credits", "renews", "link"),
    Kind.MEMBERSHIP_PAST_DUE: ("name", "dependant", "membership", "amount", "next_attempt", "bank_asks", "link"),
    # `ends` is empty when it has ended, `usable_until` when nothing is left to be used.
    Kind.MEMBERSHIP_CANCELLED: ("name", "dependant", "membership", "ends", "usable_until", "link"),
    Kind.MEMBERSHIP_ENDED: ("name", "dependant", "membership", "link"),
    # `resumed` is not empty when it goes on after a pause, and then `next_charge`; `resumes` is when a pause ends by
    # itself.
    Kind.MEMBERSHIP_PAUSED: (
        *("name", "dependant", "membership", "resumed"),
        *("resumes", "usable_until", "next_charge", "link"),
    ),
    # Whether the client has the place all the same, and whether the class was cancelled; else empty.
    Kind.PURCHASE_RETURNED: (
        *("name", "dependant", "amount", "class_type", "start", "start_short", "time_zone"),
        *("held", "cancelled", "link"),
    ),
    # How it ended; until when it can be answered, while it can.
    Kind.DISPUTE_ALERT: ("name", "amount", "description", "reason", "due", "won", "lost", "link"),
}
# A message without these is of no use; one of each group is enough.
REQUIRED: Mapping[Kind, tuple[frozenset[str], ...]] = {
    kind: tuple(
        group
        for group in (frozenset({"class_type"}), frozenset({"start", "start_short"}))
        if "instructor" in names and group & {*names}
    )
    for kind, names in VARIABLES.items()
} | {
    Kind.FEE_DUE: (frozenset({"amount"}),),
    Kind.RECEIPT: (frozenset({"amount"}),),
    Kind.GIFT_CARD: (frozenset({"code"}),),
    Kind.INVITATION: (frozenset({"link"}),),
    Kind.PASSWORD_RESET: (frozenset({"link"}),),
    Kind.GENERATION_SUMMARY: (frozenset({"conflicts"}),),
    Kind.DELIVERY_ALERT: (frozenset({"count"}),),
    Kind.FEE_DECLINED: (frozenset({"amount"}), frozenset({"link"})),
    Kind.MEMBERSHIP_JOINED: (frozenset({"membership"}), frozenset({"amount"}), frozenset({"renews"})),
    Kind.MEMBERSHIP_PAST_DUE: (frozenset({"amount"}), frozenset({"link"})),
    Kind.MEMBERSHIP_CANCELLED: (frozenset({"membership"}), frozenset({"ends"})),
    Kind.MEMBERSHIP_ENDED: (frozenset({"membership"}),),
    Kind.MEMBERSHIP_PAUSED: (frozenset({"membership"}), frozenset({"resumed"})),
    Kind.PURCHASE_RETURNED: (frozenset({"amount"}),),
    Kind.DISPUTE_ALERT: (frozenset({"amount"}),),
}
# Empty where there is nothing to say.
OPTIONAL = frozenset(
    {
        *("name", "dependant", "refunded", "spot", "free_cancel_until", "waiting", "guest", "conflict_list"),
        *("attention_list", "message", "expires", *_BEFORE),
        *("next_attempt", "bank_asks", "credits", "ends", "usable_until", "resumed", "resumes", "next_charge"),
        *("held", "cancelled", "due", "won", "lost"),
    }
)
# Values of several lines.
LISTS = frozenset({"conflict_list", "attention_list", "message"})
# Short enough for a text or a push message, and urgent enough.
SHORT_KINDS = (
    Kind.REMINDER,
    Kind.WAITLIST_PROMOTED,
    Kind.WAITLIST_OFFER,
    Kind.CLASS_CANCELLED,
    Kind.CLASS_CHANGED,
    Kind.DISPLACED,
    Kind.PURCHASE_RETURNED,
)
# Pushed too, but not worth a text: a tap pays.
PUSHED_KINDS = (Kind.FEE_DECLINED, Kind.MEMBERSHIP_PAST_DUE)


def channels(kind: Kind) -> tuple[Channel, ...]:
    """Those that have words for it."""
    if kind in PUSHED_KINDS:
        return Channel.EMAIL, Channel.PUSH
    return tuple(Channel) if kind in SHORT_KINDS else (Channel.EMAIL,)


def sample(kind: Kind, language: str) -> dict[str, str]:
    """Values as a message of this kind might have them."""
    german = language == "de"
    values = {
        "name": "Ann Adler",
        "dependant": "",
        "class_type": "Reformer Flow",
        "instructor": "Jana Vogt",
        "room": "Blauer Raum" if german else "Blue Room",
        "location": "Kreuzberg",
        "spot": "Reformer 3",
        "start": day_and_time(_START, _ZONE, language),
        "start_short": short_time(_START, _ZONE, language),
        "time_zone": _ZONE,
        "link": "https://studio.example/?studio=1",
        "free_cancel_until": day_and_time(_START - timedelta(hours=12), _ZONE, language),
        "offer_until": day_and_time(_START - timedelta(hours=6), _ZONE, language),
        "previous_start": day_and_time(_START - timedelta(hours=1), _ZONE, language),
        "previous_start_short": short_time(_START - timedelta(hours=1), _ZONE, language),
        "previous_instructor": "",
        "previous_room": "Gelber Raum, Kreuzberg" if german else "Yellow Room, Kreuzberg",
        "changes": ", ".join(phrase(change, language) for change in ("time", "room")),
        "waiting": YES,
        "guest": "",
        "amount": money(1250, "EUR", language),
        "reason": phrase("no_show", language),
        "refunded": "",
        "number": "000042",
        "description": "10er-Karte" if german else "Class pack of 10",
        "date": day_and_time(_START, _ZONE, language),
        "sender": "Ben Berg",
        "code": "ABCD-EFGH-JKLM-NPQR",
        "message": "Alles Gute!\nBis bald im Studio" if german else "Happy birthday!\nSee you at the studio",
        "role": phrase("front_desk", language),
        "expires": day_and_time(_START + timedelta(days=3), "UTC", language),
        "created": "36",
        "conflicts": "2",
        "skipped": "1",
        "attention": "1",
        "conflict_list": "\n".join(
            f"Reformer Flow, {short_time(_START + timedelta(days=day), _ZONE, language)}: Room is taken"
            for day in (0, 7)
        ),
        "attention_list": "Mat Basics: Cannot generate classes - Room deleted. Update schedule.",
        "next_attempt": day_and_time(_START + timedelta(days=3), _ZONE, language),
        "bank_asks": "",
        "membership": "8 Kurse im Monat" if german else "8 classes a month",
        "interval": every(1, "month", language),
        "credits": "8",
        "renews": day_and_time(_START + timedelta(days=30), _ZONE, language),
        "ends": day_and_time(_START + timedelta(days=30), _ZONE, language),
        "usable_until": day_and_time(_START + timedelta(days=30), _ZONE, language),
        "resumed": "",
        "next_charge": "",
        "resumes": day_and_time(_START + timedelta(days=14), _ZONE, language),
        "held": "",
        "cancelled": "",
        "due": day_and_time(_START + timedelta(days=7), _ZONE, language),
        "won": "",
        "lost": "",
        "count": "3",
        "reasons": "E-Mail nicht zustellbar (2), Nummer unbekannt (1)"
        if german
        else "mail bounced (2), unknown number (1)",
    }
    return {name: values[name] for name in VARIABLES[kind]}
