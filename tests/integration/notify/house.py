"""What notify's tests share: events carried from their owner's outbox, jobs run by the real worker, mails read back."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message

from embedded.children import answers
from embedded.processes import free_port
from powerhouse.identity.v1 import identity_service_pb2 as identity_pb
from powerhouse.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from powerhouse.notify.v1 import notify_service_pb2 as pb
from powerhouse.notify.v1.notify_service_pb2_grpc import NotifyServiceStub
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.clock import real_now
from services.chassis.ids import new_id
from services.chassis.jobs.timing import Timing
from services.chassis.jobs.worker import Worker
from services.chassis.messaging import inbox
from services.chassis.messaging.envelope import COLUMNS, Envelope
from services.notify.consumers import consumers
from services.notify.jobs import jobs, outbound
from tests.support.services import Running

KEY = "re_notify_tests"
TIMING = Timing(retry_pause=0.02, lease=30)


@contextmanager
def sandbox_process(directory: Path) -> Iterator[str]:
    """The sandboxes as a process; its address."""
    port = free_port()
    command = [sys.executable, "-m", "embedded.sandboxes", "--port", str(port), "--directory", str(directory)]
    with subprocess.Popen(command, env={**os.environ, "RESEND_API_KEY": KEY}, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while not answers(port):
                assert time.monotonic() < deadline, "the sandbox did not start"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


@dataclass
class Post:
    """A studio that has notify, the owner of the facts, and a mail provider."""

    notify: Running
    identity: Running
    sandbox: str
    studio: UUID = field(default_factory=new_id)

    @property
    def name(self) -> str:
        return f"studios/{self.studio}"

    async def invite(self, email: str = "") -> tuple[UUID, str]:
        """An invitation made at identity, and the address it goes to."""
        email = email or new_email()
        owner = self.identity.as_account(IdentityServiceStub, roles={self.studio: [Role.ROLE_OWNER]})
        invitation = identity_pb.NewInvitation(email=email, role=Role.ROLE_FRONT_DESK)
        made = await owner.CreateInvitation(
            identity_pb.CreateInvitationRequest(parent=self.name, invitation=invitation, request_id=uuid4().hex)
        )
        return UUID(made.name.rpartition("/")[2]), email

    async def carry(self, source: Running, aggregate_id: UUID) -> list[Envelope]:
        """Brings the events about a thing from its owner to notify, as the broker would; returns them."""
        rows = await source.sql(f"SELECT {COLUMNS} FROM outbox WHERE aggregate_id = $1 ORDER BY version", aggregate_id)
        envelopes = [Envelope.of_row(row) for row in rows]
        assert envelopes
        await self.apply(envelopes)
        return envelopes

    async def apply(self, envelopes: list[Envelope]) -> None:
        await inbox.apply(self.notify.resources.database, consumers, envelopes)

    async def work_off(self) -> None:
        """Runs due jobs until none is left."""
        now = self.notify.mesh.clock.now
        workers = [(registry, Worker(self.notify.resources, registry, TIMING)) for registry in (jobs, outbound)]
        async with asyncio.timeout(60):
            while True:
                count = 0
                for registry, worker in workers:
                    queue = registry.queue
                    rows = await self.notify.sql(
                        f"SELECT id FROM {queue.table} WHERE ({queue.waiting} OR {queue.held}) AND due_at <= $1", now()
                    )
                    await worker.run([row["id"] for row in rows])
                    count += len(rows)
                if not count:
                    return
                await asyncio.sleep(0.02)

    async def run_once(self) -> None:
        """Runs each delivery that is due once."""
        worker = Worker(self.notify.resources, outbound, TIMING)
        rows = await self.notify.sql("SELECT id FROM deliveries WHERE due_at <= $1", self.notify.mesh.clock.now())
        await worker.run([row["id"] for row in rows])

    async def send(self, source: Running, subject: UUID) -> asyncpg.Record:
        """Carries, works off, and returns what became of it."""
        await self.carry(source, subject)
        await self.work_off()
        return await self.delivery(subject)

    async def delivery(self, subject: UUID) -> asyncpg.Record:
        """The one delivery about a subject, beside its reminders."""
        [row] = await self.notify.sql("SELECT * FROM deliveries WHERE subject_id = $1 AND kind <> 'reminder'", subject)
        return row

    async def mails(self, to: str) -> list[dict[str, Any]]:
        """What the provider has accepted for an address."""
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.get(f"{self.sandbox}/sandbox/messages", params={"to": to})
        messages: list[dict[str, Any]] = answer.raise_for_status().json()["messages"]
        return messages

    async def misbehave(self, **faults: object) -> None:
        """How the provider will fail; nothing for good weather."""
        async with httpx.AsyncClient(timeout=60) as client:
            (await client.put(f"{self.sandbox}/sandbox/faults", json=faults)).raise_for_status()

    def staff(self, role: Any = Role.ROLE_FRONT_DESK) -> Any:
        return self.notify.as_account(NotifyServiceStub, roles={self.studio: [role]})

    async def listed(self, **fields: object) -> list[pb.Delivery]:
        answer = await self.staff().ListDeliveries(pb.ListDeliveriesRequest(parent=self.name, **fields))
        return list(answer.deliveries)


def new_email() -> str:
    return f"someone-{uuid4().hex[:12]}@example.test"


def envelope_of(event: Message, tenant: UUID) -> Envelope:
    """An event of a studio as its owner publishes it."""
    return Envelope.of_row(
        {
            "event_id": new_id(),
            "tenant_id": tenant,
            "type": event.DESCRIPTOR.full_name,
            "aggregate": "thing",
            "aggregate_id": new_id(),
            "version": 1,
            "create_time": real_now(),
            "traceparent": None,
            "payload": MessageToJson(event),
        }
    )
