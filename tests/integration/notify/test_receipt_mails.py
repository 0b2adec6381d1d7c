"""Receipts by mail: once for each document, with its PDF, to whom it belongs, unless they do not want them."""

import io
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
from pypdf import PdfReader

from powerhouse.notify.v1 import preference_service_pb2
from powerhouse.notify.v1.preference_service_pb2_grpc import PreferenceServiceStub
from powerhouse.payments.v1.events_pb2 import ReceiptIssued
from powerhouse.payments.v1.receipt_service_pb2 import Receipt
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from services.chassis.messaging.envelope import Envelope
from tests.integration.notify.desk import Desk
from tests.integration.notify.house import envelope_of, new_email
from tests.integration.notify.till import Till


def issued(desk: Desk, client: str, kind: "Receipt.Kind.ValueType", **fields: Any) -> tuple[ReceiptIssued, Envelope]:
    """What payments tells when a document is written."""
    event = ReceiptIssued(
        receipt_id=str(new_id()),
        purchase_id=str(new_id()),
        client_id=client.rpartition("/")[2],
        kind=kind,
        description="10 classes <b>",
        currency_code="EUR",
        **fields,
    )
    event.create_time.FromDatetime(datetime(2026, 11, 25, 23, 30, tzinfo=UTC))
    return event, envelope_of(event, desk.post.studio)


async def test_who_paid_reads_a_receipt_and_who_got_money_back_a_credit_note(till: Till) -> None:
    ann, leyla = await till.payer(), await till.payer("de-AT")
    option = await till.shop.sell(display_name="10 classes <b>")
    purchases = [await till.shop.buy(payer.name, option, 10_000) for payer in (ann, leyla)]
    for purchase in purchases:
        await till.shop.pay(purchase)
        await till.shop.tell_all()
    await till.shop.refund(purchases[1], 5000, 5)
    await till.shop.work_off()
    await till.write()
    [mail] = await till.post.mails(ann.email)
    assert mail["subject"] == "Receipt 000001: €100.00"
    for said in ("Hello Ann Adler", "received your payment", "10 classes <b>", "The receipt is attached as a PDF."):
        assert said in mail["text"]
    assert f"/pay?purchase={purchases[0].name}" in mail["text"]
    assert "10 classes &lt;b&gt;" in mail["html"]
    assert await attached(till, mail, "receipt-000001.pdf") >= {"Receipt 000001", "Ann Adler"}
    # Both leave at once.
    note, mail = sorted(await till.post.mails(leyla.email), key=lambda each: str(each["subject"]))
    assert mail["subject"].startswith("Quittung 000002: 100,00")
    assert await attached(till, mail, "quittung-000002.pdf") >= {"Quittung 000002", "Ann Adler"}
    assert note["subject"].startswith("Gutschrift 000003: 50,00")
    assert "dein Geld geht auf dem Weg zurück, auf dem es gekommen ist." in note["text"]
    assert await attached(till, note, "gutschrift-000003.pdf") >= {"Gutschrift 000003"}


async def attached(till: Till, mail: dict[str, Any], name: str) -> set[str]:
    """The lines of the PDF that came with a mail."""
    [file] = mail["attachments"]
    assert (file["file_name"], file["media_type"]) == (name, "application/pdf")
    async with httpx.AsyncClient(timeout=60) as client:
        answer = await client.get(f"{till.post.sandbox}{file['path']}")
    assert len(answer.raise_for_status().content) == file["size"]
    [page] = PdfReader(io.BytesIO(answer.content)).pages
    return set(page.extract_text().splitlines())


async def test_a_receipt_waits_for_payments_and_is_the_same_mail_when_it_is_handed_over_again(till: Till) -> None:
    payer, targets = await till.payer(), till.post.notify.mesh.targets
    purchase = await till.shop.buy(payer.name, await till.shop.sell(), 10_000)
    await till.shop.pay(purchase)
    await till.shop.tell_all()
    await till.carry()
    here, targets["payments"] = targets["payments"], "127.0.0.1:1"
    await till.post.run_once()
    targets["payments"] = here
    await till.post.notify.resources.stubs.close()
    [told] = await till.shop.payments.events(ReceiptIssued, till.shop.tenant)
    delivery = await till.post.delivery(UUID(told.receipt_id))
    assert (delivery["state"], delivery["attempts"]) == ("pending", 0)
    assert await till.post.mails(payer.email) == []
    # Taken, and nobody was told so.
    await till.post.misbehave(accept_then_500=1)
    await till.post.work_off()
    delivery = await till.post.delivery(UUID(told.receipt_id))
    assert (delivery["state"], delivery["attempts"], delivery["reason"]) == ("accepted", 2, "")
    [mail] = await till.post.mails(payer.email)
    assert (mail["accepted_count"], len(mail["attachments"])) == (1, 1)
    # The document is payments'; here is only which one it was.
    assert set(json.loads(delivery["args"])) == {
        *("purchase", "refunded", "number", "description", "amount_minor", "currency_code", "time")
    }


async def test_who_wants_none_gets_none(desk: Desk) -> None:
    email = new_email()
    client = await desk.new_client(email, "Ann Adler", "")
    staff = desk.post.notify.as_account(PreferenceServiceStub, roles={desk.post.studio: [Role.ROLE_FRONT_DESK]})
    wanted = preference_service_pb2.Preferences(name=f"{client}/preferences")
    wanted.opt_outs.add(kind="RECEIPT", channel="EMAIL")
    await staff.UpdatePreferences(
        preference_service_pb2.UpdatePreferencesRequest(preferences=wanted, request_id=uuid4().hex)
    )
    receipt, told = issued(desk, client, Receipt.RECEIPT, number=1, total_minor=100)
    await desk.post.apply([told])
    await desk.post.work_off()
    # Payments is not even asked for the document.
    assert (await desk.post.delivery(UUID(receipt.receipt_id)))["state"] == "skipped"
    assert await desk.post.mails(email) == []
