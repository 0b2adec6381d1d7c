"""Dates, times and money as people of a language write them. Pure, and independent of the locale of the process."""

from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

from services.chassis import money as amounts

# Their order never changes: their numbers are in links that were sent.
LANGUAGES = ("en", "de")

_LONG = {"en": "EEEE, d MMMM y, HH:mm", "de": "EEEE, d. MMMM y, HH:mm"}
_SHORT = {"en": "EEE d MMM, HH:mm", "de": "EEE d. MMM, HH:mm"}


# What facts that are values of an enum are called.
_PHRASES = {
    "en": {
        "time": "time",
        "instructor": "instructor",
        "room": "room",
        "restored": "takes place after all",
        "late_cancel": "late cancellation",
        "no_show": "absence",
        "owner": "owner",
        "manager": "manager",
        "front_desk": "front desk",
        "client": "client",
        "more": "more",
    },
    "de": {
        "time": "Zeit",
        "instructor": "Kursleitung",
        "room": "Raum",
        "restored": "findet doch statt",
        "late_cancel": "späte Absage",
        "no_show": "nicht erschienen",
        "owner": "Inhaber:in",
        "manager": "Leitung",
        "front_desk": "Empfang",
        "client": "Kund:in",
        "more": "weitere",
    },
}


_UNITS = {
    "en": {"week": ("week", "weeks"), "month": ("month", "months"), "year": ("year", "years")},
    "de": {"week": ("jede Woche", "Wochen"), "month": ("jeden Monat", "Monate"), "year": ("jedes Jahr", "Jahre")},
}


def spoken(language: str) -> str:
    """The language of ours that is nearest: `de-AT` is German, and what we do not speak is English."""
    head = language.lower().replace("_", "-").partition("-")[0]
    return head if head in LANGUAGES else LANGUAGES[0]


def phrase(key: str, language: str = "en") -> str:
    """What a change, the reason of a fee, a role or the rest of a list is called."""
    return _PHRASES[spoken(language)][key]


@lru_cache(maxsize=4096)  # those of a class read the same
def day_and_time(instant: datetime, zone: str, language: str = "en") -> str:
    """`Monday, 23 November 2026, 10:00` as a clock in that zone shows it."""
    return _format(instant, zone, _LONG, language)


@lru_cache(maxsize=4096)
def short_time(instant: datetime, zone: str, language: str = "en") -> str:
    """`Mon 23 Nov, 10:00`, in which an SMS pays for few characters."""
    return _format(instant, zone, _SHORT, language)


def wall_time(local: datetime, language: str = "en") -> str:
    """The same of a time that is read where it is meant."""
    return format_datetime(local, _SHORT[spoken(language)], locale=spoken(language))


def money(amount_minor: int, currency: str, language: str = "en") -> str:
    """`€12.50`, from minor units of an ISO 4217 currency."""
    return amounts.money(amount_minor, currency, spoken(language))


def every(count: int, unit: str, language: str = "en") -> str:
    """`every month`, `every 2 weeks`, of an interval that is a week, a month or a year."""
    one, many = _UNITS[spoken(language)][unit]
    if spoken(language) == "de":
        return one if count == 1 else f"alle {count} {many}"
    return f"every {one}" if count == 1 else f"every {count} {many}"


def _format(instant: datetime, zone: str, patterns: dict[str, str], language: str) -> str:
    language = spoken(language)
    return format_datetime(instant.astimezone(ZoneInfo(zone)), patterns[language], ZoneInfo(zone), language)
