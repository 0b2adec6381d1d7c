"""Merged clients: what either of them has stopped stays stopped for who they became, and comes apart with them."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest

from powerhouse.booking.v1 import client_pb2, client_service_pb2
from powerhouse.booking.v1.client_service_pb2_grpc import ClientServiceStub
from powerhouse.notify.v1 import preference_service_pb2 as pb
from powerhouse.notify.v1.notify_service_pb2 import Delivery
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.clock import real_now
from services.chassis.messaging import inbox
from services.chassis.messaging.envelope import COLUMNS, Envelope
from services.notify import merged_preferences, preferences
from services.notify.client_merges import MergeState
from services.notify.consumers import consumers
from services.notify.models import Kind
from tests.integration.notify.studio import Studio

Preferences = pb.Preferences
_WAITS = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    " AND query LIKE '%client_preferences%'"
)
NO_SMS = Preferences.OptOut(channel=Delivery.SMS)
NO_FEES = Preferences.OptOut(kind=Delivery.FEE_DUE, channel=Delivery.EMAIL)
QUIET = Preferences.QuietHours(start="21:00", end="07:00")


class Twins:
    """The studio's client, and a second record of the same person."""

    def __init__(self, studio: Studio) -> None:
        self.studio, self.survivor = studio, studio.client_id
        self.desk = studio.booking.as_account(ClientServiceStub, roles={studio.id: [Role.ROLE_OWNER]})
        self.duplicate = UUID(int=0)
        self.merge = ""

    def name(self, client: UUID) -> str:
        return f"{self.studio.name}/clients/{client}"

    async def open(self) -> None:
        client = client_pb2.Client(display_name="Anne Adler")
        request = client_service_pb2.CreateClientRequest(parent=self.studio.name, client=client, request_id=uuid4().hex)
        self.duplicate = UUID((await self.desk.CreateClient(request)).name.rpartition("/")[2])

    async def join(self) -> list[Envelope]:
        request = client_service_pb2.MergeClientsRequest(
            name=self.name(self.survivor), duplicate=self.name(self.duplicate), request_id=uuid4().hex
        )
        self.merge = (await self.desk.MergeClients(request)).name
        return await self.news()

    async def part(self) -> list[Envelope]:
        await self.desk.UndoClientMerge(
            client_service_pb2.UndoClientMergeRequest(name=self.merge, request_id=uuid4().hex)
        )
        return await self.news()

    async def news(self) -> list[Envelope]:
        """What booking has told of the merge, in order."""
        rows = await self.studio.booking.sql(
            f"SELECT {COLUMNS} FROM outbox WHERE aggregate_id = $1 ORDER BY version",
            UUID(self.merge.rpartition("/")[2]),
        )
        return [Envelope.of_row(row) for row in rows]

    async def hear(self, envelopes: Sequence[Envelope]) -> None:
        await inbox.apply(self.studio.notify.resources.database, consumers, list(envelopes))

    async def of(self, client: UUID) -> pb.Preferences:
        name = f"{self.name(client)}/preferences"
        answer: pb.Preferences = await self.studio.staff().GetPreferences(pb.GetPreferencesRequest(name=name))
        return answer

    async def change(self, client: UUID, **fields: Any) -> None:
        wanted = pb.Preferences(name=f"{self.name(client)}/preferences", **fields)
        await self.studio.staff().UpdatePreferences(
            pb.UpdatePreferencesRequest(preferences=wanted, request_id=uuid4().hex)
        )

    async def unsubscribe(self, client: UUID, kind: Kind) -> None:
        """By the link in a mail that this record of the person once got."""
        token = self.studio.links.token(self.studio.id, client, kind, "en", real_now())
        await self.studio.anyone().Unsubscribe(pb.UnsubscribeRequest(token=token))

    async def stopped(self, client: UUID) -> list[str]:
        rows = await self.studio.notify.sql(
            "SELECT opt_outs FROM client_preferences WHERE tenant_id = $1 AND client_id = $2", self.studio.id, client
        )
        return list(rows[0]["opt_outs"]) if rows else []


@pytest.fixture
async def twins(studio: Studio) -> Twins:
    made = Twins(studio)
    await made.open()
    return made


async def test_the_stricter_wins_and_comes_apart_again(twins: Twins) -> None:
    await twins.change(twins.survivor, opt_outs=[NO_FEES], language="de")
    await twins.change(twins.duplicate, opt_outs=[NO_SMS], language="en", quiet_hours=QUIET, time_zone="Asia/Tokyo")
    merged = await twins.join()
    await twins.hear([*merged, *merged])
    together = await twins.of(twins.survivor)
    assert list(together.opt_outs) == [NO_SMS, NO_FEES]
    assert (together.quiet_hours, together.time_zone, together.language) == (QUIET, "Asia/Tokyo", "de")
    said = {(each.channel, each.granted, each.source) for each in await twins.studio.consents()}
    assert {(Delivery.SMS, False, pb.Consent.STAFF), (Delivery.SMS, False, pb.Consent.MERGE)} <= said
    # An old mail to the duplicate: its reader is the survivor now.
    await twins.unsubscribe(twins.duplicate, Kind.REMINDER)
    assert "reminder/email" in await twins.stopped(twins.survivor)
    await twins.hear(await twins.part())
    assert await twins.stopped(twins.survivor) == ["fee_due/email", "reminder/email"]
    assert await twins.stopped(twins.duplicate) == ["*/sms", "reminder/email"]
    apart = await twins.of(twins.survivor)
    assert (apart.HasField("quiet_hours"), apart.time_zone, apart.language) == (False, "", "de")


async def test_news_of_a_merge_in_any_order_leave_everybody_as_they_were(twins: Twins) -> None:
    await twins.change(twins.duplicate, opt_outs=[NO_SMS])
    await twins.join()
    merged, undone = await twins.part()
    await twins.hear([undone])
    await twins.hear([merged])
    assert (await twins.stopped(twins.survivor), await twins.stopped(twins.duplicate)) == ([], ["*/sms"])


async def test_news_that_lead_in_a_circle_for_a_while(twins: Twins) -> None:
    """Parted, and merged the other way round; of the first merge its end is heard last."""
    await twins.join()
    merged, parted = await twins.part()
    twins.survivor, twins.duplicate = twins.duplicate, twins.survivor
    round_again = await twins.join()
    async with asyncio.timeout(60):
        await twins.hear([merged])
        await twins.hear(round_again)
        await twins.unsubscribe(twins.duplicate, Kind.REMINDER)
        await twins.hear([parted])
    await twins.unsubscribe(twins.duplicate, Kind.RECEIPT)
    assert "receipt/email" in await twins.stopped(twins.survivor)


async def test_what_is_stopped_while_a_merge_is_told_is_not_lost(twins: Twins) -> None:
    """Who unsubscribes waits for the duplicate's row, and finds that it has become another one's."""
    [merged] = await twins.join()
    state = MergeState(UUID(merged.aggregate_id), 1, twins.survivor, twins.duplicate, undone=False)
    async with twins.studio.notify.resources.database.transaction(twins.studio.id) as tx:
        await preferences.lock(tx, twins.duplicate)
        clicked = asyncio.create_task(twins.unsubscribe(twins.duplicate, Kind.REMINDER))
        async with asyncio.timeout(60):
            while not await twins.studio.notify.sql(_WAITS):  # noqa: ASYNC110  # it cannot tell
                await asyncio.sleep(0.01)
        await merged_preferences.follow(tx, state)
    await clicked
    assert await twins.stopped(twins.survivor) == ["reminder/email"]
