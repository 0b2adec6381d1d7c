"""Receipts by mail: once for each document, to whom it belongs, unless they do not want them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from powerhouse.notify.v1 import preference_service_pb2
from powerhouse.notify.v1.preference_service_pb2_grpc import PreferenceServiceStub
from powerhouse.payments.v1.events_pb2 import ReceiptIssued
from powerhouse.payments.v1.receipt_service_pb2 import Receipt
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from services.chassis.messaging.envelope import Envelope
from tests.integration.notify.desk import Desk
from tests.integration.notify.house import envelope_of, new_email


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


async def test_who_paid_reads_a_receipt_and_who_got_money_back_a_credit_note(desk: Desk) -> None:
    email = new_email()
    client = await desk.new_client(email, "Ann Adler", "")
    receipt, told = issued(desk, client, Receipt.RECEIPT, number=41, total_minor=16_500)
    await desk.post.apply([told, told])
    await desk.post.work_off()
    [mail] = await desk.post.mails(email)
    assert mail["subject"] == "Receipt 000041: €165.00"
    for said in ("Hello Ann Adler", "received your payment", "10 classes <b>", "Thursday, 26 November 2026, 00:30"):
        assert said in mail["text"]
    assert f"/pay?purchase={desk.post.name}/purchases/{receipt.purchase_id}" in mail["text"]
    assert "10 classes &lt;b&gt;" in mail["html"]

    _, note = issued(desk, client, Receipt.CREDIT_NOTE, number=42, total_minor=500)
    _, reversal = issued(desk, client, Receipt.CREDIT_NOTE_REVERSAL, number=43, total_minor=500)
    await desk.post.apply([reversal, note])
    await desk.post.work_off()
    [mail] = [each for each in await desk.post.mails(email) if each["subject"] != mail["subject"]]
    assert mail["subject"] == "Credit note 000042: €5.00"
    assert "on its way back to you" in mail["text"]


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
    assert (await desk.post.delivery(UUID(receipt.receipt_id)))["state"] == "skipped"
    assert await desk.post.mails(email) == []
