"""A studio that is paid and writes to its clients: payments, booking, identity and notify, with both sandboxes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from powerhouse.booking.v1 import client_service_pb2
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from services.chassis.messaging.envelope import COLUMNS, Envelope
from services.notify import senders
from services.notify.local_words import day_and_time
from tests.integration.notify.house import Post, new_email
from tests.integration.payments.house import Shop, services

ZONE = "Europe/Berlin"


@dataclass
class Payer:
    """A client with an address and an account."""

    name: str
    email: str
    person: Any
    account: UUID


@dataclass
class Till:
    """What is paid at `shop` is written about by `post`."""

    shop: Shop
    post: Post

    async def payer(self, language: str = "") -> Payer:
        account, email = new_id(), new_email()
        client = Client(display_name="Ann Adler", email=email, account=f"accounts/{account}", language=language)
        request = client_service_pb2.CreateClientRequest(parent=self.shop.name, client=client, request_id=uuid4().hex)
        name = str((await self.shop.booker.CreateClient(request)).name)
        return Payer(name, email, self.shop.as_role(Role.ROLE_CLIENT, account), account)

    async def carry(self) -> None:
        """Every event of payments in the studio comes to notify, twice."""
        rows = await self.shop.payments.sql(
            f"SELECT {COLUMNS} FROM outbox WHERE tenant_id = $1 ORDER BY create_time, version", self.shop.tenant
        )
        for _ in range(2):
            await self.post.apply([Envelope.of_row(row) for row in rows])

    async def write(self) -> None:
        """The same, and what is due is sent."""
        await self.carry()
        await self.post.work_off()

    async def subjects(self, email: str) -> list[str]:
        """Of what the provider has for an address beside receipts, in order."""
        mails = reversed(await self.post.mails(email))
        return [mail["subject"] for mail in mails if not mail["subject"].startswith(("Receipt", "Credit note"))]

    async def newest(self, email: str, beginning: str) -> dict[str, Any]:
        """The newest mail with such a subject."""
        return next(mail for mail in await self.post.mails(email) if mail["subject"].startswith(beginning))

    async def skipped(self, kind: str) -> list[str]:
        """Why mails of a kind were not sent."""
        rows = await self.post.notify.sql(
            "SELECT reason FROM deliveries WHERE tenant_id = $1 AND kind = $2 AND state = 'skipped' ORDER BY id",
            self.shop.tenant,
            kind,
        )
        return [row["reason"] for row in rows]


@asynccontextmanager
async def open_till(post: Post, stripe_sandbox: str) -> AsyncIterator[Till]:
    """The post's studio, as a merchant."""
    async with services(post.notify.mesh, stripe_sandbox) as (payments, booking):
        # What other tests left to be done later comes due when this one moves the clock.
        await payments.sql("DELETE FROM jobs")
        shop = Shop(payments, booking, stripe_sandbox, tenant=post.studio)
        await shop.open()
        async with post.notify.resources.database.transaction(post.studio) as tx:
            await senders.put_studio(tx, version=1, display_name="Kiez Pilates", time_zone=ZONE)
        yield Till(shop, post)


def shown(instant: datetime) -> str:
    """As a mail says it."""
    return day_and_time(instant, ZONE)
