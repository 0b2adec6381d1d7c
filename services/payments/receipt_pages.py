"""Receipts as PDF: their words and figures in a client's language, set on a page. No I/O but the template."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import typst
from babel.dates import format_datetime

from services.chassis import money as amounts
from services.payments.letterheads import Issuer
from services.payments.models import Receipt
from services.payments.receipts import CREDIT_NOTE, RECEIPT, REVERSAL

TEMPLATE = Path(__file__).parent / "templates" / "receipt.typ"

_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        RECEIPT: "Receipt",
        CREDIT_NOTE: "Credit note",
        REVERSAL: "Reversal of a credit note",
        "for": "For",
        "number": "Number",
        "date": "Date",
        "receipt": "About receipt",
        "method": "Paid with",
        "returned": "Paid back to",
        "tax_number": "Tax number",
        "discount": "Discount",
        "refund": "Refund: {}",
        "came_back": "Refund that came back: {}",
        "net": "Net",
        "tax": "Tax",
        "total": "Total",
        "date_form": "d MMMM y, HH:mm",
        "us_bank_account": "Bank account",
        "gift_card": "Gift card",
        "gift_part": "Of it by gift card",
    },
    "de": {
        RECEIPT: "Quittung",
        CREDIT_NOTE: "Gutschrift",
        REVERSAL: "Storno einer Gutschrift",
        "for": "Für",
        "number": "Nummer",
        "date": "Datum",
        "receipt": "Zu Quittung",
        "method": "Bezahlt mit",
        "returned": "Zurückgezahlt an",
        "tax_number": "Steuernummer",
        "discount": "Rabatt",
        "refund": "Erstattung: {}",
        "came_back": "Zurückgekommene Erstattung: {}",
        "net": "Netto",
        "tax": "Steuer",
        "total": "Gesamt",
        "date_form": "d. MMMM y, HH:mm",
        "us_bank_account": "Bankkonto",
        "gift_card": "Gutschein",
        "gift_part": "Davon per Gutschein",
    },
}

_FILES: Mapping[str, Mapping[str, str]] = {
    "en": {RECEIPT: "receipt", CREDIT_NOTE: "credit-note", REVERSAL: "reversal"},
    "de": {RECEIPT: "quittung", CREDIT_NOTE: "gutschrift", REVERSAL: "storno"},
}


def pdf(receipt: Receipt, client: str, language: str) -> bytes:
    """One page, in English where the language is not spoken here. Takes some 20 ms of a processor.

    Of the same facts the same bytes, whenever and wherever it is made, so that a mail that is handed over again is the
    same mail: its date is the receipt's, and its ids follow from what it holds.
    """
    made: bytes = typst.compile(
        TEMPLATE,
        sys_inputs={"data": json.dumps(contents(receipt, client, language))},
        ignore_system_fonts=True,
        timestamp=int(receipt.create_time.timestamp()),
    )
    return made


def file_name(receipt: Receipt, language: str) -> str:
    """`receipt-000042.pdf`, `gutschrift-000043.pdf`."""
    return f"{_FILES[_spoken(language)][receipt.kind]}-{number(receipt.number)}.pdf"


def contents(receipt: Receipt, client: str, language: str) -> dict[str, Any]:
    """All that the page says."""
    language = _spoken(language)
    words, issuer = _WORDS[language], Issuer(**receipt.issuer)

    def money(minor: int) -> str:
        return amounts.money(minor, receipt.currency_code, language)

    zone = ZoneInfo(issuer.time_zone)
    written = format_datetime(receipt.create_time.astimezone(zone), words["date_form"], zone, language)
    method = "gift_card" if receipt.gift_minor and receipt.gift_minor == receipt.total_minor else receipt.payment_method
    facts = [
        (words["number"], number(receipt.number)),
        (words["date"], f"{written} ({issuer.time_zone})"),
        (words["receipt"], number(receipt.receipt_number) if receipt.receipt_number else ""),
        (words["method" if receipt.kind == RECEIPT else "returned"], _method(method, words)),
        (words["gift_part"], money(receipt.gift_minor) if 0 < receipt.gift_minor < receipt.total_minor else ""),
        (words["tax_number"], issuer.tax_number),
    ]
    said = {RECEIPT: "{}", CREDIT_NOTE: words["refund"], REVERSAL: words["came_back"]}[receipt.kind]
    lines = [(said.format(receipt.description), money(receipt.price_minor))]
    if receipt.discount_minor:
        lines.append((words["discount"], money(-receipt.discount_minor)))
    if receipt.tax_minor:
        lines.append((words["net"], money(receipt.net_minor)))
        lines.append((receipt.tax_display_name or words["tax"], money(receipt.tax_minor)))
    return {
        "language": language,
        "title": f"{words[receipt.kind]} {number(receipt.number)}",
        "issuer": issuer.name,
        "address": issuer.address.splitlines(),
        "client": client,
        "for-whom": words["for"],
        "facts": [[name, value] for name, value in facts if value],
        "lines": [list(line) for line in lines],
        "total": [words["total"], money(receipt.total_minor)],
        "footer": issuer.footer,
    }


def number(count: int) -> str:
    """`000042`."""
    return f"{count:06d}"


def _spoken(language: str) -> str:
    head = language.lower().replace("_", "-").partition("-")[0]
    return head if head in _WORDS else "en"


def _method(method: str, words: Mapping[str, str]) -> str:
    """`visa 4242` as people read it: `Visa •••• 4242`."""
    kind, _, last4 = method.partition(" ")
    name = words.get(kind, kind.replace("_", " ").title())
    return f"{name} •••• {last4}" if last4 else name
