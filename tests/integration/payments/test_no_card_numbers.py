"""No card number is anywhere: not in the databases, not in logs, not in what goes to the broker."""

import logging
import re
from collections.abc import Iterator
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from services.chassis.messaging.envelope import COLUMNS, Envelope
from tests.integration.payments.house import Shop
from tests.support.services import Running

# As people and machines write them; part of a longer word it is none, nor is a UUID one.
_NUMBER = re.compile(r"(?<![0-9A-Za-z_])(?:[2-6](?:[ -]?[0-9]){12,18})(?![0-9A-Za-z_])")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def card_numbers(text: str) -> Iterator[str]:
    """13 to 19 digits that satisfy Luhn and begin as those of cards do."""
    for found in _NUMBER.findall(_UUID.sub("-", text)):
        digits = [int(each) for each in re.sub("[^0-9]", "", found)][::-1]
        doubled = (sum(divmod(2 * each, 10)) for each in digits[1::2])
        if (sum(digits[::2]) + sum(doubled)) % 10 == 0:
            yield found


async def dump(service: Running, tenant: UUID, account: str) -> list[str]:
    """Every row of the studio and of its account, as text."""
    named = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    rows: list[str] = []
    for (table,) in await service.sql(named):
        query = f"SELECT t::text FROM {table} t WHERE strpos(t::text, $1) > 0 OR strpos(t::text, $2) > 0"
        rows += [row[0] for row in await service.sql(query, str(tenant), account)]
    return rows


async def messages(service: Running, tenant: UUID) -> list[str]:
    """What the relay tells the broker of the studio, as it does."""
    rows = await service.sql(f"SELECT {COLUMNS} FROM outbox WHERE tenant_id = $1", tenant)
    return [str(Envelope.of_row(row).as_json()) for row in rows]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("4242424242424242", 1),
        ('{"n": "4000 0000 0000 9995"}', 1),
        ("(a,3782-822463-10005,b)", 1),
        ("6011000990139424 and 5555555555554444", 2),
        ("4242424242424243", 0),
        ("pi_4242424242424242", 0),
        ("42424242-4242-4242-8242-424242424242", 0),
    ],
)
def test_the_scan_finds_them(text: str, count: int) -> None:
    assert len(list(card_numbers(text))) == count


async def test_no_card_number_is_anywhere(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with capture_logs() as logs:
        purchase = await shop.buy(await shop.add_client(), await shop.sell(tax_rate=await shop.tax()), 11_900)
        await shop.pay(purchase, "pm_card_visa_chargeDeclined")
        await shop.pay(purchase, "pm_card_mastercard")
        await shop.tell_all()
        paid = next(e for e in await shop.told() if e["type"] == "payment_intent.succeeded")["data"]["object"]
        refund = await shop.refund(purchase, 5950, 5)
        await shop.work_off()
        about = {"account": shop.account, "charge": paid["latest_charge"], "amount": 1000}
        await shop.control("POST", "disputes", about)
        await shop.tell_all()
        await shop.reconcile()
    rows = [*await dump(shop.payments, shop.tenant, shop.account), *await dump(shop.booking, shop.tenant, shop.account)]
    told = [*await messages(shop.payments, shop.tenant), *await messages(shop.booking, shop.tenant)]
    said = [str(line) for line in logs] + [record.getMessage() for record in caplog.records]
    # There was something to look through.
    assert len(rows) > 50
    assert told
    assert said
    assert [found for text in (*rows, *told, *said) for found in card_numbers(text)] == []
    # One that somebody writes where words may stand is found.
    planted = "UPDATE refunds SET reason = 'card 4242 4242 4242 4242' WHERE id = $1"
    await shop.payments.sql(planted, UUID(refund.name.rpartition("/")[2]))
    found = [each for text in await dump(shop.payments, shop.tenant, shop.account) for each in card_numbers(text)]
    assert found == ["4242 4242 4242 4242"]
