"""One-click unsubscribing (RFC 8058): headers and links of a mail, and the page of people who follow them."""

from services.notify.local_words import spoken
from services.notify.models import Kind
from services.notify.templates import page_template

_WORDS = {
    "en": {
        Kind.BOOKING_CONFIRMATION: "booking confirmations",
        Kind.REMINDER: "reminders",
        Kind.WAITLIST_PROMOTED: "news from the waitlist",
        Kind.WAITLIST_OFFER: "offers from the waitlist",
        Kind.CLASS_CANCELLED: "news of cancelled classes",
        Kind.CLASS_CHANGED: "news of changed classes",
        Kind.DISPLACED: "news of places that are gone",
        Kind.FEE_DUE: "news of fees",
        Kind.RECEIPT: "receipts",
        Kind.FEE_DECLINED: "news of fees that a card did not pay",
        Kind.MEMBERSHIP_JOINED: "confirmations of memberships",
        Kind.MEMBERSHIP_PAST_DUE: "news of memberships that were not paid",
        Kind.MEMBERSHIP_CANCELLED: "confirmations of cancelled memberships",
        Kind.MEMBERSHIP_ENDED: "news of memberships that have ended",
        Kind.MEMBERSHIP_PAUSED: "news of paused memberships",
        Kind.PURCHASE_RETURNED: "news of places that could not be had",
        None: "messages",
    },
    "de": {
        Kind.BOOKING_CONFIRMATION: "Buchungsbestätigungen",
        Kind.REMINDER: "Erinnerungen",
        Kind.WAITLIST_PROMOTED: "Nachrichten von der Warteliste",
        Kind.WAITLIST_OFFER: "Angebote von der Warteliste",
        Kind.CLASS_CANCELLED: "Nachrichten über abgesagte Kurse",
        Kind.CLASS_CHANGED: "Nachrichten über geänderte Kurse",
        Kind.DISPLACED: "Nachrichten über weggefallene Plätze",
        Kind.FEE_DUE: "Nachrichten über Gebühren",
        Kind.RECEIPT: "Quittungen",
        Kind.FEE_DECLINED: "Nachrichten über abgelehnte Gebühren",
        Kind.MEMBERSHIP_JOINED: "Bestätigungen von Mitgliedschaften",
        Kind.MEMBERSHIP_PAST_DUE: "Nachrichten über unbezahlte Mitgliedschaften",
        Kind.MEMBERSHIP_CANCELLED: "Kündigungsbestätigungen",
        Kind.MEMBERSHIP_ENDED: "Nachrichten über beendete Mitgliedschaften",
        Kind.MEMBERSHIP_PAUSED: "Nachrichten über pausierte Mitgliedschaften",
        Kind.PURCHASE_RETURNED: "Nachrichten über Plätze, die nicht mehr frei waren",
        None: "Nachrichten",
    },
}


def headers(public_url: str, token: str) -> dict[str, str]:
    """What lets a mail program offer to unsubscribe, without a page and without signing in."""
    return {
        "List-Unsubscribe": f"<{link(public_url, token)}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def link(public_url: str, token: str) -> str:
    """Ends mails of the kind that the token names: by POST at once, by GET after a page has asked."""
    return f"{public_url.rstrip('/')}/v1/unsubscribe/{token}"


def preferences_link(public_url: str, token: str) -> str:
    """Opens the page of preferences. What stands behind `#` browsers keep to themselves: no log shows it."""
    return f"{public_url.rstrip('/')}/preferences#token={token}"


def page(kind: Kind | None, studio: str, token: str, language: str, *, done: bool) -> str:
    """Asks, or says that it is done. Works without JavaScript."""
    language = spoken(language)
    return page_template("unsubscribe.html").render(
        language=language, kind=_WORDS[language][kind], studio=studio, token=token, done=done
    )
