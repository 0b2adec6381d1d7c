"""A receipt's PDF: of the same facts the same bytes, whenever and wherever it is made."""

import hashlib
import io
import subprocess
import sys
from datetime import UTC, datetime

from pypdf import PdfReader

from services.payments import receipt_pages
from services.payments.models import Receipt
from services.payments.receipts import CREDIT_NOTE, RECEIPT, REVERSAL

WRITTEN = datetime(2026, 11, 25, 23, 30, tzinfo=UTC)


def receipt(kind: str = RECEIPT) -> Receipt:
    issuer = {"name": "Kiez", "address": "", "tax_number": "", "footer": "", "time_zone": "Europe/Berlin"}
    return Receipt(
        kind=kind,
        number=42,
        description="10 classes",
        price_minor=10_000,
        discount_minor=0,
        net_minor=10_000,
        tax_minor=0,
        total_minor=10_000,
        gift_minor=0,
        currency_code="EUR",
        tax_display_name="",
        payment_method="visa 4242",
        receipt_number=None,
        issuer=issuer,
        create_time=WRITTEN,
    )


def made() -> str:
    return hashlib.sha256(receipt_pages.pdf(receipt(), "Ann Adler", "de-AT")).hexdigest()


def test_another_process_makes_the_same_bytes_later() -> None:
    program = "from tests.unit.payments.test_receipt_pages import made; print(made())"
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == made()


def test_it_says_when_the_receipt_was_written_and_not_when_the_page_was() -> None:
    about = PdfReader(io.BytesIO(receipt_pages.pdf(receipt(), "Ann Adler", "en"))).metadata
    assert about
    assert (about.creation_date, about.modification_date) == (WRITTEN, WRITTEN)


def test_files_are_named_in_the_language_of_the_page() -> None:
    kinds, languages = (RECEIPT, CREDIT_NOTE), ("de-AT", "fr")
    names = [receipt_pages.file_name(receipt(kind), language) for kind in kinds for language in languages]
    assert names == ["quittung-000042.pdf", "receipt-000042.pdf", "gutschrift-000042.pdf", "credit-note-000042.pdf"]
    assert receipt_pages.file_name(receipt(REVERSAL), "en") == "reversal-000042.pdf"
