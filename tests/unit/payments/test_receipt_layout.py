"""A receipt with words longer than its lines: they break, and run over nothing."""

import io
from datetime import UTC, datetime

from pypdf import PdfReader

from services.payments.models import Receipt
from services.payments.receipt_pages import pdf
from services.payments.receipts import RECEIPT


def test_a_word_longer_than_the_line_breaks() -> None:
    issuer = {"name": "N" * 120, "address": "A" * 300, "tax_number": "", "footer": "", "time_zone": "Europe/Berlin"}
    amounts = {"price_minor": 99_999_999, "discount_minor": 0, "tax_minor": 0, "total_minor": 99_999_999}
    receipt = Receipt(
        kind=RECEIPT,
        number=1,
        issuer=issuer,
        currency_code="EUR",
        create_time=datetime(2026, 11, 26, tzinfo=UTC),
        payment_method="visa 4242",
        description="D" * 120,
        gift_minor=0,
        **amounts,
    )
    [page] = PdfReader(io.BytesIO(pdf(receipt, "C" * 120, "en"))).pages
    longest = max(len(line) for line in page.extract_text().replace("\u200b", "").splitlines())
    assert longest < 100
