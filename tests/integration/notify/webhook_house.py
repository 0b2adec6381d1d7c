"""notify behind a real gateway that listens where the sandboxes send their webhooks."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import httpx
import uvicorn

from embedded.sandboxes.webhooks import Post, Signatures
from gateway.app import create_app
from gateway.settings import Settings
from gateway.upstreams import SERVICES, connect
from services.chassis import config
from services.chassis.ids import new_id
from services.chassis.jobs.worker import Worker
from services.notify.jobs import jobs
from services.notify.provider_events import APPLY_JOB
from services.notify.providers.keys import key_of
from services.notify.service import SERVICE as NOTIFY
from tests.integration.gateway.house import gateway_environ
from tests.integration.notify.channels import Sandboxes
from tests.integration.notify.house import TIMING
from tests.support.services import Mesh, Running

_DELIVERY = """
INSERT INTO deliveries (tenant_id, id, kind, subject_id, channel, due_time, due_at, create_time)
VALUES ($1, $2, 'booking_confirmation', $2, $3, $4, $4, $4)
"""


@dataclass
class Door:
    """A studio whose providers tell what becomes of its messages."""

    notify: Running
    twins: Sandboxes
    url: str
    signatures: Signatures
    studio: UUID = field(default_factory=new_id)
    client: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=60))

    @property
    def twilio_url(self) -> str:
        return f"{self.url}/webhooks/twilio/{self.twins.keys.twilio_account}"

    async def post(self, post: Post, url: str = "", **headers: str) -> httpx.Response:
        """A webhook as a provider sends it, or, with another address or header, as somebody else does."""
        sent = {name: value.encode() for name, value in {**post.headers, **headers}.items()}
        return await self.client.post(url or post.url, content=post.body, headers=sent)

    async def sending(self, channel: str = "email") -> str:
        """A delivery that is being handed over; its key."""
        delivery = new_id()
        await self.notify.sql(_DELIVERY, self.studio, delivery, channel, datetime.now(UTC))
        await self.notify.sql("UPDATE deliveries SET state = 'sending', attempts = 1 WHERE id = $1", delivery)
        return key_of(self.studio, delivery)

    async def delivery(self, key: str) -> asyncpg.Record:
        [row] = await self.notify.sql("SELECT * FROM deliveries WHERE id = $1", UUID(key.rpartition("-")[2]))
        return row

    async def state(self, key: str) -> tuple[str, str]:
        """State and outcome of a delivery."""
        row = await self.delivery(key)
        return row["state"], row["outcome"]

    async def events(self) -> list[asyncpg.Record]:
        """Everything stored."""
        return await self.notify.sql("SELECT * FROM provider_events ORDER BY id")

    async def work_once(self) -> int:
        """Runs the due jobs once; how many there were."""
        rows = await self.notify.sql("SELECT id FROM jobs WHERE kind = $1 AND state = 'queued'", APPLY_JOB)
        await Worker(self.notify.resources, jobs, TIMING).run([row["id"] for row in rows])
        return len(rows)

    async def work_off(self) -> None:
        """Runs due jobs until none is left."""
        async with asyncio.timeout(60):
            while await self.work_once():  # noqa: ASYNC110  # there is nothing to be told by
                await asyncio.sleep(0.02)


@asynccontextmanager
async def open_door(
    mesh: Mesh,
    twins: Sandboxes,
    extra: Mapping[str, str] | None = None,
    gateway: Mapping[str, str] | None = None,
) -> AsyncIterator[Door]:
    """Gateway and notify; `extra` changes notify's environment, `gateway` the gateway's."""
    url = f"http://127.0.0.1:{twins.webhooks_port}"
    environment = {**twins.keys.of_notify(twins.url), "POWERHOUSE_PUBLIC_URL": url, **(extra or {})}
    keys = twins.keys.of_sandbox()
    signatures = Signatures(
        resend_secret=keys["RESEND_WEBHOOK_SECRETS"],
        sendgrid_private_key=keys["SENDGRID_WEBHOOK_PRIVATE_KEY"],
        twilio_account=keys["TWILIO_ACCOUNT_SID"],
        twilio_token=keys["TWILIO_AUTH_TOKEN"],
    )
    async with mesh.running(NOTIFY, environment) as notify:
        await notify.sql("TRUNCATE provider_events")
        await notify.sql("DELETE FROM jobs WHERE kind = $1", APPLY_JOB)
        targets = dict.fromkeys(SERVICES, "127.0.0.1:1")
        environ = gateway_environ(mesh.certificates, {**targets, **mesh.targets})
        settings = config.load(Settings, {**environ, "POWERHOUSE_PUBLIC_URL": url, **(gateway or {})})
        upstreams = connect(settings)
        app = create_app(settings, upstreams)
        server = uvicorn.Server(
            uvicorn.Config(app, port=twins.webhooks_port, lifespan="off", log_config=None, ws="none")
        )
        task = asyncio.create_task(server.serve())
        try:
            while not server.started:  # noqa: ASYNC110  # it has no event to wait for
                await asyncio.sleep(0.01)
            door = Door(notify, twins, url, signatures)
            yield door
            await door.client.aclose()
        finally:
            server.should_exit = True
            await task
            await upstreams.close()
