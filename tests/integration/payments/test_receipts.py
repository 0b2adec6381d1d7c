"""Receipts: one for each movement of money, numbered without a gap, as PDF in the language of the client."""

import asyncio
import io
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode
from pypdf import PdfReader
from sqlalchemy.exc import IntegrityError

from powerhouse.booking.v1 import client_service_pb2
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.payments.v1 import receipt_service_pb2 as pb
from powerhouse.payments.v1.events_pb2 import ReceiptIssued
from powerhouse.payments.v1.purchase_service_pb2 import Purchase
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from services.payments import letterheads, receipting, receipts
from tests.integration.booking.house import key, refused
from tests.integration.payments.house import Shop


async def furnish(shop: Shop) -> None:
    """What scheduling says of the studio, and what it says of itself."""
    async with shop.payments.resources.database.transaction(shop.tenant) as tx:
        await letterheads.put_studio(tx, version=1, display_name="Kiez Pilates", time_zone="Europe/Berlin")
    letterhead = pb.Letterhead(
        name=f"{shop.name}/letterhead",
        business_name="Kiez Pilates GmbH",
        address="Oranienstraße 12\n10999 Berlin",
        tax_number="DE123456789",
    )
    await shop.staff.UpdateLetterhead(pb.UpdateLetterheadRequest(letterhead=letterhead, request_id=key()))


async def enrol(shop: Shop, language: str = "de", **fields: Any) -> str:
    client = Client(display_name="Leyla Aydın", language=language, **fields)
    made = await shop.booker.CreateClient(
        client_service_pb2.CreateClientRequest(parent=shop.name, client=client, request_id=key())
    )
    return str(made.name)


async def listed(shop: Shop, **filters: str) -> list[pb.Receipt]:
    answer = await shop.staff.ListReceipts(pb.ListReceiptsRequest(parent=shop.name, **filters))
    return list(reversed(answer.receipts))


async def text_of(shop: Shop, receipt: pb.Receipt, stub: Any = None) -> str:
    answer = await (stub or shop.staff).DownloadReceipt(pb.DownloadReceiptRequest(name=receipt.name))
    assert answer.content_type == "application/pdf"
    [page] = PdfReader(io.BytesIO(answer.data)).pages
    return page.extract_text()


async def test_a_payment_and_its_refunds_are_written_down(shop: Shop) -> None:
    await furnish(shop)
    shop.payments.mesh.clock.instant = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    option = await shop.sell(10_000, display_name="10er-Karte *neu*", tax_rate=await shop.tax(inclusive=True))
    await shop.promo("HALLO", off_minor=1000)
    purchase = await shop.buy(await enrol(shop), option, 9000, "hallo")
    await shop.pay(purchase)
    await shop.tell_all()
    [receipt] = await listed(shop, purchase=purchase.name)
    assert (receipt.kind, receipt.number, receipt.payment_method) == (pb.Receipt.RECEIPT, 1, "visa 4242")
    assert (receipt.net_minor, receipt.tax_minor, receipt.total_minor) == (7563, 1437, 9000)
    text = await text_of(shop, receipt)
    for said in (
        *("Kiez Pilates GmbH", "Oranienstraße 12", "DE123456789", "Leyla Aydın", "Quittung 000001", "10er-Karte *neu*"),
        *("100,00", "-10,00", "75,63", "14,37", "90,00", "Visa •••• 4242", "1. Januar 2027, 00:30 (Europe/Berlin)"),
    ):
        assert said in text.replace("\N{NO-BREAK SPACE}", " "), text

    refund = await shop.refund(purchase, 4500, 5)
    await shop.work_off()
    [_, note] = await listed(shop, purchase=purchase.name)
    assert (note.kind, note.number, note.receipt_number, note.refund) == (pb.Receipt.CREDIT_NOTE, 2, 1, refund.name)
    assert note.net_minor + note.tax_minor == note.total_minor == 4500
    text = await text_of(shop, note)
    assert "Gutschrift 000002" in text
    assert "Erstattung: 10er-Karte" in text
    # The bank gives it back; and what is told twice is written once.
    made = next(event for event in await shop.told() if event["type"] == "refund.created")
    await shop.control("POST", f"refunds/{made['data']['object']['id']}/fail", {"account": shop.account})
    await shop.tell_all()
    await shop.tell_all()
    documents = await listed(shop, purchase=purchase.name)
    assert [document.kind for document in documents] == [
        *(pb.Receipt.RECEIPT, pb.Receipt.CREDIT_NOTE, pb.Receipt.CREDIT_NOTE_REVERSAL)
    ]
    assert "Storno einer Gutschrift 000003" in await text_of(shop, documents[-1])
    events = await shop.payments.events(ReceiptIssued, shop.tenant)
    assert [(event.number, event.total_minor) for event in events] == [(1, 9000), (2, 4500), (3, 4500)]
    assert await shop.violations() == {}


async def test_a_client_reads_its_own_and_nobody_elses_in_its_language(shop: Shop) -> None:
    account = new_id()
    client = await enrol(shop, "fr", account=f"accounts/{account}")
    mine, stranger = shop.as_role(Role.ROLE_CLIENT, account), shop.as_role(Role.ROLE_CLIENT, new_id())
    purchase = await shop.buy(client, await shop.sell(), 10_000, stub=mine)
    await shop.pay(purchase)
    await shop.tell_all()
    [receipt] = (await mine.ListReceipts(pb.ListReceiptsRequest(parent=shop.name))).receipts
    assert await mine.GetReceipt(pb.GetReceiptRequest(name=receipt.name)) == receipt
    # What is not spoken here is English; nobody has told the studio's name or zone yet.
    assert "Receipt 000001" in await text_of(shop, receipt, mine)
    assert not (await stranger.ListReceipts(pb.ListReceiptsRequest(parent=shop.name))).receipts
    for name in (receipt.name, f"{shop.name}/receipts/{new_id()}"):
        denied = StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED"
        await refused(stranger.GetReceipt(pb.GetReceiptRequest(name=name)), *denied)
        await refused(stranger.DownloadReceipt(pb.DownloadReceiptRequest(name=name)), *denied)
    unknown = pb.GetReceiptRequest(name=f"{shop.name}/receipts/{new_id()}")
    await refused(shop.staff.GetReceipt(unknown), StatusCode.NOT_FOUND, "NOT_FOUND")


async def test_what_costs_nothing_has_no_receipt(shop: Shop) -> None:
    await shop.buy(await shop.add_client(), await shop.sell(0), 0)
    await shop.work_off()
    assert await listed(shop) == []


async def test_numbers_have_no_gap_although_some_writers_fail(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    client, option = await shop.add_client(), await shop.sell()
    for _ in range(8):
        await shop.pay(await shop.buy(client, option, 10_000))
    paid = [
        row["purchase_id"]
        for row in await shop.payments.sql("SELECT purchase_id FROM payments WHERE tenant_id = $1", shop.tenant)
    ]
    await shop.tell(await shop.told())
    work, write = shop.payments.resources, receipts.write
    failing = iter([True, False, True, True, False] + [False] * 40)

    async def weak(tx: Any, receipt: Any) -> None:
        await write(tx, receipt)
        if next(failing):
            raise RuntimeError("the process ends here")

    monkeypatch.setattr(receipts, "write", weak)
    issue = [receipting.issue(work, shop.tenant, receipts.RECEIPT, each, None) for each in paid]
    ends = await asyncio.gather(*issue, return_exceptions=True)
    # Two who write the same one at once: the second finds it, or is told by the index.
    assert sum(isinstance(end, RuntimeError) for end in ends) == 3
    again = [receipting.issue(work, shop.tenant, receipts.RECEIPT, each, None) for each in paid * 2]
    ends = await asyncio.gather(*again, return_exceptions=True)
    assert all(end is None or isinstance(end, IntegrityError) for end in ends)
    assert sorted(receipt.number for receipt in await listed(shop)) == list(range(1, 9))
    assert await shop.violations() == {}


async def test_a_letterhead_is_for_receipts_to_come(shop: Shop) -> None:
    name = f"{shop.name}/letterhead"
    assert (await shop.staff.GetLetterhead(pb.GetLetterheadRequest(name=name))).etag == "0"
    await furnish(shop)
    await shop.bought()
    changed = pb.Letterhead(name=name, business_name="Kiez AG", etag="1")
    mask = FieldMask(paths=["business_name"])
    request = pb.UpdateLetterheadRequest(letterhead=changed, update_mask=mask, request_id=key())
    assert (await shop.staff.UpdateLetterhead(request)).tax_number == "DE123456789"
    request.request_id = key()
    await refused(shop.staff.UpdateLetterhead(request), StatusCode.ABORTED, "ETAG_MISMATCH")
    await shop.bought()
    old, new = [await text_of(shop, receipt) for receipt in await listed(shop)]
    assert "Kiez Pilates GmbH" in old
    assert "Kiez AG" in new


async def test_history_is_filtered_by_client_state_and_time(shop: Shop) -> None:
    from google.protobuf.timestamp_pb2 import Timestamp

    from powerhouse.payments.v1.purchase_service_pb2 import ListPurchasesRequest

    def at(instant: datetime) -> Timestamp:
        stamp = Timestamp()
        stamp.FromDatetime(instant)
        return stamp

    async def names(**filters: Any) -> list[str]:
        answer = await shop.staff.ListPurchases(ListPurchasesRequest(parent=shop.name, **filters))
        return [purchase.name for purchase in answer.purchases]

    clock = shop.payments.mesh.clock
    first = await shop.bought()
    shop.move(days=1)
    between = clock.now()
    shop.move(days=1)
    second = await shop.buy(first.client, await shop.sell(), 10_000)
    third = await shop.bought()
    assert await names() == [third.name, second.name, first.name]
    assert await names(client=first.client) == [second.name, first.name]
    assert await names(states=[Purchase.FULFILLED]) == [third.name, first.name]
    assert await names(states=[Purchase.OPEN, Purchase.PAID]) == [second.name]
    assert await names(start_time=at(between)) == [third.name, second.name]
    assert await names(end_time=at(between), states=[Purchase.FULFILLED]) == [first.name]
    page = await shop.staff.ListPurchases(ListPurchasesRequest(parent=shop.name, page_size=2, start_time=at(between)))
    assert not page.next_page_token
    bad = ListPurchasesRequest(parent=shop.name, start_time=at(between), end_time=at(between))
    await refused(shop.staff.ListPurchases(bad), StatusCode.INVALID_ARGUMENT, "INVALID_RANGE")
