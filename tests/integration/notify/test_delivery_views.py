"""How deliveries look from the studio: lists, figures, and clients whom messages do not reach."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import grpc
import pytest

from powerhouse.notify.v1 import delivery_report_service_pb2 as pb
from powerhouse.notify.v1 import notify_service_pb2
from powerhouse.notify.v1.notify_service_pb2 import Delivery
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.db.urls import database_name, service_url
from services.chassis.ids import new_id
from services.chassis.rpc.codec import to_timestamp
from services.notify import deliveries
from services.notify.jobs import jobs
from tests.integration.notify.studio import Studio
from tests.support.services import fields_of, reason_of


class Past:
    """Writes deliveries as they might have ended, past the guard of their states."""

    def __init__(self, studio: Studio, connection: Any) -> None:
        self.studio, self._connection = studio, connection
        self.now = studio.notify.mesh.clock.now()

    async def add(
        self,
        state: str = "accepted",
        *,
        channel: str = "email",
        ago: timedelta = timedelta(hours=1),
        late: float = 0,
        reason: str = "",
        client: UUID | None = None,
        **columns: Any,
    ) -> UUID:
        at = self.now - ago
        sent = state in ("accepted", "delivered")
        values = {
            "tenant_id": self.studio.id,
            "id": new_id(),
            "kind": "reminder",
            "subject_id": new_id(),
            "channel": channel,
            "client_id": client or self.studio.client_id,
            "state": state,
            "reason": reason,
            "due_time": at,
            "due_at": at,
            "accept_time": at + timedelta(seconds=late) if sent else None,
            "story": json.dumps([{"at": (at + timedelta(seconds=late)).isoformat(), "what": state}]),
            "create_time": at,
            **columns,
        }
        names, places = ", ".join(values), ", ".join(f"${n}" for n in range(1, len(values) + 1))
        await self._connection.execute(f"INSERT INTO deliveries ({names}) VALUES ({places})", *values.values())
        made: UUID = values["id"]
        return made

    async def report(self, since: datetime, until: datetime) -> pb.DeliveryReport:
        request = pb.GetDeliveryReportRequest(
            parent=self.studio.name, start_time=to_timestamp(since), end_time=to_timestamp(until)
        )
        answer: pb.DeliveryReport = await self.studio.staff(Role.ROLE_MANAGER).GetDeliveryReport(request)
        return answer

    async def warnings(self) -> list[tuple[str, int, str]]:
        """As both ways tell them: the list and the look-up."""
        staff, parent = self.studio.staff(), self.studio.name
        listed = await staff.ListClientWarnings(pb.ListClientWarningsRequest(parent=parent))
        clients = sorted({each.client for each in listed.client_warnings}) or [f"{parent}/clients/{new_id()}"]
        looked_up = await staff.BatchGetClientWarnings(pb.BatchGetClientWarningsRequest(parent=parent, clients=clients))
        key = lambda each: (each.client, each.channel)  # noqa: E731
        assert sorted(listed.client_warnings, key=key) == sorted(looked_up.client_warnings, key=key)
        return [(each.client, each.channel, each.reason) for each in listed.client_warnings]


@pytest.fixture
async def past(studio: Studio) -> AsyncIterator[Past]:
    connection = await asyncpg.connect(f"{studio.notify.mesh.admin_url}/{database_name('notify')}")
    await connection.execute("SET session_replication_role = replica")
    yield Past(studio, connection)
    await connection.close()


async def test_the_figures_of_a_period_by_channel_and_reason(past: Past) -> None:
    for late in range(100):
        await past.add("delivered" if late % 2 else "accepted", late=late)
    await past.add("failed", reason="the mailbox is full")
    for reason in ("SMS skipped - client preference",) * 2 + ("quiet hours",):
        await past.add("skipped", channel="sms", reason=reason)
    await past.add("pending", channel="sms")
    await past.add("accepted", ago=timedelta(days=2), late=5000)
    report = await past.report(past.now - timedelta(days=1), past.now)
    mail, sms = report.channels
    assert (mail.channel, mail.sent, mail.delivered, mail.failed) == (Delivery.EMAIL, 100, 50, 1)
    assert mail.lateness_p50_seconds == pytest.approx(49.5)
    assert mail.lateness_p99_seconds == pytest.approx(98.01)
    assert (sms.channel, sms.sent, sms.skipped, sms.open) == (Delivery.SMS, 0, 3, 1)
    assert [(each.channel, each.state, each.reason, each.count) for each in report.reasons] == [
        (Delivery.SMS, Delivery.SKIPPED, "SMS skipped - client preference", 2),
        (Delivery.EMAIL, Delivery.FAILED, "the mailbox is full", 1),
        (Delivery.SMS, Delivery.SKIPPED, "quiet hours", 1),
    ]
    other = Past(Studio(past.studio.booking, past.studio.notify), None)
    assert not (await other.report(past.now - timedelta(days=1), past.now)).channels


async def test_a_period_that_is_none_is_refused(past: Past) -> None:
    end = datetime.max.replace(tzinfo=UTC)
    for since, until in (
        (past.now, past.now),
        (past.now - timedelta(days=401), past.now),
        (past.now, end),
        (end, past.now),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await past.report(since, until)
        assert fields_of(refusal.value) == ["end_time"]


async def test_what_was_due_two_years_ago_goes_and_no_figure_changes(past: Past) -> None:
    kept = deliveries.KEPT
    for minutes in (1, 2):
        await past.add(ago=kept + timedelta(minutes=minutes))
    waiting = await past.add("unknown", ago=kept + timedelta(days=1))
    young = [await past.add(ago=kept - timedelta(days=days)) for days in (1, 380)]
    period = past.now - kept, past.now - kept + timedelta(days=390)
    before = await past.report(*period)
    assert before.channels[0].sent == 2
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await past.report(past.now - kept - timedelta(days=1), past.now - kept + timedelta(days=1))
    assert (reason_of(refusal.value), fields_of(refusal.value)) == ("TOO_LONG_AGO", ["start_time"])
    await jobs.kinds["tick:deliveries.retention"].handler(
        past.studio.notify.resources, SimpleNamespace(due_at=past.now)
    )
    left = await past.studio.notify.sql("SELECT id FROM deliveries WHERE tenant_id = $1", past.studio.id)
    assert {row["id"] for row in left} == {waiting, *young}
    assert await past.report(*period) == before


async def test_old_deliveries_are_found_along_an_index(past: Past) -> None:
    database = past.studio.notify.resources.database
    for _ in range(3):
        await past.add()
    # In a small table reading all of it is cheaper; what counts is that nothing keeps the index from being used.
    async with asyncpg.create_pool(
        service_url("notify", "app", {"POWERHOUSE_DATABASE_URL": past.studio.notify.mesh.admin_url}),
        min_size=1,
        server_settings={"app.tenants": "{}", "app.dispatch": "on", "enable_seqscan": "off", "enable_sort": "off"},
    ) as pool:
        plan = await pool.fetch(f"EXPLAIN {deliveries.FORGET}", database.clock.now())
    lines = "\n".join(row[0] for row in plan)
    assert "Index Scan using ix_deliveries_tenant_id_due_time" in lines
    assert "Index Cond: ((tenant_id = s_1.tenant_id) AND (due_time <" in lines


async def test_a_warning_lasts_until_a_later_success_of_its_channel(past: Past) -> None:
    client = f"{past.studio.name}/clients/{past.studio.client_id}"
    await past.add("accepted", ago=timedelta(hours=5))
    await past.add("failed", ago=timedelta(hours=4), reason="no such mailbox")
    await past.add("failed", ago=timedelta(hours=3), reason="the mailbox is full")
    await past.add("accepted", channel="sms", ago=timedelta(hours=1))
    await past.add("skipped", ago=timedelta(hours=1), reason="quiet hours")
    assert await past.warnings() == [(client, Delivery.EMAIL, "the mailbox is full")]
    await past.add("delivered", ago=timedelta(minutes=30))
    assert await past.warnings() == []


async def test_a_dismissed_warning_comes_back_with_the_next_failure(past: Past) -> None:
    client = f"{past.studio.name}/clients/{past.studio.client_id}"
    await past.add("failed", reason="no such mailbox")
    for _ in range(2):
        await past.studio.staff().DismissClientWarnings(
            pb.DismissClientWarningsRequest(name=client, request_id=uuid4().hex)
        )
    assert await past.warnings() == []
    await past.add("failed", ago=-timedelta(minutes=1), reason="again")
    assert await past.warnings() == [(client, Delivery.EMAIL, "again")]


async def test_warnings_are_listed_the_newest_first_page_by_page(past: Past) -> None:
    clients = [new_id() for _ in range(5)]
    for number, client in enumerate(clients):
        await past.add("failed", ago=timedelta(hours=5 - number), reason=str(number), client=client)
    reasons, token = list[str](), ""
    while token or not reasons:
        answer = await past.studio.staff().ListClientWarnings(
            pb.ListClientWarningsRequest(parent=past.studio.name, page_size=2, page_token=token)
        )
        reasons, token = [*reasons, *(each.reason for each in answer.client_warnings)], answer.next_page_token
    assert reasons == ["4", "3", "2", "1", "0"]


async def test_deliveries_are_listed_by_what_one_looks_for(past: Past) -> None:
    booking, client = new_id(), new_id()
    reminder = await past.add(booking_id=booking, client=client, channel="sms")
    changed = await past.add("failed", kind="class_changed", reason="bounced", client=client)
    other = await past.add("skipped", reason="quiet hours")

    async def listed(**fields: Any) -> set[UUID]:
        request = notify_service_pb2.ListDeliveriesRequest(parent=past.studio.name, **fields)
        answer = await past.studio.staff().ListDeliveries(request)
        found = [UUID(each.name.rpartition("/")[2]) for each in answer.deliveries]
        assert found == sorted(found, reverse=True)
        return {*found}

    assert await listed() == {other, changed, reminder}
    assert await listed(booking=f"{past.studio.name}/bookings/{booking}") == {reminder}
    assert await listed(client=f"{past.studio.name}/clients/{client}") == {changed, reminder}
    assert await listed(kind=Delivery.CLASS_CHANGED) == {changed}
    assert await listed(channel=Delivery.SMS) == {reminder}
    assert await listed(state=Delivery.SKIPPED) == {other}
    assert await listed(client=f"{past.studio.name}/clients/{client}", state=Delivery.FAILED) == {changed}
    [story] = (
        await past.studio.staff().GetDelivery(
            notify_service_pb2.GetDeliveryRequest(name=f"{past.studio.name}/deliveries/{changed}")
        )
    ).story
    assert story.what == "failed"
